"""What is the same for absence and duty: a time that somebody notes, ahead or while it goes on."""

import enum
from datetime import datetime, timedelta


class Unfit(enum.Enum):
    """Why no such time is noted; each noun has its own words for it, under the same names."""

    ENDS_BEFORE_IT_BEGINS = enum.auto()
    IS_OVER = enum.auto()
    TOO_LONG = enum.auto()  # a slip of the month or the year


def unfit(from_at: datetime, until_at: datetime, now: datetime, longest: timedelta) -> Unfit | None:
    """Return what is wrong with a time from *from_at* until, and not at, *until_at*."""
    if until_at <= from_at:
        return Unfit.ENDS_BEFORE_IT_BEGINS
    if until_at <= now:
        return Unfit.IS_OVER
    if until_at - from_at > longest:
        return Unfit.TOO_LONG
    return None
