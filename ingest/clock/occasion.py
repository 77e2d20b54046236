"""Occasions: 06:00 in Sweden, every day or every week. Pure numpy.

At six everybody's day before has come in, and a nurse finds the answer when her day begins.
Clocks change at night, so there is one 06:00 in every day.
"""

from typing import Final

import numpy as np

from ingest.batch import HOUR, Int64s
from ingest.rules.day import day_of, start_of

WEEK: Final = 7  # days
_UNTIL_MIDNIGHT: Final = 18 * HOUR


def six_of(day: Int64s) -> Int64s:
    """Return 06:00 of each day (whole days since 2000-01-01), in microseconds."""
    return start_of(day + 1) - _UNTIL_MIDNIGHT


def newest(now: int, start: Int64s, days: int) -> Int64s:
    """Return the last occasion not after *now*, (k,), every *days* days from *start*'s day on.

    Args:
        now: Microseconds since 2000-01-01 UTC.
        start: (k,) a moment of the day that all others are counted from.
        days: 1 or ``WEEK``.
    """
    return six_of(_day(now, start, days))


def following(now: int, start: Int64s, days: int) -> Int64s:
    """Return the first occasion after *now*; see ``newest``."""
    return six_of(_day(now, start, days) + days)


def _day(now: int, start: Int64s, days: int) -> Int64s:
    moment = np.array([now], np.int64)
    today = day_of(moment)
    today = today - (moment < six_of(today))
    return today - (today - day_of(start)) % days
