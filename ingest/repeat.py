"""Repeat: a red value that a second measurement is to confirm or calm, and who decides when.

A red act of measuring under a repeat rule is held: its breaches are recorded, without an alert. The
next reading of the same panel within the time decides by the mean of the two (ingest.rules.repeat);
without one the red stands. So does a doubted value beyond a red bound, which breaks no limit
until then. A reading that was the repeat of an earlier one asks for none itself.

Whoever has both readings before it decides at once, and holds the patient's row meanwhile: one
reading may be the repeat of two reds that come to two workers. Two workers may have one each and
see neither: then nobody decides until the time has run out, and ``settle_due`` has the last word
on all. Rows of ``repeat_wait`` that another holds are passed over, never waited for.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest import episode, windows
from ingest.batch import MINUTE, Bools, Ids, Int64s
from ingest.breach import KINDS, LATE, REPEAT, Breaches, objects
from ingest.news import News, among
from ingest.registry import Registry
from ingest.rules import explain, limit, repeat
from ingest.rules.limit import IDS_MAX, RED
from ingest.rules.repeat import OUTCOMES, Outcome
from ingest.rules.table import Findings, RuleRows, Series
from ingest.search import pairs
from ingest.waits import (
    FIRST,
    MEMBERS,
    Waits,
    acts,
    due,
    mark_decided,
    nobody,
    patients_due,
    patients_waiting,
)

# A backlog comes in several messages: its repeat may be a moment behind.
ARRIVAL_US: Final = MINUTE

_CALMED: Final = OUTCOMES.index(Outcome.CALMED)
_UNREPEATED: Final = OUTCOMES.index(Outcome.UNREPEATED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of some waits."""

    waits: Waits  # (d,)
    repeat_id: Ids  # (d,) S16; zeros: none came
    outcome: NDArray[np.int8]  # (d,) index into OUTCOMES
    breaches: Breaches | None  # that open, join or raise an alert


def asking(registry: Registry, news: News, limits: Breaches) -> tuple[Waits, Bools]:
    """Return which readings ask for a repeat, and which limit breaches are held for it.

    Args:
        registry: As fresh as the judgement.
        news: The samples in question; those that nobody has a rule for may be missing.
        limits: Breaches of limits of the same readings, (b,).

    Returns:
        The waits, and (b,) what they hold: all the limit breaches of the act's panel.
    """
    held = np.zeros(len(limits), np.bool_)
    mine = np.flatnonzero(
        among(registry.patients_with("repeat"), news.patient)
        & ~news.is_vouched
        & ~news.is_taken_back
    )
    if not len(mine):
        return nobody(), held
    sample = news.take(mine)
    finding = limit.evaluate(
        patient=sample.patient,
        quantity=sample.quantity,
        measured_at=sample.measured_at,
        value=sample.value,
        counts=~registry.paused(sample.patient, sample.measured_at),
        limits=registry.limits_of(sample.patient),
    )
    rules = registry.rules_of("repeat", sample.patient)
    rule = _rule_of(rules, finding.version, FIRST[sample.quantity])
    red = np.flatnonzero((finding.level == RED) & (rule >= 0))
    act = acts(sample.reading_id, sample.quantity)
    _, one = np.unique(act[red], return_index=True)
    red = red[one]
    at, arrived = sample.measured_at[red], sample.arrived_at[red]
    until = at + repeat.wait(rules)[rule[red]]
    waits = Waits(
        reading_id=sample.reading_id[red],
        patient=sample.patient[red],
        quantity=FIRST[sample.quantity[red]],
        version=finding.version[red],
        measured_at=at,
        repeat_until=until,
        due_at=np.maximum(until, arrived + ARRIVAL_US),
        late=arrived - at > LATE,
    )
    if len(limits):
        held = np.isin(acts(limits.reading_id, limits.quantity), act[red])
    return waits, held


def _rule_of(rules: RuleRows, version: Int64s, quantity: NDArray[np.int16]) -> Int64s:
    """Return the row of the rule of each version and first quantity; -1: none."""
    if not len(rules):
        return np.full(len(version), -1, np.int64)
    key = rules.version * IDS_MAX + rules.quantity
    order = np.argsort(key)
    wanted = version * IDS_MAX + quantity
    place = np.minimum(np.searchsorted(key[order], wanted), len(key) - 1)
    return np.where(key[order][place] == wanted, order[place], -1).astype(np.int64)


async def awaited(
    connection: psycopg.AsyncConnection[Any], registry: Registry, news: News
) -> Int64s:
    """Return the patients of whom some *news* may be the repeat that is waited for.

    No statement if no patient of the news has a repeat rule.
    """
    may = news.counts & ~news.is_taken_back & (news.quantity == FIRST[news.quantity])
    may &= among(registry.patients_with("repeat"), news.patient)
    if not may.any():
        return np.empty(0, np.int64)
    return await patients_waiting(connection, news.patient[may])


async def decide(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    waits: Waits,
    *,
    stands: bool,
) -> Decided | None:
    """Decide those of *waits* whose repeat is stored; None: nothing to decide.

    Args:
        connection: In a transaction, with the samples of all readings.
        registry: Knows the limits.
        waits: Each reading and panel once.
        stands: The time has run out: what has no repeat stands. Otherwise it is left open.
    """
    if not len(waits):
        return None
    waits = waits.take(np.lexsort((waits.measured_at, waits.quantity, waits.patient)))
    series = await windows.fetch(connection, _span(waits))
    found = repeat.find(
        series,
        patient=waits.patient,
        quantity=waits.quantity,
        after=waits.measured_at,
        wait=waits.repeat_until - waits.measured_at,
    )
    repeat_id = np.where(found >= 0, series.reading_id[found], b"") if len(series) else _none(waits)
    is_decided = _unused(waits, repeat_id) & (stands | (repeat_id != b""))
    if not is_decided.any():
        return None
    return _hold_against(registry, series, waits.take(is_decided), repeat_id[is_decided])


def _none(waits: Waits) -> Ids:
    return np.zeros(len(waits), "S16")


def _span(waits: Waits) -> windows.Span:
    """Return the stretches that hold the readings themselves and what may be their repeats."""
    wait, quantity = _with_members(waits)
    return windows.Span(
        patient=waits.patient[wait],
        quantity=quantity,
        since=waits.measured_at[wait],
        first_at=waits.measured_at[wait],
        until=waits.repeat_until[wait],
        most=np.zeros(len(wait), np.int64),
        by_status=np.zeros(len(wait), np.bool_),
    ).disjoint()


def _with_members(waits: Waits) -> tuple[Int64s, NDArray[np.int16]]:
    """Return pairs of (row of the waits, quantity of its panel)."""
    start = np.searchsorted(FIRST[MEMBERS], waits.quantity, side="left").astype(np.int64)
    stop = np.searchsorted(FIRST[MEMBERS], waits.quantity, side="right").astype(np.int64)
    wait, place = pairs(start, stop - start)
    return wait, MEMBERS[place]


def _unused(waits: Waits, repeat_id: Ids) -> Bools:
    """Tell which waits are not those of the repeat of an earlier one; (w,).

    One by one in order of time, since what was used up asks for nothing. There are as many as
    acts that are waited for, not as readings.
    """
    used: set[tuple[bytes, int]] = set()
    unused = np.ones(len(waits), np.bool_)
    for row, (mine, panel, other) in enumerate(
        zip(waits.reading_id.tolist(), waits.quantity.tolist(), repeat_id.tolist(), strict=True)
    ):
        if (mine, panel) in used:
            unused[row] = False
        elif other:
            used.add((other, panel))
    return unused


def _hold_against(registry: Registry, series: Series, waits: Waits, repeat_id: Ids) -> Decided:
    """Return what becomes of *waits*, each with its repeat or without."""
    wait, quantity = _with_members(waits)
    first, second = _rows_of(series, waits.reading_id[wait], repeat_id[wait], quantity)
    given = first >= 0
    wait, quantity, first, second = wait[given], quantity[given], first[given], second[given]
    is_repeated = repeat_id != b""
    other = np.where(second >= 0, series.value[second], np.nan)
    decision = repeat.decide(
        patient=waits.patient[wait],
        quantity=quantity,
        measured_at=waits.measured_at[wait],
        first=series.value[first],
        second=other,
        repeated=is_repeated[wait],
        limits=registry.limits_of(waits.patient),
    )
    worst = np.zeros(len(waits), np.int8)
    np.maximum.at(worst, wait, decision.finding.level)
    outcome = np.where(worst > 0, OUTCOMES.index(Outcome.CONFIRMED), _CALMED).astype(np.int8)
    outcome[~is_repeated] = _UNREPEATED
    # Without a repeat what was believed stands by its own breaches; what was doubted has none.
    told = (decision.finding.level > 0) & (is_repeated[wait] | ~series.counts[first])
    rows = np.flatnonzero(told)
    anchor = np.where(second >= 0, second, first)
    findings = Findings(
        rule=wait[rows],
        anchor=anchor[rows],
        at=series.measured_at[anchor[rows]],
        side=decision.finding.side[rows],
        level=decision.finding.level[rows],
        value=decision.value[rows],
        bound=decision.finding.bound[rows],
        first=first[rows],
        stop=anchor[rows] + 1,
        extra=np.column_stack((series.value[first[rows]], other[rows])),
    )
    return Decided(
        waits=waits,
        repeat_id=repeat_id,
        outcome=outcome,
        breaches=_breaches(waits, quantity[rows], series, findings) if len(rows) else None,
    )


def _rows_of(
    series: Series, first_id: Ids, second_id: Ids, quantity: NDArray[np.int16]
) -> tuple[Int64s, Int64s]:
    """Return the rows of the series of each reading's value of a quantity; -1: it has none."""
    size, asked = len(series), len(first_id)
    _, number = np.unique(
        np.concatenate((series.reading_id, first_id, second_id)), return_inverse=True
    )
    key = number * IDS_MAX + np.concatenate((series.quantity, quantity, quantity))
    order = np.argsort(key[:size])
    place = np.searchsorted(key[:size][order], key[size:])
    row = order[np.minimum(place, size - 1)]
    found = np.where(key[row] == key[size:], row, -1).astype(np.int64)
    return found[:asked], found[asked:]


def _breaches(
    waits: Waits, quantity: NDArray[np.int16], series: Series, findings: Findings
) -> Breaches:
    """Return decisions as breaches; ``findings.rule`` is the row of the waits."""
    row = findings.rule
    keys = waits.keys()
    rules = RuleRows(
        patient=waits.patient,
        in_force_from=waits.measured_at,
        in_force_until=waits.measured_at,
        version=waits.version,
        keys=keys,
        key=np.arange(len(waits), dtype=np.int64),
        quantity=waits.quantity,
        level=np.full(len(waits), RED, np.int8),
        params=np.column_stack(
            (np.full(len(waits), np.nan), (waits.repeat_until - waits.measured_at) / MINUTE)
        ),
    )
    assert repeat.PARAMS[1] == "wait_min"
    both = zip(series.reading_id[findings.first], series.reading_id[findings.anchor], strict=True)
    return Breaches(
        kind=np.full(len(row), REPEAT, np.int8),
        keys=keys,
        key=row,
        reading_id=series.reading_id[findings.anchor],
        patient=waits.patient[row],
        quantity=quantity,
        measured_at=findings.at,
        level=findings.level,
        side=findings.side,
        value=findings.value,
        bound=findings.bound,
        version=waits.version[row],
        late=waits.late[row],
        held=np.zeros(len(row), np.bool_),
        detail=objects(explain.detail(KINDS[REPEAT], rules, series, findings)),
        readings=objects([np.unique(np.array(pair, "S16")) for pair in both]),
    )


async def close(connection: psycopg.AsyncConnection[Any], decided: Decided) -> None:
    """Store the decisions. What was held joins its alert, unless the mean has calmed it.

    The breaches of *decided* are recorded already.
    """
    waits, outcome = decided.waits, decided.outcome
    await mark_decided(
        connection, waits, decided.repeat_id, [OUTCOMES[code] for code in outcome.tolist()]
    )
    rules = np.array(waits.rules(), np.object_)
    stands = np.flatnonzero(outcome == _UNREPEATED)
    if len(stands):
        await episode.release(connection, waits.reading_id[stands], rules[stands].tolist())
    joins = np.flatnonzero((outcome != _UNREPEATED) & (outcome != _CALMED))
    if len(joins):
        both = np.concatenate((waits.reading_id[joins], decided.repeat_id[joins]))
        await episode.link(connection, both, [*rules[joins].tolist(), *rules[joins].tolist()])


async def settle_due(
    connection: psycopg.AsyncConnection[Any], registry: Registry, now: datetime, most: int
) -> int:
    """Decide at most *most* held readings whose time has run out at *now*.

    Correct if several do it at once. In a transaction of its own, or a part of the caller's.

    Returns:
        How many were taken: *most* if there may be more. One may be another's repeat.
    """
    async with connection.transaction():
        patients = await patients_due(connection, now, most)
        await episode.lock(connection, patients)  # before the waits, as everyone does
        waits = await due(connection, patients, now, most) if len(patients) else nobody()
        if not len(waits):
            return 0
        await registry.refresh(connection)
        decided = await decide(connection, registry, waits, stands=True)
        assert decided is not None  # the earliest of a patient is no other's repeat
        if decided.breaches is not None:
            await episode.record(connection, decided.breaches, is_locked=True)
        await close(connection, decided)
    return len(waits)
