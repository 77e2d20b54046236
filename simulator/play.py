"""play: captured payloads through virtual devices, as the devices themselves would send them.

The devices' addresses are always the same (``DEVICE_IDS``), so that they can be lent to
somebody before they are played.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Column, Table

from simulator.captures import (
    BLOOD_PRESSURE,
    MI_SCALE_V1,
    MI_SCALE_V2,
    CaptureError,
    Captures,
    load,
)
from simulator.devices.cuff import Cuff
from simulator.devices.mi_scale import Frame, MiScale
from simulator.devices.peripheral import Happening, OnEvent, Peripheral
from simulator.devices.recording import Habits
from simulator.listen import BadListen, exit_with, listen_at
from simulator.radio import VirtualRadio

DEVICE_IDS: Final = {
    BLOOD_PRESSURE: "C0:00:00:00:2A:35",
    MI_SCALE_V1: "C0:00:00:00:18:1D",
    MI_SCALE_V2: "C0:00:00:00:18:1B",
}

EXIT_BAD_FILE: Final = 2
EXIT_NOT_TAKEN: Final = 1

# Some tens of advertisements: whoever scans hears one.
WINDOW_S: Final = 5.0

# Awake at once and until everything is taken; no clock, so that nothing is added to a capture.
_HABITS: Final = Habits(wake_s=0.0, window_s=None)


def play(
    file: Path,
    *,
    listen: str = "127.0.0.1:0",
    window_s: Annotated[float, Parameter(validator=Number(gt=0, lte=3600))] = WINDOW_S,
    limit_s: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
) -> None:
    """Play captured payloads (JSON) through virtual devices to whoever scans.

    Prints the radio's address first. Begins when a gateway scans, ends when a gateway has
    confirmed every record and every advertisement has been on the air for its window. The
    devices are C0:00:00:00:2A:35 (cuff), C0:00:00:00:18:1D and C0:00:00:00:18:1B (Mi Scale v1
    and v2).

    Args:
        file: Sections blood_pressure_2a35, mi_scale_v1_181d, mi_scale_v2_181b; each a list of
            objects with hex.
        listen: Where the virtual radio is served; port 0 finds a free one.
        window_s: How long each advertisement is on the air, seconds.
        limit_s: Give up after so many seconds, exit code 1; the default is to wait for ever.
    """
    console = Console()
    try:
        captures, (host, port) = load(file), listen_at(listen)
    except (CaptureError, BadListen) as error:
        exit_with(str(error), EXIT_BAD_FILE)
    try:
        taken = asyncio.run(_play(captures, VirtualRadio(host, port), window_s, limit_s, console))
    except OSError as error:
        exit_with(f"--listen {listen}: {error.strerror}. Name a free port", EXIT_BAD_FILE)
    sys.exit(0 if taken else EXIT_NOT_TAKEN)


async def _play(
    captures: Captures,
    radio: VirtualRadio,
    window_s: float,
    limit_s: float | None,
    console: Console,
) -> bool:
    """Return whether everything was taken within *limit_s*."""
    devices = _devices(captures, window_s)
    async with radio:
        console.print(f"radio: {radio.transport}", highlight=False, soft_wrap=True)
        console.print(_played(captures))
        for device in devices:
            device.on_event = _teller(console, device)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await radio.scanned()
                for device in devices:
                    await radio.attach(device)
                for device in devices:
                    await device.drained()
        console.print(_taken(devices))
        return not any(device.pending for device in devices)


def _devices(captures: Captures, window_s: float) -> list[Cuff | MiScale]:
    """Return the devices that have something to play, with what they have to play."""
    devices: list[Cuff | MiScale] = []
    if records := captures.of(BLOOD_PRESSURE):
        cuff = Cuff("Captured cuff", address=DEVICE_IDS[BLOOD_PRESSURE], habits=_HABITS)
        for capture in records:
            cuff.record(capture.payload)
        devices.append(cuff)
    for version, section in ((1, MI_SCALE_V1), (2, MI_SCALE_V2)):
        if frames := captures.of(section):
            scale = MiScale(version, address=DEVICE_IDS[section])
            for capture in frames:
                scale.show([Frame(capture.payload, window_s)])
            devices.append(scale)
    return devices


def _teller(console: Console, device: Peripheral) -> OnEvent:
    def tell(happening: Happening, at: datetime) -> None:
        console.print(f"{at:%H:%M:%S.%f}  {device.device_id}  {device.name}: {happening.value}")

    return tell


def _played(captures: Captures) -> Table:
    payload = Column("payload", overflow="fold")
    table = Table("device", "section", payload, "meaning", title="To play")
    for capture in captures.playable:
        device_id = DEVICE_IDS[capture.section]
        table.add_row(device_id, capture.section, capture.payload.hex(), capture.meaning)
    for section in captures.unplayable:
        table.add_row("", section, "", "not playable: no device sends it")
    return table


def _taken(devices: Sequence[Cuff | MiScale]) -> Table:
    table = Table("device", "name", "played", "taken", title="Played")
    for device in devices:
        how = "confirmed" if isinstance(device, Cuff) else "had their time on the air"
        taken = f"{device.delivered} {how}"
        table.add_row(device.device_id, device.name, str(device.produced), taken)
    return table
