"""Limits in a rehearsal, and the repeats that decide on red or doubted singles. Pure."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from devices.quantity import BY_ID
from ingest.batch import MINUTE, Bools, Floats, Int64s
from ingest.dry_run.found import Gathering
from ingest.dry_run.proposal import Proposal
from ingest.rules import limit, repeat
from ingest.rules.detail import of_limit
from ingest.rules.limit import IDS_MAX, RED, Finding, Limits
from ingest.rules.table import Series
from ingest.waits import FIRST

_NO_WAIT: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Acts:
    """The acts of measuring in a series: what one panel gave in one reading."""

    of: Int64s  # (s,) act of each sample
    row: Int64s  # (a,) the first sample of each
    order: Int64s  # (s,) samples by act and quantity
    key: Int64s  # (s,) act * IDS_MAX + quantity, ascending

    @classmethod
    def of_series(cls, series: Series) -> Self:
        reading = np.unique(series.reading_id, return_inverse=True)[1].astype(np.int64)
        named = reading * IDS_MAX + FIRST[series.quantity]
        _, row, of = np.unique(named, return_index=True, return_inverse=True)
        key = of.astype(np.int64) * IDS_MAX + series.quantity
        order = np.argsort(key)
        return cls(of=of.astype(np.int64), row=row.astype(np.int64), order=order, key=key[order])

    def samples_of(self, act: Int64s) -> Bools:
        """Tell which samples belong to one of *act*; (s,)."""
        return np.isin(self.of, act)

    def same_quantity(self, act: Int64s, quantity: NDArray[np.int16]) -> Int64s:
        """Return the sample of each act (>= 0) of a quantity; -1 where it has none."""
        wanted = act * IDS_MAX + quantity
        place = np.minimum(np.searchsorted(self.key, wanted), len(self.key) - 1)
        return np.where(self.key[place] == wanted, self.order[place], -1).astype(np.int64)


def hold(
    found: Gathering, series: Series, patients: Int64s, proposal: Proposal, *, awake: Bools
) -> None:
    """Hold every sample against the limits; where a repeat is asked for, let it decide.

    Args:
        found: Takes what is found.
        series: What was measured.
        patients: (p,) of the cohort, ascending.
        proposal: What is proposed.
        awake: (s,) which samples were not measured in a pause: no other asks for a repeat.
    """
    if not proposal.limits or not len(series):
        return
    limits = proposal.limits_of(patients)
    finding = limit.evaluate(
        patient=series.patient,
        quantity=series.quantity,
        measured_at=series.measured_at,
        value=series.value,
        counts=np.isfinite(series.value),
        limits=limits,
    )
    inside = series.measured_at >= proposal.since
    stands = inside & series.counts & (finding.level > 0)
    rules = proposal.rows("repeat", patients)
    if len(rules):
        acts = _Acts.of_series(series)
        wait = np.full(len(FIRST), _NO_WAIT, np.int64)
        wait[rules.quantity] = repeat.wait(rules)
        single, second = _pairs(series, acts, wait, awake & inside & (finding.level == RED))
        stands &= ~acts.samples_of(np.concatenate((single, second)))
        settled = _settle(series, acts, limits, single, second)
        _add_decided(found, series, settled, wait)
    row = np.flatnonzero(stands)
    _add_limits(found, series, row, finding)


def _add_limits(found: Gathering, series: Series, row: NDArray[np.intp], held: Finding) -> None:
    def tell(number: int) -> dict[str, Any]:
        one = int(row[number])
        return of_limit(
            quantity_id=int(series.quantity[one]),
            side=int(held.side[one]),
            value=float(series.value[one]),
            bound=float(held.bound[one]),
        )

    found.add(
        "limit",
        tell,
        patient=series.patient[row],
        keys=[""] * len(row),
        quantity=series.quantity[row],
        at=series.measured_at[row],
        level=held.level[row],
    )


def _pairs(series: Series, acts: _Acts, wait: Int64s, is_red: Bools) -> tuple[Int64s, Int64s]:
    """Return the acts that ask for a repeat, and the act that is it; -1: none came.

    An act that was the repeat of an earlier one asks for none itself.

    Args:
        series: What was measured.
        acts: Its acts.
        wait: By a panel's first quantity; _NO_WAIT: of this panel none is asked for.
        is_red: (s,)
    """
    act = np.unique(acts.of[is_red])
    act = act[wait[FIRST[series.quantity[acts.row[act]]]] != _NO_WAIT]
    first = acts.row[act]
    quantity = FIRST[series.quantity[first]]
    row = repeat.find(
        series,
        patient=series.patient[first],
        quantity=quantity,
        after=series.measured_at[first],
        wait=wait[quantity],
    )
    second = np.where(row >= 0, acts.of[row], -1)
    order = np.lexsort((series.reading_id[first], series.measured_at[first]))
    repeats: set[int] = set()
    kept: list[int] = []
    for place in order.tolist():  # red singles are few
        if int(act[place]) not in repeats:
            kept.append(place)
            repeats.add(int(second[place]))
    return act[kept], second[kept].astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """The samples of the singles, and what the repeats say of each; m rows."""

    row: Int64s  # (m,) sample
    repeated: Bools  # (m,) a repeat came in time
    again_at: Int64s  # (m,) when; anything where none came
    second: Floats  # (m,) the repeat's value; NaN: none
    decision: repeat.Decision  # (m,)


def _settle(
    series: Series, acts: _Acts, limits: Limits, single: Int64s, second: Int64s
) -> _Settled:
    row = np.flatnonzero(acts.samples_of(single))
    order = np.argsort(single)
    act = second[order][np.searchsorted(single[order], acts.of[row])]
    repeated = act >= 0
    there = np.maximum(act, 0)
    other = np.where(repeated, acts.same_quantity(there, series.quantity[row]), -1)
    value = np.where(other >= 0, series.value[other], np.nan)
    decision = repeat.decide(
        patient=series.patient[row],
        quantity=series.quantity[row],
        measured_at=series.measured_at[row],
        first=series.value[row],
        second=value,
        repeated=repeated,
        limits=limits,
    )
    return _Settled(
        row=row,
        repeated=repeated,
        again_at=series.measured_at[acts.row[there]],
        second=value,
        decision=decision,
    )


def _add_decided(found: Gathering, series: Series, settled: _Settled, wait: Int64s) -> None:
    finding = settled.decision.finding
    stands = np.flatnonzero(finding.level > 0)
    row = settled.row[stands]
    at = np.where(settled.repeated, settled.again_at, series.measured_at[settled.row])

    def tell(number: int) -> dict[str, Any]:
        one, sample = int(stands[number]), int(row[number])
        has_second = bool(np.isfinite(settled.second[one]))
        passed = float(settled.again_at[one] - series.measured_at[sample]) / MINUTE
        told = of_limit(
            quantity_id=int(series.quantity[sample]),
            side=int(finding.side[one]),
            value=float(settled.decision.value[one]),
            bound=float(finding.bound[one]),
        )
        return told | {
            "first": float(series.value[sample]),
            **(
                {"second": float(settled.second[one]), "minutes_later": passed}
                if has_second
                else {}
            ),
            "wait_min": float(wait[FIRST[series.quantity[sample]]]) / MINUTE,
        }

    found.add(
        "repeat",
        tell,
        patient=series.patient[row],
        keys=[f"repeat:{BY_ID[number].facts.panel}" for number in series.quantity[row].tolist()],
        quantity=series.quantity[row],
        at=at[stands],
        level=finding.level[stands],
    )
