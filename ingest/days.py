"""Days: keeps the daily values of ``sample_daily`` where no database does so by itself.

Storing readings does nothing for it. ``roll`` finds what was stored since it last looked, by the
BRIN index on ``stored_at``, and marks those days of those patients; a marked day is rolled once
it is over for some days. Days that are not rolled are counted by the view when it is asked, and
so is a day that is marked again by a late reading. On an edition that keeps days by itself
(0006_community.sql) there is nothing to do.
"""

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import psycopg

# Days are counted live until they have been over for this long: most late readings come within a
# day or two, and are then rolled once instead of twice.
LIVE_DAYS: Final = 2
# A reading becomes visible when it is committed, up to settle.TRANSACTION_S_MAX (two minutes) after
# its stored_at: nobody looks at what is younger than this. So long a late reading is not yet in
# the daily values of a day that was rolled.
LAG: Final = timedelta(minutes=3)
# Of a long backlog (the first run over years), so much is looked through in one statement.
STEP: Final = timedelta(hours=6)
STEPS_MAX: Final = 200

_STATE: Final = """
select seen_until, clock_timestamp() - %s::interval,
    greatest(live_from, (%s at time zone 'Europe/Stockholm')::date - %s::integer)
from sample_day_state where is_kept for update skip locked
"""
_MARK: Final = """
insert into sample_day_mark
select distinct patient_id, (measured_at at time zone 'Europe/Stockholm')::date as day
from reading
where stored_at > %s and stored_at <= %s
    and measured_at >= (
        select gone_until::timestamp at time zone 'Europe/Stockholm' from sample_day_state
    )
order by 1, 2
on conflict do nothing
"""
_ROLL: Final = """
with due as (
    delete from sample_day_mark m
    using (
        select patient_id, day from sample_day_mark
        where day < %s order by day, patient_id limit %s for update skip locked
    ) d
    where m.patient_id = d.patient_id and m.day = d.day
    returning m.patient_id, m.day
),
rolled as (
    select d.patient_id, q.quantity_id, d.day, v.readings, v.minimum, v.mean, v.maximum, v.total
    -- Asked one by one, by the key: together they would be joined by reading everybody's samples.
    from due d cross join quantity q cross join lateral (
        select count(*)::integer as readings, min(s.value) as minimum, avg(s.value) as mean,
            max(s.value) as maximum, sum(s.value) as total
        from sample s
        where s.patient_id = d.patient_id and s.quantity_id = q.quantity_id
            and s.measured_at >= d.day::timestamp at time zone 'Europe/Stockholm'
            and s.measured_at < (d.day + 1)::timestamp at time zone 'Europe/Stockholm'
            and sample_counts(s.suspicion)
    ) v
    where v.readings > 0
),
gone as (
    delete from sample_day t using due d
    where t.patient_id = d.patient_id and t.day = d.day and not exists (
        select from rolled r
        where r.patient_id = t.patient_id and r.quantity_id = t.quantity_id and r.day = t.day
    )
),
kept as (
    insert into sample_day select * from rolled
    on conflict (patient_id, quantity_id, day) do update set
        (readings, minimum, mean, maximum, total) =
        (excluded.readings, excluded.minimum, excluded.mean, excluded.maximum, excluded.total)
)
select count(*) from due
"""
_ADVANCE: Final = """
update sample_day_state set seen_until = %s,
    live_from = case when %s then greatest(live_from, %s) else live_from end
"""


class _Seen(NamedTuple):
    """How far a run has looked."""

    until: datetime
    is_all: bool


async def roll(
    connection: psycopg.AsyncConnection[Any], now: datetime, most: int, *, lag: timedelta = LAG
) -> int:
    """Roll days that are over, and days that late readings changed; returns how many.

    Args:
        connection: In autocommit; the work is one transaction.
        now: Today is its day in Europe/Stockholm.
        most: Patient-days at most.
        lag: What was stored later than so long ago is left for the next time.
    """
    async with connection.transaction():
        cursor = await connection.execute(_STATE, [lag, now, LIVE_DAYS])
        state = await cursor.fetchone()
        if state is None:  # another one is at it, or the database keeps days by itself
            return 0
        seen_until, until, target = state
        seen = await _mark(connection, seen_until, max(seen_until, until), most)
        cursor = await connection.execute(_ROLL, [target, most])
        row = await cursor.fetchone()
        assert row is not None
        done = int(row[0])
        is_done = seen.is_all and done < most
        await connection.execute(_ADVANCE, [seen.until, is_done, target])
    return done


async def _mark(
    connection: psycopg.AsyncConnection[Any], since: datetime, until: datetime, most: int
) -> _Seen:
    """Mark the days of what was stored from *since* to *until*, or so far as *most* marks go."""
    marked = 0
    step = STEP
    for _ in range(STEPS_MAX):
        end = min(since + step, until)
        cursor = await connection.execute(_MARK, [since, end])
        marked += cursor.rowcount
        since = end
        if end == until:
            return _Seen(until, is_all=True)
        if marked >= most:
            break
        step = STEP if cursor.rowcount else 2 * step  # years may lie empty
    return _Seen(since, is_all=False)
