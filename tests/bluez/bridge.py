"""Bridge: makes one controller of a virtual radio an adapter of this kernel, through /dev/vhci.

Bytes pass unchanged both ways; the kernel wants each H4 packet in one write. The adapter goes
when either end closes.

Source: Linux, drivers/bluetooth/hci_vhci.c; Core 5.4, Vol 4, Part A (H4) and Part E, 5.4.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

VHCI: Final = "/dev/vhci"
_VENDOR: Final = 0xFF  # "make a controller", and its answer
_PRIMARY: Final = 0x00
_PACKET_BYTES_MAX: Final = 65_536

# After the packet type: the header's bytes, where its length field is, and how wide that is.
_HEADERS: Final = {
    0x01: (3, 2, 1),
    0x02: (4, 2, 2),
    0x03: (3, 2, 1),
    0x04: (2, 1, 1),
    0x05: (4, 2, 2),
}
_ISO: Final = 0x05

# bluetoothd finds an adapter and powers it on by itself; under emulation that takes a while.
_POWERED_S_MAX: Final = 60.0
_LOOK_S: Final = 0.2
_ISO_LENGTH_MASK: Final = 0x3FFF


@asynccontextmanager
async def adapter(host: str, port: int) -> AsyncIterator[str]:
    """Plug the controller at *host* and *port* in; gives the adapter's name, such as ``hci0``."""
    device = os.open(VHCI, os.O_RDWR | os.O_NONBLOCK)
    try:
        reader, writer = await asyncio.open_connection(host, port)
        named: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        _forward_from_kernel(device, writer, named)
        os.write(device, bytes([_VENDOR, _PRIMARY]))
        try:
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(_forward_to_kernel(reader, device))
                name = await asyncio.wait_for(named, 10)
                async with asyncio.timeout(_POWERED_S_MAX):
                    await _powered(name)
                yield name
                pump.cancel()
        finally:
            asyncio.get_running_loop().remove_reader(device)
            writer.close()
    finally:
        os.close(device)


async def _powered(name: str) -> None:
    """Wait until bluetoothd has powered the adapter on."""
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        while True:
            answer = await bus.call(_is_powered(name))
            if answer.message_type is MessageType.METHOD_RETURN and answer.body[0].value:
                return
            await asyncio.sleep(_LOOK_S)
    finally:
        bus.disconnect()


def _is_powered(name: str) -> Message:
    return Message(
        destination="org.bluez",
        path=f"/org/bluez/{name}",
        interface="org.freedesktop.DBus.Properties",
        member="Get",
        signature="ss",
        body=["org.bluez.Adapter1", "Powered"],
    )


def _forward_from_kernel(
    device: int, writer: asyncio.StreamWriter, named: "asyncio.Future[str]"
) -> None:
    def readable() -> None:
        packet = os.read(device, _PACKET_BYTES_MAX)
        if packet and packet[0] == _VENDOR:
            if not named.done():
                named.set_result(f"hci{int.from_bytes(packet[2:4], 'little')}")
        else:
            writer.write(packet)

    asyncio.get_running_loop().add_reader(device, readable)


async def _forward_to_kernel(reader: asyncio.StreamReader, device: int) -> None:
    try:
        while True:
            os.write(device, await _packet(reader))
    except asyncio.IncompleteReadError:
        return  # the radio unplugged us
    except OSError as error:
        if error.errno != errno.ENXIO:  # the kernel has let go of the adapter
            raise


async def _packet(reader: asyncio.StreamReader) -> bytes:
    kind = await reader.readexactly(1)
    header_bytes, at, width = _HEADERS[kind[0]]
    header = await reader.readexactly(header_bytes)
    length = int.from_bytes(header[at : at + width], "little")
    if kind[0] == _ISO:
        length &= _ISO_LENGTH_MASK
    return kind + header + await reader.readexactly(length)
