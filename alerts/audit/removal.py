"""Removes entries of the access log that the law no longer asks for, so that the rest still proves.

Of each chain goes what is older than a day, from its beginning on and without a gap. The database
itself lets go of nothing that is younger than five years, and of nothing without a checkpoint set
in the same transaction (``schema/0005_access.sql``).
"""

from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection

from alerts.audit import checkpoint
from alerts.audit.chain import append
from alerts.audit.checkpoint import Checkpoint
from alerts.audit.entry import Action, Entry

YEARS_MIN: Final = 5  # HSLF-FS 2016:40
# A year of the calendar can be 366 days; an anchor a day off accuses nobody.
KEPT_MIN: Final = timedelta(days=365 * YEARS_MIN)

# The last of each chain before which everything is old; with it, how many there are.
_OLD: Final = """
select l.chain, l.number, l.hash, %(before)s as before, now() as removed_at,
    (select count(*) from access_log o where o.chain = l.chain and o.number <= l.number)
from (
    select chain, max(number) as last from access_log a
    where at < %(before)s and number < coalesce(
        (select min(number) from access_log y where y.chain = a.chain and y.at >= %(before)s),
        number + 1)
    group by chain
) old join access_log l on l.chain = old.chain and l.number = old.last
order by 1
"""
_SET: Final = """
insert into access_checkpoint (chain, number, hash, before, removed_at, removed)
values (%s, %s, %s, %s, now(), %s)
"""


async def old(connection: AsyncConnection, before: datetime) -> list[Checkpoint]:
    """Return, for each chain that has something old, the checkpoint that would be set."""
    cursor = await connection.execute(_OLD, {"before": before})
    return [
        Checkpoint(
            chain=chain, number=number, hash=bytes(digest), before=day, removed_at=at, removed=count
        )
        for chain, number, digest, day, at, count in await cursor.fetchall()
    ]


async def remove(connection: AsyncConnection, before: datetime, *, by: str) -> list[Checkpoint]:
    """Remove what is older than *before*, and write that into the log. In a transaction.

    Args:
        connection: Of the migrator's account.
        before: Five years ago or longer: the database refuses what is younger.
        by: Who does it, for the log.

    Returns:
        The checkpoints that were set; none: nothing was that old.

    Raises:
        psycopg.errors.RestrictViolation: Something is younger than the law lets go of.
    """
    goes = await old(connection, before)
    if not goes:
        return []
    for one in goes:
        await connection.execute(_SET, (one.chain, one.number, one.hash, one.before, one.removed))
        await connection.execute(
            "delete from access_log where chain = %s and number <= %s", (one.chain, one.number)
        )
    entry = Entry(
        actor="system",
        action=Action.LOG_REMOVED.value,
        ground="operator",
        detail={
            "account": by,
            "removed": sum(one.removed for one in goes),
            "checkpoints": checkpoint.told(await checkpoint.read(connection)),
        },
    )
    await append(connection, entry)
    return goes
