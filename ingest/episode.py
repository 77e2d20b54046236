"""Episode: opens, joins or raises the alert that breaches belong to. One statement a batch.

One alert is open for a patient and a rule at a time (the unique index ``alert_one_open``), so
two workers that find breaches of one patient at once meet at its row: the later one waits and
joins. Rows are taken in the order of (patient, rule) by everyone, so nobody waits in a circle.
A raised alert is open again, whoever had acknowledged it: red is news.
"""

from typing import Any, Final

import numpy as np
import psycopg

from ingest.batch import Bools
from ingest.breach import SIDES, Breaches
from ingest.pg_binary import Array, read_array
from ingest.plausibility import VALUE_DOUBTS
from ingest.rules.limit import RED, YELLOW

# A late red breach is calmed when a newer value of the same quantity is not doubted and broke
# no limit: stored before, or in this batch.
_CALMED: Final = """
select array_agg(asked.number order by asked.number)
from unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::timestamptz[])
    as asked (number, patient_id, quantity_id, measured_at)
where exists (
    select from sample s
    where s.patient_id = asked.patient_id and s.quantity_id = asked.quantity_id
        and s.measured_at > asked.measured_at and s.suspicion & %s = 0
        and not exists (
            select from breach b
            where b.reading_id = s.reading_id and b.quantity_id = s.quantity_id
        )
        and (s.reading_id, s.quantity_id) not in (
            select * from unnest(%s::uuid[], %s::smallint[])
        )
)
"""

_RECORD: Final = """
with found as (
    select * from unnest(%s::bigint[], %s::text[], %s::smallint[], %s::smallint[], %s::boolean[],
        %s::timestamptz[], %s::uuid[], %s::smallint[], %s::text[], %s::float8[], %s::float8[],
        %s::bigint[])
    as f (patient_id, rule, level, alert_level, late, measured_at, reading_id, quantity_id, side,
        value, bound, plan_version_id)
),
episode as (
    select patient_id, rule, max(alert_level) as level, bool_and(late) as late,
        max(measured_at) as measured_at, count(*) as breaches
    from found group by patient_id, rule
),
touched as (
    insert into alert (patient_id, rule, level, late, measured_at)
    select patient_id, rule, level, late, measured_at
    from episode order by patient_id, rule
    on conflict (patient_id, rule) where state <> 'closed' do update set
        level = greatest(alert.level, excluded.level),
        level_since = case when excluded.level > alert.level
            then transaction_timestamp() else alert.level_since end,
        state = case when excluded.level > alert.level then 'open' else alert.state end,
        late = alert.late and excluded.late,
        measured_at = greatest(alert.measured_at, excluded.measured_at),
        changed_at = clock_timestamp()
    returning alert_id, patient_id, rule, level,
        case when opened_at = transaction_timestamp() then 'opened'
            when level_since = transaction_timestamp() then 'raised'
            else 'joined' end as event
),
logged as (
    insert into alert_log (alert_id, event, detail)
    select alert_id, event,
        jsonb_build_object('level', touched.level, 'breaches', episode.breaches)
    from touched join episode using (patient_id, rule) order by alert_id
),
recorded as (
    insert into breach (alert_id, reading_id, patient_id, quantity_id, measured_at, rule, level,
        side, value, bound, plan_version_id, late)
    select alert_id, reading_id, patient_id, quantity_id, measured_at, rule, found.level,
        side, value, bound, plan_version_id, late
    from found join touched using (patient_id, rule)
    on conflict (reading_id, quantity_id, rule) do nothing
)
select pg_notify('alert', '')
"""


async def record(connection: psycopg.AsyncConnection[Any], breaches: Breaches) -> None:
    """Store *breaches* of readings that are new, and what they mean for alerts.

    The batch's samples must be in the database, in this transaction or before.
    """
    if not len(breaches):
        return
    calmed = await _calmed(connection, breaches)
    rules = breaches.rules()
    await connection.execute(
        _RECORD,
        [
            Array(breaches.patient, "int8"),
            rules,
            Array(breaches.level, "int2"),
            Array(np.where(calmed, YELLOW, breaches.level), "int2"),
            Array(breaches.late, "bool"),
            Array(breaches.measured_at, "timestamptz"),
            Array(breaches.reading_id, "uuid"),
            Array(breaches.quantity, "int2"),
            [SIDES[side] for side in breaches.side.tolist()],
            Array(breaches.value, "float8"),
            Array(breaches.bound, "float8"),
            Array(breaches.version, "int8"),
        ],
    )


async def _calmed(connection: psycopg.AsyncConnection[Any], breaches: Breaches) -> Bools:
    """Return (b,) which late red breaches are overtaken by a newer value in range."""
    calmed = np.zeros(len(breaches), np.bool_)
    rows = np.flatnonzero(breaches.late & (breaches.level == RED))
    if not len(rows):
        return calmed
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(
            _CALMED,
            [
                Array(rows.astype(np.int64), "int8"),
                Array(breaches.patient[rows], "int8"),
                Array(breaches.quantity[rows], "int2"),
                Array(breaches.measured_at[rows], "timestamptz"),
                VALUE_DOUBTS,
                Array(breaches.reading_id, "uuid"),
                Array(breaches.quantity, "int2"),
            ],
        )
        result = cursor.pgresult
        assert result is not None
        calmed[read_array(result.get_value(0, 0))] = True
    return calmed
