"""When a unit is staffed, by the clock on its wall. Pure.

A day's windows begin when the clock first shows their time and end when it last does: the night
when clocks go back has an hour more, the one when they go forward an hour less.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Final

from alerts.care.holidays import holiday
from ingest.rules.day import ZONE

# Beyond it a unit's rows are taken to be a mistake: it does open, as one without rows does.
_LOOKED_AT_DAYS: Final = 366
_WEEKDAYS: Final = range(1, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A weekly window; *opens* and *closes* are what the clock shows, counted from midnight."""

    weekday: int  # 1: Monday
    opens: timedelta
    closes: timedelta  # exclusive; 24 hours: midnight
    from_on: date = date.min
    until_on: date | None = None  # exclusive
    on_holidays: bool = False

    def holds_on(self, day: date) -> bool:
        """Return whether the row is in force that day, whatever its weekday."""
        return self.from_on <= day and (self.until_on is None or day < self.until_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day on which the unit differs from its week."""

    day: date
    window: tuple[timedelta, timedelta] | None  # none: closed


@dataclass(frozen=True, slots=True)
class Hours:
    """All of a unit's hours. A day on which no row is in force is like the usual week's."""

    week: tuple[Window, ...] = ()
    days: tuple[Day, ...] = ()  # one for a day


# Of a unit that has told nothing.
USUAL: Final = Hours(
    week=tuple(
        Window(weekday=day, opens=timedelta(hours=8), closes=timedelta(hours=16))
        for day in _WEEKDAYS
    )
)


def is_told(hours: Hours, on: date) -> bool:
    """Return whether the unit has told its week for that day."""
    return any(window.holds_on(on) for window in hours.week)


def is_open(hours: Hours, now: datetime) -> bool:
    """Return whether the unit is staffed at *now*."""
    return next_opening(hours, now) <= now


def next_opening(hours: Hours, now: datetime) -> datetime:
    """Return when the unit is staffed next, in UTC: *now* if it is. There always is a time."""
    at = now.astimezone(UTC)
    opening = next((max(start, at) for start, end in openings(hours, at) if at < end), None)
    return next_opening(USUAL, now) if opening is None else opening


def after_work(hours: Hours, since: datetime, work: timedelta) -> datetime:
    """Return when more than *work* has passed since *since*, counted while the unit is staffed.

    It is always a moment when the unit is staffed: what ends at its closing ends when it opens
    next. For no work at all that is the next opening.
    """
    left, counted_to = work, since.astimezone(UTC)  # in local time, adding counts by the wall
    for start, end in openings(hours, counted_to):
        begin = max(start, counted_to)  # windows may overlap: nothing counts twice
        if begin + left < end:
            return begin + left
        if begin < end:
            left -= end - begin
            counted_to = end
    return after_work(USUAL, since, work)


def openings(hours: Hours, since: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the unit is staffed, in UTC, from the day of *since* on; they may overlap."""
    first = local_day(since)
    for number in count() if hours == USUAL else range(_LOOKED_AT_DAYS):
        yield from _windows(hours, first + timedelta(days=number))


def local_day(at: datetime) -> date:
    """Return the day in Sweden."""
    return at.astimezone(ZONE).date()


def _windows(hours: Hours, day: date) -> list[tuple[datetime, datetime]]:
    """Return the day's windows in order, in UTC."""
    return sorted(
        (start, end)
        for opens, closes in _shown(hours, day)
        if (start := _first_shown(day, opens)) < (end := _last_shown(day, closes))
    )


def _shown(hours: Hours, day: date) -> list[tuple[timedelta, timedelta]]:
    """Return the day's windows as the clock shows them."""
    for special in hours.days:
        if special.day == day:
            return [special.window] if special.window else []
    in_force = [window for window in hours.week if window.holds_on(day)] or USUAL.week
    is_holiday = holiday(day) is not None
    return [
        (window.opens, window.closes)
        for window in in_force
        if window.weekday == day.isoweekday() and (window.on_holidays or not is_holiday)
    ]


def _first_shown(day: date, clock: timedelta) -> datetime:
    """Return when the clock first shows that time, or for the first time a later one."""
    return _instant(day, clock, fold=0)


def _last_shown(day: date, clock: timedelta) -> datetime:
    """Return when the clock last shows that time, or for the first time a later one."""
    return _instant(day, clock, fold=1)


def _instant(day: date, clock: timedelta, fold: int) -> datetime:
    shown = datetime.combine(day, time()) + clock
    at = shown.replace(tzinfo=ZONE, fold=fold).astimezone(UTC)
    if at.astimezone(ZONE).replace(tzinfo=None) == shown:
        return at
    # The clock never shows it. Summer time begins at 01:00 UTC (directive 2000/84/EC).
    return at.replace(hour=1, minute=0, second=0, microsecond=0)
