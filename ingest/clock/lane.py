"""Lane: some chores, one after another, for as long as this worker leads.

A chore that fails for a fault that is not ours (the database away, a deadlock, a row that it
refuses) is tried again at its next turn, and told: in the log at once, and as an incident when it
has failed for ten minutes; by the next connection, if it took its own down. Its neighbours go on.
A fault of ours ends the clock, which begins anew and may fail so for ever: it is an incident at
once.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import psycopg
import structlog

from ingest import incident
from ingest.clock import turn
from ingest.clock.chore import Chore, Connection, Lane
from ingest.clock.connect import Conninfo, connected
from ingest.clock.turn import Turn
from ingest.meter import Meter
from ingest.registry import Registry
from ingest.session import is_worlds

INCIDENT: Final = "clock"
INCIDENT_AFTER_S: Final = 600.0
# Between tries of a chore that fails.
RETRY_S_MIN: Final = 1.0
RETRY_S_MAX: Final = 60.0
# What is done in one go before its neighbours have their turn: a catch-up must not starve them.
CALLS_MAX: Final = 4
# A recheck of a night or a retention of a year; nobody waits for them.
_HOUSE: Final = {"statement_timeout": "1h"}
# As ingest.session.BY_KEY_ONLY; a recheck or a retention may read a table from end to end.
_BY_KEY: Final = {"enable_seqscan": "off"}
# A county of a million is 250 MiB, and is read in some seconds.
IDLE_S: Final = 600.0
# A chore that hangs is a chore that fails.
CALL_S_MAX: Final = 120.0

_log = structlog.get_logger()


class Turns:
    """When a chore is next, by a monotonic clock, and how it fares."""

    def __init__(self, chore: Chore) -> None:
        self.chore = chore
        self.next_s = 0.0
        self.failing_since_s: float | None = None
        self.failures = 0
        self.has_incident = True  # perhaps, of the leader before
        self.untold = ""  # why it fails: its connection was gone, and nothing could be written

    def after(self, now_s: float, rows: int) -> None:
        """It was done: again at once if there may be more, else in its own time."""
        is_more = rows >= self.chore.most
        self.next_s = now_s if is_more else now_s + self.chore.every_s
        self.failing_since_s = None
        self.failures = 0

    def after_failure(self, now_s: float) -> None:
        """It failed: again after a pause that grows."""
        self.failing_since_s = now_s if self.failing_since_s is None else self.failing_since_s
        pause_s = min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(self.failures, 10))
        self.next_s = now_s + pause_s
        self.failures += 1

    def is_incident(self, now_s: float) -> bool:
        """Whether it has failed for so long that a person must know."""
        since_s = self.failing_since_s
        return since_s is not None and now_s - since_s >= INCIDENT_AFTER_S


class Known:
    """The lane's registry: a county in memory, kept while it is used."""

    def __init__(self) -> None:
        self.registry = Registry()
        self._refreshed_at = self.registry.now
        self._used_s = time.monotonic()

    def drop_if_idle(self) -> None:
        """Forget the county when nobody has asked for it for a while: others need the memory."""
        now_s = time.monotonic()
        if self.registry.now != self._refreshed_at:
            self._refreshed_at, self._used_s = self.registry.now, now_s
        elif self.registry.revision >= 0 and now_s - self._used_s > IDLE_S:
            self.registry = Registry()
            self._refreshed_at = self.registry.now


async def run_lane(lane: Lane, chores: Sequence[Chore], conninfo: Conninfo, meter: Meter) -> None:
    """Do the lane's chores until cancelled; raises only for faults of ours."""
    turns = [Turns(chore) for chore in chores]
    known = Known()
    settings = _HOUSE if lane is Lane.HOUSE else _BY_KEY
    while True:
        try:
            name = f"egenmonitor-ingest-clock-{lane.value}"
            async with connected(conninfo, name, settings) as connection:
                while not connection.broken:
                    await _round(turns, connection, known.registry, meter)
                    known.drop_if_idle()
                    await asyncio.sleep(max(0.0, min(t.next_s for t in turns) - time.monotonic()))
        except (psycopg.OperationalError, psycopg.InterfaceError, OSError) as error:
            _log.warning("clock.database_away", lane=lane.value, problem=_problem(error))
        await asyncio.sleep(RETRY_S_MIN)


async def _round(
    turns: Sequence[Turns], connection: Connection, registry: Registry, meter: Meter
) -> None:
    """Give each chore that is due its turn."""
    for one in turns:
        if time.monotonic() < one.next_s or connection.broken:
            continue
        if one.untold:
            await _open_incident(connection, one, one.untold)
        began_s = time.monotonic()
        try:
            rows = await _turn(one.chore, connection, registry)
        except (psycopg.Error, TimeoutError, OSError) as error:
            if isinstance(error, psycopg.Error) and not _is_told(error):
                await _open_incident(connection, one, _problem(error))
                raise
            one.after_failure(time.monotonic())
            meter.retried()
            _log.warning(
                "clock.chore_failed",
                chore=one.chore.name,
                failures=one.failures,
                problem=_problem(error),
            )
            if one.is_incident(time.monotonic()):
                await _open_incident(connection, one, _problem(error))
        except Exception as error:
            await _open_incident(connection, one, _problem(error))
            raise
        else:
            one.after(time.monotonic(), rows)
            meter.answered()
            meter.chore_done(one.chore.name, rows, time.monotonic() - began_s)
            if one.has_incident:
                await incident.close(connection, INCIDENT, one.chore.name)
                one.has_incident = False


async def _turn(chore: Chore, connection: Connection, registry: Registry) -> int:
    """Run *chore* until it has no more, or for as long as its neighbours can wait."""
    rows = 0
    for _ in range(CALLS_MAX):
        now = await now_of(connection)
        if chore.at is not None and not await turn.is_due(connection, chore.name, chore.at, now):
            return 0
        # What may take an hour has a statement timeout of its own.
        limit_s = None if chore.lane is Lane.HOUSE else CALL_S_MAX
        async with asyncio.timeout(limit_s):
            done = await chore.run(connection, registry, now, chore.most)
        rows += done
        if done < chore.most:
            if chore.at is not None:
                await turn.done(connection, chore.name, Turn(done_at=now))
            return min(rows, chore.most - 1)
    return rows


async def now_of(connection: Connection) -> datetime:
    """Return the database's time."""
    cursor = await connection.execute("select now()")
    row = await cursor.fetchone()
    assert row is not None
    now = row[0]
    assert isinstance(now, datetime)
    return now.astimezone(UTC)


async def _open_incident(connection: Connection, one: Turns, problem: str) -> None:
    one.untold = problem
    if connection.broken:
        return
    detail = f"{one.chore.name} ended the clock, which begins anew: {problem}"
    if one.failing_since_s is not None:
        minutes = (time.monotonic() - one.failing_since_s) / 60
        detail = f"{one.chore.name} has failed for {minutes:.0f} minutes, and is retried: {problem}"
    with suppress(psycopg.OperationalError, psycopg.InterfaceError):
        await incident.open_(connection, INCIDENT, one.chore.name, detail)
        one.has_incident = True
        one.untold = ""


def _is_told(error: psycopg.Error) -> bool:
    """Whether the world's, or a row's that the database refuses: told, and tried again."""
    return is_worlds(error) or isinstance(error, psycopg.DataError | psycopg.IntegrityError)


def _problem(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
