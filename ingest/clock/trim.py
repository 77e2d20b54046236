"""Trim: forgets which patients, devices and gateways changed more than a day ago."""

from datetime import datetime, timedelta
from typing import Final

from ingest.clock import turn
from ingest.clock.chore import Connection
from ingest.clock.turn import Turn
from ingest.registry import Registry

TRIM: Final = "trim"
# Who is further behind than this reads everything anew, which takes some seconds.
KEPT: Final = timedelta(days=1)

# Whole revisions, so that what is forgotten is all that is at or below one number.
_FORGET: Final = """
with old as (
    select revision, what, key from registry_change where revision <= (
        select max(revision) from (
            select revision from registry_change where changed_at < %s order by revision limit %s
        ) r
    )
),
gone as (
    delete from registry_change c using old
    where c.revision = old.revision and c.what = old.what and c.key = old.key
)
select count(*), max(revision) from old
"""


async def forget(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Remove about *most* of the oldest rows; returns how many."""
    async with connection.transaction():
        before = await turn.last(connection, TRIM, lock=True)
        cursor = await connection.execute(_FORGET, [now - KEPT, most])
        row = await cursor.fetchone()
        assert row is not None
        known = -1 if before is None else before.revision
        revision = known if row[1] is None else max(known, row[1])
        await turn.done(connection, TRIM, Turn(done_at=now, revision=revision))
    return int(row[0])
