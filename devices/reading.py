"""Reading: the quantity values of one act of measuring, by one device, with a stable identity."""

import enum
import hashlib
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

# Limits of the format, checked when a message is decoded: a GATT value is 512 bytes at most
# (Core 5.4, Vol 3, Part F, 3.2.9), a BLE address 17 characters, a UUID 36.
Utc = Annotated[datetime, Meta(tz=True)]
LocalTime = Annotated[datetime, Meta(tz=False)]
DeviceId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9:._-]{1,64}$")]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Problem = Annotated[str, Meta(max_length=500)]


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
    original_unit: Code | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act of measuring. Times are aware UTC; ``device_time`` is naive, as the device put it."""

    reading_id: UUID
    device_id: DeviceId
    source: Code  # short or full UUID of the characteristic or service data it came from
    payload: Annotated[str, Meta(pattern=r"^([0-9a-f]{2}){0,512}$")]  # the raw bytes
    outcome: Outcome
    measured_at: Utc
    received_at: Utc
    clock: ClockVerdict
    slot: Annotated[int, Meta(ge=0, le=255)] | None = None  # the device's own user number
    device_time: LocalTime | None = None
    clock_offset_s: float | None = None  # device clock minus gateway clock, at connect
    values: Annotated[tuple[Value, ...], Meta(max_length=32)] = ()
    status: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0  # Status bits
    problem: Problem | None = None  # why there are no values, when there are none
    battery_percent: Annotated[int, Meta(ge=0, le=100)] | None = None


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
