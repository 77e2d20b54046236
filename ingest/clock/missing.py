"""Missing: measurements that the plan expects and that are not there; ``ladder`` says what then.

After an absence of the clock nobody is told for half an hour: gateways are heard again and send
what they kept meanwhile, and what looks missing mostly is not.
"""

from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest import windows
from ingest.batch import NO_TIME, Bools, Int64s
from ingest.clock import ladder, rows, samples, turn
from ingest.clock.chore import Connection
from ingest.clock.columns import microseconds_of, moment_of
from ingest.clock.record import record
from ingest.clock.rows import DueRows
from ingest.clock.turn import Turn
from ingest.pg_binary import Array, read_array
from ingest.query import one_row
from ingest.registry import Registry
from ingest.rules import missing
from ingest.rules.table import RuleRows, Series
from ingest.status import SILENT_AFTER

MISSING: Final = "missing"
ABSENT_AFTER: Final = timedelta(minutes=10)
SETTLING: Final = timedelta(minutes=30)

_PAUSES: Final = """
select array_agg(a.number - 1), array_agg(p.until_at)
from unnest(%s::bigint[]) with ordinality as a (patient_id, number)
cross join lateral (
    select max(until_at) as until_at from patient_pause p
    where p.patient_id = a.patient_id and p.from_at <= %s
) p
where p.until_at is not null
"""
# The gateways that stand at her home; without any, the one that sent her last reading. Silent are
# those of which none was heard lately.
_SILENT: Final = """
with standing as (
    select a.number, h.gateway_id
    from unnest(%(patients)s::bigint[]) with ordinality as a (patient_id, number)
    join gateway_home h on h.patient_id = a.patient_id and h.until_at is null
),
others as (
    select a.number, r.gateway_id
    from unnest(%(patients)s::bigint[]) with ordinality as a (patient_id, number)
    cross join lateral (
        select gateway_id from reading r where r.patient_id = a.patient_id
        order by r.measured_at desc limit 1
    ) r
    where not exists (select from standing s where s.number = a.number)
),
hers as (select * from standing union all select * from others)
select array_agg(number - 1) from (
    select h.number from hers h left join gateway_status g using (gateway_id)
    group by h.number
    having coalesce(max(g.received_at), '-infinity') < %(heard_after)s
) silent
"""
_REMIND: Final = """
insert into reminder (patient_id, rule_key, expected_at, step)
select * from unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::smallint[])
on conflict do nothing
"""


async def look(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Look at at most *most* expected measurements whose time has come; returns how many."""
    was = await turn.last(connection, MISSING)
    resumed_at = None if was is None else was.resumed_at
    if was is not None and now - was.done_at > ABSENT_AFTER:
        resumed_at = now
    count = 0
    if resumed_at is None or now >= resumed_at + SETTLING:
        count = await _look(connection, microseconds_of(now), resumed_at, most)
    # Last, and by itself: a clock that fails was away, and two leaders do not wait for each other.
    await turn.done(connection, MISSING, Turn(done_at=now, resumed_at=resumed_at))
    return count


async def _look(connection: Connection, at: int, resumed_at: datetime | None, most: int) -> int:
    async with connection.transaction():
        due = await rows.take(connection, MISSING, at, most)
        if len(due):
            resumed = NO_TIME if resumed_at is None else microseconds_of(resumed_at)
            await _step(connection, due, at, resumed)
    return len(due)


async def _step(connection: Connection, due: DueRows, at: int, resumed_at: int) -> None:
    """Take the step that is due for each of *due*."""
    number, rules = await rows.rules_at(connection, MISSING, due, np.full(len(due), at, np.int64))
    await rows.drop(connection, due.take(np.setdiff1d(np.arange(len(due)), number)))
    ruled = due.take(number)
    last = await _last(connection, ruled, rules, at)
    awake_from = await _paused_until(connection, rules.patient, at)
    findings = missing.evaluate(last, rules, np.full(len(rules), at, np.int64), awake_from)
    is_silent = np.zeros(len(rules), np.bool_)
    is_silent[findings.rule] = await _silent(connection, rules.patient[findings.rule], at)
    expected = missing.expected(rules, samples.newest(last, rules), awake_from)
    waiting = ladder.Waiting(
        expected=expected,
        grace=missing.grace(rules),
        expected_before=ruled.expected,
        step=ruled.step,
        held_since=ruled.held_since,
        is_quiet=rules.level == 0,
    )
    seen = ladder.look(at, waiting, is_silent, resumed_at)
    await rows.put(
        connection,
        ruled,
        due=seen.due,
        expected=expected,
        step=seen.step,
        held_since=seen.held_since,
    )
    reminded = np.flatnonzero(seen.told & (seen.step < ladder.BREACH))
    await _remind(connection, ruled.take(reminded), expected[reminded], seen.step[reminded])
    broken = (seen.told & (seen.step >= ladder.BREACH))[findings.rule]
    found = findings.take(np.flatnonzero(broken))
    await record(connection, windows.from_findings(MISSING, rules, last, found, at))


async def _last(connection: Connection, ruled: DueRows, rules: RuleRows, at: int) -> Series:
    """Return the last sample of each rule since its version began, where there is one.

    Most have one after the last that is known of, which is a short way to look back. Who has none
    is missed, unless the one known of was superseded meanwhile: it is looked for all the way.
    """
    begun = np.minimum(rules.in_force_from, at)
    known = np.where(ruled.expected == NO_TIME, begun, ruled.expected - missing.interval(rules))
    since = np.clip(known, begun, at)
    last = await samples.last(connection, rules, since, at)
    none = np.flatnonzero((samples.newest(last, rules) == NO_TIME) & (since > begun))
    if not len(none):
        return last
    return samples.merged(last, await samples.last(connection, rules.take(none), begun[none], at))


async def _paused_until(connection: Connection, patient: Int64s, at: int) -> Int64s:
    """Return the end of the last pause that has begun, NO_TIME where there was none; (k,)."""
    until = np.full(len(patient), NO_TIME, np.int64)
    row = await one_row(connection, _PAUSES, [Array(patient, "int8"), moment_of(at)])
    until[read_array(row[0])] = read_array(row[1])
    return until


async def _silent(connection: Connection, patient: Int64s, at: int) -> Bools:
    """Tell whose gateways are silent, (k,); a patient without any has none that could be."""
    silent = np.zeros(len(patient), np.bool_)
    if len(patient):
        heard_after = moment_of(at) - SILENT_AFTER
        parameters = {"patients": Array(patient, "int8"), "heard_after": heard_after}
        (raw,) = await one_row(connection, _SILENT, parameters)
        silent[read_array(raw)] = True
    return silent


async def _remind(
    connection: Connection, ruled: DueRows, expected: Int64s, step: NDArray[np.int16]
) -> None:
    if len(ruled):
        await connection.execute(
            _REMIND,
            [
                Array(ruled.patient, "int8"),
                list(ruled.keys),
                Array(expected, "timestamptz"),
                Array(step, "int2"),
            ],
        )
