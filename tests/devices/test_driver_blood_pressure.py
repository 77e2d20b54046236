"""A session with a cuff."""

from datetime import timedelta

import pytest

from devices.drivers import RawValue, Read, Subscribe
from devices.drivers.session import HELD_MAX
from devices.reading import ClockVerdict, Outcome, Reading, Status
from tests.devices.sessions import (
    ALL_READS,
    BATTERY,
    CLOCK_RIGHT,
    CLOCK_SLOW,
    CUFF,
    CUFF_PRESSURE,
    CURRENT_TIME,
    DATE_TIME,
    DEVICE,
    NOW,
    driver,
    numbers,
    raw,
    run,
)

FULL = "1e 8300 5200 6200 ea07 0b 16 08 1c 00 4700 01 2400"  # 131/82, 08:28:00, pulse 71, user 1
EARLIER = "1e 9000 5800 6a00 ea07 0b 15 08 0c 00 4b00 02 0000"  # 144/88, the day before, user 2
FAILED = "16 ff07 ff07 ff07 e807 06 17 0e 23 0a ff07 0000"
BARE = "00 7800 5000 5d00"


def test_subscribes_before_it_asks_for_anything() -> None:
    requests = driver("blood_pressure").connected()
    assert requests == (Subscribe(CUFF), *ALL_READS)


def test_record_becomes_a_reading_with_every_value_it_has() -> None:
    [reading] = run("blood_pressure", raw(CUFF, FULL), raw(CURRENT_TIME, CLOCK_RIGHT))
    assert reading.outcome is Outcome.MEASURED
    assert numbers(reading) == {
        "systolic": 131.0,
        "diastolic": 82.0,
        "mean_arterial": 98.0,
        "pulse": 71.0,
    }
    assert {value.unit for value in reading.values} == {"mm[Hg]", "/min"}
    assert all(value.original_unit is None for value in reading.values)
    assert reading.status == Status.IRREGULAR_PULSE | Status.IMPROPER_POSITION
    assert (reading.device_id, reading.slot, reading.source) == (DEVICE, 1, "2a35")
    assert reading.payload == FULL.replace(" ", "")
    assert reading.measured_at == NOW - timedelta(minutes=2)
    assert reading.received_at == NOW
    assert (reading.clock, reading.clock_offset_s) == (ClockVerdict.OK, 0.0)
    assert reading.problem is None


def test_reading_waits_for_clock_and_battery() -> None:
    session = driver("blood_pressure")
    assert not session.received(raw(CUFF, EARLIER))
    assert not session.received(raw(CURRENT_TIME, CLOCK_SLOW))
    [reading] = session.received(raw(BATTERY, "48"))
    assert reading.battery_percent == 72
    assert (reading.clock, reading.clock_offset_s) == (ClockVerdict.CORRECTED, -960.0)
    # 08:12:00 the day before, by a clock 16 minutes slow.
    assert reading.measured_at == NOW - timedelta(days=1, minutes=2)
    assert not session.finished()


def test_plainer_clock_does_where_there_is_no_finer_one() -> None:
    session = driver("blood_pressure")
    session.received(raw(CUFF, FULL))
    assert not session.unanswered(Read(CURRENT_TIME))
    assert not session.received(raw(DATE_TIME, "ea07 0b 16 08 1e 02"))
    [reading] = session.unanswered(Read(BATTERY))
    assert (reading.clock, reading.clock_offset_s) == (ClockVerdict.OK, 2.0)
    assert reading.battery_percent is None


def test_finer_clock_stands_when_both_answer() -> None:
    [reading] = run(
        "blood_pressure",
        raw(CUFF, FULL),
        raw(CURRENT_TIME, CLOCK_SLOW),
        raw(DATE_TIME, "ea07 0b 16 08 1e 00"),
    )
    assert reading.clock_offset_s == -960.0


def test_record_of_a_cuff_without_a_clock_is_unchecked() -> None:
    [reading] = run("blood_pressure", raw(CUFF, FULL), unanswered=ALL_READS)
    assert (reading.clock, reading.clock_offset_s) == (ClockVerdict.UNCHECKED, None)
    assert reading.measured_at == NOW - timedelta(minutes=2)


def test_subscription_that_fails_is_not_mistaken_for_the_clock() -> None:
    session = driver("blood_pressure")
    session.received(raw(CUFF, FULL))
    assert not session.unanswered(Subscribe(CUFF))


@pytest.mark.parametrize(
    "clock", ["", CLOCK_RIGHT + "00", "00" * 10, "ea07 0d 16 08 1e 00 07 0000"]
)
def test_clock_that_is_unset_or_unreadable_is_no_clock(clock: str) -> None:
    [reading] = run("blood_pressure", raw(CUFF, FULL), raw(CURRENT_TIME, clock))
    assert reading.clock is ClockVerdict.UNCHECKED


def test_battery_that_is_unreadable_is_not_told() -> None:
    [reading] = run("blood_pressure", raw(CUFF, FULL), raw(BATTERY, "ff"))
    assert reading.battery_percent is None


def test_answer_nobody_asked_for_is_ignored() -> None:
    [reading] = run(
        "blood_pressure",
        raw(CUFF, FULL),
        raw(CURRENT_TIME, CLOCK_RIGHT),
        raw(CURRENT_TIME, CLOCK_SLOW),
        raw("00002a24-0000-1000-8000-00805f9b34fb", "4142"),
    )
    assert reading.clock_offset_s == 0.0


def test_record_without_a_time_is_of_when_it_was_received() -> None:
    [reading] = run("blood_pressure", raw(CUFF, BARE), raw(CURRENT_TIME, CLOCK_RIGHT))
    assert (reading.measured_at, reading.clock) == (NOW, ClockVerdict.ABSENT)


def test_failed_measurement_is_an_event_without_a_value() -> None:
    [reading] = run("blood_pressure", raw(CUFF, FAILED), unanswered=ALL_READS)
    assert reading.outcome is Outcome.FAILED
    assert reading.values == ()
    assert reading.problem == "the device says that the measurement failed"


def test_failed_measurement_says_what_the_cuff_noticed() -> None:
    failed = "10 ff07 0008 fe07 0300"
    [reading] = run("blood_pressure", raw(CUFF, failed), unanswered=ALL_READS)
    assert reading.outcome is Outcome.FAILED
    assert reading.problem == (
        "the device says that the measurement failed (body movement, cuff loose)"
    )


@pytest.mark.parametrize(
    ("payload", "kept"),
    [
        ("04 7800 5000 5d00 ff07", {"systolic": 120, "diastolic": 80, "mean_arterial": 93}),
        ("04 7800 5000 ff07 4700", {"systolic": 120, "diastolic": 80, "pulse": 71}),
        ("00 ff07 5000 0008", {"diastolic": 80}),
        ("00 fe07 0208 5d00", {"mean_arterial": 93}),
    ],
)
def test_result_the_cuff_could_not_get_spoils_none_of_the_others(
    payload: str, kept: dict[str, float]
) -> None:
    [reading] = run("blood_pressure", raw(CUFF, payload), unanswered=ALL_READS)
    assert reading.outcome is Outcome.MEASURED
    assert numbers(reading) == kept


def test_kilopascal_is_converted_and_kept() -> None:
    [reading] = run("blood_pressure", raw(CUFF, "01 a0f0 6bf0 7df0"), unanswered=ALL_READS)
    systolic, diastolic, mean = reading.values
    assert (systolic.value, systolic.unit) == (120.01, "mm[Hg]")
    assert (systolic.original_value, systolic.original_unit) == (16.0, "kPa")
    assert (diastolic.value, diastolic.original_value) == (80.26, 10.7)
    assert (mean.value, mean.original_value) == (93.76, 12.5)


@pytest.mark.parametrize(
    "payload", ["", "ff", FULL + "00", "02 7800 5000 5d00 ea07 02 1e 08 1e 00"]
)
def test_bytes_that_cannot_be_read_are_kept_whole_with_the_reason(payload: str) -> None:
    [reading] = run("blood_pressure", raw(CUFF, payload), raw(CURRENT_TIME, CLOCK_RIGHT))
    assert reading.outcome is Outcome.UNREADABLE
    assert reading.values == ()
    assert reading.payload == payload.replace(" ", "")
    assert reading.problem is not None
    assert reading.problem.startswith("Blood Pressure Measurement: ")


def test_pressure_in_the_cuff_is_never_a_reading() -> None:
    assert not run("blood_pressure", raw(CUFF_PRESSURE, BARE), unanswered=ALL_READS)


def test_stored_records_come_out_each_once_in_their_order() -> None:
    readings = run(
        "blood_pressure",
        raw(CUFF, EARLIER),
        raw(CUFF, FULL, 1),
        raw(CUFF, EARLIER, 2),
        raw(CURRENT_TIME, CLOCK_RIGHT, 2),
        unanswered=ALL_READS,
    )
    assert [numbers(reading)["systolic"] for reading in readings] == [144, 131]
    assert [reading.slot for reading in readings] == [2, 1]


def test_record_sent_again_on_another_day_has_the_same_id() -> None:
    [first] = run("blood_pressure", raw(CUFF, FULL), raw(CURRENT_TIME, CLOCK_RIGHT))
    [again] = run("blood_pressure", raw(CUFF, FULL, 86_400), unanswered=ALL_READS)
    assert again.reading_id == first.reading_id


def test_equal_values_on_two_mornings_are_two_readings() -> None:
    [first] = run("blood_pressure", raw(CUFF, BARE), unanswered=ALL_READS)
    [second] = run("blood_pressure", raw(CUFF, BARE, 86_400), unanswered=ALL_READS)
    assert first.reading_id != second.reading_id


def test_equal_records_of_two_users_are_two_readings() -> None:
    readings = run(
        "blood_pressure",
        raw(CUFF, "0a 7800 5000 5d00 ea07 0b 16 08 1c 00 01"),
        raw(CUFF, "0a 7800 5000 5d00 ea07 0b 16 08 1c 00 02"),
        unanswered=ALL_READS,
    )
    assert len({reading.reading_id for reading in readings}) == 2


def test_repeat_without_a_time_in_one_session_is_the_same_record() -> None:
    readings = run("blood_pressure", raw(CUFF, BARE), raw(CUFF, BARE, 3), unanswered=ALL_READS)
    assert len(readings) == 1


def test_replay_of_the_same_values_gives_the_same_readings() -> None:
    values = (
        raw(CUFF, EARLIER),
        raw(CUFF, FAILED, 1),
        raw(CURRENT_TIME, CLOCK_SLOW, 1),
        raw(CUFF, "ff", 2),
        raw(CUFF, BARE, 3),
    )
    live = run("blood_pressure", *values, unanswered=(Read(DATE_TIME), Read(BATTERY)))
    replayed = run("blood_pressure", *values)
    assert live == replayed
    assert len({reading.reading_id for reading in live}) == 4


def test_cuff_that_sends_without_end_is_not_waited_for() -> None:
    session = driver("blood_pressure")
    readings: list[Reading] = []
    sent = 2 * HELD_MAX + 10
    for number in range(sent):
        payload = bytes.fromhex(BARE)[:-2] + number.to_bytes(2, "little")
        readings += session.received(RawValue(CUFF, payload, NOW))
    assert len(readings) == 2 * HELD_MAX
    assert len(readings) + len(session.finished()) == sent
