"""Rule kind ``rolling_mean``: the mean over days at home, the first day of measuring dropped.

Evaluated by the clock at given moments. Window: the ``days`` local days before the day of the
moment; that day itself is not over and not in it. The first day of the window with a sample that
counts is dropped, as the European guideline on home blood pressure drops the first day of the
week (ESH 2021). What is left of the patient's counting samples of the quantity has a mean if they
are at least ``readings_min``, or if at least ``days_min`` of the days are valid; a day is valid
with ``VALID_DAY_READINGS`` of them. The mean is of readings, not of days: sum over number. It
fires if the mean is ``>=`` high or ``<`` low, and the rule is in force at the moment.

Sums are in millionths, so a mean equal to its bound is equal. Gaps count for nothing. Samples of
before the rule was in force are in the window. Days are local, so the 23 and 25 hours of a DST
day are one day each; the order of equal times does not matter.
"""

from typing import Final

import numpy as np

from ingest.batch import Int64s
from ingest.rules.day import day_of
from ingest.rules.limit import HIGH, LOW
from ingest.rules.table import Findings, RuleRows, Series
from ingest.rules.window import (
    Counting,
    in_force,
    millionths,
    of_clock,
    rests_on_all,
    span_of_days,
    total_before,
)
from ingest.search import pairs

PARAMS: Final = ("days", "low", "high", "readings_min", "days_min")  # one of low and high is given
EXTRA: Final = ("readings_in_mean", "days_measured")  # what the mean is of
# Morning and evening: with fewer the day says little of the pressure of a day.
VALID_DAY_READINGS: Final = 2
_DAYS, _LOW, _HIGH, _READINGS_MIN, _DAYS_MIN = range(5)


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after the moment samples are needed, (k,) µs each."""
    return span_of_days(rules.params[:, _DAYS]), np.zeros(len(rules), np.int64)


def evaluate(series: Series, rules: RuleRows, at: Int64s) -> Findings:
    """Find the rules that fire, the rule of row *i* at the moment ``at[i]`` (k,)."""
    counting = Counting.of(series)
    group = counting.group_of(rules)
    today = day_of(at)
    start = counting.first_on(group, today - rules.params[:, _DAYS].astype(np.int64))
    stop = counting.first_on(group, today)
    some = np.flatnonzero((start < stop) & in_force(rules, np.arange(len(rules)), at))
    first = counting.first_on(group[some], counting.day[start[some]] + 1)
    stop = stop[some]

    readings = stop - first
    sums = total_before(counting.value)
    total = sums[stop] - sums[first]
    valid, days = _days(counting, first, readings)
    params = rules.params[some]
    enough = (readings > 0) & (
        (readings >= params[:, _READINGS_MIN]) | (valid >= params[:, _DAYS_MIN])
    )
    is_high = np.isfinite(params[:, _HIGH])
    bound = np.where(is_high, params[:, _HIGH], params[:, _LOW])
    limit = millionths(bound) * readings
    fires = np.flatnonzero(enough & np.where(is_high, total >= limit, total < limit))
    rule = some[fires]
    return Findings(
        rule=rule,
        anchor=of_clock(len(rule)),
        at=at[rule],
        side=np.where(is_high[fires], HIGH, LOW).astype(np.int8),
        level=rules.level[rule],
        value=total[fires] / readings[fires] / 1e6,
        bound=bound[fires],
        first=counting.row[first[fires]],
        stop=counting.row[stop[fires] - 1] + 1,
        extra=np.column_stack((readings[fires], days[fires])).astype(np.float64),
    )


def _days(counting: Counting, start: Int64s, count: Int64s) -> tuple[Int64s, Int64s]:
    """Return how many days of each window are valid, and how many have any sample."""
    query, place = pairs(start, count)
    days, of_day, readings = np.unique(
        np.column_stack((query, counting.day[place])), axis=0, return_index=True, return_counts=True
    )
    del of_day
    valid = np.bincount(days[readings >= VALID_DAY_READINGS, 0], minlength=len(start))
    return valid.astype(np.int64), np.bincount(days[:, 0], minlength=len(start)).astype(np.int64)


def rests_on(
    series: Series,
    rules: RuleRows,  # noqa: ARG001 - every kind is asked alike
    findings: Findings,
) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): all the mean is of."""
    return rests_on_all(series, findings)
