"""Retention: removes readings that are older than they are kept. Days and breaches stay.

What a breach, a repeat or a person's review refers to stays too, however old: an alert must
always show what it rests on. The sweep goes through the patients in SQL (0005_days.sql); where a
job of the database does it (0006_community.sql), it is told here for how long.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

# One sweep a day is enough for a limit of years.
SWEEP_AGAIN: Final = timedelta(hours=20)

_TELL: Final = """
update retention_state set keep_days = %s
where one in (
    select one from retention_state where keep_days is distinct from %s for update skip locked
)
"""
_RESTS: Final = "select by_job or coalesce(swept_at > %s, false) from retention_state"
_BY_JOB: Final = "select by_job from retention_state"
_REMOVE: Final = "select remove_old_readings(%s, %s)"
_COUNT: Final = """
select count(*) from old_readings(%s, 0, 9223372036854775807, 9223372036854775807)
"""


async def run(
    connection: psycopg.AsyncConnection[Any],
    now: datetime,
    keep_days: int,
    most: int,
    *,
    again: timedelta = SWEEP_AGAIN,
) -> int:
    """Remove at most *most* readings measured more than *keep_days* before *now*.

    Returns how many. Less than *most* means that the sweep came to its end, another one sweeps, or
    days of that time are not rolled yet. After its end, a sweep rests until the next day.

    Args:
        connection: In autocommit; the work is one transaction.
        now: From which the age is counted.
        keep_days: How long readings are kept.
        most: Readings at most.
        again: How long a sweep rests.
    """
    async with connection.transaction():
        await connection.execute(_TELL, [keep_days, keep_days])
        cursor = await connection.execute(_RESTS, [now - again])
        if await _value(cursor):
            return 0
        cursor = await connection.execute(_REMOVE, [now - timedelta(days=keep_days), most])
        return int(await _value(cursor))


async def is_by_job(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Return whether a job of the database sweeps, and ``run`` does nothing but tell it."""
    return bool(await _value(await connection.execute(_BY_JOB)))


async def count(connection: psycopg.AsyncConnection[Any], now: datetime, keep_days: int) -> int:
    """Return how many readings a sweep would remove in all."""
    cursor = await connection.execute(_COUNT, [now - timedelta(days=keep_days)])
    return int(await _value(cursor))


async def _value(cursor: psycopg.AsyncCursor[Any]) -> Any:
    row = await cursor.fetchone()
    assert row is not None
    return row[0]
