"""Days of people in Sweden, as numbers. Pure; the zone's rules are read once.

A day is counted from 2000-01-01 and goes from midnight to midnight in Europe/Stockholm: two days
of a year have 23 and 25 hours.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from devices.reading import YEAR_MAX, YEAR_MIN
from ingest.batch import DAY, EPOCH, HOUR, SECOND, Int64s

ZONE: Final = ZoneInfo("Europe/Stockholm")
_WEEK_S: Final = 7 * 24 * 3600  # shorter than the time between two changes of the clock


def day_of(at: Int64s) -> Int64s:
    """Return the day in Sweden of each moment: whole days since 2000-01-01."""
    return (at + _offset(at)) // DAY


def start_of(day: Int64s) -> Int64s:
    """Return when each day began: microseconds since 2000-01-01 UTC."""
    midnight = day * DAY
    # Clocks change at 01:00 UTC, never between the 22:00 and 23:00 that can be midnight here.
    return midnight - _offset(midnight - HOUR)


def _offset(at: Int64s) -> Int64s:
    changes, offsets = _transitions()
    return offsets[np.searchsorted(changes, at, side="right")]


@cache
def _transitions() -> tuple[Int64s, Int64s]:
    """Return the t moments when clocks change, and the t + 1 offsets before and after (µs)."""
    first = int((datetime(YEAR_MIN, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
    last = int((datetime(YEAR_MAX + 1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
    changes: list[int] = []
    offsets = [_offset_s(first)]
    for week in range(first, last, _WEEK_S):
        before, after = week, week + _WEEK_S
        if _offset_s(after) == offsets[-1]:
            continue
        while after - before > 1:
            middle = (before + after) // 2
            if _offset_s(middle) == offsets[-1]:
                before = middle
            else:
                after = middle
        changes.append(after)
        offsets.append(_offset_s(after))
    return np.array(changes, np.int64) * SECOND, np.array(offsets, np.int64) * SECOND


def _offset_s(at_s: int) -> int:
    offset = (EPOCH + timedelta(seconds=at_s)).astimezone(ZONE).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())
