"""What the virtual radio cannot be made to do: radios and devices that fail in chosen ways."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from devices.drivers import DriverKind, Notes, RawValue, Read, Request, Subscribe, driver_named
from devices.gatt import uuids
from devices.reading import Reading
from gateway import session as session_module
from gateway.config import SessionConfig
from gateway.database import Database, StoreFull
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.radio import Refusal
from gateway.replay import replay_unfinished
from gateway.session import CONNECT_WAITS_S, Session, serve
from tests.gateway.home import ZONE
from tests.gateway.material import DEVICE, START, reading

CUFF = driver_named("blood_pressure", ZONE)
WATCH = driver_named("infinitime", ZONE)
RECORD = bytes.fromhex("1e780050005a00ea070b0207000048000100 00".replace(" ", ""))
ANOTHER = bytes.fromhex("1e820050005a00ea070b0208000048000100 00".replace(" ", ""))
QUICK = SessionConfig(idle_s=0.5, connect_timeout_s=1)


class FakeClient:
    """A connection that goes as the test says; strict: it knows no other calls."""

    def __init__(self, radio: "FakeRadio", on_disconnect: Callable[[Any], None]) -> None:
        self.radio = radio
        self.on_disconnect = on_disconnect

    async def connect(self) -> None:
        self.radio.calls.append("connect")
        if self.radio.refusals:
            raise self.radio.refusals.pop(0)

    async def start_notify(self, source: str, callback: Callable[[Any, bytearray], None]) -> None:
        self.radio.calls.append("subscribe")
        self.radio.send = lambda payload: callback(None, bytearray(payload))
        for payload in self.radio.early:
            self.radio.send(payload)

    async def read_gatt_char(self, source: str) -> bytearray:
        self.radio.calls.append("read")
        answer = self.radio.answers.get(source)
        if answer is None:
            problem = "no such characteristic"
            raise BleakError(problem)
        if answer == b"never":
            await asyncio.Event().wait()
        return bytearray(answer)

    async def disconnect(self) -> None:
        self.radio.calls.append("disconnect")
        for payload in self.radio.parting:
            self.radio.send(payload)
        self.on_disconnect(self)


class FakeRadio:
    """A radio whose connections do as told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.refusals: list[Exception] = []
        self.early: list[bytes] = []  # sent before the subscription has returned
        self.parting: list[bytes] = []  # sent while the gateway hangs up
        self.answers: dict[str, bytes] = {}
        self.send: Callable[[bytes], None] = lambda _: None

    def scanner(self, detection_callback: Any) -> Any:
        raise NotImplementedError

    def client(
        self,
        device: BLEDevice,
        disconnected_callback: Any,
        *,
        timeout_s: float,
        pair: bool = False,
    ) -> Any:
        return FakeClient(self, disconnected_callback)

    async def is_bonded(self, device_id: str) -> bool:
        return False

    async def forget(self, device_id: str) -> None:
        self.calls.append("forget")

    def pairing(self, device_id: str, ask_passkey: Any) -> Any:
        raise NotImplementedError

    def refusal(self, error: BaseException) -> Refusal | None:
        return None

    async def power_cycle(self) -> None:
        raise NotImplementedError

    async def lost(self) -> None:
        raise NotImplementedError


class Visit:
    """A session with a fake device, and where it leaves things."""

    def __init__(self, inbox: Inbox, outbox: Outbox, kind: DriverKind = CUFF) -> None:
        self.radio = FakeRadio()
        self.is_heard = True
        self.session = Session(
            DEVICE, kind, inbox=inbox, outbox=outbox, now=lambda: datetime.now(UTC)
        )

    async def serve(self) -> bool:
        return await serve(
            self.radio,
            BLEDevice(DEVICE, None, None),
            self.session,
            config=QUICK,
            is_heard=lambda: self.is_heard,
        )


@pytest.fixture
def visit(inbox: Inbox, outbox: Outbox) -> Visit:
    return Visit(inbox, outbox)


async def test_a_connection_that_fails_is_tried_again_while_the_device_is_heard(
    visit: Visit, outbox: Outbox
) -> None:
    abort = BleakError("le-connection-abort-by-local")
    visit.radio.refusals = [abort, TimeoutError(), abort]
    visit.radio.early = [RECORD]
    assert await visit.serve()
    assert visit.radio.calls.count("connect") == 4
    assert outbox.depth == 1


async def test_it_is_given_up_after_the_last_try(visit: Visit) -> None:
    visit.radio.refusals = [BleakError("no")] * 10
    assert not await visit.serve()
    assert visit.radio.calls == ["connect"] * (len(CONNECT_WAITS_S) + 1)


async def test_a_device_that_fell_silent_is_not_tried_again(visit: Visit) -> None:
    visit.radio.refusals = [BleakError("no")] * 10
    visit.is_heard = False
    assert not await visit.serve()
    assert visit.radio.calls == ["connect"]


async def test_it_subscribes_before_it_asks_anything(visit: Visit) -> None:
    await visit.serve()
    assert visit.radio.calls[:3] == ["connect", "subscribe", "read"]


async def test_a_value_sent_before_the_subscription_returns_is_kept(
    visit: Visit, outbox: Outbox
) -> None:
    visit.radio.early = [RECORD]
    await visit.serve()
    assert outbox.depth == 1


async def test_a_value_sent_while_hanging_up_is_kept(visit: Visit, outbox: Outbox) -> None:
    visit.radio.parting = [RECORD]
    await visit.serve()
    assert outbox.depth == 1


async def test_a_value_sent_after_everything_is_over_is_kept_for_a_replay(
    visit: Visit, inbox: Inbox
) -> None:
    await visit.serve()
    visit.radio.send(RECORD)
    (late,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(late)] == [RECORD]


async def test_a_device_that_talks_on_after_a_replay_is_still_heard(
    visit: Visit, inbox: Inbox, outbox: Outbox
) -> None:
    await visit.serve()
    visit.radio.send(RECORD)
    replay_unfinished(inbox, outbox, ZONE)
    visit.radio.send(ANOTHER)
    (late,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(late)] == [ANOTHER]
    assert outbox.depth == 1


async def test_a_read_that_is_never_answered_holds_nothing_up_for_long(
    visit: Visit, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "REQUEST_S_MAX", 0.05)
    visit.radio.answers = {uuids.CURRENT_TIME: b"never", uuids.BATTERY_LEVEL: b"\x32"}
    visit.radio.early = [RECORD]
    await visit.serve()
    (row,) = outbox.peek(10)
    assert b'"battery_percent":50' in row.encoded


async def test_it_ends_after_silence_and_hangs_up(visit: Visit) -> None:
    async with asyncio.timeout(3):
        assert await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"


async def test_a_session_that_brings_nothing_writes_nothing(visit: Visit, store: Database) -> None:
    before = store.number("select max(seq) from sqlite_sequence")
    await visit.serve()
    assert store.number("select max(seq) from sqlite_sequence") == before


async def test_a_full_outbox_leaves_the_session_in_the_inbox(store: Database, inbox: Inbox) -> None:
    visit = Visit(inbox, Outbox(store, inbox, rows_max=0))
    visit.radio.early = [RECORD]
    with pytest.raises(StoreFull):
        await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"
    (session,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(session)] == [RECORD]


async def test_a_full_inbox_is_told_and_the_device_let_go(store: Database) -> None:
    inbox = Inbox(store, rows_max=0)
    visit = Visit(inbox, Outbox(store, inbox))
    visit.radio.early = [RECORD]
    with pytest.raises(StoreFull):
        await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"


class _Bug(Exception):
    pass


class _Buggy:
    """A driver that breaks its promise never to raise."""

    def connected(self) -> Sequence[Request]:
        return (Subscribe(uuids.BLOOD_PRESSURE_MEASUREMENT),)

    def received(self, raw: RawValue) -> Sequence[Reading]:
        raise _Bug

    def unanswered(self, request: Request) -> Sequence[Reading]:
        return ()

    def asks(self) -> Sequence[Request]:
        return ()

    def finished(self) -> Sequence[Reading]:
        return ()

    @property
    def notes(self) -> Notes:
        return Notes()


async def test_a_bug_in_a_driver_ends_the_session_loudly_with_the_bytes_kept(
    inbox: Inbox, outbox: Outbox
) -> None:
    buggy = DriverKind(
        name="blood_pressure", model=CUFF.model, zone=ZONE, make=lambda *_session: _Buggy()
    )
    visit = Visit(inbox, outbox, buggy)
    visit.radio.early = [RECORD]
    with pytest.raises(_Bug):
        await visit.serve()
    (session,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(session)] == [RECORD]


class _Chatty(_Buggy):
    """A driver that makes a reading of every value, and asks for one that is not there."""

    def __init__(self) -> None:
        self.count = 0
        self.told: list[Request] = []

    def connected(self) -> Sequence[Request]:
        return (*super().connected(), Read("absent"))

    def received(self, raw: RawValue) -> Sequence[Reading]:
        self.count += 1
        return [reading(self.count)]

    def unanswered(self, request: Request) -> Sequence[Reading]:
        self.told.append(request)
        return ()


async def test_a_watch_that_never_falls_silent_is_left_after_a_while(
    inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "VISIT_S_MAX", 0.3)
    driver = _Chatty()
    kind = DriverKind(
        name="infinitime", model=WATCH.model, zone=ZONE, make=lambda *_session: driver
    )
    visit = Visit(inbox, outbox, kind)
    visit.radio.early = [b"0"]

    async def walk() -> None:
        while True:
            await asyncio.sleep(0.01)  # a step
            visit.radio.send(START.isoformat().encode())

    walking = asyncio.create_task(walk())
    async with asyncio.timeout(5):
        await visit.serve()
    walking.cancel()
    assert driver.told == [Read("absent")]
    assert outbox.depth >= 5
