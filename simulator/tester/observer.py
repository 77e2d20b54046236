"""Observer: looks at the gateway's file and at the database, reading only, from outside.

The demo's processes do not know of it: it says what is there, not what they think is there.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from simulator.tester.measurement import Measurement, Sighting
from simulator.tester.path import LogEntry, Stored, Trace

# The page looks again in a second: an answer later than this is of no use.
ANSWER_MS_MAX: Final = 2000
CONNECT_S_MAX: Final = 2
_FILE_BUSY_S: Final = 1.0

_READING: Final = """
    select received_at, sent_at, arrived_at, stored_at, outcome, suspicion
    from reading where reading_id = %s
"""
_REFUSED: Final = "select reason, arrived_at from quarantine where reading_id = %s limit 1"
_BREACH: Final = """
    select alert_id, level, found_at from breach
    where reading_id = %s order by level desc, breach_id limit 1
"""
_LOG: Final = """
    select event, at, staff.name from alert_log left join staff using (staff_id)
    where alert_id = %s order by entry_id
"""
_STORED: Final = "select reading_id from reading where reading_id = any(%s)"
_REFUSED_ALL: Final = "select reading_id, reason from quarantine where reading_id = any(%s)"
# The same act of measuring, stored under two ids. A step counter tells no time: not one act.
_DOUBLED: Final = """
    select coalesce(sum(times - 1), 0)::bigint from (
        select count(*) as times from reading
        where device_time is not null and stored_at >= %s
        group by device_id, device_time, payload
    ) as act
"""
_RECEIVER: Final = "select count(*) from alert_log where event = 'routed'"


class Unseen(Exception):
    """The database or the gateway's file cannot be looked at just now; says which."""


class Observer:
    """One read-only connection, opened anew when it breaks, and the gateway's file.

    Args:
        dsn: The demo's database.
        gateway_file: The gateway's SQLite file; may not be there yet.
    """

    def __init__(self, dsn: str, gateway_file: Path) -> None:
        self._dsn = dsn
        self._gateway_file = gateway_file
        self._connection: psycopg.AsyncConnection[dict[str, Any]] | None = None

    async def trace(self, reading_id: UUID) -> Trace:
        """Return what the database says of one reading.

        Raises:
            Unseen: It does not answer.
        """
        async with self._looking() as connection:
            stored = await _rows(connection, _READING, reading_id)
            if not stored:
                refused = await _rows(connection, _REFUSED, reading_id)
                found = [(row["reason"], row["arrived_at"]) for row in refused]
                return Trace(refused=found[0] if found else None)
            breaches = await _rows(connection, _BREACH, reading_id)
            if not breaches:
                return Trace(stored=Stored(**stored[0]))
            breach = breaches[0]
            log = await _rows(connection, _LOG, breach["alert_id"])
            return Trace(
                stored=Stored(**stored[0]),
                level=breach["level"],
                found_at=breach["found_at"],
                log=[LogEntry(row["event"], row["at"], row["name"]) for row in log],
            )

    async def sighting(self, measurements: Collection[Measurement]) -> Sighting:
        """Look for *measurements*: in the gateway's file first, then in the database.

        Raises:
            Unseen: One of them cannot be looked at.
        """
        looked_at = datetime.now(UTC)
        outbox, inbox = self._in_gateway()
        ids = [measurement.reading_id for measurement in measurements]
        async with self._looking() as connection:
            stored = await _rows(connection, _STORED, ids)
            refused = await _rows(connection, _REFUSED_ALL, ids)
        return Sighting(
            outbox=outbox,
            inbox=inbox,
            stored={row["reading_id"] for row in stored},
            refused={row["reading_id"]: row["reason"] for row in refused},
            looked_at=looked_at,
        )

    async def doubled(self, since: datetime) -> int:
        """Return how many rows too many were stored since *since*.

        Raises:
            Unseen: The database does not answer.
        """
        return await self._number(_DOUBLED, since)

    async def alerts_routed(self) -> int:
        """Return how many alerts have been given to somebody.

        Raises:
            Unseen: The database does not answer.
        """
        return await self._number(_RECEIVER)

    async def _number(self, query: str, *values: object) -> int:
        async with self._looking() as connection:
            rows = await _rows(connection, query, *values)
        return int(next(iter(rows[0].values())))

    @contextlib.asynccontextmanager
    async def _looking(self) -> AsyncIterator[psycopg.AsyncConnection[dict[str, Any]]]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await psycopg.AsyncConnection[dict[str, Any]].connect(
                    self._dsn,
                    autocommit=True,
                    row_factory=dict_row,
                    connect_timeout=CONNECT_S_MAX,
                    application_name="egenmonitor-tester",
                    options="-c default_transaction_read_only=on"
                    f" -c statement_timeout={ANSWER_MS_MAX}",
                )
            yield self._connection
        except psycopg.OperationalError as error:
            problem = "databasen svarar inte"
            raise Unseen(problem) from error

    def _in_gateway(self) -> tuple[set[UUID], set[tuple[str, bytes]]]:
        """Return outbox and inbox as they were at one moment."""
        if not self._gateway_file.exists():
            return set(), set()
        place = f"{self._gateway_file.resolve().as_uri()}?mode=ro"
        try:
            with contextlib.closing(
                sqlite3.connect(place, uri=True, timeout=_FILE_BUSY_S, isolation_level=None)
            ) as connection:
                connection.execute("begin")  # both selects see the same moment
                outbox = connection.execute("select reading_id from outbox").fetchall()
                inbox = connection.execute(
                    "select device_id, payload from inbox join session using (session_id)"
                ).fetchall()
        except sqlite3.OperationalError as error:
            problem = "dosans fil kan inte läsas"
            raise Unseen(problem) from error
        return {UUID(bytes=row[0]) for row in outbox}, {(row[0], row[1]) for row in inbox}


async def _rows(
    connection: psycopg.AsyncConnection[dict[str, Any]], query: str, *values: object
) -> Sequence[dict[str, Any]]:
    cursor = await connection.execute(query.encode(), values)
    return await cursor.fetchall()
