"""Reading: the quantity values of one act of measuring, by one device, with a stable identity."""

import enum
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta

# Limits of the format, checked when a message is decoded: a GATT value is 512 bytes at most
# (Core 5.4, Vol 3, Part F, 3.2.9), a BLE address 17 characters, a UUID 36. ``$`` alone would let
# a line feed through at the end. No text that is stored holds a NUL, which no database takes.
Utc = Annotated[datetime, Meta(tz=True)]
LocalTime = Annotated[datetime, Meta(tz=False)]
DeviceId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9:._-]{1,64}$(?!\n)")]
Code = Annotated[str, Meta(min_length=1, max_length=64)]  # looked up in a table, never stored
Label = Annotated[str, Meta(pattern=r"^[!-~]{1,64}$(?!\n)")]  # as UCUM codes are written
Problem = Annotated[str, Meta(pattern=r"^[^\x00]{0,500}$(?!\n)")]
# Two clocks of the calendar's years 1 to 9999 differ by less than this.
Seconds = Annotated[float, Meta(ge=-3.2e11, le=3.2e11)]

# A gateway without a clock of its own begins at 1970; far times overflow when they are
# converted, and 64-bit microseconds counted as doubles are exact until 2200.
YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2199

VALUES_MAX: Final = 32  # of one reading


class Outcome(enum.StrEnum):
    """What became of one act of measuring."""

    MEASURED = "measured"  # the device gave at least one value
    FAILED = "failed"  # the device itself says the measurement failed (all NaN); no values
    UNREADABLE = "unreadable"  # the bytes do not follow their layout; kept whole, no values


class ClockVerdict(enum.StrEnum):
    """How far the time of a reading can be trusted."""

    OK = "ok"  # device clock compared at connect, off by at most 5 minutes; corrected by the offset
    CORRECTED = "corrected"  # device clock off by more than 5 minutes; corrected by the offset
    UNCHECKED = "unchecked"  # the device tells the time, but offers no clock to compare
    ABSENT = "absent"  # the device tells no time; the gateway's receive time stands in
    IMPLAUSIBLE = "implausible"  # the device's time cannot be right; receive time stands in
    UNKNOWN = "unknown"  # neither device nor gateway knew the time; a guess stands in


class Status(enum.IntFlag):
    """What the device noticed while measuring; bits of 0x2A35's Measurement Status field."""

    NONE = 0
    BODY_MOVEMENT = 1
    CUFF_LOOSE = 2
    IRREGULAR_PULSE = 4
    PULSE_ABOVE_RANGE = 8
    PULSE_BELOW_RANGE = 16
    IMPROPER_POSITION = 32


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One quantity's value, in the quantity's unit, and as the device put it where that differs."""

    quantity: Code  # Quantity code; text, so that one unknown code cannot spoil its neighbours
    value: float
    unit: Code  # UCUM
    original_value: float | None = None
    original_unit: Label | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act of measuring. Times are aware UTC; ``device_time`` is naive, as the device put it."""

    reading_id: UUID
    device_id: DeviceId
    source: Label  # short or full UUID of the characteristic or service data it came from
    payload: Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{2}){0,512}$(?!\n)")]  # the raw bytes
    outcome: Outcome
    measured_at: Utc
    received_at: Utc
    clock: ClockVerdict
    slot: Annotated[int, Meta(ge=0, le=255)] | None = None  # the device's own user number
    device_time: LocalTime | None = None
    clock_offset_s: Seconds | None = None  # device clock minus gateway clock, at connect
    values: Annotated[tuple[Value, ...], Meta(max_length=VALUES_MAX)] = ()
    status: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0  # Status bits
    problem: Problem | None = None  # why there are no values, when there are none
    battery_percent: Annotated[int, Meta(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        if not self.reading_id.int:  # "no reading", wherever ids stand in columns
            problem = "the nil UUID is no reading's"
            raise ValueError(problem)
        require_utc(self.measured_at)
        require_utc(self.received_at)


def require_utc(moment: datetime) -> None:
    """Raise ``ValueError`` for a time that is not UTC, or is beyond all that can be stored."""
    if moment.tzinfo is not UTC and moment.utcoffset() != timedelta():
        problem = f"{moment.isoformat()} is not in UTC"
        raise ValueError(problem)
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        problem = f"year {moment.year} is not from {YEAR_MIN} to {YEAR_MAX}"
        raise ValueError(problem)


def identify(
    *,
    device_id: str,
    device_time: datetime | None,
    received_at: datetime,
    slot: int | None,
    payload: bytes,
) -> UUID:
    """Return the reading's id: the same for the same record, however often it is sent.

    From device, device time, user slot and payload. A record without a device time is known
    by when the gateway first received it, so equal values on two mornings stay two readings.
    The id begins with that time (a UUID of version 8, laid out like version 7), so ids of
    one period lie together in an index. See docs/decisions/0003-reading-identity.md.
    """
    moment = received_at if device_time is None else device_time.replace(tzinfo=UTC)
    slot_text = "" if slot is None else str(slot)
    source = f"{device_id}\x1f{moment.isoformat()}\x1f{slot_text}\x1f{payload.hex()}"
    digest = hashlib.sha256(source.encode()).digest()
    milliseconds = max(0, int(moment.timestamp() * 1000)) & 0xFFFF_FFFF_FFFF
    raw = bytearray(milliseconds.to_bytes(6) + digest[:10])
    raw[6] = (raw[6] & 0x0F) | 0x80  # version 8
    raw[8] = (raw[8] & 0x3F) | 0x80  # the RFC 9562 variant
    return UUID(bytes=bytes(raw))
