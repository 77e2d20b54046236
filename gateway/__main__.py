"""The gateway's command line, and its composition root."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import structlog
from cyclopts import App, Parameter

from gateway import log
from gateway.broker import BrokerError, Identity, connect
from gateway.central import Central
from gateway.config import Config, ConfigProblems, load
from gateway.database import Database, StoreInUse, StoreTooNew, depths
from gateway.health import Health
from gateway.heartbeat import Heartbeat
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.replay import replay_and_tell
from gateway.uplink import DRAIN_S, Uplink

_log = structlog.get_logger()

BAD_CONFIGURATION: Final = 2
UNREACHABLE: Final = 1
IN_USE: Final = 1

# A session that is told to stop disconnects first; its device answers within this or never.
INTAKE_STOP_S_MAX: Final = 2.0
# After the drain: the goodbye and the disconnect.
GOODBYE_S_MAX: Final = 1.5

# Sessions left by a full store are tried again so often.
REPLAY_INTERVAL_S: Final = 30.0

app = App(name="gateway", help="The box in the home: Bluetooth → durable outbox → MQTT.")

ConfigFile = Annotated[Path, Parameter(help="The gateway's TOML file.")]


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
    stop, draining, wake = stop_on_signal(), asyncio.Event(), asyncio.Event()
    with Database(config.data_dir) as database:
        inbox = Inbox(database)
        outbox = Outbox(database, inbox, on_append=wake.set, now=_utc_now)
        health = Health(on_change=wake.set)
        heartbeat = Heartbeat(
            config.gateway_id,
            config.heartbeat.interval_s,
            inbox=inbox,
            outbox=outbox,
            health=health,
            now=_utc_now,
        )
        uplink = uplink_type(
            config.uplink,
            config.gateway_id,
            outbox=outbox,
            heartbeat=heartbeat,
            health=health,
            wake=wake,
            now=_utc_now,
        )
        central = Central(
            config.radio,
            config.session,
            config.zone,
            inbox=inbox,
            outbox=outbox,
            health=health,
            now=_utc_now,
        )
        _log.info("gateway.started", gateway_id=config.gateway_id, outbox=outbox.depth)
        async with asyncio.TaskGroup() as tasks:
            uploading = tasks.create_task(uplink.run(draining), name="uplink")
            intake = {
                tasks.create_task(
                    _keep_replaying(database, inbox, outbox, health, config), name="replay"
                ),
                tasks.create_task(central.run(), name="central"),
            }
            await stop.wait()
            _log.info("gateway.stopping")
            for task in intake:
                task.cancel()
            await asyncio.wait(intake, timeout=INTAKE_STOP_S_MAX)
            replay_and_tell(database, inbox, outbox, health, config.zone)
            draining.set()
            wake.set()
            await asyncio.wait({uploading}, timeout=DRAIN_S + GOODBYE_S_MAX)
            uploading.cancel()
        _log.info("gateway.stopped", outbox=outbox.depth)


def stop_on_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets; the next of them ends the process."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)

    def told() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # all that matters is on the disk

    for number in signals:
        loop.add_signal_handler(number, told)
    return stop


async def _keep_replaying(
    database: Database, inbox: Inbox, outbox: Outbox, health: Health, config: Config
) -> None:
    """Finish what a power cut left, at once; and what a full store leaves, when it has room."""
    while True:
        replay_and_tell(database, inbox, outbox, health, config.zone)
        database.keep_ballast()
        await asyncio.sleep(REPLAY_INTERVAL_S)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@app.command(name="run")
def run_command(*, config: ConfigFile) -> int:
    """Run the gateway until it is told to stop."""
    settings = _load(config)
    log.configure(settings.log.format)
    try:
        asyncio.run(run(settings))
    except (StoreInUse, StoreTooNew) as error:
        return _complain(f"data_dir: {error}. Stop that gateway, or give another directory", IN_USE)
    except OSError as error:
        if error.filename is None:
            raise
        problem = f"data_dir: {error.filename} cannot be used ({error.strerror})"
        return _complain(f"{problem}. Give a directory this account may write", BAD_CONFIGURATION)
    return 0


@app.command
def check_config(*, config: ConfigFile, connect: bool = False) -> int:
    """Check the configuration and say everything that is wrong with it.

    Args:
        config: The gateway's TOML file.
        connect: Try to reach the broker too.
    """
    settings = _load(config)
    if connect:
        try:
            asyncio.run(_try_broker(settings))
        except BrokerError as error:
            return _complain(str(error), UNREACHABLE)
    print(f"{config}: good")
    return 0


@app.command
def status(*, config: ConfigFile, as_json: Annotated[bool, Parameter("--json")] = False) -> int:
    """Show what waits in the inbox and the outbox; works beside a running gateway.

    Args:
        config: The gateway's TOML file.
        as_json: As one JSON object.
    """
    settings = _load(config)
    try:
        inbox, outbox, oldest_at = depths(settings.data_dir)
    except FileNotFoundError as error:
        return _complain(f"data_dir: {error} is not there. Run the gateway first", UNREACHABLE)
    oldest = None if oldest_at is None else oldest_at.isoformat()
    if as_json:
        print(json.dumps({"inbox": inbox, "outbox": outbox, "oldest_at": oldest}))
        return 0
    from rich.console import Console  # noqa: PLC0415 - 6 MB that a running box does not need
    from rich.table import Table  # noqa: PLC0415

    table = Table("what", "now", title=f"gateway {settings.gateway_id}")
    table.add_row("inbox: raw values", str(inbox))
    table.add_row("outbox: readings without a receipt", str(outbox))
    table.add_row("oldest of them", oldest or "–")
    Console().print(table)
    return 0


async def _try_broker(config: Config) -> None:
    # Under its own client id: with the gateway's, a running one would be thrown out.
    probe = f"{config.gateway_id}-check"
    identity = Identity(client_id=probe)
    async with connect(config.uplink, identity):
        pass


def _load(path: Path) -> Config:
    try:
        return load(path)
    except ConfigProblems as error:
        sys.exit(_complain(str(error), BAD_CONFIGURATION))


def _complain(words: str, code: int) -> int:
    print(words, file=sys.stderr)
    return code


def main() -> None:
    """Run the command line."""
    with contextlib.suppress(BrokenPipeError):
        result = app()
        sys.exit(result if isinstance(result, int) else os.EX_OK)


if __name__ == "__main__":
    main()
