"""Words for driver tests: a session as a list of what came, and what became of it."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from devices.drivers import Driver, RawValue, Read, Request, driver_named
from devices.reading import Reading

STOCKHOLM: Final = ZoneInfo("Europe/Stockholm")
NOW: Final = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)  # 08:30 in Stockholm
DEVICE: Final = "C4:11:22:33:44:55"

# Typed again here: the tests hold the UUIDs independently of the code.
BASE = "-0000-1000-8000-00805f9b34fb"
CUFF = "00002a35" + BASE
CUFF_PRESSURE = "00002a36" + BASE
WEIGHT = "00002a9d" + BASE
COMPOSITION = "00002a9c" + BASE
CURRENT_TIME = "00002a2b" + BASE
DATE_TIME = "00002a08" + BASE
BATTERY = "00002a19" + BASE
MI_V1 = "0000181d" + BASE
MI_V2 = "0000181b" + BASE
STEPS = "00030001-78fc-48fe-8e23-433b3a1942d0"

CLOCK_RIGHT = "ea07 0b 16 08 1e 00 07 00 00"  # 2026-11-22 08:30:00
CLOCK_SLOW = "ea07 0b 16 08 0e 00 07 00 00"  # 16 minutes behind


def local(text: str) -> datetime:
    """Return a naive time, as devices tell it."""
    return datetime.fromisoformat(text)


def driver(name: str) -> Driver:
    return driver_named(name, STOCKHOLM).new(DEVICE)


def raw(source: str, payload: str, after_s: float = 0) -> RawValue:
    return RawValue(source, bytes.fromhex(payload), NOW + timedelta(seconds=after_s))


def run(name: str, *values: RawValue, unanswered: tuple[Request, ...] = ()) -> list[Reading]:
    """Return all readings of a whole session."""
    session = driver(name)
    session.connected()
    readings: list[Reading] = []
    for value in values:
        readings += session.received(value)
    for request in unanswered:
        readings += session.unanswered(request)
    return [*readings, *session.finished()]


def numbers(reading: Reading) -> dict[str, float]:
    return {str(value.quantity): value.value for value in reading.values}


ALL_READS = (Read(CURRENT_TIME), Read(DATE_TIME), Read(BATTERY))
