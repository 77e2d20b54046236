"""``gateway status``: how the gateway is, said by itself if it runs, read from its store if not."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from cyclopts import Parameter

from devices.wire import DeviceStatus, GatewayStatus, encode_status
from gateway.commands.terminal import (
    UNREACHABLE,
    ConfigFile,
    complain,
    configuration,
    step_down,
)
from gateway.config import Config
from gateway.control import ask_status
from gateway.database import depths, read_only
from gateway.memory import recorded

if TYPE_CHECKING:
    from rich.console import Console

_MIB: Final = 1024 * 1024
_NOTHING: Final = "–"
# As many of the watchdog's steps as one looks at.
_STEPS_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the gateway.

    Attributes:
        inbox, outbox, oldest_at: What waits.
        devices: Those it knows.
        said: What it says of itself; none if it does not run.
    """

    inbox: int
    outbox: int
    oldest_at: datetime | None
    devices: tuple[DeviceStatus, ...]
    said: GatewayStatus | None


def status(*, config: ConfigFile, as_json: Annotated[bool, Parameter("--json")] = False) -> int:
    """Show what waits, what is wrong and which devices are known; works beside a running gateway.

    Args:
        config: The gateway's TOML file.
        as_json: As one JSON object.
    """
    settings = configuration(config)
    step_down(settings.data_dir)
    try:
        found = _look(settings)
    except FileNotFoundError as error:
        return complain(f"data_dir: {error} is not there. Run the gateway first", UNREACHABLE)
    except sqlite3.DatabaseError as error:
        words = f"data_dir: the store cannot be read ({error}). Run `gateway doctor`"
        return complain(words, UNREACHABLE)
    if as_json:
        print(json.dumps(_plain(found)))
        return 0
    from rich.console import Console  # noqa: PLC0415 - 6 MB that a running box does not need

    show(settings.gateway_id, found, Console(highlight=False))
    return 0


def _look(config: Config) -> Found:
    said = asyncio.run(ask_status(config.data_dir))
    inbox, outbox, oldest_at = depths(config.data_dir)
    if said is not None:
        devices = said.devices
    else:
        with read_only(config.data_dir) as connection:
            devices = tuple(known.status for known in recorded(connection))
    return Found(inbox, outbox, oldest_at, devices, said)


def _plain(found: Found) -> dict[str, Any]:
    return {
        "inbox": found.inbox,
        "outbox": found.outbox,
        "oldest_at": None if found.oldest_at is None else found.oldest_at.isoformat(),
        "devices": [msgspec.to_builtins(device) for device in found.devices],
        "running": None if found.said is None else json.loads(encode_status(found.said)),
    }


def show(gateway_id: str, found: Found, console: "Console") -> None:
    """Print what was found, as tables."""
    from rich.markup import escape  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415

    table = Table(show_header=False, title=f"gateway {gateway_id}", title_justify="left")
    for what, value in _lines(found):
        table.add_row(what, value)
    console.print(table)
    if found.said is not None and found.said.conditions:
        wrong = Table("what is wrong", "since", title="conditions", title_justify="left")
        for condition, words in zip(found.said.conditions, found.said.problems, strict=True):
            wrong.add_row(f"[red]{condition.code}[/]\n{escape(words)}", _time(condition.since))
        console.print(wrong)
    if found.devices:
        devices = Table("device", "model", "heard", "served", "battery", "bond")
        for device in found.devices:
            devices.add_row(*_cells(device))
        console.print(devices)


def _lines(found: Found) -> Iterator[tuple[str, str]]:
    said = found.said
    if said is None:
        yield "runs", "[red]no[/]"
    else:
        yield "runs", f"since {_time(said.started_at)}, version {said.version or _NOTHING}"
        yield "radio", said.radio
        for step in said.radio_steps[-_STEPS_SHOWN:]:
            yield "  watchdog", f"{step.step}, {_time(step.at)}"
    yield "inbox: raw values", str(found.inbox)
    yield "outbox: readings without a receipt", str(found.outbox)
    yield "oldest of them", _time(found.oldest_at)
    if said is not None:
        yield "last reading", _time(said.last_reading_at)
        yield "configuration from the service", str(said.config_version or _NOTHING)
        yield "certificate until", _time(said.certificate_until)
        if said.storage_free_bytes is not None:
            yield "free on the disk", f"{said.storage_free_bytes // _MIB} MiB"


def _cells(device: DeviceStatus) -> tuple[str, ...]:
    battery = _NOTHING if device.battery_percent is None else f"{device.battery_percent} %"
    heard, served = _time(device.heard_at), _time(device.served_at)
    return device.device_id, device.model or _NOTHING, heard, served, battery, device.bond.value


def _time(moment: datetime | None) -> str:
    """Return a time by this machine's own clock and zone, to the second."""
    return _NOTHING if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"
