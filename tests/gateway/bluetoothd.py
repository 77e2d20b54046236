"""A message bus of the test's own, and on it somebody who answers for bluetoothd.

Only for what the real one cannot be brought to in a test: absent, forbidden, without adapter,
switched off. What it does with devices is tested with the real one (tests/bluez).
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from dbus_fast import BusType, Message, Variant
from dbus_fast.aio import MessageBus

from tests.conftest import missing

_POLICY = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow eavesdrop="true"/>
    <allow send_type="method_return"/><allow send_type="error"/><allow send_type="signal"/>
    <{verdict} send_destination="org.bluez"/>
    <allow send_destination="org.freedesktop.DBus"/>
    <allow send_interface="org.bluez.Agent1"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"""


@contextlib.asynccontextmanager
async def bus(directory: Path, *, may_speak: bool = True) -> AsyncIterator[str]:
    """Run a message bus; yield its address."""
    program = shutil.which("dbus-daemon")
    if program is None:
        missing("dbus", "dbus-daemon is not installed")
    socket = directory / "bus"
    config = directory / "bus.conf"
    config.write_text(_POLICY.format(socket=socket, verdict="allow" if may_speak else "deny"))
    daemon = await asyncio.create_subprocess_exec(
        program or "",
        f"--config-file={config}",
        "--nofork",
        "--print-address",
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert daemon.stdout is not None
        async with asyncio.timeout(10):
            await daemon.stdout.readline()  # it listens
        yield f"unix:path={socket}"
    finally:
        daemon.terminate()
        await daemon.wait()


@contextlib.asynccontextmanager
async def bluetoothd(address: str, adapters: dict[str, bool]) -> AsyncIterator[None]:
    """Answer for bluetoothd with *adapters*: name → whether it is switched on."""
    connection = await MessageBus(address, bus_type=BusType.SYSTEM).connect()

    def answer(message: Message) -> Message | None:
        if message.member != "GetManagedObjects":
            return None
        objects: dict[str, Any] = {
            f"/org/bluez/{name}": {
                "org.bluez.Adapter1": {
                    "Powered": Variant("b", is_on),
                    "Address": Variant("s", "C4:64:E3:00:00:01"),
                }
            }
            for name, is_on in adapters.items()
        }
        return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])

    connection.add_message_handler(answer)
    await connection.request_name("org.bluez")
    try:
        yield
    finally:
        connection.disconnect()
