"""Rehearse: hold a series against proposed rules, as judging and the clock would have. Pure.

The rules' own code decides; what stands here is only when each kind is asked: a limit and a kind
that looks back at each reading; a rolling mean once a week and a baseline once a day, at 06:00; a
missing measurement when nothing came after the reminders either, as if its gateway was heard all
the time; a composite at its parts' breaches.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Bools, Int64s
from ingest.clock.ladder import AGAIN, BREACH, GAP_MAX, GAP_MIN, REMIND
from ingest.clock.occasion import WEEK, six_of
from ingest.dry_run.found import Breached, Gathering
from ingest.dry_run.proposal import Proposal
from ingest.dry_run.singles import hold
from ingest.rules import baseline, change, composite, k_of_n, missing, rolling_mean
from ingest.rules.day import day_of
from ingest.rules.detail import detail, of_parts
from ingest.rules.limit import IDS_MAX
from ingest.rules.table import Findings, RuleRows, Series
from ingest.search import pairs

# One kind's rules and what they found.
_Part = tuple[str, RuleRows, Findings]


NO_PAUSES: Final = np.empty((0, 3), np.int64)


def rehearse(
    series: Series,
    patients: Int64s,
    proposal: Proposal,
    until: int,
    pauses: NDArray[np.int64] = NO_PAUSES,
) -> Breached:
    """Return what *proposal* would have found in *series* from its beginning on.

    Args:
        series: Samples of the quantities asked for, from ``proposal.reach()`` before its beginning
            to before *until*; what was taken back is not in it.
        patients: (p,) of the cohort, ascending.
        proposal: What is proposed.
        until: Exclusive; microseconds since 2000.
        pauses: (k, 3) patient, from, until (exclusive): what is measured there finds nothing.
    """
    found = Gathering()
    asleep = _paused(series.patient, series.measured_at, pauses)
    hold(found, series, patients, proposal, awake=~asleep)
    parts = [
        *_looking_back(series, patients, proposal),
        *_of_the_clock(series, patients, proposal, until, pauses),
    ]
    for part in parts:
        _add(found, series, part)
    if proposal.composites:
        _composites(found, series, parts, patients, proposal)
    breached = found.all()
    spoken = ~_paused(breached.patient, breached.at, pauses)
    return breached.take(np.flatnonzero(spoken))


def _looking_back(series: Series, patients: Int64s, proposal: Proposal) -> list[_Part]:
    found: list[_Part] = []
    for kind, module in (("k_of_n", k_of_n), ("change", change)):
        rules = proposal.rows(kind, patients)
        if len(rules):
            new = np.ones(len(series), np.bool_)
            found.append((kind, rules, module.evaluate(series, rules, new)))
    return found


def _of_the_clock(
    series: Series,
    patients: Int64s,
    proposal: Proposal,
    until: int,
    pauses: NDArray[np.int64],
) -> list[_Part]:
    found: list[_Part] = []
    for kind, module, every in (
        ("rolling_mean", rolling_mean, WEEK),
        ("baseline", baseline, 1),
    ):
        rules = proposal.rows(kind, patients)
        if len(rules):
            rules, at = _each_morning(rules, proposal.since, until, every)
            found.append((kind, rules, module.evaluate(series, rules, at)))
    rules = proposal.rows("missing", patients)
    if len(rules):
        rules, at = _overdue(series, rules, proposal.since, until, pauses)
        found.append(("missing", rules, missing.evaluate(series, rules, at)))
    return found


def _each_morning(rules: RuleRows, since: int, until: int, every: int) -> tuple[RuleRows, Int64s]:
    """Return the rules once for each of their mornings, and the mornings."""
    first, last = day_of(np.array([since, until]))
    mornings = six_of(np.arange(first, last + 1, every))  # one before *since* finds nothing
    mornings = mornings[mornings < until]
    row = np.repeat(np.arange(len(rules)), len(mornings))
    return rules.take(row), np.tile(mornings, len(rules))


def _overdue(
    series: Series, rules: RuleRows, since: int, until: int, pauses: NDArray[np.int64]
) -> tuple[RuleRows, Int64s]:
    """Return the rules once for each moment at which a missing measurement is the nurse's matter.

    That is after the reminders, and again while nothing comes (ingest.clock.ladder). A part of a
    composite reminds nobody. The end of a pause begins anew, as a measurement does.
    """
    whose, begun = _beginnings(series, rules, since, pauses)
    order = np.lexsort((begun, whose))
    rule, begun = whose[order], begun[order]
    following = np.full(len(rule), until, np.int64)
    same = np.flatnonzero(rule[1:] == rule[:-1])
    following[same] = begun[same + 1]
    grace = missing.grace(rules)
    reminding = (BREACH - REMIND) * np.clip(grace, GAP_MIN, GAP_MAX)
    allowed = missing.interval(rules) + grace + np.where(rules.level > 0, reminding, 0)
    first = begun + allowed[rule]
    times = np.maximum(-(-(following - first) // AGAIN), 0)  # once, and again each AGAIN
    row, repeat = pairs(np.zeros(len(rule), np.int64), times)
    return rules.take(rule[row]), first[row] + repeat * AGAIN


def _beginnings(
    series: Series, rules: RuleRows, since: int, pauses: NDArray[np.int64]
) -> tuple[Int64s, Int64s]:
    """Return rows of *rules*, and moments from which an interval runs: (b,) each, in no order."""
    group = series.patient * IDS_MAX + series.quantity
    wanted = rules.patient * IDS_MAX + rules.quantity
    start = np.searchsorted(group, wanted).astype(np.int64)
    stop = np.searchsorted(group, wanted, side="right").astype(np.int64)
    measured, place = pairs(start, stop - start)
    order = np.argsort(pauses[:, 0], kind="stable")
    hers = pauses[order, 0]
    start = np.searchsorted(hers, rules.patient).astype(np.int64)
    stop = np.searchsorted(hers, rules.patient, side="right").astype(np.int64)
    paused, pause = pairs(start, stop - start)
    every = np.arange(len(rules), dtype=np.int64)
    whose = np.concatenate((every, measured, paused))
    at = np.concatenate(
        (
            np.full(len(rules), since, np.int64),
            series.measured_at[place],
            pauses[order, 2][pause],
        )
    )
    return whose, np.maximum(at, since)


def _add(found: Gathering, series: Series, part: _Part) -> None:
    kind, rules, findings = part

    def tell(row: int) -> dict[str, Any]:
        return detail(kind, rules, series, findings.take(np.array([row])))[0]

    found.add(
        kind,
        tell,
        patient=rules.patient[findings.rule],
        keys=[rules.keys[key] for key in rules.key[findings.rule].tolist()],
        quantity=rules.quantity[findings.rule],
        at=findings.at,
        level=findings.level,
    )


def _composites(
    found: Gathering, series: Series, parts: list[_Part], patients: Int64s, proposal: Proposal
) -> None:
    rules = proposal.rows("composite", patients)
    keys = sorted({key for one in proposal.composites for key in one.components})
    number = {key: index for index, key in enumerate(keys)}
    named = {one.key: [number[key] for key in one.components] for one in proposal.composites}
    pair = [
        (row, key) for row, own in enumerate(rules.key.tolist()) for key in named[rules.keys[own]]
    ]
    components = composite.Components(
        rule=np.array([row for row, _ in pair], np.int64),
        key=np.array([key for _, key in pair], np.int64),
        keys=keys,
    )
    breaches, source = _breaches_of(parts, number)
    met = composite.evaluate(breaches, rules, components, np.ones(len(breaches), np.bool_))

    def tell(row: int) -> dict[str, Any]:
        told = []
        for breach in met.breach[met.finding == row].tolist():
            kind, its_rules, findings = parts[int(source[breach, 0])]
            one = findings.take(source[breach, 1:])
            told.append((kind, detail(kind, its_rules, series, one)[0]))
        return of_parts(told)

    row = met.findings.rule
    found.add(
        "composite",
        tell,
        patient=rules.patient[row],
        keys=[rules.keys[key] for key in rules.key[row].tolist()],
        quantity=rules.quantity[row],
        at=met.findings.at,
        level=met.findings.level,
    )


def _breaches_of(
    parts: list[_Part], number: dict[str, int]
) -> tuple[composite.Found, NDArray[np.int64]]:
    """Return the breaches of components, sorted, and where each came from: (b, 2) part, row."""
    columns: list[NDArray[np.int64]] = []
    for index, (_, rules, findings) in enumerate(parts):
        own = np.array([number.get(key, -1) for key in rules.keys], np.int64)
        key = own[rules.key[findings.rule]]
        row = np.flatnonzero(key >= 0)
        columns.append(
            np.column_stack(
                (
                    rules.patient[findings.rule[row]],
                    key[row],
                    findings.at[row],
                    np.full(len(row), index),
                    row,
                )
            ).astype(np.int64)
        )
    table = np.concatenate(columns)
    table = table[np.lexsort((table[:, 2], table[:, 1], table[:, 0]))]
    found = composite.Found(patient=table[:, 0], key=table[:, 1], measured_at=table[:, 2])
    return found, table[:, 3:]


def _paused(patient: Int64s, at: Int64s, pauses: NDArray[np.int64]) -> Bools:
    """Tell which moments lie in a pause of the patient."""
    asleep = np.zeros(len(patient), np.bool_)
    for whose, since, until in pauses.tolist():  # pauses are few
        asleep |= (patient == whose) & (at >= since) & (at < until)
    return asleep
