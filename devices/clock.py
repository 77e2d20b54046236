"""Where on the one time line a device's own time lies. Pure: the caller says what time it is.

Devices tell local time without a zone, and their clocks are wrong: never set, hours off, on
last summer's time. A record is never dropped for that; it gets the best time there is, and a
verdict that says how good it is.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from devices.reading import ClockVerdict, Reading

# Beyond this a clock is wrong and not merely drifting: a quartz clock loses about 20 ppm,
# 10 minutes a year, and is set about once a year. The plausibility rules use the same bound.
CLOCK_OFF_MAX_S: Final = 300
# What a reading may lie ahead of its receipt: two drifting clocks (device and gateway) of
# CLOCK_OFF_MAX_S each. Ingest refuses what lies further ahead.
AHEAD_MAX_S: Final = 2 * CLOCK_OFF_MAX_S
# No device we speak to is older; clocks that were never set start at 1970 or 2000-01-01.
YEAR_MIN: Final = 2000


class Placement(NamedTuple):
    """When something was measured, how far to trust it, and what the device's clock was off by."""

    measured_at: datetime  # aware UTC
    verdict: ClockVerdict
    offset_s: float | None  # device clock minus gateway clock; none if they were not compared


def offset(device_clock: datetime, zone: ZoneInfo, received_at: datetime) -> float:
    """Return by how many seconds a device's clock, naive local time, is ahead of the gateway's."""
    return (device_clock - received_at.astimezone(zone).replace(tzinfo=None)).total_seconds()


def place(
    device_time: datetime | None,
    zone: ZoneInfo,
    offset_s: float | None,
    received_at: datetime,
    *,
    live: bool = False,
) -> Placement:
    """Return when a record was measured.

    Args:
        device_time: The record's time, naive and local as the device put it, if it has one.
        zone: Where the device is.
        offset_s: Device clock minus gateway clock, if the clock was read in this session.
        received_at: When the gateway received the record, aware UTC.
        live: The record was made just now (an advertisement), so its own time is a clock.

    A clock that agrees with the gateway's follows local time, so its records are local times of
    their own day. A clock that does not is taken to run steadily since it was set, across
    changes to and from summer time: the record is as old as that clock says.
    """
    if device_time is None:
        return Placement(received_at, ClockVerdict.ABSENT, offset_s)
    if offset_s is None and live:
        seen = offset(device_time, zone, received_at)
        if abs(seen) > CLOCK_OFF_MAX_S:
            return Placement(received_at, ClockVerdict.CORRECTED, seen)
    measured_at = _corrected(device_time, zone, offset_s, received_at)
    if measured_at is None or not _is_plausible(measured_at, received_at):
        return Placement(received_at, ClockVerdict.IMPLAUSIBLE, offset_s)
    return Placement(measured_at, _verdict(offset_s), offset_s)


def place_untimed(reading: Reading, zone: ZoneInfo, after: datetime) -> Reading:
    """Return *reading* as far as its time can be known, received by a gateway without a clock.

    Args:
        reading: Its ``received_at`` is the latest it can have been received.
        zone: Where the device is.
        after: A time that had certainly passed when it was received.

    A device's clock that could be compared is believed if it can have been right: if it showed
    a time between the two. A device that tells the time and offers no clock is believed as
    ever. Nothing else has a time: that is left to a person.
    """
    drift_s = CLOCK_OFF_MAX_S
    earliest_s = (after - reading.received_at).total_seconds() - drift_s
    offset_s = reading.clock_offset_s
    is_believed = offset_s is None or earliest_s <= offset_s <= drift_s
    if reading.device_time is not None and is_believed:
        placement = place(reading.device_time, zone, None, reading.received_at)
        if placement.verdict is ClockVerdict.UNCHECKED:
            return msgspec.structs.replace(
                reading,
                measured_at=placement.measured_at,
                clock=ClockVerdict.UNCHECKED,
                clock_offset_s=None,
            )
    return msgspec.structs.replace(
        reading, measured_at=reading.received_at, clock=ClockVerdict.UNKNOWN, clock_offset_s=None
    )


def _verdict(offset_s: float | None) -> ClockVerdict:
    if offset_s is None:
        return ClockVerdict.UNCHECKED
    return ClockVerdict.OK if abs(offset_s) <= CLOCK_OFF_MAX_S else ClockVerdict.CORRECTED


def _corrected(
    device_time: datetime, zone: ZoneInfo, offset_s: float | None, received_at: datetime
) -> datetime | None:
    try:
        local = device_time - timedelta(seconds=offset_s or 0)
        if _verdict(offset_s) is not ClockVerdict.CORRECTED:
            return _from_local(local, zone, received_at)
        now_ahead_of_utc = received_at.astimezone(zone).utcoffset() or timedelta()
        return (local - now_ahead_of_utc).replace(tzinfo=UTC)
    except OverflowError:  # before year 1 or after 9999: no such time
        return None


def _from_local(local: datetime, zone: ZoneInfo, received_at: datetime) -> datetime:
    """Return the UTC of a naive local time.

    A time that comes twice (clocks go back) is the later of the two, unless that lies ahead of
    the receipt. A time that does not exist (clocks go forward) is read by the same rule: as
    from a clock not yet put forward, unless that lies ahead.
    """
    first, second = sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return second if second <= received_at + timedelta(seconds=AHEAD_MAX_S) else first


def _is_plausible(measured_at: datetime, received_at: datetime) -> bool:
    ahead = measured_at - received_at
    return measured_at.year >= YEAR_MIN and ahead <= timedelta(seconds=AHEAD_MAX_S)
