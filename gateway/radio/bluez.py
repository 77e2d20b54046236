"""BluezRadio: bleak as it is, on Linux's bluetoothd."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZClientArgs, BlueZScannerArgs
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback

from gateway.radio.refusal import Refusal


class BluezRadio:
    """An adapter of bluetoothd, or its default one."""

    def __init__(self, adapter: str | None) -> None:
        self._adapter = adapter

    def scanner(self, detection_callback: AdvertisementDataCallback) -> BleakScanner:
        bluez: BlueZScannerArgs = {"adapter": self._adapter} if self._adapter else {}
        return BleakScanner(detection_callback, scanning_mode="active", bluez=bluez)

    def client(
        self,
        device: BLEDevice,
        disconnected_callback: Callable[[BleakClient], None] | None,
        *,
        timeout_s: float,
        pair: bool = False,
    ) -> BleakClient:
        bluez: BlueZClientArgs = {"adapter": self._adapter} if self._adapter else {}
        return BleakClient(device, disconnected_callback, timeout=timeout_s, pair=pair, bluez=bluez)

    async def is_bonded(self, device_id: str) -> bool:
        return False

    async def forget(self, device_id: str) -> None:
        raise NotImplementedError

    def pairing(
        self, device_id: str, ask_passkey: Callable[[], Awaitable[int]] | None
    ) -> AbstractAsyncContextManager[None]:
        raise NotImplementedError

    def refusal(self, error: BaseException) -> Refusal | None:
        return None

    async def power_cycle(self) -> None:
        raise NotImplementedError

    async def lost(self) -> None:
        # bluetoothd outlives its adapters and tells of them by what it answers, or does not.
        await asyncio.Event().wait()
