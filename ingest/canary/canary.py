"""Canary: a beat every few minutes, by one worker at a time; its failure is an incident."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Protocol

import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from ingest import incident
from ingest.canary.beat import Beat, beat, unsent
from ingest.canary.patient import Connection, next_cuff
from ingest.canary.sender import Unusable, connected
from ingest.config import CanarySettings, Config
from ingest.session import session

# "egca" in ASCII.
LOCK_KEY: Final = 0x65676361
# How soon another worker takes over, and how often a database that is away is tried again.
STAND_BY_S: Final = 2.0
# Somebody has to type the command.
NOT_SET_UP_S: Final = 60.0
KIND: Final = "canary"
_SET_UP: Final = "run: python -m ingest canary set-up"

_log = structlog.get_logger()


class NotSetUp(Exception):
    """There is no canary in this database."""


class Listener(Protocol):
    """Is told how each beat went."""

    def canary(self, legs: dict[str, float | None], failed: str) -> None:
        """Take seconds by leg, and the first leg that failed, if one did."""


class Canary:
    """Beats while it leads; of several workers one does.

    Args:
        config: Where database and broker are.
        settings: The canary's own.
        listener: Is told of each beat.
    """

    def __init__(
        self, config: Config, settings: CanarySettings, listener: Listener | None = None
    ) -> None:
        self._database = config.database
        self._broker = settings.broker or config.broker
        self._settings = settings
        self._listener = listener

    async def run(self) -> None:
        """Beat until cancelled; a database that is away is waited for."""
        while True:
            try:
                async with self._connected() as connection:
                    await _until_leading(connection)
                    _log.info("canary.leads")
                    await self._beat_for_ever(connection)
            except NotSetUp:
                _log.error("canary.not_set_up", cure=_SET_UP)
                await asyncio.sleep(NOT_SET_UP_S)
            except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
                _log.warning("canary.database_away", problem=type(error).__name__)
                await asyncio.sleep(STAND_BY_S)

    async def once(self) -> Beat:
        """Beat once, whoever leads; the incident is opened or closed by it.

        Raises:
            NotSetUp: There is no canary.
            psycopg.OperationalError: The database is away.
        """
        async with self._connected() as connection:
            return await self._beat(connection)

    async def _beat_for_ever(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            await self._beat(connection)
            await asyncio.sleep(max(0.0, self._settings.every_s - (loop.time() - began_s)))

    async def _beat(self, connection: Connection) -> Beat:
        found = await next_cuff(connection)
        if found is None:
            await incident.open_(connection, KIND, "", f"there is none, so none beats: {_SET_UP}")
            raise NotSetUp
        patient_id, cuff = found
        try:
            async with connected(self._broker, self._settings.gateway_id) as sender:
                done = await beat(
                    connection, sender, patient_id, cuff, most_s=self._settings.beat_s_max
                )
        except Unusable as error:
            done = await unsent(connection, cuff, str(error))
        if self._listener is not None:
            self._listener.canary(dict(done.legs), done.failed)
        if done.failed:
            _log.error("canary.failed", leg=done.failed, said=str(done))
            await incident.open_(connection, KIND, "", f"{done}: see docs/operations.md")
        else:
            _log.info("canary.well", said=str(done))
            await incident.close(connection, KIND, "")
        return done

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        conninfo = make_conninfo(self._database.conninfo(), **session("egenmonitor-ingest-canary"))
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            yield connection


async def _until_leading(connection: Connection) -> None:
    while True:
        cursor = await connection.execute("select pg_try_advisory_lock(%s)", (LOCK_KEY,))
        if (row := await cursor.fetchone()) is not None and row[0]:
            return
        await asyncio.sleep(STAND_BY_S)
