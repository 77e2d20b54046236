"""Radio: scanners and clients of one Bluetooth adapter, whichever stack drives it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback

from gateway.radio.config import RadioConfig
from gateway.radio.passkey import AskPasskey
from gateway.radio.refusal import Refusal


class Radio(Protocol):
    """One adapter. Everything it makes raises ``BleakError`` or ``TimeoutError`` when it fails.

    A device is named by its address as the scanner reports it. A bonded device that changes
    its address is reported under its identity address, which stays.
    """

    def scanner(self, detection_callback: AdvertisementDataCallback) -> BleakScanner:
        """Return an active scanner that reports each advertisement, repeated ones too."""

    def client(
        self,
        device: BLEDevice,
        disconnected_callback: Callable[[BleakClient], None] | None,
        *,
        timeout_s: float,
        pair: bool = False,
    ) -> BleakClient:
        """Return a client for a device the scanner found.

        A device we have a bond with is encrypted before anything is asked of it.

        Args:
            device: As given to the detection callback.
            disconnected_callback: Called once for each connection that ends, whoever ended it.
            timeout_s: For connecting and finding the services; then ``TimeoutError``.
            pair: Encrypt before the services are looked for; makes the bond first if there is
                none, which is possible only inside ``pairing`` for this device. Its address
                may be another afterwards: the client's is the one to go by.
        """

    async def is_bonded(self, device_id: str) -> bool:
        """Return whether we have a bond with the device; whether it has one only it knows."""

    async def forget(self, device_id: str) -> None:
        """Throw away our half of the bond and what is remembered of the device's services."""

    def pairing(
        self, device_id: str, ask_passkey: AskPasskey | None
    ) -> AbstractAsyncContextManager[None]:
        """Allow pairing with this device and no other for as long as the block lasts.

        Args:
            device_id: The device.
            ask_passkey: Called when the device shows a number, and may raise
                ``PasskeyNotGiven``; without it no device that shows one can be paired.
        """

    def refusal(self, error: BaseException) -> Refusal | None:
        """Return what a device meant by *error*, raised by a client; none if nothing of these."""

    async def power_cycle(self) -> None:
        """Switch the adapter off and on. Scanners and connections are gone afterwards.

        Raises:
            BleakError: It cannot be done; only a radio opened anew may work.
        """

    async def lost(self) -> None:
        """Wait until the adapter is gone; only a radio opened anew will work then."""


@asynccontextmanager
async def open_radio(config: RadioConfig, keys: Path | None = None) -> AsyncIterator[Radio]:
    """Open the adapter *config* names.

    Args:
        config: Which stack, and which adapter.
        keys: The directory where our own stack keeps bonds and its address, made if need be;
            without it they last as long as the radio is open. BlueZ keeps its own.

    Raises:
        BleakBluetoothNotAvailableError: There is no adapter there that answers.
    """
    # Only here: a box with BlueZ has no Bumble, and one with Bumble needs no D-Bus.
    if config.backend == "bluez":
        from gateway.radio.bluez.radio import open_bluez_radio  # noqa: PLC0415

        async with open_bluez_radio(config.adapter) as bluez:
            yield bluez
    else:
        from gateway.radio.bumble.radio import open_bumble_radio  # noqa: PLC0415

        async with open_bumble_radio(config.transport, keys) as bumble:
            yield bumble
