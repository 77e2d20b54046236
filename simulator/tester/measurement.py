"""Measurement: one act of measuring as the virtual device knows it, and where it is by now.

The page observes from outside: what the devices did it knows from the devices, what the
gateway holds from the gateway's file, what was stored from the database. Pure; no I/O here.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

# From the confirmation at the radio to the outbox: the gateway closes a session after 5 s idle
# at most, and its raw bytes are in the inbox before the confirmation. Only then is it missing.
MISSING_AFTER: Final = timedelta(seconds=10)


@dataclass(slots=True, kw_only=True, eq=False)
class Measurement:
    """What a device did. ``reading_id`` follows from it, as it does in the gateway.

    Attributes:
        payload: The bytes the device sends.
        patient: Whose device.
        device: What kind, in Swedish words.
        shows: What the device showed, in Swedish words.
        by_tester: Whether a button on the page made it.
        confirmed_at: When a gateway had it, by the device; none while the device has it.
    """

    reading_id: UUID
    device_id: str
    payload: bytes
    patient: str
    nurse: str
    device: str
    shows: str
    by_tester: bool
    pressed_at: datetime
    confirmed_at: datetime | None = None


class Place(enum.StrEnum):
    """Where a measurement is; the value is the Swedish word for it."""

    DEVICE = "i mätaren"
    GATEWAY = "i dosan"
    UNDER_WAY = "på väg"
    STORED = "lagrad"
    REFUSED = "avvisad"
    LOST = "förlorad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What was seen where, in this order: first the gateway's file, then the database.

    A reading leaves the gateway only after it was stored, so what is in neither, and was
    confirmed before the first look, is lost.

    Attributes:
        outbox: Ids of readings without a receipt.
        inbox: (device id, payload) of raw values not yet made into readings.
        stored: Ids in the database.
        refused: Ids in quarantine, with the reason.
        looked_at: When the look began.
    """

    outbox: Collection[UUID]
    inbox: Collection[tuple[str, bytes]]
    stored: Collection[UUID]
    refused: Mapping[UUID, str]
    looked_at: datetime


def place_of(measurement: Measurement, sighting: Sighting) -> Place:
    """Return where *measurement* is. The farthest place counts."""
    if measurement.reading_id in sighting.stored:
        return Place.STORED
    if measurement.reading_id in sighting.refused:
        return Place.REFUSED
    raw = (measurement.device_id, measurement.payload)
    if measurement.reading_id in sighting.outbox or raw in sighting.inbox:
        return Place.GATEWAY
    if measurement.confirmed_at is None:
        return Place.DEVICE
    if measurement.confirmed_at > sighting.looked_at - MISSING_AFTER:
        return Place.UNDER_WAY
    return Place.LOST
