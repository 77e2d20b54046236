"""Cursor: reads the fields of a payload in the order of its specification.

The one place where a payload can be too short or too long, so that every codec is total.
All numbers are little-endian (Core 5.4, Vol 3, Part G, 2.4).
"""

from datetime import datetime
from typing import Final, NoReturn

from devices.errors import MalformedPayload
from devices.gatt.medfloat import decode_sfloat, encode_sfloat

# Range of the year in Date Time (GATT Specification Supplement, 3.70): the Gregorian calendar.
YEAR_MIN: Final = 1582
YEAR_MAX: Final = 9999

DATE_TIME_UNKNOWN: Final = bytes(7)


class Cursor:
    """Reads one payload from its first byte to its last."""

    __slots__ = ("_at", "_characteristic", "_payload")

    def __init__(self, payload: bytes, characteristic: str) -> None:
        self._payload = payload
        self._characteristic = characteristic
        self._at = 0

    def uint8(self) -> int:
        return self._uint(1)

    def uint16(self) -> int:
        return self._uint(2)

    def uint24(self) -> int:
        return self._uint(3)

    def uint32(self) -> int:
        return self._uint(4)

    def sfloat(self) -> float:
        """Read an IEEE 11073 SFLOAT; nan and ±inf for its special values."""
        return decode_sfloat(self._uint(2))

    def date_time(self) -> datetime | None:
        """Read a Date Time: naive, as the device put it; none if the device does not know it.

        A year, month or day of 0 means "not known" (GATT Specification Supplement, 3.70); a
        time of which a part is not known is no time. A date that no calendar has is refused.
        """
        year, month, day = self.uint16(), self.uint8(), self.uint8()
        hour, minute, second = self.uint8(), self.uint8(), self.uint8()
        if 0 in (year, month, day):
            return None
        text = f"{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"
        if not YEAR_MIN <= year <= YEAR_MAX:
            self.refuse(f"year out of range: {text}")
        try:
            return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001  # naive: a Date Time has no zone
        except ValueError:
            self.refuse(f"no such time: {text}")

    def end(self) -> None:
        """Refuse left-over bytes: a payload longer than its layout has another layout."""
        left = len(self._payload) - self._at
        if left:
            self.refuse(f"{left} left-over bytes from byte {self._at}")

    def refuse(self, problem: str) -> NoReturn:
        """Raise ``MalformedPayload`` with the whole payload."""
        raise MalformedPayload(self._characteristic, self._payload, problem)

    def _uint(self, size: int) -> int:
        end = self._at + size
        if end > len(self._payload):
            self.refuse(f"ends at byte {len(self._payload)}, where byte {end} is needed")
        field = self._payload[self._at : end]
        self._at = end
        return int.from_bytes(field, "little")


def uint(value: int, size: int) -> bytes:
    """Return *value* in *size* bytes; ``ValueError`` if it does not fit."""
    if not 0 <= value < 1 << 8 * size:
        problem = f"{value} does not fit {size} unsigned bytes"
        raise ValueError(problem)
    return value.to_bytes(size, "little")


def steps(value: float, steps_per_unit: int, size: int) -> bytes:
    """Return *value* as a count of steps, the nearest: a device's display rounds too."""
    return uint(round(value * steps_per_unit), size)


def sfloat(value: float) -> bytes:
    """Return *value* as an SFLOAT; ``ValueError`` if none is exactly it."""
    return encode_sfloat(value).to_bytes(2, "little")


def date_time(value: datetime | None) -> bytes:
    """Return a naive *value* as a Date Time, or "not known" for none; drops fractions."""
    if value is None:
        return DATE_TIME_UNKNOWN
    if value.tzinfo is not None or value.year < YEAR_MIN:
        problem = f"a Date Time is naive and from {YEAR_MIN} on, not {value!r}"
        raise ValueError(problem)
    year = value.year.to_bytes(2, "little")
    return year + bytes((value.month, value.day, value.hour, value.minute, value.second))
