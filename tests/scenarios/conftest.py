"""Where the scenarios play: on the virtual radio, or on Linux's own Bluetooth.

``EGENMONITOR_SCENARIO_RADIO=bluez`` plugs a controller of the same virtual radio into this
kernel and leaves it to bluetoothd: only for a machine of its own, as tests/bluez makes one.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.radio import RadioConfig
from simulator.radio import VirtualRadio
from tests.gateway.home import Home

SCENARIO_RADIO = "EGENMONITOR_SCENARIO_RADIO"


@dataclass(frozen=True, slots=True)
class Place:
    """A room: virtual devices are attached to ``radio``, a gateway is plugged in by ``plug``."""

    radio: VirtualRadio
    plug: RadioConfig


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with AsyncExitStack() as opened:
        radio = await opened.enter_async_context(VirtualRadio())
        if os.environ.get(SCENARIO_RADIO) == "bluez":
            # Only here: it opens a device of the kernel that few machines have.
            from tests.bluez.bridge import adapter  # noqa: PLC0415

            name = await opened.enter_async_context(adapter(radio.host, radio.port))
            yield Place(radio, RadioConfig(backend="bluez", adapter=name))
        else:
            yield Place(radio, RadioConfig(backend="bumble", transport=radio.transport))


@pytest.fixture
async def home(place: Place, tmp_path: Path) -> AsyncIterator[Home]:
    """A gateway with an empty store, in that room; it listens within ``home.listening()``."""
    with Database(tmp_path / "data") as database:
        inbox = Inbox(database)
        yield Home(place.radio, inbox, Outbox(database, inbox), plug=place.plug)
