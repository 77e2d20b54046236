"""Whether every way to a person is one that we can go, and whether we hear that it was gone.

Routing counts on verified channels, and a page shows them: only here it is seen that the settings
do not know how to use one. Without receipts every SMS looks undelivered, and the next person is
told for nothing, night after night.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.channels.message import Kind
from alerts.sending import store
from alerts.sending.health import INCIDENT
from ingest import incident

# Settings change with a start; channels are verified and end while we run.
LOOK_S: Final = 60.0
# The key of the incident that there is no carrier at all.
NOBODY: Final = "nobody"
NO_RECEIPTS: Final = "no receipts"

_CURE: Final = "set web.public_url, and mail or sms"

# A receipt comes within seconds; of a telephone that is off, after hours. So it takes messages to
# several, or many to one.
RECEIPT_WITHIN: Final = timedelta(minutes=10)
TO_SEVERAL_MIN: Final = 3
TO_ONE_MIN: Final = 8
_LOOKED_AT_DAYS: Final = 7

_log = structlog.get_logger()

_NEWEST: Final = """
select t.channel_id, t.receipt_at is not null from attempt t join channel c using (channel_id)
where t.provider_key is not null and c.kind = any(%(kinds)s)
    and t.began_at > %(at)s - make_interval(days => %(days)s)
    and (t.receipt_at is not null or t.began_at <= %(at)s - %(within)s)
order by t.began_at desc limit %(most)s
"""
_WITHOUT: Final = """
select kind, count(*) filter (where is_staff), count(*) filter (where not is_staff)
from (
    select kind, true as is_staff from channel where verified_at is not null and ended_at is null
    union all
    select kind, false from patient_channel where ended_at is null
) ways
where kind <> all(%s) group by kind
"""


# A test of a channel is sent by the pages, which have nothing to do with incidents.
_MENDED: Final = """
update incident i set closed_at = clock_timestamp()
where i.kind = %s and i.key = any(%s) and i.closed_at is null and exists (
    select from attempt t join channel c using (channel_id)
    where c.kind = i.key and t.began_at > i.seen_at
      and t.state in ('accepted', 'handed_over', 'delivered'))
"""
_HOOKS: Final = """
select exists (select from channel
    where kind = %s and verified_at is not null and ended_at is null)
"""


async def run(pool: AsyncConnectionPool[Any], kinds: Sequence[str]) -> None:
    """Look for ever."""
    while True:
        try:
            async with pool.connection() as connection:
                await look(connection, kinds)
                await look_at_receipts(connection)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("sending.database_away", problem=type(error).__name__)
        await asyncio.sleep(LOOK_S)


async def look(connection: AsyncConnection[Any], kinds: Sequence[str]) -> None:
    """Open an incident of each kind that is missing, and close it when it is there.

    One of a provider that takes nothing is over too when a test has shown that it does.

    Args:
        connection: In autocommit or in a transaction of the caller's.
        kinds: Of channels, that can be carried.
    """
    if await _reaches_staff(connection, kinds):
        await incident.close(connection, INCIDENT, NOBODY)
    else:
        detail = f"nobody is told of any alert → {_CURE}"
        if await incident.open_(connection, INCIDENT, NOBODY, detail):
            _log.error("sending.nobody_is_told", cure=_CURE)
    await connection.execute(_MENDED, (INCIDENT, list(kinds)))
    cursor = await connection.execute(_WITHOUT, (list(kinds),))
    without = {name: (staff, patients) for name, staff, patients in await cursor.fetchall()}
    for kind in Kind:
        if kind in without:
            staff, patients = without[kind]
            whose = f"{staff} verified channels of staff, {patients} ways to patients"
            detail = f"{kind}: {whose}, and nothing to use them with → set it"
            await incident.open_(connection, INCIDENT, key(kind), detail)
        else:
            await incident.close(connection, INCIDENT, key(kind))


async def _reaches_staff(connection: AsyncConnection[Any], kinds: Sequence[str]) -> bool:
    """Return whether staff can be told; other services need no settings, but an address."""
    for_staff = {kind for kind in Kind if kind.is_for_staff and kind.value in kinds}
    if for_staff != {Kind.APPRISE}:
        return bool(for_staff)
    cursor = await connection.execute(_HOOKS, (Kind.APPRISE.value,))
    (found,) = await cursor.fetchone() or (False,)
    return bool(found)


async def look_at_receipts(connection: AsyncConnection[Any], at: datetime | None = None) -> None:
    """Open an incident when receipts do not come any more, and close it when one comes.

    Args:
        connection: In autocommit or in a transaction of the caller's.
        at: Instead of the database's time.
    """
    values = {
        "kinds": [kind.value for kind in Kind if kind.tells_delivery],
        "at": at or await store.now(connection),
        "days": _LOOKED_AT_DAYS,
        "within": RECEIPT_WITHIN,
        "most": TO_ONE_MIN,
    }
    cursor = await connection.execute(_NEWEST, values)
    unheard = list(takewhile(lambda one: not one[1], await cursor.fetchall()))
    is_several = len({channel_id for channel_id, _ in unheard}) > 1
    if len(unheard) < (TO_SEVERAL_MIN if is_several else TO_ONE_MIN):
        await incident.close(connection, INCIDENT, NO_RECEIPTS)
        return
    cure = "let the proxy pass POST /delivery/sms/, and look at web.public_url"
    detail = f"the last {len(unheard)} messages were taken and no receipt has come → {cure}"
    await incident.open_(connection, INCIDENT, NO_RECEIPTS, detail)


def key(kind: Kind) -> str:
    """Return the key of the incident that *kind* has no carrier; one that fails has another."""
    return f"{kind.value}: no carrier"
