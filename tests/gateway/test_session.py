"""Sessions with radios and devices that fail in chosen ways, as no virtual one can be made to."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakCharacteristicNotFoundError

from devices.drivers import (
    DriverKind,
    Notes,
    RawValue,
    Read,
    Request,
    SetClock,
    Subscribe,
    Write,
    driver_named,
)
from devices.gatt import uuids
from devices.gatt.date_time import CurrentTime
from devices.reading import Reading
from gateway import patience as patience_module
from gateway import request as request_module
from gateway import session as session_module
from gateway.agenda import CLOCK_QUIET_S
from gateway.call import call
from gateway.connection import Chance
from gateway.database import Database, StoreFull
from gateway.event import GatewayEvent
from gateway.haul import verdict
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.patience import IDLE_PRESSED_S_MAX, IDLE_PRESSED_S_MIN, VISIT_S, Patience
from gateway.radio import Refusal
from gateway.replay import replay_unfinished
from gateway.session import REQUESTS_MAX, Session
from tests.gateway.fakes import NEVER, FakeRadio, refused
from tests.gateway.home import ZONE, until
from tests.gateway.material import DEVICE, START, reading

CUFF = driver_named("blood_pressure", ZONE)
WATCH = driver_named("infinitime", ZONE)
RECORD = bytes.fromhex("1e780050005a00ea070b0207000048000100 00".replace(" ", ""))
ANOTHER = bytes.fromhex("1e820050005a00ea070b0208000048000100 00".replace(" ", ""))
# blood-pressure-monitor-fl#80: what a shop cuff sends when it could not measure.
ALL_NAN = bytes.fromhex("16ff07ff07ff07e80706170e230aff070000")


class Served:
    """A session with a fake device, and where it leaves things."""

    def __init__(
        self, inbox: Inbox, outbox: Outbox, kind: DriverKind = CUFF, **options: Any
    ) -> None:
        self.radio = FakeRadio()
        self.share_s: float | None = None
        self.idle_s = 0.5
        self.events: list[tuple[GatewayEvent, int]] = []
        self.session = Session(
            DEVICE,
            kind,
            inbox=inbox,
            outbox=outbox,
            now=lambda: datetime.now(UTC),
            on_event=lambda event, ids=(): self.events.append((event, len(ids))),
            **options,
        )

    async def serve(self) -> bool:
        heard_s = time.monotonic() + 3600
        return await call(
            self.radio,
            BLEDevice(DEVICE, None, None),
            self.session,
            chance=Chance(lambda: heard_s, lambda: self.share_s),
            timeout_s=1,
            idle_s=self.idle_s,
        )


@pytest.fixture
def visit(inbox: Inbox, outbox: Outbox) -> Served:
    return Served(inbox, outbox)


async def test_it_subscribes_before_it_asks_anything(visit: Served) -> None:
    await visit.serve()
    assert visit.radio.calls[:3] == ["connect", "subscribe", "read"]


async def test_a_model_that_wants_peace_after_discovery_gets_it(
    inbox: Inbox, outbox: Outbox
) -> None:
    """A Beurer BM85 that is subscribed to at once stays silent."""
    kind = replace(CUFF, model=replace(CUFF.model, settle_s=0.2))
    visit = Served(inbox, outbox, kind)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(visit.serve())
        await until(lambda: "connect" in visit.radio.calls)
        await asyncio.sleep(0.15)
        assert visit.radio.calls == ["connect"]
        assert await serving


async def test_a_value_sent_before_the_subscription_returns_is_kept(
    visit: Served, outbox: Outbox
) -> None:
    visit.radio.early = [RECORD]
    await visit.serve()
    assert outbox.depth == 1


async def test_a_value_sent_while_hanging_up_is_kept(visit: Served, outbox: Outbox) -> None:
    visit.radio.parting = [RECORD]
    await visit.serve()
    assert outbox.depth == 1


async def test_a_value_sent_after_everything_is_over_is_kept_for_a_replay(
    visit: Served, inbox: Inbox
) -> None:
    await visit.serve()
    visit.radio.send(RECORD)
    (late,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(late)] == [RECORD]


async def test_a_device_that_talks_on_after_a_replay_is_still_heard(
    visit: Served, inbox: Inbox, outbox: Outbox
) -> None:
    await visit.serve()
    visit.radio.send(RECORD)
    replay_unfinished(inbox, outbox, ZONE)
    visit.radio.send(ANOTHER)
    (late,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(late)] == [ANOTHER]
    assert outbox.depth == 1


async def test_after_a_read_that_is_never_answered_nothing_more_is_asked(
    visit: Served, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request may be outstanding; and each would hold the adapter for seconds."""
    monkeypatch.setattr(request_module, "REQUEST_S_MAX", 0.05)
    visit.radio.answers = {uuids.CURRENT_TIME: NEVER, uuids.BATTERY_LEVEL: b"\x32"}
    visit.radio.early = [RECORD]
    await visit.serve()
    assert visit.radio.calls == ["connect", "subscribe", "read", "disconnect"]
    assert outbox.depth == 1


async def test_a_device_that_answers_no_more_is_still_listened_to(
    inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_module, "REQUEST_S_MAX", 0.05)
    first, second = Read(uuids.CURRENT_TIME), Read(uuids.BATTERY_LEVEL)
    driver = Scripted(MEASUREMENT, first, second)
    visit = Served(inbox, outbox, driver.kind())
    visit.radio.answers = {uuids.CURRENT_TIME: NEVER}
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(visit.serve())
        await until(lambda: second in driver.told)
        visit.radio.send(RECORD)
        assert await serving
    assert driver.told == [first, second]
    assert outbox.depth == 1


async def test_a_request_that_is_refused_keeps_no_other_back(inbox: Inbox, outbox: Outbox) -> None:
    driver = Scripted(MEASUREMENT, Read("absent"), Read(uuids.BATTERY_LEVEL))
    visit = Served(inbox, outbox, driver.kind())
    visit.radio.answers = {uuids.BATTERY_LEVEL: b"\x32"}
    await visit.serve()
    assert [raw.payload for raw in driver.values] == [b"\x32"]


async def test_a_device_that_leaves_even_the_subscription_unanswered_is_left_at_once(
    inbox: Inbox, outbox: Outbox
) -> None:
    other, clock = Subscribe(uuids.INTERMEDIATE_CUFF_PRESSURE), SetClock(uuids.CURRENT_TIME)
    driver = Scripted(MEASUREMENT, other, clock)
    visit = Served(inbox, outbox, driver.kind())
    visit.idle_s = 60
    visit.radio.denials = {MEASUREMENT.characteristic: TimeoutError()}
    async with asyncio.timeout(5):
        await visit.serve()
    assert visit.radio.calls == ["connect", "subscribe", "disconnect"]
    assert driver.told == [MEASUREMENT, other, clock]
    assert visit.session.result.may_listen is False
    assert visit.session.result.refusal is None


async def test_a_silence_that_means_a_missing_bond_is_a_refusal_as_ever(
    inbox: Inbox, outbox: Outbox
) -> None:
    other = Subscribe(uuids.INTERMEDIATE_CUFF_PRESSURE)
    visit = Served(inbox, outbox, Scripted(MEASUREMENT, other, Read("any")).kind())
    silent = refused(Refusal.NOT_PAIRED)
    visit.radio.denials = {MEASUREMENT.characteristic: silent, other.characteristic: silent}
    await visit.serve()
    assert visit.session.result.refusal is Refusal.NOT_PAIRED
    assert visit.radio.calls == ["connect", "subscribe", "subscribe", "disconnect"]


async def test_a_clock_is_set_last_and_not_while_records_come(inbox: Inbox, outbox: Outbox) -> None:
    setting, again = SetClock(uuids.CURRENT_TIME), Read(uuids.CURRENT_TIME)
    driver = Scripted(MEASUREMENT, setting, again, Read(uuids.BATTERY_LEVEL))
    visit = Served(inbox, outbox, driver.kind())
    visit.idle_s = CLOCK_QUIET_S * 0.8  # left before it is quiet for long enough
    visit.radio.early = [RECORD]
    visit.radio.answers = {uuids.BATTERY_LEVEL: b"\x32"}
    await visit.serve()
    assert visit.radio.calls == ["connect", "subscribe", "read", "disconnect"]
    assert driver.told == [setting, again]


async def test_it_ends_after_silence_and_hangs_up(visit: Served) -> None:
    async with asyncio.timeout(3):
        assert await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"


async def test_a_session_that_brings_nothing_writes_nothing(visit: Served, store: Database) -> None:
    before = store.number("select max(seq) from sqlite_sequence")
    await visit.serve()
    assert store.number("select max(seq) from sqlite_sequence") == before


async def test_a_full_outbox_leaves_the_session_in_the_inbox(store: Database, inbox: Inbox) -> None:
    visit = Served(inbox, Outbox(store, inbox, rows_max=0))
    visit.radio.early = [RECORD]
    with pytest.raises(StoreFull):
        await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"
    (session,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(session)] == [RECORD]


async def test_a_full_inbox_is_told_and_the_device_let_go(store: Database) -> None:
    inbox = Inbox(store, rows_max=0)
    visit = Served(inbox, Outbox(store, inbox))
    visit.radio.early = [RECORD]
    with pytest.raises(StoreFull):
        await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"


def test_the_radio_is_told_that_a_value_found_no_room(store: Database) -> None:
    """One that confirms after the callback does not confirm then, and the device keeps it."""
    full = Inbox(store, rows_max=0)
    visit = Served(full, Outbox(store, full))
    with pytest.raises(StoreFull):
        visit.session.take(uuids.BLOOD_PRESSURE_MEASUREMENT, RECORD)


class Scripted:
    """A driver that asks what it is told, and makes a reading of every value."""

    def __init__(self, *asks: Request) -> None:
        self.first: Sequence[Request] = asks
        self.later: list[Sequence[Request]] = []
        self.noted = Notes()
        self.told: list[Request] = []
        self.values: list[RawValue] = []
        self.memory: Mapping[str, str] = {}

    def kind(self, like: DriverKind = CUFF) -> DriverKind:
        return DriverKind(name=like.name, model=like.model, zone=ZONE, make=self._made)

    def _made(self, _device: str, _zone: object, _model: object, memory: Mapping[str, str]) -> Any:
        self.memory = memory
        return self

    def connected(self) -> Sequence[Request]:
        return self.first

    def received(self, raw: RawValue) -> Sequence[Reading]:
        self.values.append(raw)
        return [reading(len(self.values))]

    def unanswered(self, request: Request) -> Sequence[Reading]:
        self.told.append(request)
        return ()

    def asks(self) -> Sequence[Request]:
        return self.later.pop(0) if self.later else ()

    def finished(self) -> Sequence[Reading]:
        return ()

    @property
    def notes(self) -> Notes:
        return self.noted


MEASUREMENT = Subscribe(uuids.BLOOD_PRESSURE_MEASUREMENT)


class _Bug(Exception):
    pass


class _Buggy(Scripted):
    """A driver that breaks its promise never to raise."""

    def received(self, raw: RawValue) -> Sequence[Reading]:
        raise _Bug


async def test_a_bug_in_a_driver_ends_the_session_loudly_with_the_bytes_kept(
    inbox: Inbox, outbox: Outbox
) -> None:
    visit = Served(inbox, outbox, _Buggy(MEASUREMENT).kind())
    visit.radio.early = [RECORD]
    with pytest.raises(_Bug):
        await visit.serve()
    (session,) = inbox.unfinished()
    assert [raw.payload for raw in inbox.values(session)] == [RECORD]


async def test_a_bug_in_hanging_up_keeps_no_record_back(
    visit: Served, inbox: Inbox, outbox: Outbox
) -> None:
    visit.radio.early = [RECORD]
    visit.radio.hang_up_error = _Bug()
    with pytest.raises(_Bug):
        await visit.serve()
    assert (inbox.depth, outbox.depth) == (0, 1)


async def test_a_device_that_hangs_up_as_it_is_reached_is_no_fault_of_the_radio(
    visit: Served,
) -> None:
    visit.radio.hangs_up_at_once = True
    assert await visit.serve()
    assert visit.radio.calls == ["connect", "disconnect"]
    assert visit.session.result.may_listen is None


async def test_what_is_not_there_is_told_to_the_driver(inbox: Inbox, outbox: Outbox) -> None:
    driver = Scripted(MEASUREMENT, Read("absent"))
    await Served(inbox, outbox, driver.kind()).serve()
    assert driver.told == [Read("absent")]


async def test_what_there_was_no_time_to_ask_is_told_to_the_driver(
    inbox: Inbox, outbox: Outbox
) -> None:
    driver = Scripted(MEASUREMENT, Read("first"), Read("second"))
    visit = Served(inbox, outbox, driver.kind())
    visit.radio.hangs_up_at_once = True
    await visit.serve()
    assert driver.told == [MEASUREMENT, Read("first"), Read("second")]


async def test_a_cuff_that_talks_without_end_is_left(
    inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "SESSION_VALUES_MAX", 5)
    visit = Served(inbox, outbox, Scripted(MEASUREMENT).kind())
    async with asyncio.timeout(5), walking(visit):
        await visit.serve()
    assert visit.radio.calls[-1] == "disconnect"


async def test_a_watch_that_never_falls_silent_is_left_after_a_while(
    inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience_module, "VISIT_S_MAX", 0.3)
    visit = Served(inbox, outbox, Scripted(MEASUREMENT).kind(like=WATCH))
    async with asyncio.timeout(5), walking(visit):
        await visit.serve()
    assert outbox.depth >= 5


async def test_a_watch_is_left_sooner_when_somebody_else_waits(
    inbox: Inbox, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience_module, "WATCH_PRESSED_S", 0.3)
    visit = Served(inbox, outbox, Scripted(MEASUREMENT).kind(like=WATCH))
    visit.share_s = 1.0
    async with asyncio.timeout(5), walking(visit):
        await visit.serve()


@contextlib.asynccontextmanager
async def walking(visit: Served) -> AsyncIterator[None]:
    """Let the device notify, step by step."""
    visit.radio.early = [b"0"]

    async def walk() -> None:
        while True:
            await asyncio.sleep(0.01)  # a step
            visit.radio.send(START.isoformat().encode())

    async with asyncio.TaskGroup() as tasks:
        steps = tasks.create_task(walk())
        yield
        steps.cancel()


@pytest.mark.parametrize(
    ("share_s", "at_least_s"),
    [
        (-5.0, IDLE_PRESSED_S_MIN),
        (1.5, 1.5 - VISIT_S),
        (20.0, IDLE_PRESSED_S_MAX),
    ],
)
async def test_a_silent_device_is_left_sooner_when_others_wait(
    visit: Served, share_s: float, at_least_s: float
) -> None:
    visit.radio.early = [RECORD]
    visit.idle_s, visit.share_s = 60, share_s
    began_s = time.monotonic()
    async with asyncio.timeout(10):
        await visit.serve()
    assert at_least_s <= time.monotonic() - began_s < at_least_s + 1


async def test_before_its_first_record_a_device_may_think_longer(
    visit: Served, outbox: Outbox
) -> None:
    visit.idle_s, visit.share_s = 60, 0.0
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(visit.serve())
        await until(lambda: "read" in visit.radio.calls)
        await asyncio.sleep(2 * IDLE_PRESSED_S_MIN)  # too long after a record
        visit.radio.send(RECORD)
        assert await serving
    assert outbox.depth == 1


async def test_what_a_driver_asks_on_is_asked_after_each_answer(
    inbox: Inbox, outbox: Outbox
) -> None:
    driver = Scripted(MEASUREMENT, Read(uuids.CURRENT_TIME))
    driver.later = [(), (Write("control", b"\x02"),), ()]
    visit = Served(inbox, outbox, driver.kind())
    visit.radio.answers = {uuids.CURRENT_TIME: RECORD}
    await visit.serve()
    assert visit.radio.written == [("control", b"\x02")]


async def test_a_driver_that_asks_without_end_is_not_obeyed_for_ever(
    inbox: Inbox, outbox: Outbox
) -> None:
    driver = Scripted()
    driver.later = [(Write("control", b""),)] * (2 * REQUESTS_MAX)
    visit = Served(inbox, outbox, driver.kind())
    await visit.serve()
    assert len(visit.radio.written) == REQUESTS_MAX


async def test_a_clock_is_set_to_the_local_time_of_the_moment(inbox: Inbox, outbox: Outbox) -> None:
    visit = Served(inbox, outbox, Scripted(SetClock(uuids.CURRENT_TIME)).kind())
    await visit.serve()
    ((source, payload),) = visit.radio.written
    assert source == uuids.CURRENT_TIME
    shown = CurrentTime.decode(payload)
    assert shown.local is not None
    local = datetime.now(ZONE)
    assert abs((shown.local - local.replace(tzinfo=None)).total_seconds()) < 3
    assert shown.weekday == local.isoweekday()


async def test_a_gateway_that_does_not_know_the_time_sets_no_clock(
    inbox: Inbox, outbox: Outbox
) -> None:
    setting = SetClock(uuids.CURRENT_TIME)
    driver = Scripted(setting)
    driver.noted = Notes(clock_offset_s=1e6, battery_percent=3)
    noted: list[Notes] = []
    visit = Served(inbox, outbox, driver.kind(), may_set_clock=lambda: False, on_notes=noted.append)
    await visit.serve()
    assert visit.radio.written == []
    assert driver.told == [setting]
    assert noted == [Notes(battery_percent=3)]


async def test_a_driver_gets_its_memory_and_what_it_learns_is_told_at_once(
    inbox: Inbox, outbox: Outbox
) -> None:
    driver = Scripted(MEASUREMENT)
    noted: list[Notes] = []
    visit = Served(inbox, outbox, driver.kind(), memory={"slot": "1"}, on_notes=noted.append)
    assert driver.memory == {"slot": "1"}
    driver.noted = Notes(memory={"slot": "1", "code": "4711"})
    visit.session.take("any", b"")
    assert noted == [driver.noted]


class _Counting(Scripted):
    """A driver that counts what it asks, as the registering of a user is counted."""

    def asks(self) -> Sequence[Request]:
        if self.noted.memory:
            return ()
        self.noted = Notes(memory={"registrations": "1"})
        return [Write(uuids.USER_CONTROL_POINT, b"")]


async def test_what_a_driver_counts_is_told_before_it_is_tried(
    inbox: Inbox, outbox: Outbox
) -> None:
    calls: list[str] = []
    driver = _Counting(MEASUREMENT)
    visit = Served(inbox, outbox, driver.kind(), on_notes=lambda _: calls.append("noted"))
    visit.radio.calls = calls
    await visit.serve()
    assert calls == ["connect", "subscribe", "noted", "write", "disconnect"]


@pytest.mark.parametrize("refusal", [Refusal.BOND_LOST, Refusal.NOT_PAIRED])
async def test_a_device_that_does_not_let_us_listen_is_asked_no_more(
    visit: Served, refusal: Refusal
) -> None:
    visit.radio.denials = {uuids.BLOOD_PRESSURE_MEASUREMENT: refused(refusal)}
    await visit.serve()
    assert visit.session.result.refusal is refusal
    assert visit.session.result.may_listen is False
    assert visit.radio.calls == ["connect", "subscribe", "disconnect"]


async def test_one_option_that_is_absent_is_no_refusal(inbox: Inbox, outbox: Outbox) -> None:
    option = Subscribe(uuids.INTERMEDIATE_CUFF_PRESSURE)
    driver = Scripted(MEASUREMENT, option)
    visit = Served(inbox, outbox, driver.kind())
    absent = BleakCharacteristicNotFoundError(uuids.INTERMEDIATE_CUFF_PRESSURE)
    visit.radio.denials = {uuids.INTERMEDIATE_CUFF_PRESSURE: absent}
    await visit.serve()
    assert visit.session.result.refusal is None
    assert visit.session.result.may_listen
    assert driver.told == [option]


async def test_a_device_without_anything_it_should_measure_has_stale_services(
    visit: Served,
) -> None:
    absent = BleakCharacteristicNotFoundError(uuids.BLOOD_PRESSURE_MEASUREMENT)
    visit.radio.denials = {uuids.BLOOD_PRESSURE_MEASUREMENT: absent}
    await visit.serve()
    assert visit.session.result.refusal is Refusal.STALE_SERVICES


def test_one_silence_beside_an_absence_says_nothing_for_sure() -> None:
    assert verdict([Refusal.STALE_SERVICES, None]) is None


def test_others_who_wait_lengthen_no_silence() -> None:
    chance = Chance(time.monotonic, lambda: 20.0)
    patience = Patience(0.3, always_there=False, chance=chance, began_s=0.0)
    assert patience.ends_s(1.0, has_begun=True) == patience.ends_s(1.0, has_begun=False) == 1.3


async def test_a_subscription_without_an_answer_is_no_refusal(visit: Served) -> None:
    visit.radio.denials = {uuids.BLOOD_PRESSURE_MEASUREMENT: TimeoutError()}
    await visit.serve()
    assert visit.session.result.refusal is None


async def test_a_device_that_hangs_up_ends_the_session_at_once(visit: Served) -> None:
    visit.idle_s = 60
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(visit.serve())
        await until(lambda: "read" in visit.radio.calls)
        visit.radio.clients[0].hang_up()
        async with asyncio.timeout(2):
            assert await serving


async def test_the_room_is_told_of_a_measurement(visit: Served) -> None:
    visit.radio.early = [RECORD]
    await visit.serve()
    assert visit.events == [(GatewayEvent.RECEIVED, 1)]


async def test_the_room_is_told_to_try_again_when_the_device_failed(visit: Served) -> None:
    visit.radio.early = [ALL_NAN]
    await visit.serve()
    assert visit.events == [(GatewayEvent.FAILED, 0)]


async def test_history_that_was_told_before_is_no_news(
    inbox: Inbox, outbox: Outbox, visit: Served
) -> None:
    visit.radio.early = [RECORD]
    await visit.serve()
    again = Served(inbox, outbox)
    again.radio.early = [RECORD]
    await again.serve()
    assert again.events == []
    assert again.session.result.readings == 1
    assert again.session.result.new_readings == 0


SCALE = driver_named("weight_scale", ZONE)


async def test_who_was_taken_for_a_scale_and_offers_a_cuffs_services_is_a_cuff(
    inbox: Inbox, outbox: Outbox
) -> None:
    """On BlueZ a known device advertises what was remembered of it once."""
    visit = Served(inbox, outbox, SCALE)
    visit.radio.services = [uuids.BATTERY_SERVICE, uuids.BLOOD_PRESSURE_SERVICE]
    visit.radio.early = [RECORD]
    await visit.serve()
    assert list(visit.radio.sends) == [uuids.BLOOD_PRESSURE_MEASUREMENT]
    assert outbox.depth == 1


async def test_a_device_that_offers_what_it_advertised_is_what_it_said(
    inbox: Inbox, outbox: Outbox
) -> None:
    visit = Served(inbox, outbox, SCALE)
    visit.radio.services = [uuids.BLOOD_PRESSURE_SERVICE, uuids.WEIGHT_SCALE_SERVICE]
    await visit.serve()
    assert uuids.WEIGHT_MEASUREMENT in visit.radio.sends


async def test_a_device_known_by_its_name_keeps_the_driver_of_its_maker(
    inbox: Inbox, outbox: Outbox
) -> None:
    """A package's cuff has the service that any cuff has, and a layout of its own."""
    driver = Scripted(MEASUREMENT)
    model = replace(CUFF.model, name="acme_cuff", driver="acme", advertised_prefixes=("ACME",))
    visit = Served(inbox, outbox, replace(driver.kind(), name="acme", model=model))
    visit.radio.services = [uuids.BLOOD_PRESSURE_SERVICE]
    visit.radio.early = [RECORD]
    await visit.serve()
    assert [raw.payload for raw in driver.values] == [RECORD]
