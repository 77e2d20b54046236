"""Whether every way to a person is one that we can go: a channel without a carrier reaches nobody.

Routing counts on verified channels, and a page shows them: only here it is seen that the settings
do not know how to use one.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.channels.message import Kind
from alerts.sending.health import INCIDENT
from ingest import incident

# Settings change with a start; channels are verified and end while we run.
LOOK_S: Final = 60.0
# The key of the incident that there is no carrier at all.
NOBODY: Final = "nobody"

_log = structlog.get_logger()

_WITHOUT: Final = """
select kind, count(*) from channel
where verified_at is not null and ended_at is null and kind <> all(%s) group by kind
"""


async def run(pool: AsyncConnectionPool[Any], kinds: Sequence[str]) -> None:
    """Look for ever."""
    while True:
        try:
            async with pool.connection() as connection:
                await look(connection, kinds)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("sending.database_away", problem=type(error).__name__)
        await asyncio.sleep(LOOK_S)


async def look(connection: AsyncConnection[Any], kinds: Sequence[str]) -> None:
    """Open an incident of each kind that is missing, and close it when it is there.

    Args:
        connection: In autocommit or in a transaction of the caller's.
        kinds: Of channels, that can be carried.
    """
    if kinds:
        await incident.close(connection, INCIDENT, NOBODY)
    else:
        detail = "nobody is told of any alert → set web.public_url, and mail or sms"
        await incident.open_(connection, INCIDENT, NOBODY, detail)
    cursor = await connection.execute(_WITHOUT, (list(kinds),))
    without = dict(await cursor.fetchall())
    for kind in Kind:
        if kind in without:
            detail = f"{kind}: {without[kind]} verified channels, and no way to use them → set it"
            await incident.open_(connection, INCIDENT, key(kind), detail)
        else:
            await incident.close(connection, INCIDENT, key(kind))


def key(kind: Kind) -> str:
    """Return the key of the incident that *kind* has no carrier; one that fails has another."""
    return f"{kind.value}: no carrier"
