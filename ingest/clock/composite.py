"""Composite: several rules at once, looked for whenever a rule found something.

Within some seconds after a component's breach was found: whoever found it, in whatever order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np

from ingest.batch import Bools, Int64s
from ingest.breach import KINDS, LATE, NO_READING, Breaches, objects
from ingest.clock import turn
from ingest.clock.chore import Connection
from ingest.clock.columns import microseconds_of, texts
from ingest.clock.record import record
from ingest.clock.rows import understand
from ingest.clock.turn import Turn
from ingest.pg_binary import Array, read_array
from ingest.query import one_row
from ingest.registry import Registry
from ingest.rules import composite
from ingest.rules.catalogue import kind_of
from ingest.rules.composite import Components, Found, Met
from ingest.rules.explain import of_parts
from ingest.rules.table import RuleRows

COMPOSITE: Final = "composite"
# A breach's time of finding is older than its commit, by a transaction's length at most. Who is
# looked at twice is told nothing twice.
UNCOMMITTED: Final = timedelta(minutes=3)
# At the very first start; before it nobody was told of a composite, and nobody is now.
FIRST_LOOK: Final = timedelta(days=1)

# What was held until a repeat decides, or calmed by it, is no part of anything.
_PATIENTS: Final = """
select array_agg(distinct b.patient_id) from breach b
where b.found_at > %s and b.rule_key <> '' and (b.level = 0 or b.alert_id is not null)
    and exists (
        select from plan_version v join plan_rule r using (plan_version_id)
        where v.patient_id = b.patient_id and r.kind = 'composite'
    )
"""
_RULES: Final = """
with version as (
    select plan_version_id, patient_id, in_force_from,
        lead(in_force_from, 1, 'infinity') over (
            partition by patient_id order by in_force_from
        ) as in_force_until
    from plan_version where patient_id = any(%s::bigint[])
),
ruled as (
    select v.*, r.rule_key, r.level, r.spec::text as spec
    from version v join plan_rule r using (plan_version_id) where r.kind = 'composite'
)
select array_agg(patient_id), array_agg(in_force_from), array_agg(in_force_until),
    array_agg(plan_version_id), array_agg(rule_key), array_agg(level), array_agg(spec)
from ruled
"""
# What may be in a window together with a new breach of the same patient.
_BREACHES: Final = """
with fresh as (
    select patient_id, min(measured_at) as first, max(measured_at) as last from breach
    where patient_id = any(%(patients)s::bigint[]) and found_at > %(since)s
    group by patient_id
)
select b.breach_id, b.patient_id, b.rule_key, b.measured_at, b.reading_id, b.detail,
    b.found_at > %(since)s
from fresh f join breach b on b.patient_id = f.patient_id
    and b.measured_at >= f.first - %(reach)s and b.measured_at <= f.last + %(reach)s
where b.rule_key = any(%(keys)s) and (b.level = 0 or b.alert_id is not null)
order by b.patient_id, b.rule_key, b.measured_at, b.breach_id
"""
_RESTING: Final = """
select breach_id, reading_id from breach_reading where breach_id = any(%s)
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """b breaches of components, sorted as ``found`` is."""

    found: Found
    new: Bools  # (b,)
    breach: Int64s  # (b,) breach_id
    reading: list[UUID | None]  # (b,)
    detail: list[tuple[str, dict[str, Any]]]  # (b,) with the kind


async def look(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Look at everybody of whom a component's breach was found lately; returns how many.

    A transaction is for *most* patients; all are gone through.
    """
    was = await turn.last(connection, COMPOSITE)
    since = now - FIRST_LOOK if was is None else was.done_at - UNCOMMITTED
    (raw,) = await one_row(connection, _PATIENTS, [since])
    patients = read_array(raw)
    for start in range(0, len(patients), most):
        async with connection.transaction():
            await _look_at(connection, patients[start : start + most], since, now)
    await turn.done(connection, COMPOSITE, Turn(done_at=now))
    return min(len(patients), most - 1)


async def _look_at(
    connection: Connection, patients: Int64s, since: datetime, now: datetime
) -> None:
    rules, components = _rules(await one_row(connection, _RULES, [Array(patients, "int8")]))
    if not len(rules):
        return
    reach, _ = composite.reach(rules)
    cursor = await connection.execute(
        _BREACHES,
        {
            "patients": Array(patients, "int8"),
            "since": since,
            "reach": timedelta(microseconds=int(reach.max())),
            "keys": list(components.keys),
        },
    )
    parts = _parts(await cursor.fetchall(), components.keys)
    met = composite.evaluate(parts.found, rules, components, parts.new)
    if len(met.findings):
        resting = await _resting(connection, parts, met)
        await record(connection, _breaches(rules, met, parts, resting, now))


def _rules(raw: Sequence[bytes | None]) -> tuple[RuleRows, Components]:
    """Return the composites of all versions, and what each is made of."""
    given = texts(raw[6])
    understood = [understand(COMPOSITE, spec) for spec in given]
    kept = [number for number, one in enumerate(understood) if one is not None]
    specs = [json.loads(given[number]) for number in kept]
    read = [one for one in understood if one is not None]
    names, key = np.unique(np.array(texts(raw[4]), np.object_)[kept], return_inverse=True)
    rules = RuleRows(
        patient=read_array(raw[0])[kept].astype(np.int64),
        in_force_from=read_array(raw[1])[kept].astype(np.int64),
        in_force_until=read_array(raw[2])[kept].astype(np.int64),  # infinity is the largest int64
        version=read_array(raw[3])[kept].astype(np.int64),
        keys=[str(name) for name in names],
        key=key.astype(np.int64),
        quantity=np.array([quantity for quantity, _ in read], np.int16),
        level=read_array(raw[5])[kept].astype(np.int8),
        params=np.array([params for _, params in read], np.float64).reshape(
            len(read), len(composite.PARAMS)
        ),
    )
    keys = sorted({part for spec in specs for part in spec["components"]})
    number = {part: index for index, part in enumerate(keys)}
    pairs = [(rule, number[part]) for rule, spec in enumerate(specs) for part in spec["components"]]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return rules, Components(rule=table[:, 0], key=table[:, 1], keys=keys)


def _parts(rows: Sequence[tuple[Any, ...]], keys: Sequence[str]) -> Parts:
    number = {key: index for index, key in enumerate(keys)}
    patient = np.array([row[1] for row in rows], np.int64)
    key = np.array([number[row[2]] for row in rows], np.int64)
    measured_at = np.array([microseconds_of(row[3]) for row in rows], np.int64)
    order = np.lexsort((measured_at, key, patient))  # the database may sort texts otherwise
    return Parts(
        found=Found(patient=patient[order], key=key[order], measured_at=measured_at[order]),
        new=np.array([row[6] for row in rows], np.bool_)[order],
        breach=np.array([row[0] for row in rows], np.int64)[order],
        reading=[rows[row][4] for row in order.tolist()],
        detail=[(kind_of(rows[row][2]), rows[row][5]) for row in order.tolist()],
    )


async def _resting(connection: Connection, parts: Parts, met: Met) -> dict[int, set[bytes]]:
    """Return the readings that each component's breach rests on, by its row in *parts*."""
    row_of = {int(parts.breach[row]): int(row) for row in np.unique(met.breach)}
    found: dict[int, set[bytes]] = {row: set() for row in row_of.values()}
    for row, ids in found.items():
        if (reading := parts.reading[row]) is not None:
            ids.add(reading.bytes)
    cursor = await connection.execute(_RESTING, [list(row_of)])
    for breach_id, reading_id in await cursor.fetchall():
        found[row_of[breach_id]].add(reading_id.bytes)
    return found


def _breaches(
    rules: RuleRows, met: Met, parts: Parts, resting: dict[int, set[bytes]], now: datetime
) -> Breaches:
    """Return what fired as breaches that name all readings of their components."""
    findings = met.findings
    size = len(findings)
    components = [met.breach[met.finding == number].tolist() for number in range(size)]
    return Breaches(
        kind=np.full(size, KINDS.index(COMPOSITE), np.int8),
        keys=rules.keys,
        key=rules.key[findings.rule],
        reading_id=np.full(size, NO_READING, "S16"),
        patient=rules.patient[findings.rule],
        quantity=rules.quantity[findings.rule],
        measured_at=findings.at,
        level=findings.level,
        side=findings.side,
        value=findings.value,
        bound=findings.bound,
        version=rules.version[findings.rule],
        late=microseconds_of(now) - findings.at > LATE,
        held=np.zeros(size, np.bool_),
        detail=objects([of_parts([parts.detail[row] for row in rows]) for rows in components]),
        readings=objects(
            [
                np.array(sorted(set().union(*(resting[row] for row in rows))), "S16")
                for rows in components
            ]
        ),
    )
