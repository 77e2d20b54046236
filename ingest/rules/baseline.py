"""Rule kind ``baseline``: the last days against what is usual for the patient herself.

Evaluated by the clock at given moments, for quantities that are totals of a day (steps, sleep).
The daily value is the day's highest counting sample: a counter's last word, whatever it was reset
to afterwards. A day is valid if it has one; a day of 0 is valid, a day without any is a gap. The
recent days are the ``days`` local days before the day of the moment; the baseline is the
``baseline_days`` local days before those: what is judged is no part of what it is held against.
It fires if at least ``recent_days_min`` recent days and ``valid_days_min`` days of the baseline
are valid, the mean of the recent daily values is ``<`` ``percent`` of the median of the
baseline's, and the rule is in force at the moment. Of an even number of days the median is the
mean of the middle two.

Advice, never red alone: the level is yellow at most. Everything is compared in whole numbers, so
exactly 60 % is not below 60 %. Samples of before the rule was in force are in both windows. Days
are local, so the 23 and 25 hours of a DST day are one day each; the order of equal times does
not matter.
"""

from typing import Final

import numpy as np

from ingest.batch import Int64s
from ingest.rules.day import day_of
from ingest.rules.limit import LOW, YELLOW
from ingest.rules.table import Findings, RuleRows, Series
from ingest.rules.window import Counting, in_force, of_clock, span_of_days, total_before
from ingest.search import pairs

PARAMS: Final = ("days", "baseline_days", "percent", "valid_days_min", "recent_days_min")
EXTRA: Final = ("median", "percent_of_median", "recent_days", "valid_days")
_DAYS, _BASELINE_DAYS, _PERCENT, _VALID_MIN, _RECENT_MIN = range(5)


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after the moment samples are needed, (k,) µs each."""
    span = span_of_days(rules.params[:, _DAYS] + rules.params[:, _BASELINE_DAYS])
    return span, np.zeros(len(rules), np.int64)


def evaluate(series: Series, rules: RuleRows, at: Int64s) -> Findings:
    """Find the rules that fire, the rule of row *i* at the moment ``at[i]`` (k,)."""
    daily = _daily(Counting.of(series))
    group = daily.group_of(rules)
    today = day_of(at)
    middle = today - rules.params[:, _DAYS].astype(np.int64)
    oldest = middle - rules.params[:, _BASELINE_DAYS].astype(np.int64)
    start, begin, stop = (daily.first_on(group, day) for day in (oldest, middle, today))
    recent, valid = stop - begin, begin - start
    enough = (recent >= rules.params[:, _RECENT_MIN]) & (valid >= rules.params[:, _VALID_MIN])
    enough &= (valid > 0) & in_force(rules, np.arange(len(rules)), at)
    some = np.flatnonzero(enough)
    start, begin, stop, recent, valid = (each[some] for each in (start, begin, stop, recent, valid))

    sums = total_before(daily.value)
    total = sums[stop] - sums[begin]
    twice_median = _twice_median(daily.value, start, valid)
    percent = np.rint(rules.params[some, _PERCENT]).astype(np.int64)
    fires = np.flatnonzero(200 * total < percent * recent * twice_median)
    rule = some[fires]
    mean = total[fires] / recent[fires] / 1e6
    median = twice_median[fires] / 2e6
    return Findings(
        rule=rule,
        anchor=of_clock(len(rule)),
        at=at[rule],
        side=np.full(len(rule), LOW, np.int8),
        level=np.minimum(rules.level[rule], YELLOW).astype(np.int8),
        value=mean,
        bound=median * percent[fires] / 100,
        first=daily.row[begin[fires]],
        stop=daily.row[stop[fires] - 1] + 1,
        extra=np.column_stack((median, 100 * mean / median, recent[fires], valid[fires])),
    )


def rests_on(
    series: Series,
    rules: RuleRows,  # noqa: ARG001 - every kind is asked alike
    findings: Findings,
) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): the recent days' highest."""
    daily = np.zeros(len(series), np.bool_)
    daily[_daily(Counting.of(series)).row] = True
    finding, row = pairs(findings.first, findings.stop - findings.first)
    return finding[daily[row]], row[daily[row]]


def _daily(counting: Counting) -> Counting:
    """Keep the highest sample of each day; of equal ones the last."""
    order = np.lexsort((counting.value, counting.place))
    last = np.ones(len(order), np.bool_)
    last[:-1] = counting.place[order[1:]] != counting.place[order[:-1]]
    return counting.take(order[last])


def _twice_median(value: Int64s, start: Int64s, count: Int64s) -> Int64s:
    """Return twice the median of each window, so that it is a whole number; none is empty."""
    query, place = pairs(start, count)
    ordered = value[place][np.lexsort((value[place], query))]
    first = np.cumsum(count) - count
    middle: Int64s = ordered[first + (count - 1) // 2] + ordered[first + count // 2]
    return middle
