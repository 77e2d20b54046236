"""The adapter goes away, and comes back."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakError

from devices.gatt import uuids
from gateway.radio import Radio, RadioConfig, open_radio
from simulator.devices.cuff import Cuff
from simulator.radio import VirtualRadio
from tests.radio.central import QUICK, Central, connected, fetch
from tests.radio.ear import WAIT_S, Ear


async def _lost(radio: Radio) -> None:
    async with asyncio.timeout(WAIT_S):
        await radio.lost()


async def test_everything_fails_on_a_lost_adapter_and_works_on_one_opened_anew(
    room: VirtualRadio, plug: RadioConfig
) -> None:
    cuff, central, ear = Cuff("BP-1", habits=QUICK), Central(), Ear()
    made = cuff.measure(120, 80)
    await room.attach(cuff)
    async with open_radio(plug) as radio:
        scanner = radio.scanner(ear)
        await scanner.start()
        client = await connected(radio, ear, cuff.device_id, central)
        room.unplug_hosts()
        await _lost(radio)
        await central.until_hung_up()
        with pytest.raises(BleakError):
            await client.read_gatt_char(uuids.BATTERY_LEVEL)
        await scanner.stop()
        with pytest.raises(BleakError, match="gone"):
            await scanner.start()
        with pytest.raises(BleakError, match="gone"):
            await client.connect()
    assert central.ends == 1
    async with open_radio(plug) as radio, radio.scanner(ear):
        assert await fetch(radio, ear, cuff) == [made]


async def test_a_connection_attempt_ends_with_its_adapter(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    cuff.measure(120, 80)
    await room.attach(cuff)
    device = await ear.device(cuff.device_id)
    await room.detach(cuff)
    attempt = asyncio.create_task(radio.client(device, central.end, timeout_s=30).connect())
    await asyncio.sleep(0)  # the attempt has begun
    room.unplug_hosts()
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(BleakError, match="gone"):
            await attempt


async def test_no_controller_is_an_error_that_names_the_transport() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closing:
        transport = f"tcp-client:127.0.0.1:{closing.getsockname()[1]}"
    config = RadioConfig(backend="bumble", transport=transport)
    with pytest.raises(BleakBluetoothNotAvailableError, match=transport):
        async with open_radio(config):
            pass


@pytest.mark.parametrize("transport", ["nonsense", "tcp-client:nowhere", "tcp-client:127.0.0.1:x"])
async def test_a_transport_that_is_none_is_not_available(transport: str) -> None:
    with pytest.raises(BleakBluetoothNotAvailableError, match=transport):
        async with open_radio(RadioConfig(backend="bumble", transport=transport)):
            pass


def test_bluez_needs_no_bumble(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from bleak.exc import BleakBluetoothNotAvailableError
from gateway.radio import RadioConfig, open_radio
async def main():
    try:
        async with open_radio(RadioConfig(adapter="hci1")):
            pass
    except BleakBluetoothNotAvailableError:
        return
    sys.exit("there is no message bus, and it is open")
asyncio.run(main())
sys.exit(any(name.split(".")[0] == "bumble" for name in sys.modules))
"""
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    command = [sys.executable, "-c", program]
    subprocess.run(command, check=True, timeout=30, env=environment)
