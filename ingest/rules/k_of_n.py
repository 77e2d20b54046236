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
# In the quantity's unit; no value comes near, and its millionths fit in 64 bits.
_FAR: Final = 1e12


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after a reading its windows reach, (k,) µs each."""
    span = span_of_days(rules.params[:, _DAYS])
    return span, span


def evaluate(series: Series, rules: RuleRows, new: Bools) -> Findings:
    """Find the anchors whose window holds a *new* (s,) sample and fires."""
    counting = Counting.of(series)
    group = counting.group_of(rules)
    start, stop = counting.all_of(group)
    rule, place = pairs(start, stop - start)
    row = counting.row[place]
    k, n, days = (rules.params[:, column].astype(np.int64) for column in (_K, _N, _DAYS))
    beyond = _is_beyond(rules, rule, series.value[row], series.status[row])

    # All below is by position in these pairs; a rule's own are side by side, in order of time.
    shift = (np.cumsum(stop - start) - stop)[rule]
    position = np.arange(len(rule), dtype=np.int64)
    oldest = counting.first_on(group[rule], counting.day[place] - days[rule]) + shift
    begin = np.maximum(position - n[rule] + 1, oldest)
    count = _within(beyond, begin, position)
    fires = beyond & (count >= k[rule]) & (_within(new[row], begin, position) > 0)
    fires &= in_force(rules, rule, series.measured_at[row])
    at = np.flatnonzero(fires)
    rule, begin, anchor = rule[at], begin[at], row[at]
    low, high = rules.params[rule, _LOW], rules.params[rule, _HIGH]
    return Findings(
        rule=rule,
        anchor=anchor,
        at=series.measured_at[anchor],
        side=np.where(np.isfinite(high), HIGH, np.where(np.isfinite(low), LOW, 0)).astype(np.int8),
        level=rules.level[rule],
        value=count[at].astype(np.float64),
        bound=rules.params[rule, _K],
        first=row[begin],
        stop=anchor + 1,
        extra=np.column_stack((np.fmax(low, high), at - begin + 1)),
    )


def _is_beyond(rules: RuleRows, rule: Int64s, value: Floats, status: NDArray[np.int32]) -> Bools:
    """Tell whether each sample is beyond the bound of the rule at *rule* beside it; (j,)."""
    # A bound that is not given is one that nothing is beyond.
    low = np.nan_to_num(rules.params[:, _LOW], nan=-_FAR)
    high = np.nan_to_num(rules.params[:, _HIGH], nan=_FAR)
    bits = np.nan_to_num(rules.params[:, _STATUS]).astype(np.int64)
    exact = millionths(value)
    beyond: Bools = (exact < millionths(low)[rule]) | (exact >= millionths(high)[rule])
    if np.any(bits):
        beyond |= (status & bits[rule]) != 0
    return beyond


def could_fire(rules: RuleRows, rule: Int64s, value: Floats, status: NDArray[np.int32]) -> Bools:
    """Tell whether a new sample that counts can make the rule at *rule* find anything new; (j,).

    Only one that is beyond the bound: any other pushes others out of windows, and adds nothing.
    """
    return _is_beyond(rules, rule, value, status)


def rests_on(series: Series, rules: RuleRows, findings: Findings) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): the samples beyond the bound."""
    finding, row = rests_on_all(series, findings)
    beyond = _is_beyond(rules, findings.rule[finding], series.value[row], series.status[row])
    return finding[beyond], row[beyond]


def _within(marked: Bools, begin: Int64s, last: Int64s) -> Int64s:
    total = total_before(marked)
    return total[last + 1] - total[begin]
