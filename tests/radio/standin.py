"""Somebody who answers for bluetoothd, on a message bus of the test's own.

Only for what the real one cannot be brought to: dying, losing its adapter, being busy, asking
the agent about strangers, knowing a device by an old name. Everything else is tried with the
real one in a virtual machine. Strict: a call it does not know is an error.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

ADAPTER = "/org/bluez/hci0"
PROPERTIES = "org.freedesktop.DBus.Properties"
ADAPTER_INTERFACE = "org.bluez.Adapter1"
DEVICE_INTERFACE = "org.bluez.Device1"
AGENT = "org.bluez.Agent1"

Properties = dict[str, Variant]


class StandIn:
    """What it knows and what it was asked."""

    def __init__(self, connection: MessageBus) -> None:
        self._connection = connection
        self.adapter: Properties = {
            "Powered": Variant("b", True),
            "Address": Variant("s", "02:1A:7D:DA:71:13"),
        }
        self.devices: dict[str, Properties] = {}
        self.calls: list[tuple[str, list[Any]]] = []
        self.errors: dict[str, list[str]] = {}  # member → errors to answer with, first first
        self.mute: set[str] = set()  # members that are not answered
        self.agent: tuple[str, str, str] | None = None  # owner, path, capability
        self.is_default = False

    def add(
        self, device_id: str, properties: Properties | None = None, *, path: str | None = None
    ) -> str:
        """Know a device; return its object."""
        path = path or f"{ADAPTER}/dev_{device_id.replace(':', '_')}"
        self.devices[path] = {
            "Address": Variant("s", device_id),
            "Adapter": Variant("o", ADAPTER),
            **(properties or {}),
        }
        return path

    async def asks(self, member: str, signature: str, *body: Any, to: str | None = None) -> Message:
        """Ask whoever is the agent; return what it answers."""
        assert self.agent is not None
        owner, path, _ = self.agent
        return await self._connection.call(
            Message(
                destination=to or owner,
                path=path,
                interface=AGENT,
                member=member,
                signature=signature,
                body=list(body),
            )
        )

    def signals(self, interface: str, member: str, signature: str, *body: Any, path: str) -> None:
        self._connection.send(Message.new_signal(path, interface, member, signature, list(body)))

    def loses_its_adapter(self) -> None:
        interface = "org.freedesktop.DBus.ObjectManager"
        self.signals(interface, "InterfacesRemoved", "oas", ADAPTER, [ADAPTER_INTERFACE], path="/")

    def loses(self, path: str) -> None:
        interface = "org.freedesktop.DBus.ObjectManager"
        self.signals(interface, "InterfacesRemoved", "oas", path, [DEVICE_INTERFACE], path="/")

    def powers(self, *, on: bool) -> None:
        self.adapter["Powered"] = Variant("b", on)
        changed = {"Powered": Variant("b", on)}
        body: tuple[str, Properties, list[str]] = (ADAPTER_INTERFACE, changed, [])
        self.signals(PROPERTIES, "PropertiesChanged", "sa{sv}as", *body, path=ADAPTER)

    def answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        member = str(message.member)
        self.calls.append((member, list(message.body)))
        if member in self.mute:
            return True
        if self.errors.get(member):
            return Message.new_error(message, self.errors[member].pop(0), "as the test says")
        known: dict[str, Callable[[Message], Message]] = {
            "GetManagedObjects": self._objects,
            "Get": self._get,
            "Set": self._set,
            "RemoveDevice": self._remove,
            "RegisterAgent": self._register,
            "RequestDefaultAgent": self._default,
            "UnregisterAgent": self._unregister,
        }
        return known[member](message)

    def _objects(self, message: Message) -> Message:
        objects: dict[str, Any] = {ADAPTER: {ADAPTER_INTERFACE: self.adapter}}
        objects |= {path: {DEVICE_INTERFACE: known} for path, known in self.devices.items()}
        return Message.new_method_return(message, "a{oa{sa{sv}}}", [objects])

    def _get(self, message: Message) -> Message:
        _, name = message.body
        known = self.adapter if message.path == ADAPTER else self.devices.get(str(message.path))
        if known is None:
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownObject", "")
        if name not in known:
            return Message.new_error(message, "org.freedesktop.DBus.Error.InvalidArgs", "")
        return Message.new_method_return(message, "v", [known[name]])

    def _set(self, message: Message) -> Message:
        assert message.body[1] == "Powered"
        self.powers(on=message.body[2].value)
        return Message.new_method_return(message)

    def _remove(self, message: Message) -> Message:
        if self.devices.pop(message.body[0], None) is None:
            return Message.new_error(message, "org.bluez.Error.DoesNotExist", "")
        return Message.new_method_return(message)

    def _register(self, message: Message) -> Message:
        assert self.agent is None
        self.agent = (str(message.sender), *message.body)
        return Message.new_method_return(message)

    def _default(self, message: Message) -> Message:
        self.is_default = True
        return Message.new_method_return(message)

    def _unregister(self, message: Message) -> Message:
        self.agent, self.is_default = None, False
        return Message.new_method_return(message)


@contextlib.asynccontextmanager
async def standin(address: str) -> AsyncIterator[StandIn]:
    """Answer for bluetoothd for as long as the block lasts."""
    connection = await MessageBus(address, bus_type=BusType.SYSTEM).connect()
    bluez = StandIn(connection)
    connection.add_message_handler(bluez.answer)
    await connection.request_name("org.bluez")
    try:
        yield bluez
    finally:
        connection.disconnect()
        with contextlib.suppress(OSError, EOFError):
            async with asyncio.timeout(5):
                await connection.wait_for_disconnect()  # type: ignore[no-untyped-call]
