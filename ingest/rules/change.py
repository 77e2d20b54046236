"""Rule kind ``change``: a value against the lowest or highest daily value of the days before.

Anchor: a sample that counts and was measured while the rule was in force. Its window: the samples
of the patient and quantity that count and were measured on the ``days`` local days before the
anchor's day; her other values of the same day are no part of it, nor are gaps. The daily value is
the day's lowest (for ``up``) or highest (for ``down``). It fires if the value is more than ``up``
above the lowest (exclusive, "> 2.0 kg"), or at least ``down`` below the highest (inclusive,
"−3.0 kg"). Without a sample in the window it does not fire. Samples of before the rule was in
force are in the window; they anchor nothing.

Differences are taken in millionths of the unit. Of equal lowest (highest) values the last is
named: the shortest time the change can have taken. Equal times are ordered by reading id, which
changes no level. Days are local, so the 23 and 25 hours of a DST day are one day each.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Bools, Floats, Int64s
from ingest.rules.limit import HIGH, LOW
from ingest.rules.table import Findings, RuleRows, Series
from ingest.rules.window import (
    Counting,
    in_force,
    lowest,
    millionths,
    span_of_days,
    total_before,
)
from ingest.search import pairs

PARAMS: Final = ("days", "up", "down")  # one of up and down is given, above 0
EXTRA: Final = ("now", "then", "then_at")  # the two values; when the earlier was measured (µs)
_DAYS, _UP, _DOWN = range(3)


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after a reading its windows reach, (k,) µs each."""
    span = span_of_days(rules.params[:, _DAYS])
    return span, span


def evaluate(series: Series, rules: RuleRows, new: Bools) -> Findings:
    """Find the anchors that are *new* (s,), or whose window holds a new sample, and fire."""
    counting = Counting.of(series)
    group = counting.group_of(rules)
    start, stop = counting.all_of(group)
    rule, place = pairs(start, stop - start)
    day = counting.day[place]
    begin = counting.first_on(group[rule], day - rules.params[rule, _DAYS].astype(np.int64))
    end = counting.first_on(group[rule], day)
    fresh = total_before(new[counting.row])
    held = (
        (begin < end)
        & in_force(rules, rule, series.measured_at[counting.row[place]])
        & ((fresh[end] > fresh[begin]) | new[counting.row[place]])
    )
    rule, place, begin, end = rule[held], place[held], begin[held], end[held]

    up = np.isfinite(rules.params[rule, _UP])
    then = np.empty(len(rule), np.int64)
    then[up] = lowest(counting.value, begin[up], end[up])
    then[~up] = lowest(-counting.value, begin[~up], end[~up])
    rise = counting.value[place] - counting.value[then]
    bound = np.where(up, rules.params[rule, _UP], rules.params[rule, _DOWN])
    limit = millionths(bound)
    fires = np.where(up, rise > limit, -rise >= limit)

    rule, up, bound, rise = rule[fires], up[fires], bound[fires], rise[fires]
    anchor, then = counting.row[place[fires]], counting.row[then[fires]]
    return Findings(
        rule=rule,
        anchor=anchor,
        at=series.measured_at[anchor],
        side=np.where(up, HIGH, LOW).astype(np.int8),
        level=rules.level[rule],
        value=np.abs(rise) / 1e6,
        bound=bound,
        first=then,
        stop=anchor + 1,
        extra=np.column_stack(
            (
                series.value[anchor],
                series.value[then],
                series.measured_at[then].astype(np.float64),
            )
        ),
    )


def could_fire(
    rules: RuleRows,  # noqa: ARG001 - every kind is asked alike
    rule: Int64s,
    value: Floats,  # noqa: ARG001
    status: NDArray[np.int32],  # noqa: ARG001
) -> Bools:
    """Tell whether a new sample that counts can make the rule find anything new: any can; (j,)."""
    return np.ones(len(rule), np.bool_)


def rests_on(
    series: Series,  # noqa: ARG001 - every kind is asked alike
    rules: RuleRows,  # noqa: ARG001
    findings: Findings,
) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): the earlier sample and the anchor."""
    finding = np.repeat(np.arange(len(findings), dtype=np.int64), 2)
    return finding, np.column_stack((findings.first, findings.anchor)).ravel()
