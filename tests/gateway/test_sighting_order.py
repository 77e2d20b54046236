"""Who is visited first, and who was heard at the wrong moment."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from bleak.backends.device import BLEDevice

from devices.drivers import DriverKind, driver_named
from gateway.sighting import HEARD_WITHIN_S, WINDOW_S, Sightings, Visit

ZONE = ZoneInfo("Europe/Stockholm")
CUFF = driver_named("blood_pressure", ZONE)
WATCH = driver_named("infinitime", ZONE)
HASTY = replace(CUFF, model=replace(CUFF.model, window_s=10.0))


def heard(sightings: Sightings, device_id: str, now_s: float, kind: DriverKind) -> bool:
    return sightings.heard(device_id, BLEDevice(device_id, None, None), kind, now_s)


def test_a_cuff_whose_window_closes_comes_before_watches_that_can_wait() -> None:
    sightings = Sightings()
    for at_s, (device_id, kind) in enumerate(
        [("watch 1", WATCH), ("watch 2", WATCH), ("cuff 1", CUFF), ("cuff 2", CUFF)]
    ):
        heard(sightings, device_id, at_s, kind)
    order = []
    while found := sightings.next(4):
        order.append(found[0])
    assert order == ["cuff 1", "cuff 2", "watch 1", "watch 2"]


def test_a_watch_heard_as_its_visit_ended_is_left_alone_all_the_same() -> None:
    sightings = Sightings()
    heard(sightings, "watch", 0, WATCH)
    sightings.next(0)
    heard(sightings, "watch", 5.0, WATCH)  # it advertises again, and the visit is not over yet
    sightings.visited("watch", Visit.FRUITFUL, 5.1)
    assert sightings.next(5.2) is None
    assert heard(sightings, "watch", 5.1 + WATCH.revisit_s, WATCH)


def test_a_cuff_heard_during_its_visit_may_sleep_by_now_and_keeps_nobody_waiting() -> None:
    sightings = Sightings()
    heard(sightings, "cuff", 0, CUFF)
    sightings.next(0)
    heard(sightings, "cuff", 0.1, CUFF)  # a last advertisement before the link
    sightings.visited("cuff", Visit.FRUITFUL, 1.5)
    assert sightings.next(1.6) is None


def test_a_cuff_that_advertises_after_its_visit_is_visited_again() -> None:
    sightings = Sightings()
    heard(sightings, "cuff", 0, CUFF)
    sightings.next(0)
    sightings.visited("cuff", Visit.FRUITFUL, 1.5)
    assert heard(sightings, "cuff", 1.6, CUFF)
    assert sightings.next(1.6)


def test_who_has_least_of_its_window_left_comes_first() -> None:
    sightings = Sightings()
    heard(sightings, "patient", 0, CUFF)
    heard(sightings, "hasty", 3, HASTY)
    order = []
    while found := sightings.next(4):
        order.append(found[0])
    assert order == ["hasty", "patient"]


def test_a_device_that_woke_anew_has_its_whole_window_again() -> None:
    sightings = Sightings()
    heard(sightings, "old", 0, CUFF)
    heard(sightings, "new", 100, CUFF)
    heard(sightings, "old", 101, CUFF)
    found = sightings.next(101)
    assert found is not None
    assert found[0] == "new"


def test_nobody_is_hurried_while_nobody_waits_or_only_a_watch() -> None:
    sightings = Sightings()
    assert sightings.share_s(0) is None
    heard(sightings, "watch", 0, WATCH)
    assert sightings.share_s(0) is None


def test_those_who_wait_share_what_is_left_of_their_windows() -> None:
    sightings = Sightings()
    heard(sightings, "first", 0, CUFF)
    assert sightings.share_s(1) == WINDOW_S - 1
    for number in range(9):
        heard(sightings, str(number), 1, CUFF)
    assert sightings.share_s(1) == pytest.approx(WINDOW_S / 10)


def test_one_window_that_closes_soon_hurries_more_than_many_that_do_not() -> None:
    sightings = Sightings()
    heard(sightings, "patient", 0, CUFF)
    heard(sightings, "hasty", 0, HASTY)
    assert sightings.share_s(5) == pytest.approx(5.0)


def test_who_has_fallen_silent_hurries_nobody() -> None:
    sightings = Sightings()
    heard(sightings, "gone", 0, CUFF)
    assert sightings.share_s(HEARD_WITHIN_S + 1) is None
