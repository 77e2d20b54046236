"""The uplink against real brokers, with a stand-in for ingest at the other end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from devices.wire import (
    COLUMNS_VERSION,
    VERSION,
    ConditionCode,
    GatewayState,
    Message,
    Receipt,
    Refusal,
)
from gateway.broker import Connection
from gateway.config import UplinkConfig
from gateway.database import StoreFull
from gateway.dispatch import Send
from gateway.event import GatewayEvent
from gateway.health import Health
from gateway.heartbeat import Heartbeat
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.uplink import Uplink
from simulator.embedded.broker import Broker, Mosquitto
from tests.conftest import missing
from tests.gateway.material import ids, reading
from tests.gateway.receiver import Receiver, receiving, say_nothing, store_all


class Running:
    """An uplink at work, and what it works on."""

    def __init__(self, inbox: Inbox, outbox: Outbox, uplink_type: type[Uplink] = Uplink) -> None:
        self.wake = asyncio.Event()
        self.stop = asyncio.Event()
        self.outbox = outbox
        self.health = Health(on_change=self.wake.set)
        self._uplink_type = uplink_type
        self._heartbeat = Heartbeat(
            "g-test",
            1.0,
            inbox=inbox,
            outbox=outbox,
            health=self.health,
            now=lambda: datetime.now(UTC),
        )

    def append(self, *numbers: int) -> None:
        self.outbox.append(map(reading, numbers))
        self.wake.set()

    def uplink(self, port: int, resend_after_s: float = 30.0) -> Uplink:
        return self._uplink_type(
            UplinkConfig(host="127.0.0.1", port=port, resend_after_s=resend_after_s),
            "g-test",
            outbox=self.outbox,
            heartbeat=self._heartbeat,
            health=self.health,
            wake=self.wake,
            now=lambda: datetime.now(UTC),
            random=Random(1),
        )

    @contextlib.asynccontextmanager
    async def at(
        self, port: int, resend_after_s: float = 30.0
    ) -> AsyncIterator[asyncio.Task[None]]:
        uplink = self.uplink(port, resend_after_s)
        task = asyncio.create_task(uplink.run(self.stop), name="uplink")
        try:
            yield task
        finally:
            if not self.stop.is_set():  # the test is over: nothing to drain
                waiting = [row.reading_id for row in self.outbox.peek(10_000)]
                self.outbox.settle(stored=waiting, refused={})
            self.stop.set()
            self.wake.set()
            async with asyncio.timeout(10):
                await task


@pytest.fixture
def running(inbox: Inbox, outbox: Outbox) -> Running:
    return Running(inbox, outbox)


async def until(condition: Callable[[], bool], receiver: Receiver, within_s: float = 30.0) -> None:
    """Wait for something the gateway's side does after it heard from the broker."""
    async with asyncio.timeout(within_s):
        while not condition():
            with contextlib.suppress(TimeoutError):
                await receiver.until(lambda: False, within_s=0.02)


async def test_a_receipt_empties_the_outbox(broker: Broker, running: Running) -> None:
    running.append(1, 2, 3)
    async with receiving(broker.port) as receiver, running.at(broker.port):
        await until(lambda: running.outbox.depth == 0, receiver)
        assert set(receiver.reading_ids) == set(ids([reading(n) for n in (1, 2, 3)]))
        assert {message.v for message in receiver.messages} == {COLUMNS_VERSION}
        assert running.health.problems == ()


async def test_a_receipt_in_rows_empties_it_too(broker: Broker, running: Running) -> None:
    def in_rows(message: Message) -> Receipt:
        return Receipt(v=VERSION, stored=tuple(each.reading_id for each in message.readings))

    running.append(1, 2)
    async with receiving(broker.port, in_rows) as receiver, running.at(broker.port):
        await until(lambda: running.outbox.depth == 0, receiver)


async def test_the_brokers_acknowledgement_empties_nothing(
    broker: Broker, running: Running
) -> None:
    running.append(1)
    async with receiving(broker.port, say_nothing) as receiver, running.at(broker.port):
        await receiver.until(lambda: bool(receiver.messages))
        await receiver.until(lambda: len(receiver.statuses) >= 3)  # two heartbeats later
        assert running.outbox.depth == 1


async def test_without_a_receipt_it_is_sent_until_one_comes(
    broker: Broker, running: Running
) -> None:
    def third_time_lucky(message: Message) -> Receipt | None:
        return store_all(message) if len(receiver.messages) >= 3 else None

    running.append(1)
    async with (
        receiving(broker.port, third_time_lucky) as receiver,
        running.at(broker.port, resend_after_s=0.2),
    ):
        await until(lambda: running.outbox.depth == 0, receiver)
        assert receiver.reading_ids == [reading(1).reading_id] * 3


async def test_a_refusal_is_a_receipt_too(broker: Broker, running: Running) -> None:
    def refuse(message: Message) -> Receipt:
        refusals = (
            Refusal(reading_id=each.reading_id, reason="implausible") for each in message.readings
        )
        return Receipt(v=message.v, refused=tuple(refusals))

    running.append(1, 2)
    async with receiving(broker.port, refuse) as receiver, running.at(broker.port):
        await until(lambda: running.outbox.depth == 0, receiver)
    assert running.outbox.refused_total == 2


async def test_a_whole_message_refused_is_let_go(broker: Broker, running: Running) -> None:
    def refuse(_message: Message) -> Receipt:
        return Receipt(v=VERSION, message_refused="unsupported_version")

    running.append(1, 2)
    async with receiving(broker.port, refuse) as receiver, running.at(broker.port):
        await until(lambda: running.outbox.depth == 0, receiver)
    assert running.outbox.refused_total == 2


@pytest.mark.parametrize("receipt", [b"", b"\xff\x00", b'{"v": 99}', b'{"v": 1, "stored": 7}'])
async def test_a_malformed_receipt_is_told_and_empties_nothing(
    embedded_broker: Broker, running: Running, receipt: bytes
) -> None:
    async with (
        receiving(embedded_broker.port, lambda _: receipt) as receiver,
        running.at(embedded_broker.port),
    ):
        running.append(1)
        await receiver.until(lambda: bool(_told(receiver)))
        assert "receipts could not be read" in _told(receiver)[0]
        assert running.outbox.depth == 1
        receiver.answer = store_all
        running.append(2)
        await until(lambda: running.outbox.depth == 1, receiver)
        assert running.health.problems == ()  # one that could be read came


async def test_a_receipt_that_cannot_be_noted_is_told_and_asked_for_again(
    embedded_broker: Broker, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(**_ids: object) -> None:
        raise StoreFull

    async with (
        receiving(embedded_broker.port) as receiver,
        running.at(embedded_broker.port, resend_after_s=0.2),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(running.outbox, "settle", no_room)
            running.append(1)
            await until(lambda: bool(running.health.problems), receiver)
            assert "could not be noted" in running.health.problems[0]
        await until(lambda: running.outbox.depth == 0, receiver)


def test_receipts_that_a_broker_denies_are_told_until_it_gives_them(running: Running) -> None:
    uplink = running.uplink(port=9)
    connection = SimpleNamespace(
        listen_refusals={"egenmonitor/v1/g-test/receipts": "Not authorized"},
        packet_bytes_max=10_000,
    )
    uplink._connected(cast(Connection, connection))
    (problem,) = running.health.problems
    assert problem == "the broker denies egenmonitor/v1/g-test/receipts: Not authorized"
    connection.listen_refusals = {}
    uplink._connected(cast(Connection, connection))
    assert running.health.problems == ()


async def test_a_new_reading_overtakes_a_backlog_of_3000(broker: Broker, running: Running) -> None:
    running.append(*range(3000))
    held: list[Message] = []

    def hold_back(message: Message) -> Receipt | None:
        held.append(message)
        return None

    async with receiving(broker.port, hold_back) as receiver, running.at(broker.port):
        await receiver.until(lambda: len(receiver.messages) == 4)
        running.append(5000)
        await receiver.until(lambda: len(receiver.messages) == 5)
        assert receiver.reading_ids[:800] == ids([reading(n) for n in range(800)])
        assert receiver.reading_ids[800:] == [reading(5000).reading_id]


async def test_a_backlog_of_3000_drains_in_order_each_reading_once(
    broker: Broker, running: Running
) -> None:
    running.append(*range(3000))
    async with receiving(broker.port) as receiver, running.at(broker.port):
        await until(lambda: running.outbox.depth == 0, receiver)
        assert receiver.reading_ids == ids([reading(n) for n in range(3000)])
        assert len(receiver.messages) == 15


async def test_a_broker_that_goes_away_loses_nothing(broker: Broker, running: Running) -> None:
    """Killed with messages in flight, away for a while, and back with an empty memory."""
    async with receiving(broker.port, say_nothing) as receiver, running.at(broker.port, 0.5):
        running.append(*range(50))
        await receiver.until(lambda: bool(receiver.messages))
        broker.kill()
        running.append(*range(50, 100))
        await until(lambda: bool(running.health.problems), receiver)
        receiver.ready.clear()
        receiver.answer = store_all
        broker.start()
        await receiver.ready.wait()
        await until(lambda: running.outbox.depth == 0, receiver)
        assert set(receiver.stored) == set(ids([reading(n) for n in range(100)]))
        assert running.health.problems == ()


async def test_a_control_that_empties_on_acknowledgement_loses(
    embedded_broker: Broker, inbox: Inbox, outbox: Outbox
) -> None:
    """What the receipts are for: the same outage with the old way loses readings."""

    class DeletesOnPuback(Uplink):
        def acknowledged(self, send: Send) -> None:
            self._outbox.settle(stored=[row.reading_id for row in send.rows], refused={})

    running = Running(inbox, outbox, DeletesOnPuback)
    running.append(*range(50))
    async with running.at(embedded_broker.port):
        receiver = Receiver(embedded_broker.port)  # ingest is not there yet
        await until(lambda: outbox.depth == 0, receiver)
        embedded_broker.kill()  # nor does the broker remember what it acknowledged
        embedded_broker.start()
        receiver.start()
        try:
            await receiver.until(lambda: len(receiver.statuses) >= 2)
        finally:
            receiver.stop()
        assert receiver.reading_ids == []


async def test_birth_heartbeat_and_farewell_are_retained(broker: Broker, running: Running) -> None:
    running.health.problem(ConditionCode.STORAGE_FULL, "the disk is full")
    async with receiving(broker.port) as receiver:
        async with running.at(broker.port):
            await receiver.until(lambda: len(receiver.statuses) >= 2)
            birth = receiver.statuses[0]
            assert birth.state is GatewayState.ONLINE
            assert birth.problems == ("the disk is full",)
            assert (birth.inbox, birth.outbox, birth.oldest_at) == (0, 0, None)
        await receiver.until(lambda: receiver.statuses[-1].state is GatewayState.STOPPED)
    async with receiving(broker.port) as later:
        await later.until(lambda: bool(later.statuses))
        assert later.statuses[0].state is GatewayState.STOPPED


async def test_the_heartbeat_tells_depth_and_age(broker: Broker, running: Running) -> None:
    running.append(7, 8)
    async with receiving(broker.port, say_nothing) as receiver, running.at(broker.port):
        await receiver.until(lambda: bool(receiver.statuses))
        status = receiver.statuses[-1]
        assert status.outbox == 2
        assert status.oldest_at == reading(7).received_at
        assert status.last_reading_at == reading(8).received_at


async def test_a_stopped_gateway_drains_first(broker: Broker, running: Running) -> None:
    async with receiving(broker.port) as receiver, running.at(broker.port) as task:
        await receiver.until(lambda: bool(receiver.statuses))
        running.outbox.append(map(reading, range(1000)))
        running.stop.set()
        running.wake.set()
        await task
        assert running.outbox.depth == 0
        assert len(receiver.stored) == 1000


async def test_a_stopped_gateway_does_not_wait_for_ever_for_receipts(
    broker: Broker, running: Running
) -> None:
    async with receiving(broker.port, say_nothing) as receiver, running.at(broker.port) as task:
        running.append(1)
        await receiver.until(lambda: bool(receiver.messages))
        running.stop.set()
        running.wake.set()
        async with asyncio.timeout(5):
            await task
        assert running.outbox.depth == 1


class Denying(Mosquitto):
    """A broker whose access rules let the gateway do everything but publish readings."""

    def configuration(self) -> str:
        rules = self.directory / "acl"
        rules.write_text("topic readwrite egenmonitor/v1/+/status\ntopic read #\n")
        rules.chmod(0o644)
        return super().configuration() + f"acl_file {rules}\n"


async def test_a_denied_publish_is_told_in_the_heartbeat(
    tmp_path_factory: pytest.TempPathFactory, running: Running
) -> None:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    with Denying(tmp_path_factory.mktemp("broker")) as broker:
        async with receiving(broker.port) as receiver, running.at(broker.port):
            running.append(1)
            await receiver.until(
                lambda: any("Not authorized" in words for words in _told(receiver))
            )
            assert running.outbox.depth == 1


def _told(receiver: Receiver) -> tuple[str, ...]:
    return receiver.statuses[-1].problems if receiver.statuses else ()


class Counting(Uplink):
    connections = 0

    def _connected(self, connection: Connection) -> None:
        self.connections += 1
        super()._connected(connection)


async def test_a_renewed_connection_keeps_the_session_and_says_no_goodbye(
    broker: Broker, inbox: Inbox, outbox: Outbox
) -> None:
    """The files may be others by then: a certificate that was renewed."""
    told: list[GatewayEvent] = []
    running = Running(inbox, outbox, Counting)
    uplink = cast(Counting, running.uplink(broker.port))
    uplink._on_event = lambda event, *_: told.append(event)
    uplink.reconnect()  # before there is a connection: nothing to renew
    async with receiving(broker.port) as receiver:
        task = asyncio.create_task(uplink.run(running.stop), name="uplink")
        running.append(1)
        await until(lambda: running.outbox.depth == 0, receiver)
        first = len(receiver.statuses)
        uplink.reconnect()
        assert uplink.connections == 1
        await until(lambda: uplink.connections == 2, receiver)
        running.append(2)
        await until(lambda: running.outbox.depth == 0, receiver)
        await receiver.until(lambda: len(receiver.statuses) > first)
        assert {status.state for status in receiver.statuses} == {GatewayState.ONLINE}
        running.stop.set()
        running.wake.set()
        await asyncio.wait_for(task, 10)
    assert told == [GatewayEvent.CONNECTED, GatewayEvent.STORED, GatewayEvent.STORED]


async def test_an_uplink_that_is_started_again_waits_for_nothing_that_was_sent_before(
    embedded_broker: Broker, running: Running
) -> None:
    """Its supervisor starts the same object again after a failure in the middle of its work."""
    uplink = running.uplink(embedded_broker.port)
    async with receiving(embedded_broker.port, say_nothing) as receiver:
        running.append(1)
        task = asyncio.create_task(uplink.run(running.stop), name="uplink")
        await receiver.until(lambda: len(receiver.messages) == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        receiver.answer = store_all
        task = asyncio.create_task(uplink.run(running.stop), name="uplink")
        await until(lambda: running.outbox.depth == 0, receiver)
        running.stop.set()
        running.wake.set()
        await asyncio.wait_for(task, 10)
