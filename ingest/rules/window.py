"""Windows over the samples that count, for many rules at once. Pure numpy.

Values are compared in millionths of their unit, as whole numbers: 77.1 − 75.1 is 2.0 here, as it
is for the person who reads the scale, and a mean of 135 is 135 however it was summed.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ingest.batch import DAY, HOUR, Bools, Floats, Int64s
from ingest.rules.day import day_of
from ingest.rules.limit import IDS_MAX
from ingest.rules.table import NO_ANCHOR, Findings, RuleRows, Series
from ingest.search import count_until, pairs

_MILLION: Final = 1e6
# Days from 1970 to 2199 counted from 2000 are some tens of thousands.
_DAYS: Final = 1 << 20
_DAY_ZERO: Final = _DAYS // 2


def millionths(value: Floats) -> Int64s:
    """Return values in millionths of their unit; none may be NaN."""
    return np.rint(value * _MILLION).astype(np.int64)


def span_of_days(days: Floats) -> Int64s:
    """Return what *days* before a day and the day itself take at most (µs): one may have 25 h."""
    return (days.astype(np.int64) + 1) * DAY + HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """The c samples of a series that count, and where each patient's quantity begins."""

    row: Int64s  # (c,) row of the Series
    day: Int64s  # (c,) local day
    value: Int64s  # (c,) in millionths
    groups: Int64s  # (g,) the pairs of patient and quantity, ascending
    place: Int64s  # (c,) group's index * _DAYS + day, ascending

    @classmethod
    def of(cls, series: Series) -> Self:
        """Pick what counts."""
        row = np.flatnonzero(series.counts & np.isfinite(series.value)).astype(np.int64)
        day = day_of(series.measured_at[row])
        group = _group(series.patient[row], series.quantity[row])
        begins = np.ones(len(row), np.bool_)
        begins[1:] = group[1:] != group[:-1]  # a Series is sorted
        index = np.cumsum(begins) - 1
        return cls(
            row=row,
            day=day,
            value=millionths(series.value[row]),
            groups=group[begins],
            place=index * _DAYS + _DAY_ZERO + day,
        )

    def take(self, some: NDArray[Any]) -> Self:
        """Keep the samples that an index (ascending) or mask picks."""
        return replace(
            self,
            row=self.row[some],
            day=self.day[some],
            value=self.value[some],
            place=self.place[some],
        )

    def group_of(self, rules: RuleRows) -> Int64s:
        """Return each rule's group; (k,), -1 where nothing of it counts."""
        wanted = _group(rules.patient, rules.quantity)
        if not len(self.groups):
            return np.full(len(wanted), -1, np.int64)
        index = np.minimum(np.searchsorted(self.groups, wanted), len(self.groups) - 1)
        return np.where(self.groups[index] == wanted, index, -1).astype(np.int64)

    def first_on(self, group: Int64s, day: Int64s | int) -> Int64s:
        """Return the first sample of each *group* on or after a day, as index into ``row``.

        The end of the group where there is none; 0 for group -1.
        """
        found = np.searchsorted(self.place, group * _DAYS + _DAY_ZERO + day).astype(np.int64)
        return np.where(group < 0, 0, found)

    def all_of(self, group: Int64s) -> tuple[Int64s, Int64s]:
        """Return where each group begins and ends (exclusive)."""
        return self.first_on(group, -_DAY_ZERO), self.first_on(group, _DAYS - _DAY_ZERO)

    def first_after(
        self, series: Series, patient: Int64s, quantity: NDArray[np.int16], at: Int64s
    ) -> Int64s:
        """Return the first sample of each (m,) patient and quantity after *at*; (m,) row or -1."""
        group = _group(series.patient[self.row], series.quantity[self.row])
        wanted = _group(patient, quantity)
        place = np.searchsorted(group, wanted) + count_until(
            group, series.measured_at[self.row], wanted, at
        )
        found = place < len(group)
        found[found] = group[place[found]] == wanted[found]
        row = np.full(len(wanted), -1, np.int64)
        row[found] = self.row[place[found]]
        return row


def _group(patient: Int64s, quantity: NDArray[np.int16]) -> Int64s:
    return patient * IDS_MAX + quantity


def in_force(rules: RuleRows, rule: NDArray[Any], at: Int64s) -> Bools:
    """Tell whether the rules at *rule* were in force at each moment of *at*."""
    since, until = rules.in_force_from[rule], rules.in_force_until[rule]
    now: Bools = (since <= at) & (at < until)
    return now


def total_before(values: NDArray[Any]) -> Int64s:
    """Return sums of the first 0, 1 … n values: a window's sum is the difference of two."""
    sums = np.zeros(len(values) + 1, np.int64)
    np.cumsum(values, out=sums[1:], dtype=np.int64)
    return sums


def lowest(value: Int64s, start: Int64s, stop: Int64s) -> Int64s:
    """Return where the lowest value of each window [start, stop) is; of equal ones the last.

    Windows must not be empty. Looks each up in two overlapping windows of a power of two.
    """
    length = stop - start
    size = np.int64(1)
    best = np.arange(len(value), dtype=np.int64)
    found = np.zeros(len(start), np.int64)
    while True:
        mine = (length >= size) & (length < 2 * size)
        found[mine] = _lower(value, best[start[mine]], best[stop[mine] - size])
        if not np.any(length >= 2 * size):
            return found
        best = _lower(value, best[:-size], best[size:])
        size *= 2


def _lower(value: Int64s, left: Int64s, right: Int64s) -> Int64s:
    return np.where(value[right] <= value[left], right, left)


def rests_on_all(series: Series, findings: Findings) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series) of all that counts in each finding's rows."""
    finding, row = pairs(findings.first, findings.stop - findings.first)
    kept = series.counts[row]
    return finding[kept], row[kept]


def of_clock(n: int) -> Int64s:
    """Return the anchors of *n* findings of the clock."""
    return np.full(n, NO_ANCHOR, np.int64)
