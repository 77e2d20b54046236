"""Means: rules over days, looked at six in the morning: once a week, or every day.

The week is counted from the first day of the patient's first plan, so it does not move when the
plan is changed. A clock that was away looks at the newest occasion only: a person is told what
is, not what was three weeks ago.
"""

from datetime import datetime
from typing import Final

import numpy as np

from ingest import windows
from ingest.batch import NO_TIME, Int64s
from ingest.clock import occasion, rows, samples
from ingest.clock.chore import Connection
from ingest.clock.columns import microseconds_of
from ingest.clock.record import record
from ingest.pg_binary import Array, read_array
from ingest.query import one_row
from ingest.registry import Registry
from ingest.rules.catalogue import KINDS

_STARTS: Final = """
select array_agg(v.in_force_from order by a.number)
from unnest(%s::bigint[]) with ordinality as a (patient_id, number)
cross join lateral (
    select min(in_force_from) as in_force_from from plan_version v
    where v.patient_id = a.patient_id
) v
"""


async def weekly(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Look at at most *most* rolling means that are due; returns how many."""
    return await _look(connection, ("rolling_mean", occasion.WEEK), now, most)


async def daily(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Look at at most *most* baselines that are due; returns how many."""
    return await _look(connection, ("baseline", 1), now, most)


async def _look(
    connection: Connection, kind_and_days: tuple[str, int], now: datetime, most: int
) -> int:
    kind, days = kind_and_days
    module = KINDS[kind].module
    at_us = microseconds_of(now)
    async with connection.transaction():
        due = await rows.take(connection, kind, at_us, most)
        if not len(due):
            return 0
        start = await _starts(connection, due.patient)
        newest = occasion.newest(at_us, start, days)
        # A row that was not looked at before waits for its first occasion.
        looked = np.flatnonzero(due.expected != NO_TIME)
        asked = due.take(looked)
        number, rules = await rows.rules_at(connection, kind, asked, newest[looked])
        at = newest[looked][number]
        before, _ = module.reach(rules)
        daily = kind == "baseline"
        series = await samples.between(connection, rules, at - before, at, daily=daily)
        findings = module.evaluate(series, rules, at)
        breaches = windows.from_findings(kind, rules, series, findings, at_us)
        paused = await rows.paused(connection, breaches.patient, breaches.measured_at)
        await record(connection, breaches.take(np.flatnonzero(~paused)))
        following = occasion.following(at_us, start, days)
        await rows.put(connection, due, due=following, expected=following)
    return len(due)


async def _starts(connection: Connection, patient: Int64s) -> Int64s:
    (raw,) = await one_row(connection, _STARTS, [Array(patient, "int8")])
    return read_array(raw).astype(np.int64)
