"""Adapter: whether there is a Bluetooth radio that does what it is told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from bleak.exc import BleakDBusError, BleakError

from gateway.config import Config
from gateway.connection import RADIO_ERRORS
from gateway.doctor.finding import Finding, fail, ok
from gateway.doctor.place import is_running
from gateway.radio import open_radio

# Opening a controller includes its reset, and its firmware.
_OPEN_S_MAX: Final = 20.0

_ADAPTER: Final = "org.bluez.Adapter1"
_UNKNOWN: Final = "org.freedesktop.DBus.Error.ServiceUnknown"
_DENIED: Final = "org.freedesktop.DBus.Error.AccessDenied"


async def adapter(config: Config) -> AsyncIterator[Finding]:
    """Look at the adapter the configuration names."""
    look = _bluez if config.radio.backend == "bluez" else _bumble
    async for finding in look(config):
        yield finding


async def _bluez(config: Config) -> AsyncIterator[Finding]:
    """Ask bluetoothd; a running gateway does not notice."""
    from gateway.radio.bluez.bus import open_bus  # noqa: PLC0415 - not on a box with Bumble

    try:
        async with open_bus() as bus:
            objects = await bus.objects()
    except BleakDBusError as error:
        yield fail("adapter", *_refused(error))
        return
    except BleakError as error:
        cure = "apt install dbus bluez, then systemctl enable --now dbus bluetooth"
        yield fail("adapter", str(error.args[0]), cure)
        return
    found = {
        path.rpartition("/")[2]: interfaces[_ADAPTER]
        for path, interfaces in sorted(objects.items())
        if _ADAPTER in interfaces
    }
    name = config.radio.adapter or next(iter(found), "")
    if name not in found:
        wanted = config.radio.adapter or "a Bluetooth adapter"
        known = ", ".join(found) or "none"
        words = f"bluetoothd does not see {wanted}; it sees {known}"
        yield fail("adapter", words, "plug one in, or see what `dmesg | grep -i bluetooth` says")
    elif not found[name].get("Powered"):
        cure = f"rfkill unblock bluetooth, then bluetoothctl power on ({name})"
        yield fail("adapter", f"{name} is switched off", cure)
    else:
        yield ok("adapter", f"{name} ({found[name].get('Address', '?')}) is on")


def _refused(error: BleakDBusError) -> tuple[str, str]:
    if error.dbus_error == _UNKNOWN:
        return "bluetoothd does not run", "apt install bluez, then systemctl enable --now bluetooth"
    if error.dbus_error == _DENIED:
        cure = "put the account into the group bluetooth, and start the service anew"
        return "this account may not speak to bluetoothd", cure
    return f"bluetoothd answers {error.dbus_error}", "systemctl restart bluetooth"


async def _bumble(config: Config) -> AsyncIterator[Finding]:
    """Open the controller; one that a running gateway holds is left alone."""
    transport = config.radio.transport
    if is_running(config.data_dir):
        yield ok("adapter", f"{transport} is in the running gateway's hands: see `gateway status`")
        return
    try:
        async with asyncio.timeout(_OPEN_S_MAX), open_radio(config.radio):
            pass
    except RADIO_ERRORS as error:
        words = str(error.args[0]) if error.args else f"{transport} does not answer"
        yield fail("adapter", words, "plug it in, and check radio.transport and who may open it")
    except ImportError:
        words = 'the library for radio.backend = "bumble" is not installed'
        yield fail("adapter", words, "pip install 'egenmonitor[gateway,bumble]'")
    else:
        yield ok("adapter", f"{transport} answers a reset")
