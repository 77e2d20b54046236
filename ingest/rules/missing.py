"""Rule kind ``missing``: a measurement the plan expects is not there after its grace.

Evaluated by the clock at given moments. The interval runs from the patient's last sample of the
quantity measured at or before the moment; from when the rule's plan version came into force, if
that is later: a new plan begins with a whole interval; and from ``awake_from``, if that is later:
the end of a pause. It fires if the moment is at or after the end of interval and grace, and the
rule is in force. Grace that is not given is ``GRACE_SHARE`` of the interval, at least
``GRACE_H_MIN``. What becomes of it while her gateway is silent is the clock's
(docs/decisions/0016-the-clock.md).

Doubted samples are there as well: she has measured. Superseded ones are not for the caller to
give: somebody else stood on the scale. Hours are elapsed ones, so DST changes nothing; a gap is
what is looked for; equal times and duplicates are one time.
"""

from typing import Final

import numpy as np

from ingest.batch import HOUR, NO_TIME, Floats, Int64s
from ingest.rules.limit import IDS_MAX
from ingest.rules.table import Findings, RuleRows, Series
from ingest.rules.window import in_force, of_clock
from ingest.search import last_until, pairs

PARAMS: Final = ("interval_h", "grace_h")
EXTRA: Final = ("last_at", "expected_at")  # µs; NaN: she has never measured it
GRACE_SHARE: Final = 0.5
GRACE_H_MIN: Final = 12.0
_INTERVAL, _GRACE = range(2)


def grace_h(interval_h: float) -> float:
    """Return the grace of an interval whose plan says none."""
    return max(GRACE_SHARE * interval_h, GRACE_H_MIN)


def interval(rules: RuleRows) -> Int64s:
    """Return each rule's interval; (k,) µs."""
    return np.rint(rules.params[:, _INTERVAL] * HOUR).astype(np.int64)


def grace(rules: RuleRows) -> Int64s:
    """Return each rule's grace; (k,) µs."""
    usual = np.maximum(GRACE_SHARE * rules.params[:, _INTERVAL], GRACE_H_MIN)
    hours: Floats = np.where(np.isfinite(rules.params[:, _GRACE]), rules.params[:, _GRACE], usual)
    return np.rint(hours * HOUR).astype(np.int64)


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after the moment samples are needed, (k,) µs each.

    Enough to tell whether one is missing; to say since when, the last sample ever is needed.
    """
    return interval(rules) + grace(rules), np.zeros(len(rules), np.int64)


def expected(rules: RuleRows, last_at: Int64s, awake_from: Int64s | None = None) -> Int64s:
    """Return when each rule expects the next measurement, without grace.

    Args:
        rules: (k,) of this kind.
        last_at: (k,) when she measured last (µs), or NO_TIME.
        awake_from: (k,) before this nothing was expected (µs), or NO_TIME.
    """
    since = np.maximum(last_at, rules.in_force_from)
    if awake_from is not None:
        since = np.maximum(since, awake_from)
    return since + interval(rules)


def evaluate(
    series: Series, rules: RuleRows, at: Int64s, awake_from: Int64s | None = None
) -> Findings:
    """Find the rules that fire, the rule of row *i* at the moment ``at[i]`` (k,)."""
    last = last_until(
        series.patient * IDS_MAX + series.quantity,
        series.measured_at,
        rules.patient * IDS_MAX + rules.quantity,
        at,
    )
    last_at = np.full(len(rules), NO_TIME, np.int64)
    last_at[last >= 0] = series.measured_at[last[last >= 0]]
    due = expected(rules, last_at, awake_from)
    rule = np.flatnonzero(
        (at >= due + grace(rules)) & in_force(rules, np.arange(len(rules)), at)
    ).astype(np.int64)
    some = last[rule] >= 0
    first = np.where(some, last[rule], 0)
    since = due[rule] - interval(rules)[rule]
    return Findings(
        rule=rule,
        anchor=of_clock(len(rule)),
        at=at[rule],
        side=np.zeros(len(rule), np.int8),
        level=rules.level[rule],
        value=(at[rule] - since) / HOUR,
        bound=(interval(rules) + grace(rules))[rule] / HOUR,
        first=first,
        stop=first + some,
        extra=np.column_stack(
            (np.where(some, last_at[rule], np.nan), due[rule].astype(np.float64))
        ),
    )


def rests_on(
    series: Series,  # noqa: ARG001 - every kind is asked alike
    rules: RuleRows,  # noqa: ARG001
    findings: Findings,
) -> tuple[Int64s, Int64s]:
    """Return pairs of (finding, row of the series): the last measurement, if there is one."""
    return pairs(findings.first, findings.stop - findings.first)
