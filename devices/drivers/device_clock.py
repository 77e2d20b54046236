"""DeviceClock: what is settled with a device about its clock, in one session.

Read at connect, before anything is changed: the stored records were made by that clock. Set if it
is off, and read again, since some devices take the write and keep their time. What is read after
the setting never counts as an offset. Setting is best effort: nothing waits for it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from devices.clock import offset
from devices.drivers.driver import RawValue, Read, Request, SetClock
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.date_time import CurrentTime, DateTime

# A clock within this is right: a Date Time counts whole seconds, the answer takes up to a second
# on a slow link, and one set to the nearest second is off by half of one. Above the sum of these,
# and far below what matters for a measurement.
RIGHT_WITHIN_S: Final = 5.0

_CLOCKS: Final = frozenset((uuids.CURRENT_TIME, uuids.DATE_TIME))


class DeviceClock:
    """One device's clock, as far as it has been told.

    Args:
        zone: Where the device is: it tells local time.
        sets: Whether it may be set.
    """

    def __init__(self, zone: ZoneInfo, *, sets: bool) -> None:
        self._zone = zone
        self._sets = sets
        self._answered: set[str] = set()  # readably or not: only the first answer is an offset
        self._unset: str | None = None  # one that says that it was never set
        self._by: str | None = None  # the one that told the offset
        self._set: str | None = None  # the one that was to be set
        self.offset_s: float | None = None  # device clock minus gateway clock, before setting
        self.held: bool | None = None  # whether setting held, by the clock read again

    def is_clock(self, raw: RawValue) -> bool:
        """Return whether *raw* is a clock's answer."""
        return raw.source in _CLOCKS

    def answered(self, raw: RawValue) -> None:
        """Take what a clock characteristic tells; unreadable bytes tell nothing."""
        is_first = raw.source not in self._answered
        self._answered.add(raw.source)
        try:
            local = _local(raw)
        except MalformedPayload:
            return
        found_s = None if local is None else offset(local, self._zone, raw.received_at)
        if not is_first:
            if raw.source == self._set:
                self.held = found_s is not None and abs(found_s) <= RIGHT_WITHIN_S
        elif found_s is None:
            self._unset = self._unset or raw.source
        elif self.offset_s is None:
            self.offset_s, self._by = found_s, raw.source

    def asks(self) -> Sequence[Request]:
        """Return what sets the clock and reads it again, once, if it is off or not set.

        Reading it again alone tells whether it held. A refusal does not: "data field ignored"
        (CTS 1.1, section 3.1.2.1) is an error too, and the clock is set all the same.
        """
        wrong = self._wrong()
        if not self._sets or self._set is not None or wrong is None:
            return ()
        self._set = wrong
        return (SetClock(wrong), Read(wrong))

    def _wrong(self) -> str | None:
        """Return the characteristic of a clock that is to be set."""
        if self.offset_s is None:
            return self._unset
        return self._by if abs(self.offset_s) > RIGHT_WITHIN_S else None


def _local(raw: RawValue) -> datetime | None:
    if raw.source == uuids.CURRENT_TIME:
        return CurrentTime.decode(raw.payload).local
    return DateTime.decode(raw.payload).local
