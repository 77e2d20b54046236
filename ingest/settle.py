"""Settle: get a batch into the database, whatever it takes, and say what became of each reading.

The world's faults (database away, restarting, deadlocked) are waited out here and nowhere
else. A reading that the database refuses, or never comes to an end with, is found by halving the
batch, and put into quarantine while its neighbours are stored. Harmless to repeat, also when the
connection died in the middle of a commit and nobody knows how it ended: what is stored is found
stored.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray
from psycopg.conninfo import make_conninfo

from ingest import incident, pg_binary, quarantine, store
from ingest.batch import Batch
from ingest.judgement import judge
from ingest.meter import NOBODY, Meter
from ingest.quarantine import Reason, Refused
from ingest.refusal import refusals, refused_by_database
from ingest.registry import Registry
from ingest.session import BY_KEY_ONLY, is_worlds, session

# Between attempts: quick at first, for a restart takes a second; then once in five seconds.
RETRY_S_MIN: Final = 0.1
RETRY_S_MAX: Final = 5.0
TRANSACTION_S_MAX: Final = 120.0
# So often a batch may take the database too long before it is halved: a lock or a disk that hangs
# is the world's, and passes. It takes 14 halvings, some 40 minutes, until a reading out of ten
# thousand is told that the database refuses it.
TIMEOUTS_MAX: Final = 3
# Repeats come in bunches (a gateway resends a backlog): after one, ask first for a while, since a
# failed COPY costs twice.
ASKING_BATCHES: Final = 20

# A rule that stands in a plan, and that this version does not understand: it is not applied.
INCIDENT: Final = "rule"

_POISON: Final = (psycopg.DataError, psycopg.IntegrityError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of a batch; it is committed."""

    reason: NDArray[np.int8]  # (n,) Reason code, 0 = stored, now or before
    refused: Sequence[Refused]  # rows of quarantine
    new: int  # readings that were not stored before


class _StuckError(Exception):
    """The database took too long, again and again; the text says how it put it."""


class Settler:
    """One connection's worth of settling. Use as an async context manager.

    Args:
        conninfo: Gives the connection string, read again for each connection.
        address: The database's place, for the log.
        meter: Is told of attempts that failed and of answers.
    """

    def __init__(self, conninfo: Callable[[], str], address: str, meter: Meter = NOBODY) -> None:
        self._conninfo = conninfo
        self._meter = meter
        self._log = structlog.get_logger().bind(key="database.dsn", address=address)
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._asking_batches = 0
        self._told_by: int | None = None  # the revision by which rules left out were told
        self._has_incident = True  # perhaps, of a worker before
        self.registry = Registry()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._disconnect()

    @property
    def asks(self) -> bool:
        """Whether the next batch's readings are asked for before they are copied."""
        return self._asking_batches > 0

    async def settle(self, batch: Batch, refused: Sequence[Refused]) -> Settled:
        """Commit *batch* and *refused*. Returns only then; raises only for faults of ours."""
        first = _first_of_each(batch)
        if len(first) == len(batch):
            return await self._halve(batch, refused)
        settled = await self._halve(batch.take(first), refused)
        order = np.argsort(batch.reading_id[first])
        place = order[np.searchsorted(batch.reading_id[first][order], batch.reading_id)]
        # A repeat inside the batch fares as its first, unless another gateway's was refused: two
        # boxes hear one scale, and the one that was retired, or knew the time wrongly, must not
        # speak for the other.
        reason = settled.reason[place]
        sender = np.array([origin.gateway_id for origin in batch.origins])[batch.origin]
        is_other = (reason > 0) & (sender != sender[first[place]])
        if not is_other.any():
            return replace(settled, reason=reason)
        others = await self.settle(batch.take(np.flatnonzero(is_other)), [])
        reason[is_other] = others.reason
        return Settled(
            reason=reason,
            refused=[*settled.refused, *others.refused],
            new=settled.new + others.new,
        )

    async def _halve(
        self, batch: Batch, refused: Sequence[Refused], *, is_again: bool = False
    ) -> Settled:
        try:
            return await self._persist(batch, refused)
        except (*_POISON, _StuckError) as error:
            if not len(batch):
                raise  # ours: everything in quarantine can be stored
            if len(batch) > 1:
                middle = len(batch) // 2
                rows = np.arange(len(batch))
                one = await self._halve(batch.take(rows[:middle]), refused)
                other = await self._halve(batch.take(rows[middle:]), [])
                return Settled(
                    reason=np.concatenate((one.reason, other.reason)),
                    refused=[*one.refused, *other.refused],
                    new=one.new + other.new,
                )
            if isinstance(error, psycopg.errors.UniqueViolation) and not is_again:
                # Perhaps of what another worker has just committed, which is seen now.
                return await self._halve(batch, refused, is_again=True)
            problem = str(error)
            if isinstance(error, psycopg.Error):
                problem = f"{error.sqlstate}: {error.diag.message_primary}"
        rows = np.empty(0, np.int64)
        row = refused_by_database(batch, 0, problem)
        settled = await self._persist(batch.take(rows), [*refused, row])
        return replace(settled, reason=np.array([Reason.REFUSED_BY_DATABASE.code], np.int8))

    async def _persist(self, batch: Batch, refused: Sequence[Refused]) -> Settled:
        """Commit, again and again while the world is at fault.

        Raises:
            _StuckError: Something in the batch may be what takes the database too long.
        """
        attempt = timeouts = 0
        while True:
            try:
                async with asyncio.timeout(TRANSACTION_S_MAX):
                    settled = await self._transact(batch, refused)
            except TimeoutError:
                problem = f"a transaction took longer than {TRANSACTION_S_MAX:g} s"
                timeouts += self.registry.is_known
            except OSError as error:  # the password file is away for the moment
                problem = str(error)
            except psycopg.Error as error:
                if not is_worlds(error):
                    raise
                problem = str(error).strip().split("\n")[0]
                is_timeout = isinstance(error, psycopg.errors.QueryCanceled)
                # While the county is read, nothing of the batch is asked yet.
                timeouts += is_timeout and self.registry.is_known
            else:
                if attempt:
                    self._log.info("database.back", attempts=attempt)
                self._meter.answered()
                return settled
            await self._disconnect()
            self._meter.retried()
            if timeouts >= TIMEOUTS_MAX and len(batch):
                self._log.error("database.stuck", readings=len(batch), problem=problem)
                raise _StuckError(problem)
            self._log.warning("database.retry", attempt=attempt, problem=problem)
            wait_s = min(RETRY_S_MAX, RETRY_S_MIN * 2 ** min(attempt, 10))
            await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - spreads workers
            attempt += 1

    async def _transact(self, batch: Batch, refused: Sequence[Refused]) -> Settled:
        connection = await self._connect()
        while True:
            try:
                settled, repeats = await _commit(
                    connection, self.registry, batch, refused, ask=self.asks
                )
            except psycopg.errors.UniqueViolation as error:
                # Having asked, it is another worker's that was stored since.
                if error.diag.constraint_name != store.READING_KEY:
                    raise
                self._asking_batches = ASKING_BATCHES
            else:
                self._asking_batches = (
                    ASKING_BATCHES if repeats else max(0, self._asking_batches - 1)
                )
                await self._tell_left_out(connection)
                return settled

    async def _tell_left_out(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Open or close the incident of rules that are not applied, if the county has changed."""
        if not self.registry.is_known or self._told_by == self.registry.revision:
            return
        if left_out := self.registry.left_out:
            kinds = ", ".join(sorted(set(left_out)))
            detail = (
                f"{len(left_out)} rules of plans are not understood, and not applied ({kinds}):"
                " see registry.rule in the log, and bring every worker to one version"
            )
            await incident.open_(connection, INCIDENT, "", detail)
            self._has_incident = True
        elif self._has_incident:
            await incident.close(connection, INCIDENT, "")
            self._has_incident = False
        self._told_by = self.registry.revision

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        if self._connection is None:
            connection = await psycopg.AsyncConnection.connect(
                make_conninfo(self._conninfo(), **session("egenmonitor-ingest", BY_KEY_ONLY)),
                autocommit=True,
            )
            self._connection = connection
            pg_binary.register(connection)
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()


async def _commit(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    batch: Batch,
    refused: Sequence[Refused],
    *,
    ask: bool,
) -> tuple[Settled, int]:
    """Commit once; return what became of it, and how many readings were known to be stored."""
    async with connection.transaction():
        rows = list(refused)
        if not len(batch):
            await quarantine.insert(connection, rows)
            return Settled(reason=np.empty(0, np.int8), refused=rows, new=0), 0
        judgement = await judge(connection, registry, batch, ask=ask)
        rows += refusals(batch, judgement)
        is_new = await store.write(connection, registry, batch, judgement, rows)
    reason = np.where(judgement.stored, 0, judgement.verdict.reason).astype(np.int8)
    new = int(np.count_nonzero(is_new))
    return Settled(reason=reason, refused=rows, new=new), int(np.count_nonzero(judgement.stored))


def _first_of_each(batch: Batch) -> NDArray[np.int64]:
    """Return the indices of the first reading of each id, ascending."""
    _, first = np.unique(batch.reading_id, return_index=True)
    return np.sort(first).astype(np.int64)
