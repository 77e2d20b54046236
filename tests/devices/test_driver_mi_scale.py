"""What a Mi Scale advertises."""

from datetime import timedelta

import pytest

from devices.drivers import Read, driver_named
from devices.reading import ClockVerdict, Outcome
from tests.devices.golden import captures
from tests.devices.sessions import (
    MI_V1,
    MI_V2,
    NOW,
    STOCKHOLM,
    WEIGHT,
    driver,
    numbers,
    raw,
    run,
)

FRESH = "22 9e43 ea07 0b 16 08 1d 3b"  # 86.55 kg at 08:29:59
V2_FIRST = "02 24 ea07 0b 16 08 1d 3b 0000 6040"
V2_IMPEDANCE = "02 26 ea07 0b 16 08 1d 3b 0002 6040"


def test_asks_for_nothing() -> None:
    session = driver("mi_scale_v1")
    assert session.connected() == ()
    assert session.unanswered(Read(WEIGHT)) == []


def test_captured_advertisements_give_exactly_one_weight() -> None:
    v1 = [raw(MI_V1, row["hex"]) for row in captures()["mi_scale_v1_181d"]]
    [reading] = run("mi_scale_v1", *v1)
    assert numbers(reading) == {"body_weight": 86.55}
    v2 = [raw(MI_V2, row["hex"]) for row in captures()["mi_scale_v2_181b"]]
    assert not run("mi_scale_v2", *v2)


@pytest.mark.parametrize(
    ("name", "frame", "tells"),
    [
        ("mi_scale_v1", FRESH, True),
        ("mi_scale_v1", "02" + FRESH[2:], False),
        ("mi_scale_v1", "a2" + FRESH[2:], False),
        ("mi_scale_v1", "ff" + FRESH[2:], True),  # unreadable, which is told
        ("mi_scale_v2", V2_FIRST, True),
        ("mi_scale_v2", V2_IMPEDANCE, True),
        ("mi_scale_v2", "02 04" + V2_FIRST[5:], False),
        ("weight_scale", "", True),
    ],
)
def test_what_may_become_a_reading_is_known_before(name: str, frame: str, *, tells: bool) -> None:
    assert driver_named(name, STOCKHOLM).tells(bytes.fromhex(frame)) is tells


@pytest.mark.parametrize("control", ["02", "82", "a2"])
def test_weight_unsettled_or_gone_is_no_reading(control: str) -> None:
    assert not run("mi_scale_v1", raw(MI_V1, control + FRESH[2:]))


@pytest.mark.parametrize("control", ["04", "84", "a4", "a6"])
def test_weight_unsettled_or_gone_is_no_reading_of_a_v2_either(control: str) -> None:
    assert not run("mi_scale_v2", raw(MI_V2, "02" + control + V2_FIRST[5:]))


def test_fair_clock_of_the_scale_is_kept() -> None:
    [reading] = run("mi_scale_v1", raw(MI_V1, FRESH))
    assert reading.measured_at == NOW - timedelta(seconds=1)
    assert (reading.clock, reading.source) == (ClockVerdict.UNCHECKED, "181d")


def test_wrong_clock_of_the_scale_gives_way_to_now() -> None:
    [reading] = run("mi_scale_v1", raw(MI_V1, "22 9e43 e507 04 0b 10 13 01"))
    assert (reading.measured_at, reading.clock) == (NOW, ClockVerdict.CORRECTED)
    assert reading.clock_offset_s == -177_178_259.0


def test_frame_repeated_for_minutes_is_one_reading() -> None:
    frames = [raw(MI_V1, FRESH, second / 10) for second in range(3000)]
    [reading] = run("mi_scale_v1", *frames)
    assert reading.received_at == NOW


def test_frame_heard_in_two_sessions_has_one_id() -> None:
    [first] = run("mi_scale_v1", raw(MI_V1, FRESH))
    [second] = run("mi_scale_v1", raw(MI_V1, FRESH, 100))
    assert first.reading_id == second.reading_id


def test_weighing_again_is_another_reading() -> None:
    later = "22 9e43 ea07 0b 16 08 1f 3b"
    readings = run("mi_scale_v1", raw(MI_V1, FRESH), raw(MI_V1, later, 120))
    assert len({reading.reading_id for reading in readings}) == 2


def test_another_person_right_after_is_another_reading() -> None:
    other = "22 6040 ea07 0b 16 08 1e 05"
    readings = run("mi_scale_v1", raw(MI_V1, FRESH), raw(MI_V1, other, 6))
    assert [numbers(reading)["body_weight"] for reading in readings] == [86.55, 82.4]


def test_impedance_that_comes_later_is_of_the_same_act() -> None:
    readings = run("mi_scale_v2", raw(MI_V2, V2_FIRST), raw(MI_V2, V2_IMPEDANCE, 8))
    assert [numbers(reading) for reading in readings] == [{"body_weight": 82.4}]


def test_frame_told_again_after_another_s_is_the_same_act() -> None:
    other = "02 24 ea07 0b 16 08 1e 10 0000 3e49"
    frames = (raw(MI_V2, V2_FIRST), raw(MI_V2, other, 17), raw(MI_V2, V2_IMPEDANCE, 45))
    assert len(run("mi_scale_v2", *frames)) == 2


def test_act_first_heard_with_its_impedance_has_the_same_id() -> None:
    [with_impedance] = run("mi_scale_v2", raw(MI_V2, V2_IMPEDANCE, 8))
    [without] = run("mi_scale_v2", raw(MI_V2, V2_FIRST))
    assert with_impedance.reading_id == without.reading_id
    assert with_impedance.payload == V2_IMPEDANCE.replace(" ", "")


def test_pounds_and_jin_are_converted_and_kept() -> None:
    [pounds] = run("mi_scale_v1", raw(MI_V1, "23 3e49 ea07 0b 16 08 1d 3b"))
    assert numbers(pounds) == {"body_weight": 85.049}
    assert (pounds.values[0].original_value, pounds.values[0].original_unit) == (187.5, "[lb_av]")
    [jin] = run("mi_scale_v1", raw(MI_V1, "32 6040 ea07 0b 16 08 1d 3b"))
    assert numbers(jin) == {"body_weight": 82.4}
    assert (jin.values[0].original_value, jin.values[0].original_unit) == (164.8, "500.g{jin}")


def test_bytes_that_cannot_be_read_are_kept_whole_once() -> None:
    [reading] = run("mi_scale_v1", raw(MI_V1, "2200"), raw(MI_V1, "2200", 1))
    assert (reading.outcome, reading.payload) == (Outcome.UNREADABLE, "2200")


def test_service_data_of_another_kind_is_not_looked_at() -> None:
    assert not run("mi_scale_v1", raw(MI_V2, V2_FIRST))
