"""Radio: scanners and clients of one Bluetooth adapter, whichever stack drives it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback

from gateway.radio.bluez import BluezRadio
from gateway.radio.config import RadioConfig


class Radio(Protocol):
    """One adapter. Everything it makes raises ``BleakError`` or ``TimeoutError`` when it fails."""

    def scanner(self, detection_callback: AdvertisementDataCallback) -> BleakScanner:
        """Return an active scanner that reports each advertisement, repeated ones too."""

    def client(
        self,
        device: BLEDevice,
        disconnected_callback: Callable[[BleakClient], None] | None,
        *,
        timeout_s: float,
    ) -> BleakClient:
        """Return a client for a device the scanner found.

        Args:
            device: As given to the detection callback.
            disconnected_callback: Called once for each connection that ends, whoever ended it.
            timeout_s: For connecting and finding the services; then ``TimeoutError``.
        """

    async def lost(self) -> None:
        """Wait until the adapter is gone; only a radio opened anew will work then."""


@asynccontextmanager
async def open_radio(config: RadioConfig) -> AsyncIterator[Radio]:
    """Open the adapter *config* names.

    Raises:
        BleakBluetoothNotAvailableError: There is no adapter there that answers.
    """
    if config.backend == "bluez":
        yield BluezRadio(config.adapter)
        return
    # Only here: a box with BlueZ has no Bumble.
    from gateway.radio.bumble.radio import open_bumble_radio  # noqa: PLC0415

    async with open_bumble_radio(config.transport) as radio:
        yield radio
