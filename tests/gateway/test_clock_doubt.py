"""R5: clocks that jump, DST nights, no clock at all. No value on a wrong day; the offset told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from devices.clock import CLOCK_OFF_MAX_S
from devices.drivers import RawValue, driver_named
from devices.gatt import uuids
from devices.gatt.blood_pressure import BloodPressure
from devices.gatt.date_time import CurrentTime
from devices.gatt.mi_scale import MiScaleV1
from devices.reading import ClockVerdict, Reading
from devices.wire import decode_reading
from gateway.database import Database, StoreFull, from_us
from gateway.inbox import Inbox, InboxSession
from gateway.outbox import Outbox
from gateway.replay import replay_unfinished
from gateway.timekeeper import Timekeeper
from tests.gateway.clocks import FakeClocks
from tests.gateway.material import DEVICE, ids, reading

STOCKHOLM = ZoneInfo("Europe/Stockholm")
NOW = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TEN_YEARS = timedelta(days=3652)


class Home:
    """A gateway's store under clocks that the test moves; ``true`` is what time it really is."""

    def __init__(self, directory: Path, shown: datetime, true: datetime = NOW) -> None:
        self.directory = directory
        self.clocks = FakeClocks(shown)
        self.true = true
        self._open = ExitStack()
        self.start()

    def start(self) -> None:
        """Start the process."""
        database = self._open.enter_context(Database(self.directory))
        newest_us = database.newest_us()
        self.timekeeper = Timekeeper(
            self.clocks,
            15 * MINUTE,
            floor=None if newest_us is None else from_us(newest_us),
        )
        self.database = database
        self.inbox = Inbox(database, self.timekeeper)
        self.outbox = Outbox(database, self.inbox, now=self.timekeeper.now)

    def stop(self) -> None:
        """End the process, as a power cut does."""
        self._open.close()

    def power_cut(self, shown: datetime, away: timedelta = 10 * MINUTE) -> None:
        """Boot anew, with the wall clock at *shown*."""
        self.stop()
        self.true += away
        self.clocks.reboot(shown)
        self.pass_time(20)
        self.start()

    def pass_time(self, seconds: float) -> None:
        self.clocks.pass_time(seconds)
        self.true += timedelta(seconds=seconds)

    def network_sets_the_clock(self) -> None:
        self.clocks.set_to(self.true, by_network=True)

    def replay(self) -> None:
        replay_unfinished(self.inbox, self.outbox, STOCKHOLM)

    def local(self, ahead: timedelta = timedelta()) -> datetime:
        """Return what a device's clock shows that is so much ahead."""
        return self.true.astimezone(STOCKHOLM).replace(tzinfo=None) + ahead

    def measure(
        self,
        *,
        ahead: timedelta = timedelta(),
        tells_time: bool = True,
        has_clock: bool = True,
        ages: tuple[timedelta, ...] = (timedelta(),),
    ) -> list[datetime]:
        """Let a cuff send a record of each age; return when they were really made."""
        place = InboxSession(DEVICE, "blood_pressure")
        driver = driver_named(place.driver, STOCKHOLM).new(DEVICE)
        driver.connected()
        for number, age in enumerate(ages):
            record = BloodPressure(
                systolic=120 + number,
                diastolic=80,
                mean=93,
                time_stamp=self.local(ahead).replace(microsecond=0) - age if tells_time else None,
            )
            self._send(place, driver.received, uuids.BLOOD_PRESSURE_MEASUREMENT, record.encode())
        if has_clock:
            clock = CurrentTime(self.local(ahead).replace(microsecond=0))
            self._send(place, driver.received, uuids.CURRENT_TIME, clock.encode())
        self.outbox.append_from_session(place, driver.finished(), finished=True)
        return [self.true - age for age in ages]

    def weigh(self, ahead: timedelta = timedelta()) -> None:
        """Let a scale advertise a weight."""
        place = InboxSession(DEVICE, "mi_scale_v1")
        driver = driver_named(place.driver, STOCKHOLM).new(DEVICE)
        driver.connected()
        shown = self.local(ahead).replace(microsecond=0)
        frame = MiScaleV1(weight=80.0, time_stamp=shown, stabilised=True, removed=False)
        self._send(place, driver.received, uuids.WEIGHT_SCALE_SERVICE, frame.encode())
        self.outbox.append_from_session(place, driver.finished(), finished=True)

    def _send(
        self,
        place: InboxSession,
        received: Callable[[RawValue], object],
        source: str,
        payload: bytes,
    ) -> None:
        raw = RawValue(source, payload, self.timekeeper.now())
        self.inbox.append(place, raw)
        received(raw)

    @property
    def readings(self) -> list[Reading]:
        """What waits to be sent."""
        return [decode_reading(row.encoded) for row in self.outbox.peek(1000)]


@pytest.fixture
def opened() -> Iterator[list[Home]]:
    homes: list[Home] = []
    yield homes
    for home in homes:
        home.stop()


@pytest.fixture
def home(tmp_path: Path, opened: list[Home]) -> Callable[..., Home]:
    def open_home(shown: datetime, true: datetime = NOW) -> Home:
        opened.append(Home(tmp_path / "data", shown, true))
        return opened[-1]

    return open_home


def assert_exact(readings: list[Reading], truth: list[datetime]) -> None:
    for one, true in zip(readings, truth, strict=True):
        assert abs(one.measured_at - true) <= timedelta(seconds=CLOCK_OFF_MAX_S)


@pytest.mark.parametrize("shown", [EPOCH, NOW - timedelta(days=40), NOW - timedelta(hours=3)])
@pytest.mark.parametrize("tells_time", [True, False])
def test_values_that_came_before_the_network_are_placed_when_it_sets_the_clock(
    home: Callable[..., Home], shown: datetime, *, tells_time: bool
) -> None:
    box = home(shown)
    truth = box.measure(tells_time=tells_time, ahead=timedelta(seconds=-100))
    box.pass_time(200)
    truth += box.measure(tells_time=tells_time, ahead=timedelta(seconds=-100))
    box.replay()
    assert box.readings == []
    assert box.inbox.depth == 4

    box.network_sets_the_clock()
    box.replay()
    assert_exact(box.readings, truth)
    assert [one.received_at for one in box.readings] == truth
    for one in box.readings:
        assert one.clock is (ClockVerdict.OK if tells_time else ClockVerdict.ABSENT)
        assert one.clock_offset_s == pytest.approx(-100, abs=1)
    assert box.inbox.depth == 0


def test_a_process_that_starts_again_in_the_same_boot_loses_no_time(
    home: Callable[..., Home],
) -> None:
    box = home(EPOCH)
    truth = box.measure(tells_time=False)
    box.stop()
    box.pass_time(60)
    box.start()
    box.network_sets_the_clock()
    box.replay()
    assert [one.measured_at for one in box.readings] == truth


def test_a_session_that_began_in_doubt_is_finished_by_the_replay_though_the_clock_was_set_meanwhile(
    home: Callable[..., Home],
) -> None:
    box = home(EPOCH)
    place = InboxSession(DEVICE, "blood_pressure")
    record = BloodPressure(systolic=120, diastolic=80, mean=93)
    source = uuids.BLOOD_PRESSURE_MEASUREMENT
    first, second = record.encode(), record.encode() + b""
    box.inbox.append(place, RawValue(source, first, box.timekeeper.now()))
    made_at = box.true
    box.pass_time(30)
    box.network_sets_the_clock()
    box.replay()  # it is being fed
    assert box.readings == []
    box.inbox.append(place, RawValue(source, second, box.timekeeper.now()))
    assert box.outbox.append_from_session(place, [reading(1)], finished=True) == 1
    assert box.readings == []
    box.replay()
    (one,) = box.readings
    assert one.measured_at == made_at


def test_a_doubted_session_tells_how_many_records_look_new(home: Callable[..., Home]) -> None:
    box = home(EPOCH)
    place = InboxSession(DEVICE, "blood_pressure")
    box.inbox.append(place, RawValue("2a35", b"1", box.timekeeper.now()))
    readings = [reading(1), reading(2)]
    assert box.outbox.append_from_session(place, readings, finished=False) == 2
    assert box.outbox.append_from_session(place, readings, finished=True) == 0
    assert box.outbox.depth == 0


@pytest.mark.parametrize(
    ("ahead", "is_believed"),
    [
        (timedelta(), True),
        (timedelta(minutes=-4), True),
        (datetime(1970, 1, 3, tzinfo=UTC) - NOW, False),
        (datetime(2021, 1, 3, tzinfo=UTC) - NOW, False),
        (datetime(2094, 1, 3, tzinfo=UTC) - NOW, False),
    ],
)
@pytest.mark.parametrize("device", ["cuff", "scale"])
def test_after_a_power_cut_only_a_device_clock_that_can_be_right_is_believed(
    home: Callable[..., Home], ahead: timedelta, device: str, *, is_believed: bool
) -> None:
    box = home(NOW)
    box.network_sets_the_clock()
    box.outbox.append([reading(1)])  # the newest time known before
    box.outbox.settle(stored=ids([reading(1)]), refused={})
    box.power_cut(EPOCH)
    true = box.true
    if device == "cuff":
        box.measure(ahead=ahead)
    else:
        box.weigh(ahead)
    box.power_cut(EPOCH)
    box.network_sets_the_clock()
    box.replay()
    (one,) = box.readings
    assert one.received_at == box.timekeeper.booted()  # the latest it can have been
    assert one.clock_offset_s is None
    if is_believed:
        assert one.clock is ClockVerdict.UNCHECKED
        assert abs(one.measured_at - true) <= timedelta(seconds=CLOCK_OFF_MAX_S)
    else:
        assert one.clock is ClockVerdict.UNKNOWN


def test_after_a_power_cut_a_record_without_any_time_is_told_as_such_and_always_the_same(
    home: Callable[..., Home],
) -> None:
    box = home(EPOCH)
    box.measure(tells_time=False, has_clock=False)
    box.power_cut(EPOCH)
    box.network_sets_the_clock()
    box.replay()
    (one,) = box.readings
    assert one.clock is ClockVerdict.UNKNOWN
    assert box.inbox.depth == 0


def test_a_time_once_placed_stays_over_a_replay_that_found_no_room(
    home: Callable[..., Home],
) -> None:
    box = home(EPOCH)
    box.measure(tells_time=False, has_clock=False)
    box.power_cut(EPOCH)
    box.network_sets_the_clock()
    box.outbox = Outbox(box.database, box.inbox, rows_max=0)
    with pytest.raises(StoreFull):
        box.replay()
    (place,) = box.inbox.unfinished()
    (before,) = box.inbox.values(place)
    box.stop()
    box.pass_time(60)
    box.start()
    (place,) = box.inbox.unfinished()
    assert box.inbox.values(place) == [before]
    assert place.after is not None
    box.replay()
    assert [one.received_at for one in box.readings] == [before.received_at]


@pytest.mark.parametrize("step", [TEN_YEARS, -TEN_YEARS])
def test_a_jump_of_ten_years_while_running_puts_no_value_on_a_wrong_day(
    home: Callable[..., Home], step: timedelta
) -> None:
    box = home(NOW)
    box.network_sets_the_clock()
    truth = box.measure()
    box.pass_time(60)
    box.clocks.set_to(box.clocks.shown + step, by_network=False)
    truth += box.measure(tells_time=False)
    truth += box.measure(ahead=timedelta(minutes=-16))
    box.network_sets_the_clock()
    truth += box.measure()
    assert_exact(box.readings, truth)
    assert [one.clock for one in box.readings] == ["ok", "absent", "corrected", "ok"]


@pytest.mark.parametrize("step", [TEN_YEARS, -TEN_YEARS])
def test_a_jump_before_any_network_time_is_waited_out(
    home: Callable[..., Home], step: timedelta
) -> None:
    box = home(NOW)
    box.pass_time(16 * 60)
    truth = box.measure()
    box.clocks.set_to(box.clocks.shown + step, by_network=False)
    truth += box.measure(tells_time=False)
    assert len(box.readings) == 1
    box.pass_time(60)
    box.network_sets_the_clock()
    box.replay()
    assert_exact(box.readings, truth)


def test_a_wrong_clock_makes_nothing_settled_old_enough_to_forget(
    home: Callable[..., Home],
) -> None:
    box = home(NOW)
    box.network_sets_the_clock()
    box.outbox.append([reading(1)])
    box.outbox.settle(stored=ids([reading(1)]), refused={})
    box.power_cut(NOW + 5 * TEN_YEARS)
    box.outbox.settle(stored=[], refused={})
    box.network_sets_the_clock()
    assert box.outbox.append([reading(1)]) == 0


def test_what_was_settled_under_a_clock_at_1970_is_remembered(home: Callable[..., Home]) -> None:
    box = home(NOW)
    box.network_sets_the_clock()
    box.outbox.append([reading(1)])
    box.power_cut(EPOCH)
    box.outbox.settle(stored=ids([reading(1)]), refused={})
    box.network_sets_the_clock()
    box.outbox.settle(stored=[], refused={})  # what is old enough is forgotten now
    assert box.outbox.append([reading(1)]) == 0


NIGHTS = {
    "summer time ends": datetime(2026, 10, 24, 21, 30, tzinfo=UTC),
    "summer time begins": datetime(2027, 3, 27, 21, 30, tzinfo=UTC),
}


@pytest.mark.parametrize("begins", NIGHTS.values(), ids=list(NIGHTS))
@pytest.mark.parametrize(
    "ahead",
    [
        timedelta(),
        timedelta(minutes=-16),
        timedelta(hours=-1),  # UTC for local, in winter
        timedelta(hours=-2),  # and in summer
        timedelta(hours=1),
        datetime(1970, 1, 1, tzinfo=UTC) - datetime(2026, 10, 24, tzinfo=UTC),
        datetime(2021, 1, 1, tzinfo=UTC) - datetime(2026, 10, 24, tzinfo=UTC),
        datetime(2094, 1, 1, tzinfo=UTC) - datetime(2026, 10, 24, tzinfo=UTC),
    ],
    ids=str,
)
def test_a_night_when_the_clocks_change_puts_no_value_on_a_wrong_day(
    home: Callable[..., Home], begins: datetime, ahead: timedelta
) -> None:
    """A device whose clock nobody changes that night, read every half hour of it, live and late.

    It keeps the offset it had in the evening, so after the change it is an hour off.
    """
    box = home(begins, begins)
    box.network_sets_the_clock()
    evening = begins.astimezone(STOCKHOLM).utcoffset()
    assert evening is not None
    truth: list[datetime] = []
    for _ in range(18):
        now = box.true.astimezone(STOCKHOLM).utcoffset()
        assert now is not None
        left_behind = ahead + evening - now
        truth += box.measure(ahead=left_behind)
        box.pass_time(1800)
    readings = box.readings
    for one, true in zip(readings, truth, strict=True):
        assert _day(one.measured_at) == _day(true), (one.measured_at, true, one.clock)
        assert one.clock_offset_s == pytest.approx(_offset(one, begins, ahead), abs=2)
    assert len(readings) == 18


def _offset(one: Reading, begins: datetime, ahead: timedelta) -> float:
    offsets = [at.astimezone(STOCKHOLM).utcoffset() for at in (begins, one.received_at)]
    assert offsets[0] is not None
    assert offsets[1] is not None
    return (ahead + offsets[0] - offsets[1]).total_seconds()


def _day(at: datetime) -> str:
    return at.astimezone(STOCKHOLM).date().isoformat()
