"""Agent: answers bluetoothd's questions while one device is paired with, and refuses the rest.

It is there only while somebody watches a pairing. bluetoothd asks the agent of whoever called
``Pair``, and bleak calls it over a connection of its own, so ours is made the default one.

Source: BlueZ, doc/org.bluez.Agent.rst and org.bluez.AgentManager.rst.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from bleak.backends.bluezdbus import defs
from bleak.exc import BleakError
from dbus_fast import Message, MessageType

from gateway.log import get_logger
from gateway.radio.bluez.bus import BUS_NAME, BUS_PATH, Bus
from gateway.radio.passkey import AskPasskey, asked

_log = get_logger()

AGENT_INTERFACE: Final = "org.bluez.Agent1"
MANAGER_INTERFACE: Final = "org.bluez.AgentManager1"
_MANAGER_PATH: Final = "/org/bluez"
AGENT_PATH: Final = "/org/egenmonitor/agent"

# With a keyboard a device that has a display shows a number, and one that has none is paired
# with all the same. We have no display, so that no two numbers are ever to be compared.
_WITH_PERSON: Final = "KeyboardOnly"
_ALONE: Final = "NoInputNoOutput"

_REJECTED: Final = "org.bluez.Error.Rejected"

# Questions about a device that can be answered with a yes: it is the one expected, and whoever
# watches asked for it.
_YES: Final = frozenset({"RequestConfirmation", "RequestAuthorization", "AuthorizeService"})
_DISPLAYED: Final = frozenset({"DisplayPinCode", "DisplayPasskey"})  # there is no display


@asynccontextmanager
async def agent(
    bus: Bus, is_expected: Callable[[str], bool], ask: AskPasskey | None
) -> AsyncIterator[None]:
    """Be bluetoothd's agent for as long as the block lasts.

    Args:
        bus: Where.
        is_expected: Whether an object path is the device that may be paired with.
        ask: Asks for the number a device shows.

    Raises:
        BleakError: bluetoothd does not take an agent.
    """
    (owner,) = await bus.call(
        BUS_PATH, BUS_NAME, "GetNameOwner", "s", (defs.BLUEZ_SERVICE,), to=BUS_NAME
    )
    answering = _Agent(bus, owner, is_expected, ask)
    bus.add(answering.handle)
    try:
        capability = _ALONE if ask is None else _WITH_PERSON
        try:
            await _manage(bus, "RegisterAgent", "os", AGENT_PATH, capability)
            await _manage(bus, "RequestDefaultAgent", "o", AGENT_PATH)
            yield
        finally:
            # Also if the call was given up: bluetoothd may have taken it, and would not take
            # the next one. It goes with the connection at the latest.
            with suppress(BleakError):
                await _manage(bus, "UnregisterAgent", "o", AGENT_PATH)
    finally:
        bus.remove(answering.handle)
        answering.stop()


async def _manage(bus: Bus, member: str, signature: str, *body: str) -> None:
    await bus.call(_MANAGER_PATH, MANAGER_INTERFACE, member, signature, body)


class _Agent:
    def __init__(
        self,
        bus: Bus,
        owner: str,
        is_expected: Callable[[str], bool],
        ask: AskPasskey | None,
    ) -> None:
        self._bus = bus
        self._owner = owner
        self._is_expected = is_expected
        self._ask = ask
        self._asking: asyncio.Task[None] | None = None

    def handle(self, message: Message) -> Message | bool | None:
        """Answer a question of bluetoothd's; None leaves the message to others."""
        if (
            message.message_type is not MessageType.METHOD_CALL
            or message.interface != AGENT_INTERFACE
            or message.path != AGENT_PATH
        ):
            return None
        if message.sender != self._owner:  # somebody else on this machine
            return Message.new_error(message, _REJECTED, "not for you")
        if message.member in ("Release", "Cancel"):
            self.stop()
            return Message.new_method_return(message)
        device = str(message.body[0]) if message.body else ""
        if not self._is_expected(device):
            _log.warning("pairing.stranger", asked=message.member, device=device)
            return Message.new_error(message, _REJECTED, "not the device that is paired with")
        return self._answer(message)

    def stop(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _answer(self, message: Message) -> Message | bool:
        if message.member in _YES or message.member in _DISPLAYED:
            return Message.new_method_return(message)
        if message.member == "RequestPasskey" and self._ask is not None:
            self.stop()
            self._asking = asyncio.create_task(self._passkey(message, self._ask), name="passkey")
            return True
        return Message.new_error(message, _REJECTED, "cannot be answered here")

    async def _passkey(self, message: Message, ask: AskPasskey) -> None:
        answer = Message.new_error(message, _REJECTED, "nobody gave the number")
        try:
            passkey = await asked(ask)
            if passkey is not None:
                answer = Message.new_method_return(message, "u", [passkey])
        finally:
            self._bus.send(answer)  # also when the pairing was given up: bluetoothd waits for it
