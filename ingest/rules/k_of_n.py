"""Rule kind ``k_of_n``: k of the last n readings beyond one bound, or with a status bit.

Anchor: a sample that counts, was measured while the rule was in force, and is itself beyond the
bound; an ordinary value after k bad ones fires nothing again. Its window: the last n samples of
the patient and quantity that count, the anchor being the last, none measured on a local day more
than ``days`` before the anchor's. Samples of before the rule was in force are in the window; they
anchor nothing. It fires if at least k of the window are beyond: with a bound ``high`` value ``>=``
high, with ``low`` value ``<`` low, with ``status`` any of its bits set.

Order is by measured_at, equal times by reading id. A gap is no reading: nothing is counted for
it. What does not count is in no window and pushes nothing out of one. Days are local, so the 23
and 25 hours of a DST day are one day each.
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
    millionths,
    rests_on_all,
    span_of_days,
    total_before,
)
from ingest.search import pairs

# One of low, high and status is given; days: how old the oldest of the window may be.
PARAMS: Final = ("k", "n", "low", "high", "status", "days")
EXTRA: Final = (
    "limit",
    "readings_in_window",
)  # the bound of a value, NaN with status; size of the window
_K, _N, _LOW, _HIGH, _STATUS, _DAYS = range(6)


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after a reading its windows reach, (k,) µs each."""
    span = span_of_days(rules.params[:, _DAYS])
    return span, span


def evaluate(series: Series, rules: RuleRows, new: Bools) -> Findings:
    """Find the anchors whose window holds a *new* (s,) sample and fires."""
    counting = Counting.of(series)
    start, stop = counting.all_of(counting.group_of(rules))
    rule, place = pairs(start, stop - start)
    row = counting.row[place]
    params = rules.params[rule]
    beyond = _is_beyond(params, series.value[row], series.status[row])

    # All below is by position in these pairs; a rule's own are side by side, in order of time.
    first = (np.cumsum(stop - start) - (stop - start))[rule]
    position = np.arange(len(rule), dtype=np.int64)
    oldest = counting.first_on(
        counting.group_of(rules)[rule], counting.day[place] - params[:, _DAYS].astype(np.int64)
    )
    begin = np.maximum(position - params[:, _N].astype(np.int64) + 1, first + oldest - start[rule])
    begin = np.maximum(begin, first)
    count = _within(beyond, begin, position)
    fires = (
        beyond
        & in_force(rules, rule, series.measured_at[row])
        & (count >= params[:, _K])
        & (_within(new[row], begin, position) > 0)
    )
    at = np.flatnonzero(fires)
    return Findings(
        rule=rule[at],
        anchor=row[at],
        at=series.measured_at[row[at]],
        side=np.where(
            np.isfinite(params[at, _HIGH]), HIGH, np.where(np.isfinite(params[at, _LOW]), LOW, 0)
        ).astype(np.int8),
        level=rules.level[rule[at]],
        value=count[at].astype(np.float64),
        bound=params[at, _K],
        first=row[begin[at]],
        stop=row[at] + 1,
        extra=np.column_stack(
            (np.fmax(params[at, _LOW], params[at, _HIGH]), (at - begin[at] + 1).astype(np.float64))
        ),
    )


def _is_beyond(params: Floats, value: Floats, status: NDArray[np.int32]) -> Bools:
    """Tell whether each sample is beyond the bound of the rule beside it; (j,)."""
    low, high, bits = (params[:, column] for column in (_LOW, _HIGH, _STATUS))
    is_low, is_high, has_bits = np.isfinite(low), np.isfinite(high), np.isfinite(bits)
    exact = millionths(value)
    beyond = np.zeros(len(value), np.bool_)
    beyond[is_low] = exact[is_low] < millionths(low[is_low])
    beyond[is_high] = exact[is_high] >= millionths(high[is_high])
    beyond[has_bits] = (status[has_bits] & bits[has_bits].astype(np.int64)) != 0
    return beyond


def could_fire(rules: RuleRows, rule: Int64s, value: Floats, status: NDArray[np.int32]) -> Bools:
    """Tell whether a new sample that counts can make the rule at *rule* find anything new; (j,).

    Only one that is beyond the bound: any other pushes others out of windows, and adds nothing.
    """
    return _is_beyond(rules.params[rule], value, status)


def rests_on(series: Series, rules: RuleRows, findings: Findings) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): the samples beyond the bound."""
    finding, row = rests_on_all(series, findings)
    beyond = _is_beyond(rules.params[findings.rule[finding]], series.value[row], series.status[row])
    return finding[beyond], row[beyond]


def _within(marked: Bools, begin: Int64s, last: Int64s) -> Int64s:
    total = total_before(marked)
    return total[last + 1] - total[begin]
