"""The long-running process, put together: pages, and the work behind them.

Both in one, or each in a process of its own and any number of either: the work is claimed row by
row. Nothing of it is lost when a process dies; whatever it had claimed is due again.
"""

import asyncio
import enum
import signal
import socket
from collections.abc import Coroutine
from typing import Any, Final

import anyio
import psycopg
import structlog

from alerts import course, engine, reminders
from alerts.audit import anchor
from alerts.care import todo
from alerts.channels.channel import Carriers, open_carriers
from alerts.config import Config
from alerts.connections import Pool, connections
from alerts.ending import end
from alerts.enrolment.setup import EnrolmentOf
from alerts.login import open_login
from alerts.pulse import Watch
from alerts.schema import SOURCES
from alerts.sending import loop as sending
from alerts.signal import Hub, listen
from alerts.technical import watch as technical
from alerts.web.app import create_app
from alerts.web.server import bind, serve
from alerts.web.services import ServicesOf
from ingest.schema.migrate import migrate

# argon2id takes 64 MiB and 50 ms each.
HASHES_AT_ONCE_MAX: Final = 2
# How often a database that is away at start is tried again.
_AGAIN_S: Final = 1.0
# What they have begun they end.
SENDERS: Final = ("sending", "reminders")

_log = structlog.get_logger()


class Parts(enum.Flag):
    """What a process does."""

    PAGES = enum.auto()
    WORK = enum.auto()  # routing, escalation, sending, faults
    SCHEMA = enum.auto()  # brings it up to date first; the others want it there
    ALL = PAGES | WORK | SCHEMA


async def run(settings: Config, enrolment: EnrolmentOf | None, parts: Parts) -> None:
    """Do what *parts* say until told to stop.

    Raises:
        MigrationError: The schema cannot be brought up to date.
        NotServed: The port cannot be had.
    """
    stop = _stop_on_signal()
    if Parts.SCHEMA in parts and not await _migrated(settings, stop):
        return
    listening = bind(settings.web) if Parts.PAGES in parts else None
    conninfo = settings.database.conninfo()
    hub, alert = Hub(), asyncio.Event()
    async with (
        open_carriers(
            settings.mail, settings.sms, settings.web.public_url, settings.voice
        ) as carriers,
        connections(conninfo) as pool,
        asyncio.TaskGroup() as tasks,
    ):
        loops = {"listen": listen(conninfo, hub, alert)}
        if Parts.WORK in parts:
            loops |= _work(pool, alert, carriers, enrolment, stop)
        working = [tasks.create_task(loop, name=name) for name, loop in loops.items()]
        try:
            if listening is None:
                _log.info("alerts.ready", address=None)
                await stop.wait()
            else:
                await _serve(settings, conninfo, hub, carriers, enrolment, listening, stop)
        finally:
            stop.set()
            sends = [task for task in working if task.get_name() in SENDERS]
            await end([task for task in working if task not in sends])  # undone, and due again
            if sends:  # what is under way may arrive: told once is better than twice
                await asyncio.wait(sends, timeout=sending.DRAIN_S + _AGAIN_S)
            await end(sends)
    _log.info("alerts.stopped")


def _work(
    pool: Pool,
    alert: asyncio.Event,
    carriers: Carriers,
    enrolment: EnrolmentOf | None,
    stop: asyncio.Event,
) -> dict[str, Coroutine[Any, Any, None]]:
    """Return the loops behind the pages, by name."""
    loops: dict[str, Coroutine[Any, Any, None]] = {
        "engine": engine.run(pool, alert),
        "course": course.run(pool),
        "sending": sending.run(pool, carriers, stop=stop),
        "technical": technical.run(pool),
        "todo": todo.run(pool),
        "reminders": reminders.run(pool, carriers, stop),
    }
    if enrolment is not None:
        loops["warden"] = enrolment.warden.run(pool)
    return loops


async def _serve(  # noqa: PLR0917 - put together here, and nowhere else
    settings: Config,
    conninfo: str,
    hub: Hub,
    carriers: Carriers,
    enrolment: EnrolmentOf | None,
    listening: socket.socket,
    stop: asyncio.Event,
) -> None:
    """Serve the pages; they have connections of their own, whatever the work needs."""
    login = open_login(settings)
    if not settings.login.is_possible:
        _log.error("login.nobody", cure="set login.local or [login.provider]")
    watch = Watch()
    async with connections(conninfo) as pool, asyncio.TaskGroup() as tasks:
        beside = [
            tasks.create_task(watch.run(pool), name="pulse"),
            tasks.create_task(anchor.run(pool), name="anchor"),
        ]
        services = ServicesOf(
            pool=pool,
            hub=hub,
            web=settings.web,
            hashing=anyio.CapacityLimiter(HASHES_AT_ONCE_MAX),
            registrar=None if enrolment is None else enrolment.registrar,
            carriers=carriers,
            login=settings.login,
            seal=login.seal,
            provider=login.provider,
            pulse=watch,
        )
        try:
            await serve(create_app(services), listening, hub, stop)
        finally:
            await end(beside)
            if login.provider is not None:
                await login.provider.close()


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


async def _migrated(settings: Config, stop: asyncio.Event) -> bool:
    """Wait for the database and bring its schema up to date; false if told to stop before."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(migrate, settings.database.conninfo(), SOURCES)
        except psycopg.OperationalError as error:
            _log.warning("alerts.database_away", problem=database_away(settings, error))
        else:
            return True
        await asyncio.sleep(_AGAIN_S)
    return False


def database_away(settings: Config, error: psycopg.OperationalError) -> str:
    """Return which address cannot be used, why, and the cure."""
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"database.dsn: {settings.database.address()} cannot be used ({said})"
        " → start it or correct the address"
    )
