"""Due: which rules the clock looks at, made from the plan in force; nobody writes them otherwise.

Follows the registry's revisions, and the versions that begin with no writing at all. A rule that
is new, or that reads otherwise than before, is looked at at once, and its own chore says when it
is due; one that reads as before in a new version goes on where it stood. When nobody knows what
has changed (the first start, too long away, too much at once) everybody is gone through.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

import numpy as np

from ingest.batch import Int64s
from ingest.clock import turn
from ingest.clock.chore import Connection
from ingest.clock.columns import moment_of
from ingest.clock.turn import Turn
from ingest.pg_binary import Array, read_array
from ingest.query import one_row
from ingest.registry import Registry
from ingest.rules.catalogue import KINDS

DUE: Final = "due"
_KINDS: Final = [kind.name for kind in KINDS.values() if kind.is_clocked]

_KNOWN: Final = "select revision, forgotten from registry"
# Whole revisions, in their order.
_CHANGED: Final = """
with changed as (
    select revision, what, key from registry_change
    where revision > %s and what in ('patient', 'all')
    order by revision fetch first %s rows with ties
)
select array_agg(distinct key::bigint) filter (where what = 'patient'),
    array_agg(distinct revision), array_agg(revision) filter (where what = 'all')
from changed
"""
_BEGUN: Final = """
with begun as (
    select patient_id, in_force_from from plan_version
    where in_force_from > %s and in_force_from <= %s
    order by in_force_from fetch first %s rows with ties
)
select array_agg(patient_id), array_agg(in_force_from) from begun
"""
_NEXT: Final = """
select array_agg(patient_id order by patient_id) from (
    select patient_id from patient where patient_id > %s order by patient_id limit %s
) p
"""

# By way of the due rows themselves, each step by a key: a few of a million.
_REMOVE: Final = """
with stale as (
    select d.patient_id, d.rule_key
    from unnest(%(patients)s::bigint[]) p (patient_id)
    join rule_due d using (patient_id)
    join plan_rule old on old.plan_version_id = d.plan_version_id and old.rule_key = d.rule_key
    left join lateral (
        select plan_version_id from plan_version v
        where v.patient_id = d.patient_id and v.in_force_from <= %(now)s
        order by v.in_force_from desc limit 1
    ) v on true
    left join plan_rule r on r.plan_version_id = v.plan_version_id and r.rule_key = d.rule_key
    where (r.kind, r.level, r.spec) is distinct from (old.kind, old.level, old.spec)
)
delete from rule_due d using stale
where d.patient_id = stale.patient_id and d.rule_key = stale.rule_key
"""
# A missing measurement is looked at anew whatever changed: a pause may have been cut short. Not so
# one whose ladder has begun, unless it is expected later than it was: each look is a step, and a
# pause that is planned for next month tells nobody sooner, or again.
# Nobody is to be reminded of the canary's measurements.
_INSERT: Final = """
insert into rule_due as d (patient_id, rule_key, kind, plan_version_id, due_at)
select a.patient_id, r.rule_key, r.kind, v.plan_version_id, %(now)s
from unnest(%(patients)s::bigint[]) a (patient_id)
join patient p on p.patient_id = a.patient_id and not p.is_canary
cross join lateral (
    select plan_version_id from plan_version v
    where v.patient_id = a.patient_id and v.in_force_from <= %(now)s
    order by v.in_force_from desc limit 1
) v
join plan_rule r on r.plan_version_id = v.plan_version_id and r.kind = any(%(kinds)s)
order by a.patient_id, r.rule_key
on conflict (patient_id, rule_key) do update set
    plan_version_id = excluded.plan_version_id,
    due_at = case when d.kind = 'missing' and (
        d.step = 0 or d.plan_version_id <> excluded.plan_version_id or exists (
            select from patient_pause p
            join plan_rule r on r.plan_version_id = d.plan_version_id and r.rule_key = d.rule_key
            where p.patient_id = d.patient_id and p.from_at <= excluded.due_at
                and p.until_at + make_interval(secs => 3600 * (r.spec ->> 'interval_h')::float8)
                    > d.expected_at
        )
    ) then least(d.due_at, excluded.due_at) else d.due_at end
"""


async def make(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Bring the due rows of about *most* patients up to the plans in force at *now*.

    Returns:
        How many patients were gone through; at least *most* while there may be more.
    """
    async with connection.transaction():
        was = await turn.last(connection, DUE, lock=True) or Turn(done_at=now)
        cursor = await connection.execute(_KNOWN)
        known = await cursor.fetchone()
        assert known is not None
        revision, forgotten = known
        if was.next_patient_id is None and was.revision < max(forgotten, 0):
            was = replace(was, done_at=now, revision=revision, next_patient_id=0)
        if was.next_patient_id is not None:
            return await _sweep(connection, now, most, was)
        return await _follow(connection, now, most, was)


async def _sweep(connection: Connection, now: datetime, most: int, was: Turn) -> int:
    """Go through the next patients of everybody; what changes meanwhile is followed after."""
    (raw,) = await one_row(connection, _NEXT, [was.next_patient_id, most])
    patients = read_array(raw)
    await _renew(connection, now, patients)
    is_more = len(patients) >= most
    at = int(patients[-1]) if is_more else None
    await turn.done(connection, DUE, replace(was, next_patient_id=at))
    return len(patients)


async def _follow(connection: Connection, now: datetime, most: int, was: Turn) -> int:
    """Go through those whose plan was changed, or has begun, since *was*."""
    row = await one_row(connection, _CHANGED, [was.revision, most])
    changed, revisions, everybody = (read_array(raw) for raw in row)
    row = await one_row(connection, _BEGUN, [was.done_at, now, most])
    begun, begun_at = (read_array(raw) for raw in row)
    patients = np.union1d(changed, begun)
    await _renew(connection, now, patients)
    is_more = len(begun) >= most
    await turn.done(
        connection,
        DUE,
        Turn(
            done_at=moment_of(int(begun_at[-1])) if is_more else now,
            revision=int(revisions[-1]) if len(revisions) else was.revision,
            next_patient_id=0 if len(everybody) else None,
        ),
    )
    return max(len(patients), most) if is_more or len(everybody) else len(patients)


async def _renew(connection: Connection, now: datetime, patients: Int64s) -> None:
    if not len(patients):
        return
    parameters = {"patients": Array(patients, "int8"), "now": now, "kinds": _KINDS}
    await connection.execute(_REMOVE, parameters)
    await connection.execute(_INSERT, parameters)
