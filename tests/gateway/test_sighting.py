import itertools
from zoneinfo import ZoneInfo

import pytest
from bleak.backends.device import BLEDevice

from devices.drivers import DriverKind, driver_named
from gateway.sighting import (
    DEVICES_MAX,
    FRUITLESS_WAIT_S,
    HEARD_WITHIN_S,
    NEW_WINDOW_AFTER_S,
    NO_ROOM_WAIT_S,
    UNDATED_WAIT_S,
    WAIT_S_MAX,
    Sightings,
    Visit,
)

ZONE = ZoneInfo("Europe/Stockholm")
CUFF = driver_named("blood_pressure", ZONE)
WATCH = driver_named("infinitime", ZONE)


def heard(sightings: Sightings, device_id: str, now_s: float, kind: DriverKind = CUFF) -> bool:
    return sightings.heard(device_id, BLEDevice(device_id, None, None), kind, now_s)


def visited(sightings: Sightings, now_s: float) -> str | None:
    found = sightings.next(now_s)
    return found[0] if found else None


def test_the_device_that_waits_longest_is_served_first() -> None:
    sightings = Sightings()
    for at_s, device_id in enumerate("ABAB"):
        heard(sightings, device_id, at_s)
    assert [visited(sightings, 4) for _ in range(3)] == ["A", "B", None]


def test_a_device_that_fell_silent_while_it_waited_keeps_nobody_waiting() -> None:
    sightings = Sightings()
    heard(sightings, "gone", 0)
    heard(sightings, "here", HEARD_WITHIN_S)
    assert visited(sightings, HEARD_WITHIN_S + 1) == "here"


def test_a_device_that_gave_something_new_may_have_more_and_is_served_again() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.next(0)
    sightings.visited("A", Visit.FRUITFUL, 5)
    assert heard(sightings, "A", 5.1)


@pytest.mark.parametrize(
    ("visit", "first_s"),
    [(Visit.FRUITLESS, FRUITLESS_WAIT_S), (Visit.UNDATED, UNDATED_WAIT_S)],
)
def test_a_device_that_goes_on_advertising_for_nothing_is_visited_ever_more_rarely(
    visit: Visit, first_s: float
) -> None:
    sightings = Sightings()
    visits, now_s = [], 0.0
    while now_s < 3600:
        if heard(sightings, "A", now_s):
            sightings.next(now_s)
            sightings.visited("A", visit, now_s)
            visits.append(now_s)
        now_s += 1
    gaps = [after - before for before, after in itertools.pairwise(visits)]
    assert gaps == [min(WAIT_S_MAX, first_s * 2**n) for n in range(len(gaps))]


def test_a_device_that_woke_up_anew_is_served_at_once() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.next(0)
    sightings.visited("A", Visit.FRUITLESS, 1)
    assert not heard(sightings, "A", 2)
    assert heard(sightings, "A", 2 + NEW_WINDOW_AFTER_S + 1)


@pytest.mark.parametrize("visit", [Visit.FRUITFUL, Visit.UNDATED, Visit.FRUITLESS])
def test_a_watch_is_left_alone_between_its_visits_however_it_goes(visit: Visit) -> None:
    sightings = Sightings()
    heard(sightings, "W", 0, WATCH)
    sightings.next(0)
    sightings.visited("W", visit, 5)
    assert not heard(sightings, "W", 5 + WATCH.revisit_s - 1, WATCH)
    assert heard(sightings, "W", 5 + WATCH.revisit_s, WATCH)


def test_a_watch_that_could_not_be_reached_is_tried_soon() -> None:
    sightings = Sightings()
    heard(sightings, "W", 0, WATCH)
    sightings.next(0)
    sightings.visited("W", Visit.UNREACHED, 1)
    assert heard(sightings, "W", 10, WATCH)


def test_passing_devices_are_forgotten_within_bounds() -> None:
    sightings = Sightings()
    for number in range(DEVICES_MAX * 2):
        heard(sightings, str(number), 0)
    waiting = 0
    while sightings.next(0):
        waiting += 1
    assert waiting == DEVICES_MAX


def test_what_a_device_advertises_while_it_is_being_connected_to_brings_no_second_visit() -> None:
    sightings = Sightings()
    heard(sightings, "W", 0, WATCH)
    sightings.next(0)
    assert not heard(sightings, "W", 0.1, WATCH)
    sightings.visited("W", Visit.FRUITFUL, 5)
    assert sightings.next(5) is None


def test_a_device_that_refuses_is_tried_once_a_window() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.next(0)
    sightings.visited("A", Visit.REFUSED, 1)
    for at_s in range(2, 60):
        assert not heard(sightings, "A", at_s)
    assert heard(sightings, "A", 59 + NEW_WINDOW_AFTER_S + 1)


def test_a_device_that_refuses_and_advertises_without_end_is_tried_once_an_hour() -> None:
    sightings = Sightings()
    visits = 0
    for at_s in range(0, 7200, 5):
        if heard(sightings, "A", at_s):
            sightings.next(at_s)
            sightings.visited("A", Visit.REFUSED, at_s)
            visits += 1
    assert visits == 2


def test_a_device_that_was_paired_is_served_as_soon_as_it_is_heard() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.next(0)
    sightings.visited("A", Visit.REFUSED, 1)
    sightings.forgive("A")
    assert heard(sightings, "A", 2)


def test_a_device_that_our_program_fails_in_comes_after_the_others() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.next(0)
    sightings.visited("A", Visit.BROKEN, 1)
    sightings.drop_all()  # the part is started again
    assert not heard(sightings, "A", 2)
    assert heard(sightings, "B", 2)


def test_what_another_opening_of_the_radio_found_is_visited_by_nobody() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.drop_all()
    assert sightings.next(0.1) is None
    assert heard(sightings, "A", 0.2)
    assert visited(sightings, 0.2) == "A"


def test_a_device_that_is_to_be_paired_is_waited_for_by_a_person() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.next(0)
    sightings.visited("A", Visit.REFUSED, 1)
    heard(sightings, "B", 2)
    device = BLEDevice("A", None, None)
    assert sightings.heard("A", device, CUFF, 3, is_wanted=True)
    assert visited(sightings, 3) == "A"


def test_a_device_whose_record_found_no_room_is_asked_again_within_its_window() -> None:
    """Its wait does not grow: that the disk is full is not its fault."""
    sightings = Sightings()
    now_s = 0.0
    for _ in range(5):
        assert heard(sightings, "A", now_s)
        assert sightings.next(now_s) is not None
        sightings.visited("A", Visit.NO_ROOM, now_s)
        assert not heard(sightings, "A", now_s + NO_ROOM_WAIT_S - 1)
        now_s += NO_ROOM_WAIT_S


def test_a_device_that_is_to_be_paired_comes_before_one_whose_window_closes_sooner() -> None:
    sightings = Sightings()
    heard(sightings, "A", 0)
    sightings.heard("B", BLEDevice("B", None, None), CUFF, 5, is_wanted=True)
    assert visited(sightings, 5) == "B"
