"""``gateway run``: the composition root. Builds the parts, runs them, stops against the flow."""

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from devices.wire import GatewayState
from gateway import log
from gateway.central import Central
from gateway.commands.terminal import (
    BAD_CONFIGURATION,
    IN_USE,
    ConfigFile,
    complain,
    configuration,
)
from gateway.config import Config
from gateway.control import Control
from gateway.database import Database, StoreInUse, StoreTooNew, from_us
from gateway.feedback import Feedback
from gateway.health import Health
from gateway.heartbeat import Heartbeat
from gateway.inbox import Inbox
from gateway.lending import local
from gateway.log import get_logger
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.plugins import load_and_tell
from gateway.radio.config import KEYS_DIRECTORY
from gateway.remote import Remote
from gateway.renewal import Renewal
from gateway.replay import replay_and_tell
from gateway.supervise import supervised
from gateway.systemd import Notifier, Reporter
from gateway.thrift import keep_lean
from gateway.timekeeper import MachineClocks, Timekeeper, keep_telling
from gateway.uplink import DRAIN_S, Uplink
from gateway.watchdog import Pace, Watchdog

_log = get_logger()

# A session that is told to stop disconnects first; its device answers within this or never.
INTAKE_STOP_S_MAX: Final = 2.0
# After the drain: the goodbye and the disconnect.
GOODBYE_S_MAX: Final = 1.0

# All of it, and a little: a part that hangs in a library is not waited for any longer.
STOP_S_MAX: Final = INTAKE_STOP_S_MAX + DRAIN_S + GOODBYE_S_MAX + 0.5

# Sessions left by a full store are tried again so often.
REPLAY_INTERVAL_S: Final = 30.0

Run = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The parts of one gateway, built and not yet running."""

    config: Config
    timekeeper: Timekeeper
    database: Database
    inbox: Inbox
    outbox: Outbox
    health: Health
    remote: Remote
    feedback: Feedback
    central: Central
    heartbeat: Heartbeat
    uplink: Uplink
    watchdog: Watchdog
    renewal: Renewal
    control: Control


def build(
    config: Config, database: Database, wake: asyncio.Event, *, uplink_type: type[Uplink] = Uplink
) -> Box:
    """Build the parts on an open database; *wake* is set whenever there is something to send."""
    timekeeper = _timekeeper(config, database)
    now, data_dir = timekeeper.now, config.data_dir
    inbox = Inbox(database, timekeeper)
    outbox = Outbox(database, inbox, on_append=wake.set, now=now)
    health = Health(on_change=wake.set, now=now)
    listed = local(config.session.devices)
    remote = Remote(data_dir, config.gateway_id, lending=listed, health=health, now=now)
    feedback = Feedback(config.feedback, health=health)
    central = _central(
        config,
        timekeeper,
        inbox=inbox,
        outbox=outbox,
        memory=Memory(database, now),
        health=health,
        remote=remote,
        feedback=feedback,
    )
    heartbeat = Heartbeat(
        config.gateway_id,
        config.heartbeat.interval_s,
        inbox=inbox,
        outbox=outbox,
        health=health,
        now=now,
        asked_interval_s=lambda: remote.heartbeat_s,
        devices=lambda: central.devices,
        certificate_until=lambda: renewal.certificate_until,
        storage_free_bytes=lambda: shutil.disk_usage(data_dir).free,
    )
    uplink = uplink_type(
        config.uplink,
        config.gateway_id,
        outbox=outbox,
        heartbeat=heartbeat,
        health=health,
        wake=wake,
        now=now,
        on_config=remote.take,
        on_event=feedback.tell,
    )
    renewal = Renewal(
        data_dir,
        health=health,
        now=now,
        is_clock_sure=lambda: not timekeeper.is_doubted,
        on_renewed=uplink.reconnect,
    )
    own_status = partial(heartbeat.status, GatewayState.ONLINE)
    return Box(
        config=config,
        timekeeper=timekeeper,
        database=database,
        inbox=inbox,
        outbox=outbox,
        health=health,
        remote=remote,
        feedback=feedback,
        central=central,
        heartbeat=heartbeat,
        uplink=uplink,
        watchdog=Watchdog(central, health, Pace(config.watchdog.silent_s)),
        renewal=renewal,
        control=Control(data_dir, pair=central.pair, status=own_status, now=now),
    )


def _timekeeper(config: Config, database: Database) -> Timekeeper:
    newest_us = database.newest_us()
    return Timekeeper(
        MachineClocks(),
        timedelta(seconds=config.clock.doubt_after_boot_s),
        floor=None if newest_us is None else from_us(newest_us),
    )


def _central(
    config: Config,
    timekeeper: Timekeeper,
    *,
    inbox: Inbox,
    outbox: Outbox,
    memory: Memory,
    health: Health,
    remote: Remote,
    feedback: Feedback,
) -> Central:
    return Central(
        config.radio,
        config.session,
        config.zone,
        inbox=inbox,
        outbox=outbox,
        memory=memory,
        health=health,
        now=timekeeper.now,
        keys=config.data_dir / KEYS_DIRECTORY,
        lending=lambda: remote.lending,
        idle_s=lambda: remote.idle_s,
        may_set_clock=lambda: not timekeeper.is_doubted,
        on_event=feedback.tell,
    )


def intake(box: Box) -> dict[str, Run]:
    """Return the parts that are stopped first, by name: all but the uplink. One line each."""
    return {
        "replay": lambda: _keep_replaying(box),
        "time": lambda: keep_telling(box.timekeeper, box.health, lambda: _replay(box)),
        "central": box.central.run,
        "watchdog": box.watchdog.run,
        "remote": lambda: box.remote.run(box.central.pair),
        "feedback": box.feedback.run,
        "renewal": box.renewal.run,
        "control": box.control.run,
        "thrift": keep_lean,
    }


async def run(config: Config, *, uplink_type: type[Uplink] = Uplink) -> None:
    """Run the gateway until SIGTERM or SIGINT; a second signal ends the process at once.

    Stops against the flow: first the radio, then what waits is sent for ``DRAIN_S``. What is
    left stays in the outbox.

    Args:
        config: All of it.
        uplink_type: The uplink's class; for tests that need one that behaves worse.

    Raises:
        StoreInUse: Another gateway runs on the data directory.
        StoreTooNew: The data directory was used by a newer version.
    """
    stop, wake = stop_on_signal(), asyncio.Event()
    with Database(config.data_dir) as database:
        box = build(config, database, wake, uplink_type=uplink_type)
        load_and_tell(box.health)
        await operate(box, stop, wake)


async def operate(box: Box, stop: asyncio.Event, wake: asyncio.Event) -> None:
    """Run the parts of *box* until *stop*; *wake* is the event the box was built with."""
    draining, manager = asyncio.Event(), Notifier()
    _log.info("gateway.started", gateway_id=box.config.gateway_id, outbox=box.outbox.depth)
    async with asyncio.TaskGroup() as tasks:

        def start(
            part: str, run_part: Run, may_end: Callable[[], bool] = lambda: False
        ) -> asyncio.Task[None]:
            running = supervised(part, run_part, box.health, may_end=may_end)
            return tasks.create_task(running, name=part)

        uploading = start("uplink", lambda: box.uplink.run(draining), draining.is_set)
        taking_in = {start(part, run_part) for part, run_part in intake(box).items()}
        manager.tell("READY=1")  # neither radio nor network is waited for: they come and go
        reporting = start("reporter", Reporter(manager, box.health).run)
        await stop.wait()
        manager.tell("STOPPING=1")
        _log.info("gateway.stopping")
        for task in taking_in:
            task.cancel()
        await asyncio.wait(taking_in, timeout=INTAKE_STOP_S_MAX)
        _replay(box)
        draining.set()
        wake.set()
        await asyncio.wait({uploading}, timeout=DRAIN_S + GOODBYE_S_MAX)
        uploading.cancel()
        reporting.cancel()
    _log.info("gateway.stopped", outbox=box.outbox.depth)


def stop_on_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; the next of them ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def told() -> None:
        stop.set()
        loop.call_later(STOP_S_MAX, _leave)
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # all that matters is on the disk

    for number in signals:
        loop.add_signal_handler(number, told)
    return stop


def _leave() -> None:
    """End the process, whatever still hangs: all that matters is on the disk."""
    _log.warning("gateway.left", cure="a part did not stop; nothing is lost by it")
    os._exit(os.EX_OK)


async def _keep_replaying(box: Box) -> None:
    """Finish what a power cut left, at once; and what a full store leaves, when it has room."""
    while True:
        _replay(box)
        box.database.keep_ballast()
        await asyncio.sleep(REPLAY_INTERVAL_S)


def _replay(box: Box) -> None:
    replay_and_tell(box.database, box.inbox, box.outbox, box.health, box.config.zone)


def run_command(*, config: ConfigFile) -> int:
    """Run the gateway until it is told to stop."""
    settings = configuration(config)
    log.configure(settings.log.format)
    try:
        asyncio.run(run(settings))
    except (StoreInUse, StoreTooNew) as error:
        return complain(f"data_dir: {error}. Stop that gateway, or give another directory", IN_USE)
    except OSError as error:
        if error.filename is None:
            raise
        problem = f"data_dir: {error.filename} cannot be used ({error.strerror})"
        return complain(f"{problem}. Give a directory this account may write", BAD_CONFIGURATION)
    return 0
