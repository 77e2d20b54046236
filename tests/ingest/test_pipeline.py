"""Nothing is said of a batch before it is committed; batches grow while the settler is busy."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from devices import wire
from ingest.batch import Batch
from ingest.config import BatchSettings
from ingest.delivery import Answer, Delivery
from ingest.meter import BatchReport, NullMeter
from ingest.pipeline import TAKEN_AT_ONCE, Pipeline
from ingest.quarantine import Refused
from ingest.settle import Settled, Settler
from tests.ingest.county import GATEWAY, NOW, message, pressure


@dataclass
class FakeConsumer:
    """Brings deliveries, and keeps what is said of them."""

    deliveries: deque[Delivery]
    acknowledged: list[Delivery] = field(default_factory=list)
    published: list[Answer] = field(default_factory=list)
    is_full: bool = False
    arrival: asyncio.Event = field(default_factory=asyncio.Event)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    is_done: asyncio.Event = field(default_factory=asyncio.Event)
    brought: int = 0

    def __post_init__(self) -> None:
        self.brought = len(self.deliveries)

    def bring(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries += deliveries
        self.brought += len(deliveries)
        self.emptied.clear()
        self.is_done.clear()
        self.arrival.set()

    async def wait(self, wait_s: float) -> bool:
        if not self.deliveries:
            self.arrival.clear()
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await self.arrival.wait()
            except TimeoutError:
                return False
        return True

    def take(self, most: int) -> list[Delivery]:
        taken = [self.deliveries.popleft() for _ in range(min(most, len(self.deliveries)))]
        if not self.deliveries:
            self.emptied.set()
        return taken

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += deliveries
        if len(self.acknowledged) == self.brought:
            self.is_done.set()

    def publish(self, answers: Sequence[Answer]) -> None:
        self.published += answers


class SlowSettler(Settler):
    """Commits when the test says so."""

    def __init__(self) -> None:
        super().__init__(lambda: "", "test")
        self.began = asyncio.Event()
        self.may_commit = asyncio.Event()
        self.sizes: list[int] = []
        self.began_at: list[float] = []

    async def settle(self, batch: Batch, refused: Sequence[Refused]) -> Settled:
        self.sizes.append(len(batch))
        self.began_at.append(time.monotonic())
        self.began.set()
        await self.may_commit.wait()
        return Settled(reason=np.zeros(len(batch), np.int8), refused=refused, new=len(batch))


class Noting(NullMeter):
    """Keeps the reports of batches."""

    def __init__(self) -> None:
        self.reports: list[BatchReport] = []

    def settled(self, batch: BatchReport) -> None:
        self.reports.append(batch)


_PAYLOAD = message([pressure(120, 80)])


def _delivery(number: int, payload: bytes = _PAYLOAD) -> Delivery:
    topic = wire.topic(GATEWAY, wire.TopicKind.READINGS)
    return Delivery(topic, payload, number.to_bytes(2, "big"), NOW)


async def test_a_batch_is_acknowledged_and_answered_after_its_commit_and_not_before() -> None:
    sent = [_delivery(number) for number in range(3)]
    consumer, settler, meter = FakeConsumer(deque(sent)), SlowSettler(), Noting()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=1), meter)
    running = asyncio.create_task(pipeline.run())
    await settler.began.wait()
    assert (consumer.acknowledged, consumer.published, meter.reports) == ([], [], [])
    settler.may_commit.set()
    pipeline.stop()  # what was taken is finished
    await running
    assert consumer.acknowledged == sent
    assert [answer.correlation for answer in consumer.published] == [b"\0\0", b"\0\1", b"\0\2"]
    (report,) = meter.reports
    assert (report.messages, report.readings, report.new, report.repeated) == (3, 3, 3, 0)
    assert len(report.measured_to_stored_s) == len(report.arrived_to_stored_s) == 3
    assert abs(report.arrived_to_stored_s[0] - (time.time() - NOW.timestamp())) < 60


async def test_while_a_batch_is_committed_the_next_one_grows_to_its_limit_and_no_further() -> None:
    sent = [_delivery(number) for number in range(40)]
    consumer, settler = FakeConsumer(deque(sent[:3])), SlowSettler()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=1, rows_max=10))
    running = asyncio.create_task(pipeline.run())
    await settler.began.wait()
    consumer.bring(sent[3:])
    await consumer.emptied.wait()
    assert settler.sizes == [3]
    settler.may_commit.set()
    await consumer.is_done.wait()
    pipeline.stop()
    await running
    assert settler.sizes == [3, 10, 10, 10, 7]
    assert consumer.acknowledged == sent


async def test_a_backlog_beyond_a_batch_and_a_chunk_stays_with_the_consumer() -> None:
    sent = [_delivery(number) for number in range(2000)]
    consumer, settler = FakeConsumer(deque(sent)), SlowSettler()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=1, rows_max=100))
    running = asyncio.create_task(pipeline.run())
    await settler.began.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(consumer.deliveries) >= len(sent) - 2 * 100 - TAKEN_AT_ONCE
    settler.may_commit.set()
    await consumer.is_done.wait()
    pipeline.stop()
    await running
    assert consumer.acknowledged == sent
    assert max(settler.sizes) == 100


async def test_a_single_message_goes_after_its_wait() -> None:
    consumer, settler = FakeConsumer(deque()), SlowSettler()
    settler.may_commit.set()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=50))
    running = asyncio.create_task(pipeline.run())
    began = time.monotonic()
    consumer.bring([_delivery(0)])
    await settler.began.wait()
    pipeline.stop()
    await running
    assert 0.045 <= settler.began_at[0] - began < 5


async def test_what_was_gathered_before_a_stop_is_settled_too() -> None:
    sent = [_delivery(number) for number in range(3)]
    consumer, settler = FakeConsumer(deque(sent)), SlowSettler()
    settler.may_commit.set()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=10_000))
    running = asyncio.create_task(pipeline.run())
    await consumer.emptied.wait()
    pipeline.stop()
    async with asyncio.timeout(5):
        await running
    assert consumer.acknowledged == sent
    assert len(consumer.published) == 3


async def test_nothing_is_waited_for_when_the_broker_may_send_no_more() -> None:
    consumer, settler = FakeConsumer(deque([_delivery(0)]), is_full=True), SlowSettler()
    settler.may_commit.set()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=10_000))
    running = asyncio.create_task(pipeline.run())
    async with asyncio.timeout(5):
        await settler.began.wait()
    pipeline.stop()
    await running
    assert settler.sizes == [1]


async def test_what_holds_no_reading_counts_and_is_answered_too() -> None:
    nonsense = _delivery(0, b"nonsense")
    consumer, settler, meter = FakeConsumer(deque([nonsense])), SlowSettler(), Noting()
    settler.may_commit.set()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=1), meter)
    running = asyncio.create_task(pipeline.run())
    await settler.began.wait()
    pipeline.stop()
    await running
    assert (len(consumer.acknowledged), len(consumer.published)) == (1, 1)
    assert [report.messages for report in meter.reports] == [1]
    assert meter.reports[0].refused == {"malformed_message": 1}
