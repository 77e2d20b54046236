"""Sightings: which of the devices that advertise to connect to next, and which to leave alone.

Pure: monotonic seconds come in as arguments. Devices advertise for seconds after a
measurement, so who has been heard first is served first, and who has fallen silent is not
waited for. A watch that always advertises can wait, so it comes after those that cannot. A
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
# to 1 s; some scales every 2 s, and a frame or two is missed on a busy band.
HEARD_WITHIN_S: Final = 6.0

# After such a silence it was woken anew: somebody has measured.
NEW_WINDOW_AFTER_S: Final = 30.0

# A visit that brought nothing new: wait so long, doubled each time.
FRUITLESS_WAIT_S: Final = 30.0
# A device that could not be connected to still has something to tell.
UNREACHED_WAIT_S: Final = 5.0
WAIT_S_MAX: Final = 600.0


class Visit(enum.Enum):
    """How a visit to a device went."""

    FRUITFUL = "fruitful"  # new readings: there may be more, so it is visited again at once
    FRUITLESS = "fruitless"  # connected, and nothing new
    UNREACHED = "unreached"  # no connection


@dataclass(slots=True)
class Sighting:
    """A device as it was last heard."""

    device: BLEDevice
    kind: DriverKind
    heard_s: float
    not_before_s: float = float("-inf")
    failures: int = 0
    is_waiting: bool = False
    is_visited: bool = False  # now: what it advertises until it is connected counts for nothing


class Sightings:
    """All devices we can speak to and have heard."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Sighting] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()

    def heard(self, device_id: str, device: BLEDevice, kind: DriverKind, now_s: float) -> bool:
        """Take note of an advertisement; return whether the device came to wait for a visit."""
        known = self._known.get(device_id)
        if known is None:
            known = self._known[device_id] = Sighting(device, kind, now_s)
        elif now_s - known.heard_s > NEW_WINDOW_AFTER_S and not kind.revisit_s:
            known.not_before_s, known.failures = float("-inf"), 0
        known.device, known.kind, known.heard_s = device, kind, now_s
        self._known.move_to_end(device_id)
        self._forget()
        if known.is_waiting or known.is_visited or now_s < known.not_before_s:
            return False
        known.is_waiting = True
        self._waiting[device_id] = None
        return True

    def next(self, now_s: float) -> tuple[str, Sighting] | None:
        """Return the device that waits longest of those still heard; ``visited`` must follow."""
        # Stable: in each of the two groups the order of waiting stays.
        for device_id in sorted(self._waiting, key=self._can_wait):
            sighting = self._known[device_id]
            self._unlist(device_id, sighting)
            if now_s - sighting.heard_s <= HEARD_WITHIN_S:
                sighting.is_visited = True
                return device_id, sighting
        return None

    def _can_wait(self, device_id: str) -> bool:
        """Return whether the device always advertises, so that no window closes."""
        return self._known[device_id].kind.revisit_s > 0

    def _unlist(self, device_id: str, sighting: Sighting) -> None:
        self._waiting.pop(device_id, None)
        sighting.is_waiting = False

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
        if visit is not Visit.UNREACHED and known.kind.revisit_s:
            known.failures = 0
            known.not_before_s = now_s + known.kind.revisit_s
        elif visit is Visit.FRUITFUL:
            known.failures = 0
            known.not_before_s = now_s
        else:
            first_s = FRUITLESS_WAIT_S if visit is Visit.FRUITLESS else UNREACHED_WAIT_S
            known.not_before_s = now_s + min(WAIT_S_MAX, first_s * 2.0 ** min(known.failures, 10))
            known.failures += 1
        # What was heard of it during the visit says nothing: it may be asleep by now. If it
        # still advertises it is heard again at once.
        self._unlist(device_id, known)

    def _forget(self) -> None:
        while len(self._known) > DEVICES_MAX:
            device_id, _ = self._known.popitem(last=False)
            self._waiting.pop(device_id, None)
