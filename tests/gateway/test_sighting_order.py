"""Who is visited first, and who was heard at the wrong moment."""

from zoneinfo import ZoneInfo

from bleak.backends.device import BLEDevice

from devices.drivers import DriverKind, driver_named
from gateway.sighting import Sightings, Visit

ZONE = ZoneInfo("Europe/Stockholm")
CUFF = driver_named("blood_pressure", ZONE)
WATCH = driver_named("infinitime", ZONE)


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
