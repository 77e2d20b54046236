"""Sends what is due, for ever. Any number of processes may; none waits for a slow provider."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.channels import message
from alerts.channels.channel import Carriers, send_safely
from alerts.channels.message import Message
from alerts.ending import end
from alerts.pulse import Part, beat
from alerts.sending import carried, notices, proof, store
from alerts.sending.store import Claimed

Pool = AsyncConnectionPool[Any]
Clock = Callable[[store.Connection], Awaitable[datetime]]  # the database's time

# A county at its worst minute makes a hundred notifications; a provider that hangs holds each for
# 20 s. So many may hang before others wait.
AT_ONCE_MAX: Final = 64
# How long a notification waits to be seen; asking is one look at an index.
POLL_S: Final = 1.0

# A provider answers within a second; who stops a process waits no longer than this.
DRAIN_S: Final = 10.0

_log = structlog.get_logger()


async def run(
    pool: Pool,
    carriers: Carriers,
    clock: Clock = store.now,
    stop: asyncio.Event | None = None,
) -> None:
    """Send until told to stop, then end the tries that are under way, for ``DRAIN_S`` at most.

    Cancelled in the middle of a try, it is as if the process had died: its lease ends, and another
    process tries again, perhaps for the second time.
    """
    stop = stop or asyncio.Event()
    flying: set[asyncio.Task[None]] = set()
    _log.info("sending.ready", kinds=carriers.kinds)
    async with asyncio.TaskGroup() as tasks:
        beside = tasks.create_task(carried.run(pool, carriers.kinds), name="carried")
        stopping = tasks.create_task(stop.wait(), name="stopping")
        while not stop.is_set():
            looked_at = 0
            try:
                looked_at = await start(pool, carriers, tasks, flying, clock)
            except (psycopg.OperationalError, PoolTimeout) as error:
                _log.warning("sending.database_away", problem=type(error).__name__)
            if looked_at == 0:
                await asyncio.wait({stopping}, timeout=POLL_S)
        await end([beside])
        await _drain(flying)


async def _drain(flying: set[asyncio.Task[None]]) -> None:
    """Wait for the tries that are under way; those that take too long are left to another."""
    if not flying:
        return
    _log.info("sending.draining", attempts=len(flying))
    _, pending = await asyncio.wait(flying, timeout=DRAIN_S)
    for task in pending:
        task.cancel()
    _log.info("sending.drained", left=len(pending))


async def start(
    pool: Pool,
    carriers: Carriers,
    tasks: asyncio.TaskGroup,
    flying: set[asyncio.Task[None]],
    clock: Clock,
) -> int:
    """Begin to send what is due, as far as there is room; return how many were looked at."""
    async with pool.connection() as connection:
        at = await clock(connection)
        room = AT_ONCE_MAX - len(flying)
        claim = await store.claim(connection, carriers.kinds, at, room)
        left = room - len(claim.to_send)
        notes = await notices.claim(connection, carriers.kinds, at, left)
        if await proof.marks(connection):  # who cannot claim, or write what came of it, is silent
            await beat(connection, Part.SENDING)
    to_send: list[Claimed | notices.Claimed] = [*claim.to_send, *notes.to_send]
    for one in to_send:
        task = tasks.create_task(
            _send(pool, carriers, one, clock), name=f"attempt {one.attempt_id}"
        )
        flying.add(task)
        task.add_done_callback(flying.discard)
    return claim.looked_at + notes.looked_at


async def _send(
    pool: Pool, carriers: Carriers, one: Claimed | notices.Claimed, clock: Clock
) -> None:
    """Make one attempt and keep what came of it."""
    is_notice = isinstance(one, notices.Claimed)
    carrier = carriers.by_kind[one.way.kind]
    said = _message(one, carriers.public_url)
    outcome = await send_safely(carrier, one.way.address, said, one.attempt_id)
    _log.info(
        "sending.attempt",
        attempt=one.attempt_id,
        of="faults" if is_notice else "alert",
        kind=one.way.kind.value,
        state=outcome.state.value,
        fault=outcome.fault.value if outcome.fault else None,
    )
    mark = notices.mark if is_notice else store.mark
    try:
        async with pool.connection() as connection:
            await mark(connection, one.attempt_id, outcome, await clock(connection))
    except (psycopg.OperationalError, PoolTimeout) as error:
        # Its lease ends, and it is sent again: twice is better than never.
        _log.warning("sending.not_marked", attempt=one.attempt_id, problem=type(error).__name__)


def _message(one: Claimed | notices.Claimed, public_url: str) -> Message:
    if isinstance(one, notices.Claimed):
        return message.of_faults(one.faults, public_url, is_urgent=one.is_urgent)
    if one.taken is not None:
        return message.of_taken(one.taken.name, one.taken.told_at, public_url)
    if one.alerts > 1:
        return message.of_several(one.alerts, public_url)
    return message.of_alert(one.level, public_url)
