"""Bus: our own connection to bluetoothd; bleak has others that it shares with nobody.

Source: BlueZ, doc/org.bluez.Adapter.rst, org.bluez.Device.rst and org.bluez.AgentManager.rst.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from bleak.backends.bluezdbus import defs
from bleak.backends.bluezdbus.utils import assert_reply, get_dbus_authenticator
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
)
from dbus_fast import BusType, ErrorType, Message, MessageType, unpack_variants
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, InvalidAddressError

BUS_NAME: Final = "org.freedesktop.DBus"
BUS_PATH: Final = "/org/freedesktop/DBus"

# bluetoothd answers at once, but for what it has to ask a controller for. A D-Bus call has no
# limit of its own here.
CALL_S_MAX: Final = 10.0

# The system's bus is on this machine.
_CONNECT_S_MAX: Final = 5.0

# What we want to hear, and nothing of the rest: a busy house is hundreds of signals a second.
_OWNER: Final = (
    f"type='signal',sender='{BUS_NAME}',interface='{BUS_NAME}',member='NameOwnerChanged',"
    f"arg0='{defs.BLUEZ_SERVICE}'"
)
_REMOVED: Final = (
    f"type='signal',sender='{defs.BLUEZ_SERVICE}',interface='{defs.OBJECT_MANAGER_INTERFACE}',"
    "member='InterfacesRemoved'"
)

Properties = dict[str, Any]
Objects = dict[str, dict[str, Properties]]
Handler = Callable[[Message], Message | bool | None]


class Bus:
    """A connection to the system's message bus, for calls to bluetoothd."""

    def __init__(self, connection: MessageBus) -> None:
        self._connection = connection

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        *,
        limit_s: float = CALL_S_MAX,
        to: str = defs.BLUEZ_SERVICE,
    ) -> list[Any]:
        """Call a method; return what it returns, variants unpacked.

        Raises:
            BleakDBusError: It answered with an error.
            BleakError: It did not answer, or the bus is gone.
        """
        message = Message(
            destination=to,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(limit_s):
                reply = await self._connection.call(message)
        except TimeoutError as error:
            problem = f"bluetoothd does not answer {member} for {limit_s:.0f} s"
            raise BleakError(problem) from error
        except (OSError, EOFError) as error:
            problem = f"the system's message bus is gone: {error!r}"
            raise BleakError(problem) from error
        assert_reply(reply)
        return list(unpack_variants(reply.body))

    async def objects(self) -> Objects:
        """Return everything bluetoothd knows: path → interface → properties."""
        (objects,) = await self.call("/", defs.OBJECT_MANAGER_INTERFACE, "GetManagedObjects")
        found: Objects = objects
        return found

    async def get(self, path: str, interface: str, name: str) -> Any:
        """Return a property; as ``call``, and ``BleakDBusError`` if there is no such object."""
        (value,) = await self.call(path, defs.PROPERTIES_INTERFACE, "Get", "ss", (interface, name))
        return value

    async def matched(self, rule: str) -> None:
        """Hear the signals that *rule* describes."""
        await self.call(BUS_PATH, BUS_NAME, "AddMatch", "s", (rule,), to=BUS_NAME)

    def add(self, handler: Handler) -> None:
        """Show every message to *handler*."""
        self._connection.add_message_handler(handler)

    def remove(self, handler: Handler) -> None:
        self._connection.remove_message_handler(handler)

    def send(self, message: Message) -> None:
        """Send an answer; if the bus is gone, nobody waits for it."""
        if self._connection.connected:
            self._connection.send(message)

    async def ended(self) -> None:
        """Wait until the bus is gone."""
        try:
            await self._connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
        except (OSError, EOFError):
            return


@asynccontextmanager
async def open_bus() -> AsyncIterator[Bus]:
    """Connect to the system's message bus.

    Raises:
        BleakBluetoothNotAvailableError: There is none, or bluetoothd is not on it.
    """
    connection = MessageBus(bus_type=BusType.SYSTEM, auth=get_dbus_authenticator())
    try:
        try:
            async with asyncio.timeout(_CONNECT_S_MAX):
                await connection.connect()
        except (OSError, EOFError, AuthError, InvalidAddressError) as error:
            problem = f"the system's message bus cannot be reached: {error}"
            raise not_available(problem) from error
        bus = Bus(connection)
        for rule in (_OWNER, _REMOVED):
            await bus.matched(rule)
        yield bus
    finally:
        connection.disconnect()


def not_available(
    words: str,
    reason: BleakBluetoothNotAvailableReason = BleakBluetoothNotAvailableReason.NO_BLUETOOTH,
) -> BleakBluetoothNotAvailableError:
    """Return the error of a radio that is not there."""
    return BleakBluetoothNotAvailableError(words, reason)


def is_signal(message: Message, interface: str, member: str) -> bool:
    """Return whether *message* is this signal."""
    return (
        message.message_type is MessageType.SIGNAL
        and message.interface == interface
        and message.member == member
    )


# There is no such object, or not with this interface: BlueZ has forgotten the device.
GONE: Final = frozenset(
    {
        ErrorType.UNKNOWN_OBJECT.value,
        ErrorType.UNKNOWN_METHOD.value,
        ErrorType.UNKNOWN_INTERFACE.value,
        defs.BLUEZ_ERROR_DOES_NOT_EXIST,
    }
)
