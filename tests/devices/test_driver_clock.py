"""A device's clock: read, set if it is off, read again; and nothing that depends on it."""

from datetime import UTC, datetime

import pytest

from devices.drivers import RawValue, Read, SetClock, Subscribe, driver_for
from devices.gatt import uuids
from devices.models import Advertisement
from devices.reading import ClockVerdict
from tests.devices.conversation import Device, converse, replay
from tests.devices.sessions import (
    BATTERY,
    CLOCK_RIGHT,
    CLOCK_SLOW,
    CUFF,
    CURRENT_TIME,
    DATE_TIME,
    DEVICE,
    NOW,
    STOCKHOLM,
    driver,
    numbers,
)

FULL = "1e 8300 5200 6200 ea07 0b 16 08 0c 00 4700 01 2400"  # 131/82, 08:12:00
FIRMWARE, MODEL = uuids.FIRMWARE_REVISION, uuids.MODEL_NUMBER
ABOUT = {BATTERY: "48", FIRMWARE: b"1.0.3\0\0".hex(), MODEL: b"BM  85\n".hex()}


def cuff(off_s: float | None = 0, *, obeys: bool | None = True) -> Device:
    return Device({CUFF: [FULL]}, ABOUT, off_s, (CURRENT_TIME,), obeys)


def test_measurements_come_before_the_clock_and_the_clock_before_what_nobody_waits_for() -> None:
    session = converse(driver("blood_pressure"), cuff(-960))
    assert session.requests == [
        Subscribe(CUFF),
        Read(CURRENT_TIME),
        Read(DATE_TIME),
        Read(BATTERY),
        SetClock(CURRENT_TIME),
        Read(CURRENT_TIME),
        Read(FIRMWARE),
        Read(MODEL),
    ]


def test_measurement_itself_is_never_read() -> None:
    for name in ("blood_pressure", "beurer_bm", "silvercrest_sbm69"):
        assert Read(CUFF) not in converse(driver(name), cuff(100)).requests


def test_clock_that_is_off_is_set_and_read_again() -> None:
    device = cuff(-960)
    session = driver("blood_pressure")
    [reading] = converse(session, device).readings
    assert device.clock_off_s == 0
    assert session.notes.clock_set is True
    # The offset is the one before the setting, in the notes and in the reading.
    assert session.notes.clock_offset_s == pytest.approx(-960, abs=1)
    assert reading.clock is ClockVerdict.CORRECTED
    assert reading.clock_offset_s == session.notes.clock_offset_s


@pytest.mark.parametrize("off_s", [0, 4, -4])
def test_clock_that_is_right_is_left_alone(off_s: float) -> None:
    session = driver("blood_pressure")
    requests = converse(session, cuff(off_s)).requests
    assert SetClock(CURRENT_TIME) not in requests
    assert requests.count(Read(CURRENT_TIME)) == 1
    assert session.notes.clock_set is None


@pytest.mark.parametrize("off_s", [7, -7, 3600, -1_000_000_000, 2_000_000_000])
def test_clock_that_is_off_by_more_than_seconds_is_set(off_s: float) -> None:
    device = cuff(off_s)
    converse(driver("blood_pressure"), device)
    assert device.clock_off_s == 0


def test_clock_that_was_never_set_is_set_and_gives_no_offset() -> None:
    device = cuff(None)
    session = driver("blood_pressure")
    [reading] = converse(session, device).readings
    assert (device.clock_off_s, session.notes.clock_set) == (0, True)
    assert session.notes.clock_offset_s is None
    assert reading.clock is ClockVerdict.UNCHECKED


def test_clock_that_does_not_obey_is_told_and_costs_nothing() -> None:
    session = driver("blood_pressure")
    [reading] = converse(session, cuff(-960, obeys=False)).readings
    assert session.notes.clock_set is False
    assert numbers(reading)["systolic"] == 131


def test_clock_that_refuses_is_told_and_costs_nothing() -> None:
    session = driver("blood_pressure")
    [reading] = converse(session, cuff(-960, obeys=None)).readings
    assert session.notes.clock_set is False
    assert numbers(reading)["systolic"] == 131


@pytest.mark.parametrize("unanswered", [(SetClock(CURRENT_TIME),), (Read(CURRENT_TIME),)])
def test_nobody_says_whether_it_held_that_did_not_read_it_again(
    unanswered: tuple[SetClock | Read],
) -> None:
    """The link is gone, or the gateway itself did not know the time and let it be."""
    session = driver("blood_pressure")
    session.connected()
    session.received(RawValue(CURRENT_TIME, bytes.fromhex(CLOCK_SLOW), NOW))
    session.unanswered(Read(BATTERY))
    assert SetClock(CURRENT_TIME) in session.asks()
    for request in unanswered:
        session.unanswered(request)
    assert session.notes.clock_set is None


def test_refusal_is_outdone_by_a_clock_that_is_right_when_read_again() -> None:
    class Grumbling(Device):
        """Sets its clock and answers "data field ignored"."""

        def _set(self, characteristic: str) -> None:
            assert characteristic in self.clocks
            self.clock_off_s = 0

    session = driver("blood_pressure")
    converse(session, Grumbling({CUFF: [FULL]}, ABOUT, -960, (CURRENT_TIME,)))
    assert session.notes.clock_set is True


def test_plainer_clock_is_set_where_it_is_the_one_that_tells_the_time() -> None:
    device = Device({CUFF: [FULL]}, ABOUT, 120, (DATE_TIME,))
    requests = converse(driver("blood_pressure"), device).requests
    assert requests[4:6] == [SetClock(DATE_TIME), Read(DATE_TIME)]
    assert device.clock_off_s == 0


def test_device_without_a_clock_is_asked_for_nothing_more_of_it() -> None:
    requests = converse(driver("blood_pressure"), Device({CUFF: [FULL]}, ABOUT)).requests
    assert requests[4:] == [Read(FIRMWARE), Read(MODEL)]


def test_clock_that_tells_nonsense_is_not_set() -> None:
    device = Device({CUFF: [FULL]}, ABOUT | {CURRENT_TIME: "0102"})
    requests = converse(driver("blood_pressure"), device).requests
    assert not any(isinstance(request, SetClock) for request in requests)


def test_clock_that_told_nonsense_first_gives_no_offset_later() -> None:
    """What is held is told by then: a replay that knew better would tell it otherwise."""
    session = driver("blood_pressure")
    session.connected()
    for payload in (bytes(3), bytes.fromhex(CLOCK_RIGHT)):
        session.received(RawValue(CURRENT_TIME, payload, NOW))
    assert session.notes.clock_offset_s is None


def test_model_that_may_not_be_set_is_not() -> None:
    found = driver_for(Advertisement(DEVICE, "SBM69"), STOCKHOLM)
    assert found is not None
    device = Device({CUFF: [FULL]}, ABOUT, -960, (DATE_TIME,))
    session = converse(found.new(DEVICE), device)
    assert not any(isinstance(request, SetClock) for request in session.requests)
    [reading] = session.readings
    assert reading.clock is ClockVerdict.CORRECTED


def test_notes_say_who_the_device_is_in_text_that_can_be_stored() -> None:
    session = driver("blood_pressure")
    assert (session.notes.firmware, session.notes.battery_percent) == (None, None)
    converse(session, cuff())
    assert (session.notes.firmware, session.notes.model_number) == ("1.0.3", "BM 85")
    assert session.notes.battery_percent == 72


def test_name_too_long_or_not_for_eyes_is_cut() -> None:
    session = driver("blood_pressure")
    text = ("x" * 40 + "\x07 ") * 2
    converse(session, Device(reads={FIRMWARE: text.encode().hex(), MODEL: "ff"}))
    assert session.notes.firmware == "x" * 40 + " " + "x" * 23
    assert session.notes.model_number is None


def test_who_asks_again_is_asked_nothing_twice() -> None:
    session = driver("blood_pressure")
    converse(session, cuff(-960))
    assert session.asks() == ()


def test_nothing_is_asked_while_a_clock_is_waited_for() -> None:
    session = driver("blood_pressure")
    session.connected()
    assert session.asks() == ()


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        datetime(2027, 3, 28, 0, 59, tzinfo=UTC),
        datetime(2027, 3, 28, 1, 1, tzinfo=UTC),
    ],
)
def test_clock_that_follows_local_time_is_left_alone_on_the_nights_it_changes(at: datetime) -> None:
    session = driver("blood_pressure")
    requests = converse(session, cuff(0), at=at).requests
    assert SetClock(CURRENT_TIME) not in requests
    assert session.notes.clock_offset_s == pytest.approx(0, abs=1)


@pytest.mark.parametrize("off_s", [None, 0, -960, 1e9])
@pytest.mark.parametrize("obeys", [True, False, None])
def test_replay_knows_nothing_of_the_setting(off_s: float | None, obeys: bool | None) -> None:
    session = converse(driver("blood_pressure"), cuff(off_s, obeys=obeys))
    assert replay(driver("blood_pressure"), session) == session.readings


def test_record_that_comes_after_the_setting_is_placed_by_the_clock_it_was_made_by() -> None:
    values = [
        RawValue(CURRENT_TIME, bytes.fromhex(CLOCK_SLOW), NOW),
        RawValue(BATTERY, b"H", NOW),
        RawValue(CURRENT_TIME, bytes.fromhex(CLOCK_RIGHT), NOW),
        RawValue(CUFF, bytes.fromhex(FULL), NOW),
    ]
    live, replayed = driver("blood_pressure"), driver("blood_pressure")
    live.connected()
    readings = [*live.received(values[0]), *live.received(values[1])]
    assert SetClock(CURRENT_TIME) in live.asks()
    readings += [*live.received(values[2]), *live.received(values[3])]
    [reading] = readings
    assert live.notes.clock_set is True
    assert reading.clock_offset_s == -960
    replayed.connected()
    again = [each for value in values for each in replayed.received(value)]
    assert [*again, *replayed.finished()] == readings


def test_watch_is_set_since_its_midnight_ends_the_day() -> None:
    steps = "00030001-78fc-48fe-8e23-433b3a1942d0"
    device = Device({steps: ["e8030000"]}, ABOUT, -1_000_000_000, (CURRENT_TIME,))
    session = driver("infinitime")
    [reading] = converse(session, device).readings
    assert device.clock_off_s == 0
    assert (reading.clock, numbers(reading)) == (ClockVerdict.ABSENT, {"steps": 1000})
