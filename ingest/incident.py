"""Incident: what somebody who runs this must see to, as a row and not as a line of a log.

One is open for a kind and a key. Saying it again counts, and renews its detail.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg

# A sentence for a person; a traceback belongs in the log.
DETAIL_CHARACTERS_MAX: Final = 500
LIST_MAX: Final = 200

_OPEN: Final = """
insert into incident (kind, key, detail) values (%s, %s, %s)
on conflict (kind, key) where closed_at is null do update set
    detail = excluded.detail, seen_at = clock_timestamp(), times = incident.times + 1
returning times = 1
"""
_CLOSE: Final = """
update incident set closed_at = clock_timestamp()
where kind = %s and key = %s and closed_at is null
"""
_CLOSE_SILENT: Final = """
update incident set closed_at = clock_timestamp()
where kind = %s and closed_at is null and seen_at < clock_timestamp() - make_interval(secs => %s)
"""
_LIST: Final = """
select kind, key, detail, opened_at, seen_at, times from incident
where closed_at is null order by opened_at limit %s
"""


class Incident(NamedTuple):
    """One that is open."""

    kind: str
    key: str
    detail: str
    opened_at: datetime
    seen_at: datetime
    times: int


async def open_(connection: psycopg.AsyncConnection[Any], kind: str, key: str, detail: str) -> bool:
    """Open the incident (*kind*, *key*), or say again that it lasts.

    Args:
        connection: In a transaction of the caller's, or in autocommit.
        kind: Whose: a word of a few ("recheck", "canary", "clock").
        key: Which one of its kind; "" where there is one only.
        detail: What is wrong and what to do, in English, without a word about a person.

    Returns:
        Whether it was not open before.
    """
    cursor = await connection.execute(_OPEN, [kind, key, detail[:DETAIL_CHARACTERS_MAX]])
    row = await cursor.fetchone()
    assert row is not None
    return bool(row[0])


async def close(connection: psycopg.AsyncConnection[Any], kind: str, key: str) -> bool:
    """Close it; returns whether it was open."""
    cursor = await connection.execute(_CLOSE, [kind, key])
    return cursor.rowcount > 0


async def close_silent(connection: psycopg.AsyncConnection[Any], kind: str, silent_s: float) -> int:
    """Close those of *kind* that nobody has said again for *silent_s*; returns how many."""
    cursor = await connection.execute(_CLOSE_SILENT, [kind, silent_s])
    return cursor.rowcount


async def open_ones(connection: psycopg.AsyncConnection[Any]) -> list[Incident]:
    """Return what is open, the oldest first, at most ``LIST_MAX``."""
    cursor = await connection.execute(_LIST, [LIST_MAX])
    return [Incident(*row) for row in await cursor.fetchall()]
