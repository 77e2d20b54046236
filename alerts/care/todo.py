"""Looks once a minute for what somebody is to do that no breach opens.

Whose a weight is, and what a patient says of a proposed plan.

Any number of processes may run it: one of them looks. It is found by looking, so nothing is lost
while nobody looks.
"""

import asyncio
from datetime import datetime
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.care import plan_waiting, whose_reading
from alerts.care.tasks import Kept
from alerts.pulse import Part, beat

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[AsyncConnection[Any]]

LOOK_S: Final = 60.0

_LOCK: Final = "select pg_try_advisory_xact_lock(hashtext('alerts.todo')), now()"

_log = structlog.get_logger()


async def run(pool: Pool) -> None:
    """Look for ever. What a database that is away prevents is found at the next look."""
    while True:
        try:
            async with pool.connection() as connection:
                kept = await turn(connection)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("todo.database_away", problem=type(error).__name__)
        else:
            if kept is not None and (kept.opened or kept.ended):
                _log.info("todo.changed", opened=kept.opened, ended=kept.ended)
        await asyncio.sleep(LOOK_S)


async def turn(connection: Connection) -> Kept | None:
    """Look once, and say that this is done; who finds another looking says nothing: it may hang."""
    kept = await look(connection)
    if kept is not None:
        await beat(connection, Part.TODO)
    return kept


async def look(connection: Connection, now: datetime | None = None) -> Kept | None:
    """Look once, in one transaction; none if another worker is looking.

    Args:
        connection: In no transaction.
        now: Instead of the database's time.
    """
    async with connection.transaction():
        cursor = await connection.execute(_LOCK)
        row = await cursor.fetchone()
        assert row is not None
        is_ours, database_now = row
        if not is_ours:
            return None
        at = now or database_now
        weights = await whose_reading.keep(connection, at)
        plans = await plan_waiting.keep(connection, at)
    return Kept(weights.opened + plans.opened, weights.ended + plans.ended)
