"""BluezRadio: bleak as it is, on Linux's bluetoothd."""

import asyncio
from collections.abc import Callable

from bleak import BleakClient, BleakScanner
from bleak.args.bluez import BlueZClientArgs, BlueZScannerArgs
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback


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
    ) -> BleakClient:
        bluez: BlueZClientArgs = {"adapter": self._adapter} if self._adapter else {}
        return BleakClient(device, disconnected_callback, timeout=timeout_s, bluez=bluez)

    async def lost(self) -> None:
        # bluetoothd outlives its adapters and tells of them by what it answers, or does not.
        await asyncio.Event().wait()
