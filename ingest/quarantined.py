"""Quarantined: what lies in quarantine, counted, listed and shown. Reads only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg

_COUNTS: Final = """
select reason, count(*) filter (where settled_at is null), sum(repeats)
        filter (where settled_at is null)::bigint,
    min(arrived_at) filter (where settled_at is null),
    max(arrived_at) filter (where settled_at is null),
    count(*) filter (where settled_at is not null)
from quarantine group by reason order by 2 desc, reason
"""
_WHERE: Final = """
where (%(reason)s::text is null or reason = %(reason)s)
    and (%(gateway)s::text is null or gateway_id = %(gateway)s)
    and (%(device)s::text is null or device_id = %(device)s)
    and (%(since)s::timestamptz is null or arrived_at >= %(since)s)
    and (%(settled)s or settled_at is null)
"""
_LIST: Final = f"""
select quarantine_id, arrived_at, reason, gateway_id, device_id, repeats, settled_at, detail
from quarantine {_WHERE} order by arrived_at desc, quarantine_id desc limit %(most)s
"""  # noqa: S608 - our own words
_IDS: Final = f"""
select quarantine_id from quarantine {_WHERE} and quarantine_id > %(after)s
order by quarantine_id limit %(most)s
"""  # noqa: S608
_SHOW: Final = """
select quarantine_id, arrived_at, reason, gateway_id, device_id, repeats, settled_at, detail,
    topic, reading_id, content
from quarantine where quarantine_id = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows. None: whatever it is."""

    reason: str | None = None
    gateway: str | None = None
    device: str | None = None
    since: datetime | None = None  # arrived then or later
    settled: bool = False  # those that are settled too


class Count(NamedTuple):
    """What lies there for one reason."""

    reason: str
    rows: int  # not settled
    repeats: int | None  # of these
    oldest_at: datetime | None
    newest_at: datetime | None
    settled: int


class Listed(NamedTuple):
    """One row, in a line."""

    quarantine_id: int
    arrived_at: datetime
    reason: str
    gateway_id: str
    device_id: str | None
    repeats: int
    settled_at: datetime | None
    detail: str


class Shown(NamedTuple):
    """One row, whole."""

    quarantine_id: int
    arrived_at: datetime
    reason: str
    gateway_id: str
    device_id: str | None
    repeats: int
    settled_at: datetime | None
    detail: str
    topic: str
    reading_id: UUID | None
    content: bytes


async def counts(connection: psycopg.AsyncConnection[Any]) -> list[Count]:
    """Return what lies there, by reason, the most first."""
    cursor = await connection.execute(_COUNTS)
    return [Count(*row) for row in await cursor.fetchall()]


async def rows(connection: psycopg.AsyncConnection[Any], wanted: Wanted, most: int) -> list[Listed]:
    """Return at most *most* rows, the newest first."""
    cursor = await connection.execute(_LIST, _parameters(wanted) | {"most": most})
    return [Listed(*row) for row in await cursor.fetchall()]


async def ids(
    connection: psycopg.AsyncConnection[Any], wanted: Wanted, after: int, most: int
) -> list[int]:
    """Return the ids of at most *most* rows with an id beyond *after*, ascending."""
    cursor = await connection.execute(_IDS, _parameters(wanted) | {"most": most, "after": after})
    return [int(row[0]) for row in await cursor.fetchall()]


async def show(connection: psycopg.AsyncConnection[Any], quarantine_id: int) -> Shown | None:
    """Return one row, if it is there."""
    cursor = await connection.execute(_SHOW, [quarantine_id])
    row = await cursor.fetchone()
    return Shown(*row) if row else None


def _parameters(wanted: Wanted) -> dict[str, object]:
    return {
        "reason": wanted.reason,
        "gateway": wanted.gateway,
        "device": wanted.device,
        "since": wanted.since,
        "settled": wanted.settled,
    }
