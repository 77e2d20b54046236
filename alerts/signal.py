"""Which worklists a change concerns, and how the word gets round: one LISTEN for the process.

A notification is a wake-up only: who is woken reads the database again. Its payload names
topics; an empty one concerns everybody.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import structlog
from psycopg import AsyncConnection

ALERT_CHANNEL: Final = "alert"  # ingest opened, joined or raised an alert
WORKLIST_CHANNEL: Final = "worklist"  # a worklist looks different now

# PostgreSQL refuses 8,000 bytes and more; then everybody is woken.
PAYLOAD_BYTES_MAX = 7_900
# An open list costs a task and a socket; 2,000 nurses at one process are some 100 MB.
LISTENERS_MAX = 2_000
# How long the database may be away before we try again, at most.
RECONNECT_S_MAX = 5.0
_RECONNECT_S = 0.1
_CONNECT_S_MAX = 5
# The listening connection is looked at this often even when nothing is said.
_QUIET_S = 15.0

_log = structlog.get_logger()


def topic(staff_id: int | None, unit_id: int) -> str:
    """Return the topic of a receiver's worklists: a person's, or a unit's queue."""
    return f"u{unit_id}" if staff_id is None else f"s{staff_id}"


async def notify_worklists(connection: AsyncConnection, topics: Iterable[str]) -> None:
    """Wake the worklists of *topics* when the transaction commits."""
    payload = " ".join(sorted(set(topics)))
    if not payload:
        return
    if len(payload) > PAYLOAD_BYTES_MAX:
        payload = ""
    await connection.execute("select pg_notify(%s, %s)", (WORKLIST_CHANNEL, payload))


class Full(Exception):
    """There are as many listeners as there may be."""


class Hub:
    """Wakes who waits for a topic. Many wake-ups before somebody looks are one."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._count = 0
        self.is_closed = False

    @contextmanager
    def listen(self, topics: Iterable[str]) -> Iterator[asyncio.Event]:
        """Give an event that is set at every change of *topics*, and when the hub closes.

        Raises:
            Full: There are ``LISTENERS_MAX`` already.
        """
        if self._count >= LISTENERS_MAX:
            raise Full
        event, wanted = asyncio.Event(), list(topics)
        self._count += 1
        for name in wanted:
            self._waiting.setdefault(name, set()).add(event)
        try:
            yield event
        finally:
            self._count -= 1
            for name in wanted:
                self._waiting[name].discard(event)
                if not self._waiting[name]:
                    del self._waiting[name]

    def wake(self, payload: str) -> None:
        """Wake the listeners of the topics in *payload*; all of them if it is empty."""
        for name in payload.split() or list(self._waiting):
            for event in self._waiting.get(name, ()):
                event.set()

    def close(self) -> None:
        """End all listening, for good."""
        self.is_closed = True
        self.wake("")


async def listen(conninfo: str, hub: Hub, alert: asyncio.Event) -> None:
    """Pass notifications on to *hub* and *alert* for ever; after a break, wake everybody."""
    wait_s = _RECONNECT_S
    while True:
        try:
            async with await AsyncConnection.connect(
                conninfo, autocommit=True, connect_timeout=_CONNECT_S_MAX
            ) as connection:
                await connection.execute("listen alert")
                await connection.execute("listen worklist")
                # What was said while nobody listened is unknown.
                alert.set()
                hub.wake("")
                wait_s = _RECONNECT_S
                await _pass_on(connection, hub, alert)
        except psycopg.OperationalError as error:
            _log.warning("alerts.listen_lost", problem=type(error).__name__, again_in_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RECONNECT_S_MAX)


async def _pass_on(connection: AsyncConnection, hub: Hub, alert: asyncio.Event) -> None:
    while True:
        async for said in connection.notifies(timeout=_QUIET_S):
            if said.channel == ALERT_CHANNEL:
                alert.set()
            else:
                hub.wake(said.payload)
        await connection.execute("select 1")  # notices a connection that died in silence
