"""A unit's week in Swedish words, as it stands on the patient's page: "vardagar 8–16"."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from alerts.care.hours import USUAL, Hours

_DAYS: Final = ("måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag")
_WORKING_DAYS: Final = (1, 2, 3, 4, 5)
_WEEK: Final = (1, 2, 3, 4, 5, 6, 7)
_RUN_MIN: Final = 3  # "måndag–onsdag", but "måndagar och tisdagar"
_MIDNIGHT: Final = timedelta(days=1)

_Window = tuple[timedelta, timedelta]


def sentence(hours: Hours, on: date) -> str:
    """Return the week that is in force that day; days that differ from it are not told."""
    week = [window for window in hours.week if window.holds_on(on)] or USUAL.week
    by_day: dict[tuple[bool, int], list[_Window]] = defaultdict(list)
    for window in week:
        by_day[window.on_holidays, window.weekday].append((window.opens, window.closes))
    alike: dict[tuple[bool, tuple[_Window, ...]], list[int]] = defaultdict(list)
    for (on_holidays, weekday), windows in sorted(by_day.items()):
        alike[on_holidays, tuple(sorted(windows))].append(weekday)
    parts = sorted((days, windows, on_holidays) for (on_holidays, windows), days in alike.items())
    return _joined([_part(days, windows, on_holidays) for days, windows, on_holidays in parts])


def _part(days: Sequence[int], windows: Iterable[_Window], on_holidays: bool) -> tuple[str, str]:  # noqa: FBT001
    """Return what is said of days alike, and what is to be added about holidays."""
    times = _and([_window(*window) for window in windows])
    if tuple(days) == _WORKING_DAYS and not on_holidays:
        return f"vardagar {times}", ""
    if tuple(days) == _WEEK and on_holidays:
        return f"alla dagar {times}", ""
    return f"{_days(days)} {times}", "även helgdagar" if on_holidays else "inte helgdagar"


def _days(days: Sequence[int]) -> str:
    names = [_DAYS[day - 1] for day in days]
    if len(days) == len(_WEEK):
        return "alla dagar"
    if len(days) >= _RUN_MIN and all(after - before == 1 for before, after in pairwise(days)):
        return f"{names[0]}–{names[-1]}"
    return _and([f"{name}ar" for name in names])


def _window(opens: timedelta, closes: timedelta) -> str:
    if (opens, closes) == (timedelta(0), _MIDNIGHT):
        return "dygnet runt"
    return f"{_clock(opens)}–{_clock(closes)}"


def _clock(at: timedelta) -> str:
    hours, minutes = divmod(int(at.total_seconds()) // 60, 60)
    return f"{hours}:{minutes:02}" if minutes else f"{hours}"


def _joined(parts: Sequence[tuple[str, str]]) -> str:
    """Return the parts as one sentence; what several have to add is said after the last."""
    said = []
    for place, (text, addition) in enumerate(parts):
        is_last = place + 1 == len(parts) or parts[place + 1][1] != addition
        said.append(f"{text}, {addition}" if addition and is_last else text)
    return "; ".join(said) if any(addition for _, addition in parts) else _and(said)


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} och {last}" if first else last


# Of a unit that has told nothing.
USUAL_SAID: Final = sentence(USUAL, date.min)
