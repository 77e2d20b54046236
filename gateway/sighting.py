"""Sightings: which of the devices that advertise to connect to next, and which to leave alone.

Pure: monotonic seconds come in as arguments. Devices advertise for seconds after a
measurement, so who has least of that window left is served first, and who has fallen silent is
not waited for. A watch that always advertises can wait, so it comes after those that cannot. A
device that goes on advertising after it was served is not hammered: connecting drains its
battery, and keeps others waiting.
"""

import enum
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from bleak.backends.device import BLEDevice

from devices.drivers import DriverKind

# A block of flats; who was heard longest ago is forgotten first.
DEVICES_MAX: Final = 256

# Silent for longer than this, a device has stopped advertising. Cuffs advertise every 0.02
# to 1 s, some scales every 2 s; but Linux lets the controller leave out repeats and begins anew
# after 10.24 s (DISCOV_LE_TIMEOUT), so a device may be told of no more often than that.
HEARD_WITHIN_S: Final = 12.0

# After such a silence it was woken anew: somebody has measured.
NEW_WINDOW_AFTER_S: Final = 30.0

# Where nobody knows how long a model advertises: 30 s is the shortest that manuals of cuffs and
# scales name, so such a device is served as if it had that, which is first heard first served.
WINDOW_S: Final = 30.0

# A visit that brought nothing new.
FRUITLESS_WAIT_S: Final = 30.0
# One that brought records without a time, or such as cannot be read: sent again they look new, and
# some devices send their whole memory each time. Soon, since it may be the next person's weight.
UNDATED_WAIT_S: Final = 5.0
# A device that could not be connected to still has something to tell.
UNREACHED_WAIT_S: Final = 5.0
# One whose record found no room is asked again while its window lasts: a receipt makes room.
NO_ROOM_WAIT_S: Final = 10.0
WAIT_S_MAX: Final = 600.0

# A device that refuses us is tried once a window. One that advertises without an end has no
# windows: it is tried so often, in case a person has paired it with other means.
REFUSED_WAIT_S: Final = 3600.0


class Visit(enum.Enum):
    """How a visit to a device went."""

    FRUITFUL = "fruitful"  # new readings: there may be more, so it is visited again at once
    UNDATED = "undated"  # readings of which nobody can say whether they were sent before
    FRUITLESS = "fruitless"  # connected, and nothing new
    UNREACHED = "unreached"  # no connection
    REFUSED = "refused"  # it does not let us in, and will not until somebody pairs it
    AGAIN = "again"  # something was put right, or a bond was made: visited again at once
    NO_ROOM = "no_room"  # nothing could be kept: not the device's fault
    BROKEN = "broken"  # our own program failed in it: others first


# Doubled each time in a row that a visit goes so.
_FIRST_WAIT_S: Final = {
    Visit.UNDATED: UNDATED_WAIT_S,
    Visit.FRUITLESS: FRUITLESS_WAIT_S,
    Visit.UNREACHED: UNREACHED_WAIT_S,
}


@dataclass(slots=True)
class Sighting:
    """A device as it was last heard.

    Attributes:
        device: As the scanner gave it.
        kind: What it is.
        heard_s: When it was last heard.
        woke_s: When it was first heard of this window.
        not_before_s: Left alone until then.
        failures: Visits in a row that brought nothing, or nothing that is surely new.
        is_waiting: It is to be visited.
        is_visited: Now: what it advertises until it is connected counts for nothing.
        is_wanted: It is to be paired, and somebody stands waiting: before all others.
    """

    device: BLEDevice
    kind: DriverKind
    heard_s: float
    woke_s: float
    not_before_s: float = float("-inf")
    failures: int = 0
    is_waiting: bool = False
    is_visited: bool = False
    is_wanted: bool = False

    @property
    def closes_s(self) -> float:
        """When it will stop advertising, as far as can be known."""
        if self.kind.revisit_s:
            return float("inf")
        return self.woke_s + (self.kind.model.window_s or WINDOW_S)


class Sightings:
    """All devices we can speak to and have heard."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Sighting] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()

    def heard(
        self,
        device_id: str,
        device: BLEDevice,
        kind: DriverKind,
        now_s: float,
        *,
        is_wanted: bool = False,
    ) -> bool:
        """Take note of an advertisement; return whether the device came to wait for a visit."""
        known = self._known.get(device_id)
        if known is None:
            known = self._known[device_id] = Sighting(device, kind, now_s, now_s)
        elif now_s - known.heard_s > NEW_WINDOW_AFTER_S:
            known.woke_s = now_s
            if not kind.revisit_s:
                known.not_before_s, known.failures = float("-inf"), 0
        known.device, known.kind, known.heard_s = device, kind, now_s
        known.is_wanted = is_wanted
        self._known.move_to_end(device_id)
        self._forget()
        is_left_alone = now_s < known.not_before_s and not is_wanted
        if known.is_waiting or known.is_visited or is_left_alone:
            return False
        known.is_waiting = True
        self._waiting[device_id] = None
        return True

    def next(self, now_s: float) -> tuple[str, Sighting] | None:
        """Return who is to be visited of those still heard; ``visited`` must follow."""
        # Stable: among equals the order of waiting stays.
        for device_id in sorted(self._waiting, key=self._urgency):
            sighting = self._known[device_id]
            self._unlist(device_id, sighting)
            if now_s - sighting.heard_s <= HEARD_WITHIN_S:
                sighting.is_visited = True
                return device_id, sighting
        return None

    def share_s(self, now_s: float) -> float | None:
        """Return how long one visit may last so that nobody who waits is missed.

        The least share of what is left of their windows, for who is being served and each that
        comes before; below zero where it is too late. None if nobody waits whose window closes.
        """
        closing = sorted(
            known.closes_s
            for known in (self._known[device_id] for device_id in self._waiting)
            if now_s - known.heard_s <= HEARD_WITHIN_S and known.closes_s != float("inf")
        )
        shares = [(closes_s - now_s) / turn for turn, closes_s in enumerate(closing, start=1)]
        return min(shares, default=None)

    def is_heard(self, device_id: str, now_s: float) -> bool:
        """Return whether the device still advertises, as far as can be known."""
        known = self._known.get(device_id)
        return known is not None and now_s - known.heard_s <= HEARD_WITHIN_S

    def visited(self, device_id: str, visit: Visit, now_s: float) -> None:
        """Take note of how a visit went, and decide when the next may be."""
        known = self._known.get(device_id)
        if known is None:
            return
        known.is_visited = False
        revisit_s = known.kind.revisit_s
        if visit in (Visit.FRUITFUL, Visit.UNDATED, Visit.FRUITLESS) and revisit_s:
            known.failures, known.not_before_s = 0, now_s + revisit_s
        elif visit in (Visit.FRUITFUL, Visit.AGAIN):
            known.failures, known.not_before_s = 0, now_s
        elif visit is Visit.REFUSED:
            known.not_before_s = now_s + REFUSED_WAIT_S
        elif visit is Visit.NO_ROOM:
            known.not_before_s = now_s + NO_ROOM_WAIT_S
        elif visit is Visit.BROKEN:
            known.not_before_s = now_s + WAIT_S_MAX
        else:
            wait_s = _FIRST_WAIT_S[visit] * 2.0 ** min(known.failures, 10)
            known.not_before_s = now_s + min(WAIT_S_MAX, wait_s)
            known.failures += 1
        # What was heard of it during the visit says nothing: it may be asleep by now. If it
        # still advertises it is heard again at once.
        self._unlist(device_id, known)

    def forgive(self, device_id: str) -> None:
        """Visit the device as soon as it is heard, whatever came before: it was paired."""
        if known := self._known.get(device_id):
            known.not_before_s, known.failures = float("-inf"), 0

    def drop_all(self) -> None:
        """Nobody waits any more: what one opening of the radio found, another cannot connect to.

        Who is left alone still is.
        """
        for known in self._known.values():
            known.is_waiting = known.is_visited = False
        self._waiting.clear()

    def _urgency(self, device_id: str) -> tuple[bool, float]:
        known = self._known[device_id]
        return not known.is_wanted, known.closes_s

    def _unlist(self, device_id: str, sighting: Sighting) -> None:
        self._waiting.pop(device_id, None)
        sighting.is_waiting = False

    def _forget(self) -> None:
        while len(self._known) > DEVICES_MAX:
            device_id, _ = self._known.popitem(last=False)
            self._waiting.pop(device_id, None)
