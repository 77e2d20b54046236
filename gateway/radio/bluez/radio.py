"""BluezRadio: an adapter of bluetoothd."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from bleak import BleakClient, BleakScanner
from bleak.backends.bluezdbus import defs
from bleak.backends.bluezdbus.scanner import BleakScannerBlueZDBus
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback
from bleak.exc import BleakBluetoothNotAvailableReason, BleakDBusError, BleakError
from dbus_fast import ErrorType, Message, Variant

from gateway.log import get_logger
from gateway.radio.bluez.agent import agent
from gateway.radio.bluez.bus import BUS_NAME, GONE, Bus, is_signal, not_available, open_bus
from gateway.radio.bluez.client import BluezClient
from gateway.radio.bluez.errors import bluez_refusal
from gateway.radio.log import heard_in_our_log
from gateway.radio.passkey import AskPasskey
from gateway.radio.refusal import Refusal

_log = get_logger()

# Switching a controller off and on takes a second or two; one on USB may load its firmware.
POWER_S_MAX: Final = 15.0

# bluetoothd is switching it already; nothing tells when it has done.
_BUSY: Final = frozenset({"org.bluez.Error.Busy", defs.BLUEZ_ERROR_IN_PROGRESS})
_BUSY_AGAIN_S: Final = 0.25

_LIBRARIES: Final = ("bleak", "dbus_fast")


class BluezScanner(BleakScannerBlueZDBus):
    """bleak's scanner, which may also be stopped after the adapter was switched off.

    Args:
        power_ups: How often the adapter was switched on again.
    """

    def __init__(self, *args: Any, power_ups: Callable[[], int], **others: Any) -> None:
        super().__init__(*args, **others)
        self._power_ups = power_ups
        self._started_at = 0

    async def start(self) -> None:
        self._started_at = self._power_ups()
        await super().start()

    async def stop(self) -> None:
        """Stop; what ended with the adapter's power has nothing left to stop."""
        try:
            await super().stop()
        except BleakDBusError:
            if self._power_ups() == self._started_at:
                raise


class BluezRadio:
    """An adapter of bluetoothd.

    Args:
        bus: To bluetoothd.
        path: The adapter's object.
    """

    def __init__(self, bus: Bus, path: str) -> None:
        self._bus = bus
        self._path = path
        self._name = path.rpartition("/")[2]
        self._is_cycling = False
        self._power_ups = 0
        self._expected: str | None = None
        self._asks = False
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bus.add(self._handle)

    async def start(self) -> None:
        """Hear of the adapter's end, and switch it on if it is off.

        Raises:
            BleakError: It cannot be switched on.
        """
        await self._bus.matched(
            f"type='signal',sender='{defs.BLUEZ_SERVICE}',path='{self._path}',"
            f"interface='{defs.PROPERTIES_INTERFACE}',member='PropertiesChanged'"
        )
        if not await self._bus.get(self._path, defs.ADAPTER_INTERFACE, "Powered"):
            await self._power(on=True)

    def scanner(self, detection_callback: AdvertisementDataCallback) -> BleakScanner:
        return BleakScanner(
            detection_callback,
            scanning_mode="active",
            backend=BluezScanner,
            bluez={"adapter": self._name},
            power_ups=lambda: self._power_ups,
        )

    def client(
        self,
        device: BLEDevice,
        disconnected_callback: Callable[[BleakClient], None] | None,
        *,
        timeout_s: float,
        pair: bool = False,
    ) -> BleakClient:
        return BleakClient(
            device,
            disconnected_callback,
            timeout=timeout_s,
            pair=pair,
            backend=BluezClient,
            bluez={"adapter": self._name},
            admits=self._admits,
            asks=self._asks,
        )

    async def is_bonded(self, device_id: str) -> bool:
        path = await self._device(device_id)
        if path is None:
            return False
        try:
            return await self._is_bonded(path)
        except BleakDBusError as error:
            if error.dbus_error in GONE:
                return False
            raise

    async def forget(self, device_id: str) -> None:
        if (path := await self._device(device_id)) is None:
            return
        try:
            await self._bus.call(self._path, defs.ADAPTER_INTERFACE, "RemoveDevice", "o", (path,))
        except BleakDBusError as error:
            if error.dbus_error not in GONE:
                raise

    @asynccontextmanager
    async def pairing(self, device_id: str, ask_passkey: AskPasskey | None) -> AsyncIterator[None]:
        if self._expected is not None:
            problem = f"{self._expected} is being paired with"
            raise BleakError(problem)
        path = await self._device(device_id) or self._guessed(device_id)
        self._expected, self._asks = path, ask_passkey is not None
        try:
            async with agent(self._bus, self._admits, ask_passkey):
                yield
        finally:
            self._expected, self._asks = None, False

    def refusal(self, error: BaseException) -> Refusal | None:
        return bluez_refusal(error)

    async def power_cycle(self) -> None:
        self._is_cycling = True
        try:
            await self._power(on=False)
            await self._power(on=True)
        finally:
            self._power_ups += 1
            self._is_cycling = False

    async def lost(self) -> None:
        """Wait until bluetoothd, the adapter or the bus is gone, or the adapter is off."""
        async with asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(self._bus.ended(), name="bus")
            try:
                await asyncio.wait({ended, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ended.cancel()

    def close(self) -> None:
        """Hear nothing any more."""
        self._bus.remove(self._handle)

    def _admits(self, path: str) -> bool:
        return self._expected == path

    def _guessed(self, device_id: str) -> str:
        return f"{self._path}/dev_{device_id.upper().replace(':', '_')}"

    async def _device(self, device_id: str) -> str | None:
        """Return the device's object, or None if BlueZ does not know it.

        An object keeps the name it was made with; a private address in it may be an old one.
        """
        wanted = device_id.upper()
        path = self._guessed(wanted)
        try:
            if await self._bus.get(path, defs.DEVICE_INTERFACE, "Address") == wanted:
                return path
        except BleakDBusError as error:
            if error.dbus_error not in GONE:
                raise
        for other, interfaces in (await self._bus.objects()).items():
            device = interfaces.get(defs.DEVICE_INTERFACE, {})
            if device.get("Adapter") == self._path and device.get("Address") == wanted:
                return other
        return None

    async def _is_bonded(self, path: str) -> bool:
        try:
            return bool(await self._bus.get(path, defs.DEVICE_INTERFACE, "Bonded"))
        except BleakDBusError as error:
            if error.dbus_error != ErrorType.INVALID_ARGS.value:  # BlueZ before 5.65 has no such
                raise
        return bool(await self._bus.get(path, defs.DEVICE_INTERFACE, "Paired"))

    async def _power(self, *, on: bool) -> None:
        body = (defs.ADAPTER_INTERFACE, "Powered", Variant("b", on))
        try:
            async with asyncio.timeout(POWER_S_MAX):
                while True:
                    try:
                        await self._bus.call(
                            self._path, defs.PROPERTIES_INTERFACE, "Set", "ssv", body
                        )
                    except BleakDBusError as error:
                        if error.dbus_error not in _BUSY:
                            raise
                    else:
                        return
                    await asyncio.sleep(_BUSY_AGAIN_S)
        except TimeoutError as error:
            problem = f"the Bluetooth adapter is busy for {POWER_S_MAX:.0f} s"
            raise BleakError(problem) from error

    def _handle(self, message: Message) -> None:
        """Look at a signal of the bus."""
        if is_signal(message, BUS_NAME, "NameOwnerChanged"):
            name, _, owner = message.body
            if name == defs.BLUEZ_SERVICE and not owner:
                self._tell_gone("bluetoothd")
        elif is_signal(message, defs.OBJECT_MANAGER_INTERFACE, "InterfacesRemoved"):
            path, interfaces = message.body
            if path == self._path and defs.ADAPTER_INTERFACE in interfaces:
                self._tell_gone("the adapter")
        elif (
            is_signal(message, defs.PROPERTIES_INTERFACE, "PropertiesChanged")
            and message.path == self._path
        ):
            interface, changed, _ = message.body
            powered = changed.get("Powered") if interface == defs.ADAPTER_INTERFACE else None
            if powered is not None and not powered.value and not self._is_cycling:
                self._tell_gone("the adapter's power")

    def _tell_gone(self, what: str) -> None:
        if not self._gone.done():
            _log.warning("radio.gone", what=what, adapter=self._name)
            self._gone.set_result(None)


@asynccontextmanager
async def open_bluez_radio(adapter: str | None) -> AsyncIterator[BluezRadio]:
    """Open *adapter*, or the first one; it is switched on if it is off.

    Raises:
        BleakBluetoothNotAvailableError: There is no such adapter, or it cannot be used.
    """
    with heard_in_our_log(*_LIBRARIES):
        async with open_bus() as bus:
            radio = BluezRadio(bus, await _adapter(bus, adapter))
            try:
                try:
                    await radio.start()
                except BleakError as error:
                    off = BleakBluetoothNotAvailableReason.POWERED_OFF
                    problem = f"the Bluetooth adapter cannot be switched on: {error}"
                    raise not_available(problem, off) from error
                yield radio
            finally:
                radio.close()


async def _adapter(bus: Bus, name: str | None) -> str:
    try:
        objects = await bus.objects()
    except BleakError as error:
        problem = f"bluetoothd does not answer: {error}"
        raise not_available(problem) from error
    paths = sorted(path for path, found in objects.items() if defs.ADAPTER_INTERFACE in found)
    wanted = [path for path in paths if name is None or path.endswith(f"/{name}")]
    if not wanted:
        known = ", ".join(path.rpartition("/")[2] for path in paths) or "none"
        problem = f"bluetoothd knows no adapter {name or 'at all'}; it knows {known}"
        raise not_available(problem)
    return wanted[0]
