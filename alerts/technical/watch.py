"""Looks at gateways, devices, quarantine and incidents once a minute, and keeps the list.

Any number of processes may run it: one of them looks. What it finds is ``alerts.technical.fault``'s
to say; nothing needs to be told, for it is found by looking.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.care import tasks
from alerts.fleet import queries
from alerts.pulse import Part, beat
from alerts.technical import failures, telling
from alerts.technical.fault import (
    WAITING,
    Fault,
    Found,
    Heard,
    Refused,
    of_gateway,
    of_incident,
    of_refused,
    with_common_cause,
)
from alerts.technical.keep import Kept, keep
from alerts.technical.telling import NOBODY, Told
from ingest import incident
from ingest.status import SILENT_AFTER

# Silence is a fault after a quarter of an hour; a minute more is none.
LOOK_S: Final = 60.0
# Gateways and reasons whose refused readings are told apart.
REFUSED_MAX: Final = 500

Connection = AsyncConnection[Any]
Pool = AsyncConnectionPool[AsyncConnection[Any]]

_log = structlog.get_logger()

_LOCK: Final = "select pg_try_advisory_xact_lock(hashtext('alerts.technical')), now()"
_HEARD: Final = """
select count(*), count(*) filter (where s.received_at < %(now)s - %(silent_after)s)
from gateway g join gateway_status s using (gateway_id)
where s.received_at is not null and not g.is_canary
    and (g.retired_at is null or g.retired_at > %(now)s)
"""
# What cannot be read of a gateway's status is told of the gateway itself.
_REFUSED: Final = """
select q.gateway_id, g.gateway_id is not null as is_known, q.reason, count(*)::int as waiting,
    (count(*) filter (where q.arrived_at > %(now)s - interval '1 day'))::int as lately
from quarantine q left join gateway g on g.gateway_id = q.gateway_id
where q.settled_at is null and g.is_canary is not true
    and (q.reason = any (%(waiting)s) or q.arrived_at > %(now)s - interval '1 day')
    and q.topic <> 'egenmonitor/v1/' || q.gateway_id || '/status'
group by q.gateway_id, g.gateway_id, q.reason
order by waiting desc, q.gateway_id, q.reason
limit %(most)s
"""
_TECHNICIANS: Final = """
select exists (
    select from staff s join staff_function f using (staff_id)
    where s.ended_at is null and f.name = 'technician' and f.until_at is null)
"""


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look changed."""

    faults: Kept
    tasks: tasks.Kept
    told: Told


async def run(pool: Pool) -> None:
    """Look for ever. What a database that is away prevents is found at the next look."""
    while True:
        try:
            async with pool.connection() as connection:
                looked = await turn(connection)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("technical.database_away", problem=type(error).__name__)
        else:
            _tell(looked)
        await asyncio.sleep(LOOK_S)


async def turn(connection: Connection) -> Looked | None:
    """Look once, and say that this is done; who finds another looking says nothing: it may hang."""
    looked = await look(connection)
    if looked is not None:
        await beat(connection, Part.TECHNICAL)
    return looked


async def look(connection: Connection, now: datetime | None = None) -> Looked | None:
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
        streaks = await failures.newest(connection, at)
        found = await _found(connection, streaks, at)
        kept = await keep(connection, found, at)
        phoning = await tasks.keep_phoning(connection, streaks, at)
        await _say_if_nobody_looks(connection)
        told = await telling.advance(connection, at)
    return Looked(kept, phoning, told)


async def _found(connection: Connection, streaks: list[failures.Streak], now: datetime) -> Found:
    gateways = await queries.troubled(connection, now)
    refused = await _refused(connection, now)
    found: list[Fault] = [each for one in gateways for each in of_gateway(one, now)]
    found += of_refused(refused)
    found += [
        of_incident(one.kind, one.key, one.detail)
        for one in await incident.open_ones(connection)
        if one.kind != NOBODY  # whoever reads this list is one
    ]
    found += failures.faults(streaks)
    is_whole = len(gateways) < queries.JUDGED_MAX and len(refused) < REFUSED_MAX
    return with_common_cause(found, await _heard(connection, now), is_whole=is_whole)


async def _heard(connection: Connection, now: datetime) -> Heard:
    cursor = await connection.execute(_HEARD, {"now": now, "silent_after": SILENT_AFTER})
    row = await cursor.fetchone()
    assert row is not None
    return Heard(*row)


async def _refused(connection: Connection, now: datetime) -> list[Refused]:
    values = {"now": now, "waiting": sorted(WAITING), "most": REFUSED_MAX}
    cursor = await connection.execute(_REFUSED, values)
    return [Refused(*row) for row in await cursor.fetchall()]


async def _say_if_nobody_looks(connection: Connection) -> None:
    """A list that nobody reads is a fault of its own: whoever runs this is told."""
    cursor = await connection.execute(_TECHNICIANS)
    (somebody,) = await cursor.fetchone() or (False,)
    if somebody:
        await incident.close(connection, NOBODY, "")
        return
    detail = "nobody has the function technician: silent gateways are seen by nobody → add one"
    await incident.open_(connection, NOBODY, "", detail)


def _tell(looked: Looked | None) -> None:
    if looked is not None and (looked.faults.opened or looked.faults.closed):
        _log.info("technical.changed", opened=looked.faults.opened, closed=looked.faults.closed)
    if looked is not None and looked.told.notices:
        _log.info("technical.told", messages=looked.told.notices)
