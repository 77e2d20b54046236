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
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.host import Host
from bumble.pairing import PairingConfig, PairingDelegate

from gateway.radio.bumble.errors import LOST, reason_text, translated

T = TypeVar("T")

Report = hci.HCI_LE_Advertising_Report_Event.Report

# A controller answers a cancelled connection attempt within milliseconds.
_CANCEL_S_MAX = 2.0
_CANCEL_AGAIN_S = 0.05

# A device out of reach answers nothing; the controller ends its link by itself some seconds
# later (the supervision timeout), and nobody need wait for that.
_HANG_UP_S_MAX = 5.0


class Adapter:
    """Runs the host; ends what waits when the transport is lost.

    Args:
        source, sink: The two halves of an open Bumble transport.
    """

    def __init__(self, source: Any, sink: Any) -> None:
        address = hci.Address.generate_static_address()
        self._device = _Central(
            config=DeviceConfiguration(name="egenmonitor", address=address),
            host=_LegacyHost(source, sink),
        )
        self._device.pairing_config_factory = _just_works
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

    async def bonded(self, address: hci.Address) -> bool:
        """Whether there are keys for the device."""
        return self._device.keystore is not None and bool(
            await self._device.keystore.get(str(address))
        )

    async def forget(self, address: hci.Address) -> None:
        """Throw the keys for the device away."""
        if self._device.keystore is not None:
            await self._device.keystore.delete(str(address))

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
    """

    def __init__(self, adapter: Adapter, connection: Connection) -> None:
        self._adapter = adapter
        self.connection = connection
        self.gatt = connection.gatt_client
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

    async def disconnect(self) -> None:
        """Hang up; a link that ended by itself meanwhile is as good."""
        with suppress(BleakError, TimeoutError):
            async with asyncio.timeout(_HANG_UP_S_MAX):
                await self.finish(self.connection.disconnect())

    def _on_disconnection(self, reason: int) -> None:
        if not self.ended.done():
            self.ended.set_result(LOST if self._adapter.is_lost else reason_text(reason))


class _Central(Device):
    """Bumble's device, with advertising reports as they come instead of gathered ones."""

    on_report: Callable[[Report], None] | None = None

    def on_advertising_report(
        self, report: Report | hci.HCI_LE_Extended_Advertising_Report_Event.Report
    ) -> None:
        if self.on_report is not None and isinstance(report, Report):
            self.on_report(report)


class _LegacyHost(Host):
    """A host that uses the legacy commands alone, as home devices' advertisements need.

    A controller refuses legacy and extended commands mixed (Core 5.4, Vol 4, Part E, 3.1.1).
    """

    async def reset(self, *args: Any, **kwargs: Any) -> None:
        await super().reset(*args, **kwargs)
        self.local_le_features &= ~(
            hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
        )
        for command in (
            hci.HCI_LE_EXTENDED_CREATE_CONNECTION_COMMAND,
            hci.HCI_LE_SET_EXTENDED_SCAN_ENABLE_COMMAND,
        ):
            self.local_supported_commands &= ~hci.HCI_SUPPORTED_COMMANDS_MASKS[command]


async def _first_of(*futures: asyncio.Future[Any], limit_s: float | None = None) -> None:
    await asyncio.wait(futures, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)


def _just_works(_connection: Connection) -> PairingConfig:
    # Secure Connections only: bonds from legacy pairing are looked up wrongly
    # (google/bumble#890). The encryption key alone: identity keys serve devices that change
    # their address, which the scanner does not follow yet.
    keys = PairingDelegate.KeyDistribution.DISTRIBUTE_ENCRYPTION_KEY
    delegate = PairingDelegate(
        PairingDelegate.NO_OUTPUT_NO_INPUT,
        local_initiator_key_distribution=keys,
        local_responder_key_distribution=keys,
    )
    return PairingConfig(sc=True, mitm=False, bonding=True, delegate=delegate)
