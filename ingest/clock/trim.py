"""Trim: forgets which patients, devices and gateways changed more than a day ago."""

from datetime import datetime, timedelta
from typing import Final

from ingest.clock.chore import Connection
from ingest.registry import Registry

TRIM: Final = "trim"
# Who is further behind than this reads everything anew, which takes some seconds.
KEPT: Final = timedelta(days=1)

# Whole revisions, so that what is forgotten is all that is at or below one number, which the
# registry keeps.
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
_FORGOTTEN: Final = "update registry set forgotten = greatest(forgotten, %s)"


async def forget(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    """Remove about *most* of the oldest rows; returns how many."""
    async with connection.transaction():
        cursor = await connection.execute(_FORGET, [now - KEPT, most])
        row = await cursor.fetchone()
        assert row is not None
        count, revision = row
        if count:
            await connection.execute(_FORGOTTEN, [revision])
    return int(count)
