"""Nothing is said of a batch, to the broker or to a gateway, before it is committed."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from devices import wire
from ingest.batch import Batch
from ingest.config import BatchSettings
from ingest.delivery import Answer, Delivery
from ingest.pipeline import Pipeline
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

    async def wait(self, wait_s: float) -> bool:
        if not self.deliveries:
            await asyncio.sleep(max(0.0, wait_s))
        return bool(self.deliveries)

    def take(self, most: int) -> list[Delivery]:
        return [self.deliveries.popleft() for _ in range(min(most, len(self.deliveries)))]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += deliveries

    def publish(self, answers: Sequence[Answer]) -> None:
        self.published += answers


class SlowSettler(Settler):
    """Commits when the test says so."""

    def __init__(self) -> None:
        super().__init__(lambda: "", "test")
        self.began = asyncio.Event()
        self.may_commit = asyncio.Event()

    async def settle(self, batch: Batch, refused: Sequence[Refused]) -> Settled:
        self.began.set()
        await self.may_commit.wait()
        return Settled(reason=np.zeros(len(batch), np.int8), refused=refused, new=len(batch))


def _delivery(number: int) -> Delivery:
    topic = wire.topic(GATEWAY, wire.TopicKind.READINGS)
    return Delivery(topic, message([pressure(120, 80)]), None, bytes([number]), NOW)


async def test_a_batch_is_acknowledged_and_answered_after_its_commit_and_not_before() -> None:
    sent = [_delivery(number) for number in range(3)]
    consumer, settler = FakeConsumer(deque(sent)), SlowSettler()
    pipeline = Pipeline(consumer, settler, BatchSettings(wait_ms=1))
    running = asyncio.create_task(pipeline.run())
    await settler.began.wait()
    assert (consumer.acknowledged, consumer.published) == ([], [])
    settler.may_commit.set()
    pipeline.stop()  # what was taken is finished
    await running
    assert consumer.acknowledged == sent
    assert [answer.correlation for answer in consumer.published] == [b"\0", b"\1", b"\2"]
