"""Cell: one number of one indicator, and which numbers nobody may see. Pure.

A number about fewer than five people can point at one of them. So can a total with the other
units' numbers taken away from it, and a share whose few, or whose few others, are known. Such
cells are hidden, and with them as many more as it takes.
"""

import enum
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

PEOPLE_MIN: Final = 5


class Indicator(enum.StrEnum):
    """What is counted. Stands in exports: never rename one."""

    PATIENTS = "patients"
    PATIENTS_BY_AGE = "patients_by_age"
    PATIENTS_BY_MUNICIPALITY = "patients_by_municipality"
    NAMED_CONTACT = "named_contact"
    CONTACT_AND_SUBSTITUTE = "contact_and_substitute"
    AGREED_PLAN = "agreed_plan"
    RELATIVE_CONNECTED = "relative_connected"
    NO_DIGITAL_CHANNEL = "no_digital_channel"
    ADHERENCE = "adherence"
    STORED_MEDIAN = "stored_median"
    STORED_P90 = "stored_p90"
    SEEN_MEDIAN = "seen_median"
    SEEN_P90 = "seen_p90"
    ACKNOWLEDGED_MEDIAN = "acknowledged_median"
    ACKNOWLEDGED_P90 = "acknowledged_p90"
    CLOSED_MEDIAN = "closed_median"
    CLOSED_P90 = "closed_p90"
    OWN_CONTACT = "own_contact"
    ALERTS_PER_WEEK = "alerts_per_week"
    ACTED_ON = "acted_on"
    TECHNICAL = "technical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One number.

    Attributes:
        indicator: What.
        huvudman: Of whom; "": the unit has none.
        unit: "": of the whole huvudman.
        group: Of a spread: an age or a municipality; "" otherwise.
        value: None: there is nothing to say, or it is hidden.
        people: On how many people it rests.
        part: How many of those a share of people counts; none: it is no such share.
        is_hidden: It may not be shown.
    """

    indicator: Indicator
    huvudman: str
    unit: str
    group: str = ""
    value: float | None
    people: int
    part: int | None = None
    is_hidden: bool = False

    @property
    def is_small(self) -> bool:
        """It is about too few, by itself."""
        if self.part is not None and (
            0 < self.part < PEOPLE_MIN or 0 < self.people - self.part < PEOPLE_MIN
        ):
            return True
        return 0 < self.people < PEOPLE_MIN


@dataclass(frozen=True, slots=True)
class _Sum:
    """Cells that add up: who knows all but one of them knows that one, too."""

    total: int | None  # its place; none: it is not told
    parts: Sequence[int]


def hide(cells: Iterable[Cell]) -> list[Cell]:
    """Return *cells* with those hidden that may not be seen, in the same order."""
    all_of = list(cells)
    sums = list(_sums(all_of))
    hidden = {place for place, cell in enumerate(all_of) if cell.is_small}
    before = -1
    while len(hidden) != before:  # each round hides more or is the last
        before = len(hidden)
        for one in sums:
            hidden |= _more(all_of, one, hidden)
    return [
        replace(cell, is_hidden=True, value=None) if place in hidden else cell
        for place, cell in enumerate(all_of)
    ]


def _sums(cells: Sequence[Cell]) -> Iterator[_Sum]:
    """A huvudman's number is its units'; a number of patients is its ages' and municipalities'."""
    totals: dict[_Name, int] = {}
    parts: dict[_Name, list[int]] = defaultdict(list)
    for place, cell in enumerate(cells):
        name = _Name(cell.indicator, cell.huvudman, cell.unit, cell.group)
        totals[name] = place
        if not cell.people:
            continue  # nobody adds nothing
        if cell.unit and cell.huvudman:
            parts[name._replace(unit="")].append(place)
        if cell.group:
            whole = _Name(Indicator.PATIENTS, cell.huvudman, cell.unit, "")
            parts[whole._replace(by=cell.indicator)].append(place)
    for name, places in parts.items():
        yield _Sum(totals.get(name._replace(by="")), places)


class _Name(NamedTuple):
    indicator: str
    huvudman: str
    unit: str
    group: str
    by: str = ""


def _more(cells: Sequence[Cell], of: _Sum, hidden: set[int]) -> set[int]:
    """Return which to hide beside those of a sum that are, so that they cannot be worked out."""
    gone = [place for place in of.parts if place in hidden]
    is_total_known = of.total is not None and of.total not in hidden
    if not gone and is_total_known:
        return set()
    if not gone and of.total is None:
        return set()
    left = sorted(
        (place for place in of.parts if place not in hidden), key=lambda place: cells[place].people
    )
    more: set[int] = set()
    people = sum(cells[place].people for place in gone)
    alone = len(gone) + (not is_total_known and of.total is not None) == 1
    while left and (alone or (is_total_known and people < PEOPLE_MIN)):
        people += cells[left[0]].people
        more.add(left.pop(0))
        alone = False
    if is_total_known and of.total is not None and (alone or people < PEOPLE_MIN):
        more.add(of.total)
    return more
