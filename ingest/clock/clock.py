"""Clock: leads, or stands by. Who holds an advisory lock of the database is the one leader.

The lock belongs to a connection of its own, which is asked every second whether it still lives:
when the database ends it, this leader stops its chores and another worker takes over within
seconds. Two leaders for a moment are harmless: rows are locked, and what is done has a key.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import psycopg
import structlog

from ingest.clock.chore import Chore, Connection, Lane
from ingest.clock.chores import chores
from ingest.clock.connect import Conninfo, connected
from ingest.clock.lane import run_lane
from ingest.meter import NOBODY, Meter

# "egcl" in ASCII.
LOCK_KEY: Final = 0x6567636C
# How soon another worker takes over, and how often a database that is away is tried again.
STAND_BY_S: Final = 2.0
# How often the leader asks whether it still is; and what takes longer than this is a no.
ASK_S: Final = 1.0
ANSWER_S_MAX: Final = 10.0
# A leader that hangs does not ask: the server ends its connection, and another leads.
HANGS_S: Final = 30

_AWAY: Final = (psycopg.OperationalError, psycopg.InterfaceError, OSError)
_log = structlog.get_logger()


class Clock:
    """Does the chores while it leads.

    Args:
        conninfo: Gives the connection string, read again for each connection.
        address: The database's place, for the log.
        keep_days: How long readings are kept.
        meter: What is told who leads and what was done.
        doing: Chores in place of the usual ones.
    """

    def __init__(
        self,
        conninfo: Callable[[], str],
        address: str,
        *,
        keep_days: int,
        meter: Meter = NOBODY,
        doing: Sequence[Chore] | None = None,
    ) -> None:
        self._conninfo: Conninfo = conninfo
        self._log = _log.bind(key="database.dsn", address=address)
        self._meter = meter
        self._chores = chores(keep_days) if doing is None else tuple(doing)

    async def run(self) -> None:
        """Lead or stand by until cancelled; raises only for faults of ours."""
        while True:
            try:
                hangs = {"idle_session_timeout": f"{HANGS_S}s"}
                async with connected(self._conninfo, "egenmonitor-ingest-clock", hangs) as lock:
                    await _until_leading(lock)
                    await self._lead(lock)
            except _AWAY as error:
                problem = str(error).strip().split("\n")[0] or type(error).__name__
                self._log.warning("clock.database_away", problem=problem)
            await asyncio.sleep(STAND_BY_S)

    async def _lead(self, lock: Connection) -> None:
        """Do the chores until the lock's connection is lost."""
        self._log.info("clock.leads")
        self._meter.leads(True)
        try:
            async with asyncio.TaskGroup() as tasks:
                lanes = [
                    tasks.create_task(self._run_lane(lane), name=f"clock-{lane.value}")
                    for lane in Lane
                ]
                await _until_lost(lock)
                for lane in lanes:
                    lane.cancel()
        finally:
            self._meter.leads(False)
        self._log.warning("clock.lost_the_lead")

    async def _run_lane(self, lane: Lane) -> None:
        of_lane = [chore for chore in self._chores if chore.lane is lane]
        if of_lane:
            await run_lane(lane, of_lane, self._conninfo, self._meter)


async def _until_leading(lock: Connection) -> None:
    while True:
        cursor = await lock.execute("select pg_try_advisory_lock(%s)", (LOCK_KEY,))
        if (row := await cursor.fetchone()) is not None and row[0]:
            return
        await asyncio.sleep(STAND_BY_S)


async def _until_lost(lock: Connection) -> None:
    with suppress(*_AWAY, TimeoutError):
        while True:
            async with asyncio.timeout(ANSWER_S_MAX):
                await lock.execute("select")
            await asyncio.sleep(ASK_S)
