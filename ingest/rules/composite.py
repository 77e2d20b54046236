"""Rule kind ``composite``: several rules of one plan at once.

Its components are other rules of the same plan version, by their keys; none is a composite.
Anchor: a breach of a component, measured while the composite was in force. It fires if every
component has a breach measured in (anchor - ``within_days`` × 24 h, anchor], whatever its level;
the breach of a component of level 0 (only a part) is one as well. Of a component's breaches in
the window the newest is named, of equal times the one found last. Breaches of before the
composite was in force may complete it; they anchor nothing, so a new plan brings up nothing old.

Hours are elapsed ones, so DST changes nothing. Breaches that are held until a repeat decides, or
were calmed, are not for the caller to give. Order of arrival does not matter: every anchor whose
window holds a new breach is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ingest.batch import DAY, Bools, Int64s
from ingest.rules.table import Findings, RuleRows
from ingest.rules.window import in_force
from ingest.search import count_until, last_until, pairs

PARAMS: Final = ("within_days",)
EXTRA: Final = ()
_WITHIN = 0
KEYS_MAX: Final = 1 << 20  # distinct keys in one evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """c pairs of a composite and a component of it. Each composite has at least one."""

    rule: Int64s  # (c,) row of the RuleRows
    key: Int64s  # (c,) index into keys
    keys: Sequence[str]  # distinct rule keys, the same table as of Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """b breaches of components, sorted by (patient, key, measured_at)."""

    patient: Int64s  # (b,)
    key: Int64s  # (b,) index into the keys of Components
    measured_at: Int64s  # (b,)

    def __len__(self) -> int:
        return len(self.patient)


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """The composites that fire, and the breaches each rests on: one a component."""

    findings: Findings  # (f,) anchor, first and stop are rows of Found; value: components
    finding: Int64s  # (l,) index into findings
    breach: Int64s  # (l,) row of Found


def reach(rules: RuleRows) -> tuple[Int64s, Int64s]:
    """Return how far before and after a breach other breaches are needed, (k,) µs each."""
    span = _within(rules)
    return span, span


def evaluate(found: Found, rules: RuleRows, components: Components, new: Bools) -> Met:
    """Find the composites whose window holds a *new* (b,) breach and that fire."""
    series = found.patient * KEYS_MAX + found.key
    wanted = rules.patient[components.rule] * KEYS_MAX + components.key
    start = np.searchsorted(series, wanted).astype(np.int64)
    stop = np.searchsorted(series, wanted, side="right").astype(np.int64)
    component, anchor = pairs(start, stop - start)
    rule = components.rule[component]
    held = in_force(rules, rule, found.measured_at[anchor])
    # Two components may break at one moment: that is one composite, not two.
    moment = np.unique(np.column_stack((rule[held], found.measured_at[anchor[held]])), axis=0)
    rule, at = moment[:, 0], moment[:, 1]

    parts = np.argsort(components.rule, kind="stable")
    count = np.bincount(components.rule, minlength=len(rules)).astype(np.int64)
    of, part = pairs((np.cumsum(count) - count)[rule], count[rule])
    part = parts[part]
    newest = last_until(series, found.measured_at, wanted[part], at[of])
    since = at[of] - _within(rules)[rule[of]]
    there = newest >= 0
    there[there] = found.measured_at[newest[there]] > since[there]
    group, when = series[new], found.measured_at[new]
    fresh = count_until(group, when, wanted[part], at[of]) > count_until(
        group, when, wanted[part], since
    )
    complete = np.bincount(of[there], minlength=len(rule)) == count[rule]
    fires = complete & (np.bincount(of[fresh], minlength=len(rule)) > 0)
    kept = fires[of]
    finding, breach = (np.cumsum(fires) - 1)[of[kept]].astype(np.int64), newest[kept]
    rule, at = rule[fires], at[fires]
    anchor = np.zeros(len(rule), np.int64)
    at_moment = found.measured_at[breach] == at[finding]
    anchor[finding[at_moment]] = breach[at_moment]
    return Met(
        findings=_findings(rules, rule=rule, anchor=anchor, at=at, parts=count[rule]),
        finding=finding,
        breach=breach,
    )


def _findings(
    rules: RuleRows, *, rule: Int64s, anchor: Int64s, at: Int64s, parts: Int64s
) -> Findings:
    nothing = np.zeros(len(rule), np.int64)
    return Findings(
        rule=rule,
        anchor=anchor,
        at=at,
        side=np.zeros(len(rule), np.int8),
        level=rules.level[rule],
        value=parts.astype(np.float64),
        bound=parts.astype(np.float64),
        first=nothing,
        stop=nothing,
        extra=np.empty((len(rule), 0)),
    )


def _within(rules: RuleRows) -> Int64s:
    return np.rint(rules.params[:, _WITHIN] * DAY).astype(np.int64)
