"""Watcher: looks after one process while it runs.

Shows that the loop turns, asks the database whether it is there and of our schema, and opens and
closes the incident of a process that falls behind.

Has a connection of its own: the settler's is busy when it matters. What cannot be written since
the database is away is told by /readyz.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from ingest import incident
from ingest.config import Config
from ingest.schema.edition import Edition
from ingest.schema.migrate import INGEST, read_scripts
from ingest.session import session
from ingest.watch.alarm import LagAlarm
from ingest.watch.health import BEAT_EVERY_S, Health
from ingest.watch.metrics import Metrics

Connection = psycopg.AsyncConnection[Any]

LOOK_EVERY_S: Final = 2.0
# Connecting and five small questions.
LOOK_S_MAX: Final = 10.0
LAG: Final = "lag"
# A worker that falls behind says it again so often. One that has not for five times as long is
# gone for good, and cannot end what it said: any other worker does.
AGAIN_S: Final = 60.0
GONE_S: Final = 5 * AGAIN_S
_CURE: Final = "start another worker, or see why the database is slow (docs/operations.md)"
_SEE: Final = "see: python -m ingest incidents; docs/operations.md says what each asks for"

_OPEN: Final = "select kind, count(*) from incident where closed_at is null group by kind"


class Watcher:
    """Watches one process.

    Args:
        config: All of it: the watcher looks at every part.
        health: What it and others learn.
        metrics: What it tells.
    """

    def __init__(self, config: Config, health: Health, metrics: Metrics) -> None:
        self._conninfo: Callable[[], str] = config.database.conninfo
        self._worker = config.broker.client_id
        self._health = health
        self._metrics = metrics
        self._alarm = LagAlarm(config.batch.receive_max)
        self._is_raised = False
        self._said_s = float("-inf")  # when the incident was last said; monotonic
        self._is_told = False
        self._open: dict[str, int] = {}  # incidents, by kind
        self._log = structlog.get_logger()

    async def beat(self) -> None:
        """Show that the loop turns, until cancelled."""
        while True:
            self._metrics.turned()
            await asyncio.sleep(BEAT_EVERY_S)

    async def look(self, edition: Edition) -> None:
        """Look at the database every ``LOOK_EVERY_S``, until cancelled.

        Args:
            edition: The database's, as the migration found it.
        """
        ours = {script.name for script in read_scripts(INGEST)}
        wanted = {s.name for s in read_scripts(INGEST) if edition.includes(s.edition)}
        while True:
            try:
                await self._look_while_it_answers(ours, wanted)
            except (psycopg.Error, OSError) as error:
                self._health.answered_s = None
                if not self._is_told:
                    self._is_told = True
                    problem = str(error).strip().split("\n")[0]
                    self._log.warning("watch.database_away", problem=problem)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look_while_it_answers(self, ours: set[str], wanted: set[str]) -> None:
        async with asyncio.timeout(LOOK_S_MAX):
            connection: Connection = await psycopg.AsyncConnection.connect(
                make_conninfo(self._conninfo(), **session("egenmonitor-ingest-watch")),
                autocommit=True,
            )
        async with connection:
            # What an earlier run of this worker left open is ours to close.
            await incident.close(connection, LAG, self._worker)
            self._is_raised = False
            while True:
                async with asyncio.timeout(LOOK_S_MAX):
                    await self._look_once(connection, ours, wanted)
                self._is_told = False
                await asyncio.sleep(LOOK_EVERY_S)

    async def _look_once(self, connection: Connection, ours: set[str], wanted: set[str]) -> None:
        cursor = await connection.execute(
            "select name from schema_migration where source = %s", [INGEST.name]
        )
        applied = {str(name) for (name,) in await cursor.fetchall()}
        self._health.schema_problem = _schema_problem(applied, ours, wanted)
        self._health.answered_s = time.monotonic()
        worst_s, self._health.worst_lag_s = self._health.worst_lag_s, 0.0
        why = self._alarm.look(
            time.monotonic(),
            worst_lag_s=worst_s,
            held=self._health.held,
            held_bytes=self._health.held_bytes,
        )
        await self._tell(connection, why)
        await incident.close_silent(connection, LAG, GONE_S)
        cursor = await connection.execute(_OPEN)
        self._tell_all(dict(await cursor.fetchall()))

    def _tell_all(self, incidents: dict[str, int]) -> None:
        """Tell what is open, whoever opened it: a person may read nothing but the log."""
        self._metrics.incidents(incidents)
        if incidents == self._open:
            return
        self._open = incidents
        if incidents:
            self._log.error("watch.incidents_open", **incidents, cure=_SEE)
        else:
            self._log.info("watch.incidents_over")

    async def _tell(self, connection: Connection, why: str) -> None:
        """Open the incident, say it again from time to time, and close it."""
        now_s = time.monotonic()
        if why and not self._is_raised:
            self._log.error("watch.lag", why=why)
        if why and (not self._is_raised or now_s - self._said_s >= AGAIN_S):
            await incident.open_(connection, LAG, self._worker, f"{why}: {_CURE}")
            self._said_s = now_s
        elif self._is_raised and not why:
            self._log.info("watch.lag_over")
            await incident.close(connection, LAG, self._worker)
        self._is_raised = bool(why)


def _schema_problem(applied: set[str], ours: set[str], wanted: set[str]) -> str | None:
    if newer := sorted(applied - ours):
        return f"the database has {', '.join(newer)}, which this version does not know"
    if missing := sorted(wanted - applied):
        return f"the database lacks {', '.join(missing)}"
    return None
