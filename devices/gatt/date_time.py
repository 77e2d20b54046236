"""Date Time, characteristic 0x2A08, and Current Time, 0x2A2B (CTS 1.1, section 3.1).

Neither has a time zone: both are the local time of whoever set the clock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from devices.gatt import uuids
from devices.gatt.cursor import Cursor, date_time, uint

_FRACTIONS_PER_S: Final = 256
_MICROSECONDS_PER_S: Final = 1_000_000

_HALF_A_SECOND: Final = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class DateTime:
    """A clock's time, naive; none if the clock is not set."""

    local: datetime | None

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Date Time")
        local = fields.date_time()
        fields.end()
        return cls(local)

    def encode(self) -> bytes:
        """Return the characteristic value."""
        return date_time(self.local)


@dataclass(frozen=True, slots=True)
class CurrentTime:
    """A clock's time, naive, to 1/256 s; none if the clock is not set.

    The day of week is neither checked nor trusted: clocks send 0 ("not known") or a wrong one.
    """

    local: datetime | None
    weekday: int = 0  # 1 Monday … 7 Sunday, 0 not known
    adjust_reason: int = 0  # bits: manual, external reference, time zone, daylight saving

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Current Time")
        local, weekday = fields.date_time(), fields.uint8()
        fraction = fields.uint8() * _MICROSECONDS_PER_S // _FRACTIONS_PER_S
        adjust_reason = fields.uint8()
        fields.end()
        if local is not None:
            local += timedelta(microseconds=fraction)
        return cls(local, weekday, adjust_reason)

    def encode(self) -> bytes:
        """Return the characteristic value."""
        microsecond = 0 if self.local is None else self.local.microsecond
        # Up, since ``decode`` goes down: what was decoded encodes to the same bytes.
        fraction = -(-microsecond * _FRACTIONS_PER_S // _MICROSECONDS_PER_S)
        tail = (self.weekday, min(fraction, _FRACTIONS_PER_S - 1), self.adjust_reason)
        return date_time(self.local) + b"".join(uint(field, 1) for field in tail)


def encode_clock(characteristic: str, local: datetime) -> bytes:
    """Return what to write to set a device's clock to *local*, its naive local time.

    To the nearest second: a clock that keeps no fractions may refuse a time that has one.

    Raises:
        ValueError: *characteristic* is neither Current Time nor Date Time.
    """
    local = (local + _HALF_A_SECOND).replace(microsecond=0)
    if characteristic == uuids.CURRENT_TIME:
        # No adjust reason: what was written so is what real cuffs have taken.
        return CurrentTime(local, weekday=local.isoweekday()).encode()
    if characteristic == uuids.DATE_TIME:
        return DateTime(local).encode()
    problem = f"{characteristic} is no clock"
    raise ValueError(problem)
