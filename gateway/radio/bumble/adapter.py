"""Adapter: one controller with Bumble as its host, shared by the scanner and the clients.

Two laws. A command or an ATT request that was sent is never cancelled: its answer would be
taken for the next one's. What a caller waits for ends when its link or the adapter does:
Bumble would cancel the caller, or let it wait 30 s.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from bleak.exc import BleakError
from bumble import hci
from bumble.device import Connection, DeviceConfiguration

from gateway.radio.bumble.bonds import Bonds
from gateway.radio.bumble.errors import (
    KEYS_NOT_ACCEPTED,
    LOST,
    ControllerError,
    reason_text,
    translated,
)
from gateway.radio.bumble.host import CentralDevice, LegacyHost, Report
from gateway.radio.bumble.window import Window
from gateway.radio.passkey import PASSKEY_S_MAX
from gateway.radio.refusal import Refusal, RefusedError

T = TypeVar("T")

# A controller answers a cancelled connection attempt within milliseconds.
_CANCEL_S_MAX = 2.0
_CANCEL_AGAIN_S = 0.05

# A device out of reach answers nothing; the controller ends its link by itself some seconds
# later (the supervision timeout), and nobody need wait for that.
_HANG_UP_S_MAX = 5.0

# The Security Manager gives up after so long without an answer (Core 5.4, Vol 3, Part H, 3.4);
# Bumble does not. The device waits for the number that a person types as well.
_PAIRING_S_MAX = 30.0

# A controller is reset within milliseconds; one on USB may load its firmware anew.
_RESET_S_MAX = 15.0


class Adapter:
    """Runs the host; ends what waits when the transport is lost.

    Args:
        source, sink: The two halves of an open Bumble transport.
        bonds: The keys of bonded devices, and our address.
    """

    def __init__(self, source: Any, sink: Any, bonds: Bonds) -> None:
        self.bonds = bonds
        self.window = Window()
        self._device = CentralDevice(
            config=DeviceConfiguration(name="egenmonitor", address=bonds.address),
            host=LegacyHost(source, sink),
        )
        self._device.keystore = bonds
        self._device.pairing_config_factory = self.window.config
        self._connecting = asyncio.Lock()  # a controller makes one connection at a time
        self._running: set[asyncio.Task[Any]] = set()
        self._gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        source.terminated.add_done_callback(self._on_terminated)

    @property
    def is_lost(self) -> bool:
        return self._gone.done()

    async def lost(self) -> None:
        """Wait until the transport is gone."""
        await asyncio.shield(self._gone)

    async def start(self) -> None:
        """Reset the controller and make it ours."""
        await self.finish(self._device.power_on())

    async def stop(self) -> None:
        """Let go of everything that still waits."""
        while self._running:
            # Again if need be: before Python 3.12 ``wait_for``, in Bumble, loses a cancellation
            # that comes together with its answer.
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=_CANCEL_AGAIN_S)

    async def start_scanning(self, on_report: Callable[[Report], None], *, active: bool) -> None:
        """Hear every advertisement, repeated ones too."""
        self._device.on_report = on_report
        await self.finish(
            self._device.start_scanning(legacy=True, active=active, filter_duplicates=False)
        )

    async def stop_scanning(self) -> None:
        await self.finish(self._device.stop_scanning(legacy=True))
        self._device.on_report = None

    async def connect(self, address: hci.Address) -> "Link":
        """Connect to an advertising device; cancelling ends the attempt in the controller."""
        async with self._connecting:
            attempt = self._run(self._device.connect(address, timeout=None))
            try:
                connection = await self._result(attempt, self._gone)
            except asyncio.CancelledError:
                await self._abandon(attempt)
                raise
        return Link(self, connection)

    def identity(self, address: hci.Address) -> hci.Address:
        """Return the address a bonded device keeps, for the private one it was heard under."""
        resolver = self._device.address_resolver
        if resolver is None or not address.is_resolvable:
            return address
        return resolver.resolve(address) or address

    def require_admitted(self, address: hci.Address) -> None:
        """Raise ``RefusedError`` unless the device may be paired with now."""
        if not self.window.admits(address):
            problem = "there is no bond, and nobody asked for one"
            raise RefusedError(problem, Refusal.NOT_PAIRED)

    async def forget(self, device_id: str) -> None:
        """Throw the keys for the device away.

        Raises:
            BleakError: They are kept: the store cannot be written.
        """
        try:
            await self.bonds.delete(device_id)
        except OSError as error:
            problem = f"the bond with {device_id} cannot be thrown away: {error}"
            raise BleakError(problem) from error
        await self._device.refresh_resolving_list()

    async def reset(self) -> None:
        """Reset the controller and start anew; links and scanning are gone.

        Raises:
            BleakError: It does not answer.
        """
        try:
            async with asyncio.timeout(_RESET_S_MAX):
                await self.finish(self._device.power_on())
        except TimeoutError as error:
            problem = f"the Bluetooth adapter does not answer a reset for {_RESET_S_MAX:.0f} s"
            raise BleakError(problem) from error

    def is_open(self, connection: Connection) -> bool:
        return self._device.connections.get(connection.handle) is connection

    async def finish(
        self, operation: Coroutine[Any, Any, T], ended: "asyncio.Future[str] | None" = None
    ) -> T:
        """Return what *operation* returns.

        Raises:
            BleakError: It failed, or *ended* (the adapter's end if None) came first.
        """
        ended = ended or self._gone
        if ended.done():
            operation.close()
            raise BleakError(ended.result())
        return await self._result(self._run(operation), ended)

    async def _result(self, task: asyncio.Task[T], ended: "asyncio.Future[str]") -> T:
        await _first_of(task, ended)
        if not task.done() or task.cancelled():
            # Bumble cancels what waits for an answer when a link ends, before it tells us so.
            raise BleakError(ended.result() if ended.done() else "the connection ended")
        with translated():
            return task.result()

    def _run(self, operation: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(operation)
        self._running.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen here, since whoever waited may have left

    async def _abandon(self, attempt: "asyncio.Task[Connection]") -> None:
        """End a connection attempt, or the connection if it came about in the same moment."""
        cancel = hci.HCI_LE_Create_Connection_Cancel_Command()
        with suppress(BleakError):  # refused: there is nothing pending any more
            await self.finish(self._device.send_sync_command(cancel))
        await _first_of(attempt, self._gone, limit_s=_CANCEL_S_MAX)
        if attempt.done() and not attempt.cancelled() and attempt.exception() is None:
            await Link(self, attempt.result()).disconnect()

    def _on_terminated(self, terminated: "asyncio.Future[None]") -> None:
        if not terminated.cancelled():
            terminated.exception()
        if not self._gone.done():
            self._gone.set_result(LOST)


class Link:
    """An open connection, and how and why it ended.

    Attributes:
        ended: Resolved with the reason, in words, when the link is gone.
        reason: The reason's code (Core 5.4, Vol 1, Part F).
    """

    def __init__(self, adapter: Adapter, connection: Connection) -> None:
        self._adapter = adapter
        self.connection = connection
        self.gatt = connection.gatt_client
        self.reason: int | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnection)
        if not adapter.is_open(connection):
            self._on_disconnection(hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR)

    @property
    def is_open(self) -> bool:
        return not self.ended.done()

    async def finish(self, operation: Coroutine[Any, Any, T]) -> T:
        """Return what *operation*, an exchange over this link, returns; or ``BleakError``."""
        return await self._adapter.finish(operation, self.ended)

    async def secure(self) -> hci.Address:
        """Encrypt with the keys there are, or pair if that is allowed; return who it is.

        Raises:
            RefusedError: The device does not know us any more; or there is no bond, and no
                pairing with it goes on, or it failed.
            BleakError: The link ended.
        """
        if not self.connection.is_encrypted:
            if self._adapter.bonds.is_bonded(str(self.connection.peer_address)):
                await self._encrypt()
            else:
                await self._pair()
        return self.connection.peer_address

    async def _encrypt(self) -> None:
        try:
            async with asyncio.timeout(_PAIRING_S_MAX):
                await self.finish(self.connection.encrypt())
        except ControllerError as error:
            if error.code in KEYS_NOT_ACCEPTED:
                raise RefusedError(str(error), Refusal.BOND_LOST) from error
            raise
        except BleakError as error:
            if self.reason in KEYS_NOT_ACCEPTED:
                raise RefusedError(str(error), Refusal.BOND_LOST) from error
            raise
        except TimeoutError as error:
            raise _silent(self) from error

    async def _pair(self) -> None:
        self._adapter.require_admitted(self.connection.peer_address)
        asks = self._adapter.window.asks
        limit_s = _PAIRING_S_MAX + (PASSKEY_S_MAX if asks else 0)
        try:
            async with asyncio.timeout(limit_s):
                await self.finish(self.connection.pair())
        except TimeoutError as error:
            raise _silent(self) from error
        if not self._adapter.bonds.is_bonded(str(self.connection.peer_address)):
            problem = "the bond cannot be kept: the store cannot be written"  # Bumble logs why
            raise BleakError(problem)

    async def disconnect(self) -> None:
        """Hang up; a link that ended by itself meanwhile is as good."""
        with suppress(BleakError, TimeoutError):
            async with asyncio.timeout(_HANG_UP_S_MAX):
                await self.finish(self.connection.disconnect())

    def _on_disconnection(self, reason: int) -> None:
        if not self.ended.done():
            self.reason = reason
            self.ended.set_result(LOST if self._adapter.is_lost else reason_text(reason))


def _silent(link: Link) -> BleakError:
    return BleakError(f"{link.connection.peer_address} did not answer while it was secured")


async def _first_of(*futures: asyncio.Future[Any], limit_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
