"""A session with a scale."""

import pytest

from devices.drivers import RawValue, Read, Subscribe
from devices.drivers.session import HELD_MAX
from devices.drivers.weight_scale import ACT_MAX_S
from devices.gatt import uuids
from devices.reading import ClockVerdict, Outcome, Reading
from tests.devices.sessions import (
    ALL_READS,
    BATTERY,
    CLOCK_RIGHT,
    COMPOSITION,
    CURRENT_TIME,
    NOW,
    WEIGHT,
    driver,
    local,
    numbers,
    raw,
    run,
)

TIME = "ea07 0b 16 08 1d 00"  # 08:29:00
TIMED_WEIGHT = f"06 6040 {TIME} 01"  # 82.4 kg, user 1
TIMED_FAT = f"0600 fb00 {TIME} 01"  # 25.1 %, user 1
BARE_WEIGHT = "00 6040"
BARE_FAT = "0000 fb00"


def plain(text: str) -> str:
    return text.replace(" ", "")


def test_subscribes_to_both_before_it_asks_for_anything() -> None:
    requests = driver("weight_scale").connected()
    assert requests == (
        Subscribe(WEIGHT),
        Subscribe(COMPOSITION),
        Subscribe(uuids.USER_CONTROL_POINT),
        *ALL_READS,
    )


@pytest.mark.parametrize("fat_first", [False, True])
def test_weight_and_composition_of_one_act_are_one_reading(*, fat_first: bool) -> None:
    packets = [raw(WEIGHT, TIMED_WEIGHT), raw(COMPOSITION, TIMED_FAT, 4)]
    if fat_first:
        packets = [raw(COMPOSITION, TIMED_FAT), raw(WEIGHT, TIMED_WEIGHT, 4)]
    [reading] = run("weight_scale", *packets, raw(CURRENT_TIME, CLOCK_RIGHT))
    assert numbers(reading) == {"body_weight": 82.4, "body_fat": 25.1}
    assert reading.payload == plain(TIMED_WEIGHT + TIMED_FAT)  # whatever came first
    assert reading.source == "2a9d+2a9c"
    assert (reading.slot, reading.clock, reading.received_at) == (1, ClockVerdict.OK, NOW)


def test_order_of_the_packets_does_not_change_the_id() -> None:
    one = run("weight_scale", raw(WEIGHT, TIMED_WEIGHT), raw(COMPOSITION, TIMED_FAT, 1))
    other = run("weight_scale", raw(COMPOSITION, TIMED_FAT), raw(WEIGHT, TIMED_WEIGHT, 1))
    assert one == other


def test_weight_is_not_lost_to_a_composition_that_came_alone_before() -> None:
    [alone] = run("weight_scale", raw(COMPOSITION, TIMED_FAT))
    [whole] = run("weight_scale", raw(COMPOSITION, TIMED_FAT), raw(WEIGHT, TIMED_WEIGHT, 1))
    assert alone.reading_id != whole.reading_id


def test_scale_without_a_clock_means_what_follows_closely() -> None:
    [reading] = run("weight_scale", raw(WEIGHT, BARE_WEIGHT), raw(COMPOSITION, BARE_FAT, 30))
    assert numbers(reading) == {"body_weight": 82.4, "body_fat": 25.1}
    assert (reading.measured_at, reading.clock) == (NOW, ClockVerdict.ABSENT)


@pytest.mark.parametrize(
    ("weight", "fat", "after_s"),
    [
        (BARE_WEIGHT, BARE_FAT, 31),
        (TIMED_WEIGHT, f"0600 fb00 {TIME} 02", 1),  # another user
        (TIMED_WEIGHT, "0600 fb00 ea07 0b 16 08 1d 01 01", 1),  # a second later
        (TIMED_WEIGHT, f"0200 fb00 {TIME}", 1),  # a user that is not named
    ],
)
def test_packets_of_two_acts_are_two_readings(weight: str, fat: str, after_s: int) -> None:
    readings = run("weight_scale", raw(WEIGHT, weight), raw(COMPOSITION, fat, after_s))
    assert [numbers(reading) for reading in readings] == [{"body_weight": 82.4}, {"body_fat": 25.1}]
    assert [reading.source for reading in readings] == ["2a9d", "2a9c"]


def test_weight_waits_for_its_composition_until_the_end() -> None:
    session = driver("weight_scale")
    for read in ALL_READS:
        session.unanswered(read)
    assert not session.received(raw(WEIGHT, TIMED_WEIGHT))
    [reading] = session.finished()
    assert numbers(reading) == {"body_weight": 82.4}
    assert reading.source == "2a9d"


@pytest.mark.parametrize(
    ("absent", "source", "payload"),
    [(COMPOSITION, WEIGHT, TIMED_WEIGHT), (WEIGHT, COMPOSITION, TIMED_FAT)],
)
def test_what_a_scale_does_not_send_is_not_waited_for(
    absent: str, source: str, payload: str
) -> None:
    session = driver("weight_scale")
    for request in (*ALL_READS, Subscribe(absent)):
        session.unanswered(request)
    assert len(session.received(raw(source, payload))) == 1


def test_composition_in_two_packets_is_one() -> None:
    first, second = f"0610 fb00 {TIME} 01", "0016 fb00 0314 6040"
    [reading] = run(
        "weight_scale",
        raw(COMPOSITION, first),
        raw(WEIGHT, TIMED_WEIGHT, 1),
        raw(COMPOSITION, second, 1),
    )
    assert reading.payload == plain(TIMED_WEIGHT + first + second)
    assert numbers(reading) == {"body_weight": 82.4, "body_fat": 25.1}


def test_second_packet_alone_can_hold_the_weight() -> None:
    first, second = f"0610 fb00 {TIME} 01", "0014 fb00 6040"
    [reading] = run("weight_scale", raw(COMPOSITION, first), raw(COMPOSITION, second))
    assert reading.source == "2a9c"
    assert numbers(reading) == {"body_weight": 82.4, "body_fat": 25.1}


def test_next_composition_of_two_packets_is_another() -> None:
    packets = [f"0610 fb00 {TIME} 01", "0010 fc00", f"0610 fa00 {TIME} 02", "0010 fd00"]
    readings = run("weight_scale", *(raw(COMPOSITION, packet) for packet in packets))
    assert [reading.slot for reading in readings] == [1, 2]


def test_history_is_paired_each_with_its_own() -> None:
    times = [f"ea07 0b {day:02x} 08 1d 00" for day in (20, 21, 22)]
    readings = run(
        "weight_scale",
        *(raw(WEIGHT, f"06 {0x4060 + i:04x} {time} 01") for i, time in enumerate(times)),
        *(raw(COMPOSITION, f"0600 f{i}00 {time} 01") for i, time in enumerate(times)),
    )
    assert [set(numbers(reading)) for reading in readings] == [{"body_weight", "body_fat"}] * 3
    assert len({reading.reading_id for reading in readings}) == 3


def test_packet_sent_again_is_the_same_act() -> None:
    packets = [raw(WEIGHT, TIMED_WEIGHT), raw(WEIGHT, TIMED_WEIGHT, 1)]
    [alone] = run("weight_scale", *packets)
    [again] = run("weight_scale", raw(WEIGHT, TIMED_WEIGHT, 86_400))
    assert alone.reading_id == again.reading_id


def test_weighing_cut_short_and_sent_again_whole_has_the_same_id() -> None:
    [cut] = run("weight_scale", raw(WEIGHT, TIMED_WEIGHT))
    [whole] = run("weight_scale", raw(WEIGHT, TIMED_WEIGHT, 90), raw(COMPOSITION, TIMED_FAT, 91))
    assert cut.reading_id == whole.reading_id


def test_pounds_are_converted_and_kept() -> None:
    [reading] = run("weight_scale", raw(WEIGHT, "01 3e49"))
    [value] = reading.values
    assert (value.value, value.unit) == (85.049, "kg")  # 187.5 lb of 0.45359237 kg
    assert (value.original_value, value.original_unit) == (187.5, "[lb_av]")


@pytest.mark.parametrize(
    "packets",
    [
        [raw(WEIGHT, "00 ffff")],
        [raw(COMPOSITION, "0000 ffff")],
        [raw(WEIGHT, "00 ffff"), raw(COMPOSITION, "0000 ffff")],
    ],
)
def test_unsuccessful_weighing_is_an_event_without_a_value(packets: list[RawValue]) -> None:
    [reading] = run("weight_scale", *packets)
    assert reading.outcome is Outcome.FAILED
    assert reading.values == ()
    assert reading.problem == "the device says that the measurement failed"


def test_weight_stands_when_only_the_composition_failed() -> None:
    [reading] = run("weight_scale", raw(WEIGHT, BARE_WEIGHT), raw(COMPOSITION, "0000 ffff"))
    assert reading.outcome is Outcome.MEASURED
    assert numbers(reading) == {"body_weight": 82.4}


@pytest.mark.parametrize("source", [WEIGHT, COMPOSITION])
def test_bytes_that_cannot_be_read_are_kept_whole_with_the_reason(source: str) -> None:
    [reading] = run("weight_scale", raw(source, "00"))
    assert (reading.outcome, reading.payload) == (Outcome.UNREADABLE, "00")
    assert reading.problem is not None
    assert "ends at byte 1" in reading.problem


def test_battery_is_told_with_the_weight() -> None:
    [reading] = run("weight_scale", raw(BATTERY, "32"), raw(WEIGHT, TIMED_WEIGHT))
    assert reading.battery_percent == 50


def test_replay_of_the_same_values_gives_the_same_readings() -> None:
    values = (
        raw(WEIGHT, TIMED_WEIGHT),
        raw(CURRENT_TIME, CLOCK_RIGHT),
        raw(COMPOSITION, TIMED_FAT),
        raw(WEIGHT, "00", 3),
        raw(WEIGHT, BARE_WEIGHT, 5),
    )
    live = run("weight_scale", *values, unanswered=(Read(BATTERY),))
    assert sorted(live, key=str) == sorted(run("weight_scale", *values), key=str)
    assert len(live) == 3


def test_scale_that_sends_without_end_is_not_waited_for() -> None:
    session = driver("weight_scale")
    sent = 2 * HELD_MAX + 10
    readings: list[Reading] = []
    for number in range(sent):
        payload = b"\x00" + number.to_bytes(2, "little")
        readings += session.received(RawValue(WEIGHT, payload, NOW))
    assert len(readings) >= HELD_MAX
    assert len(readings) + len(session.finished()) == sent


# Captured from a Beurer BF788: KristianP26/ble-scale-sync#229.
BF_WEIGHT = "0e 205c ea07070e172920 01 4001 8007"  # 117.92 kg, 2026-07-14 23:41:32, user 1
BF_FAT = "9803 f300 9623 8901 4042 fa2f 550f"  # 24.3 %
BF_ZEROS = "9803 0000 9623 0000 0000 0000 0000"


def test_composition_that_names_nobody_is_of_the_weight_before_it() -> None:
    [reading] = run("weight_scale", raw(WEIGHT, BF_WEIGHT), raw(COMPOSITION, BF_FAT, 3))
    assert numbers(reading) == {"body_weight": 117.92, "body_fat": 24.3}
    assert (reading.slot, reading.device_time) == (1, local("2026-07-14 23:41:32"))
    [alone] = run("weight_scale", raw(WEIGHT, BF_WEIGHT))
    assert alone.reading_id == reading.reading_id


def test_composition_of_zeros_is_no_fat_and_no_failure() -> None:
    stored = "0e 205c ea07070d172920 01 4001 8007"  # the day before
    packets = [raw(WEIGHT, stored), raw(COMPOSITION, BF_ZEROS, 0.1)]
    packets += [raw(WEIGHT, BF_WEIGHT, 0.2), raw(COMPOSITION, BF_FAT, 0.3)]
    first, second = run("weight_scale", *packets)
    assert numbers(first) == {"body_weight": 117.92}
    assert numbers(second) == {"body_weight": 117.92, "body_fat": 24.3}


def test_composition_that_names_nobody_is_not_of_a_weight_long_ago() -> None:
    late = raw(COMPOSITION, BF_FAT, ACT_MAX_S + 1)
    assert len(run("weight_scale", raw(WEIGHT, BF_WEIGHT), late)) == 2


def test_second_composition_that_names_nobody_is_not_of_the_same_weight() -> None:
    other = BF_FAT.replace("f300", "f400")
    packets = (raw(WEIGHT, BF_WEIGHT), raw(COMPOSITION, BF_FAT), raw(COMPOSITION, other, 1))
    assert [len(numbers(each)) for each in run("weight_scale", *packets)] == [2, 1]
