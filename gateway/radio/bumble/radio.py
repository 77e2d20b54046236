"""BumbleRadio: opens an HCI transport and makes bleak's facades over our backend."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementDataCallback
from bleak.exc import BleakError
from bumble.core import BaseBumbleError
from bumble.transport import open_transport
from bumble.transport.common import Transport

from gateway.radio.bumble.adapter import Adapter
from gateway.radio.bumble.bonds import Bonds
from gateway.radio.bumble.client import BumbleClient
from gateway.radio.bumble.errors import not_available
from gateway.radio.bumble.scanner import BumbleScanner
from gateway.radio.log import heard_in_our_log
from gateway.radio.passkey import AskPasskey
from gateway.radio.refusal import Refusal, refusal_of

# A USB controller that loads its firmware takes a few seconds to answer its first reset.
_OPEN_S_MAX = 15.0


class BumbleRadio:
    """A controller reached over HCI, virtual or real."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def scanner(self, detection_callback: AdvertisementDataCallback) -> BleakScanner:
        return BleakScanner(
            detection_callback,
            scanning_mode="active",
            backend=BumbleScanner,
            radio_adapter=self._adapter,
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
            backend=BumbleClient,
            radio_adapter=self._adapter,
        )

    async def is_bonded(self, device_id: str) -> bool:
        return self._adapter.bonds.is_bonded(device_id.upper())

    async def forget(self, device_id: str) -> None:
        await self._adapter.forget(device_id.upper())

    @asynccontextmanager
    async def pairing(self, device_id: str, ask_passkey: AskPasskey | None) -> AsyncIterator[None]:
        with self._adapter.window.opened(device_id, ask_passkey):
            yield

    def refusal(self, error: BaseException) -> Refusal | None:
        return refusal_of(error)

    async def power_cycle(self) -> None:
        await self._adapter.reset()

    async def lost(self) -> None:
        await self._adapter.lost()


@asynccontextmanager
async def open_bumble_radio(transport: str, keys: Path | None = None) -> AsyncIterator[BumbleRadio]:
    """Open the controller at *transport* and reset it; bonds lie in the directory *keys*.

    Raises:
        BleakBluetoothNotAvailableError: Nothing answers there.
        OSError: The directory cannot be used.
    """
    bonds = Bonds(keys)
    with heard_in_our_log("bumble"):
        try:
            async with asyncio.timeout(_OPEN_S_MAX):
                opened = await open_transport(transport)
        except (OSError, ValueError, TimeoutError, BaseBumbleError) as error:
            raise not_available(transport, str(error) or "no answer") from error
        try:
            async with _started(transport, opened, bonds) as adapter:
                yield BumbleRadio(adapter)
        finally:
            await opened.close()


@asynccontextmanager
async def _started(transport: str, opened: Transport, bonds: Bonds) -> AsyncIterator[Adapter]:
    adapter = Adapter(opened.source, opened.sink, bonds)
    try:
        async with asyncio.timeout(_OPEN_S_MAX):
            await adapter.start()
    except (BleakError, TimeoutError) as error:
        raise not_available(transport, str(error) or "no answer to a reset") from error
    try:
        yield adapter
    finally:
        await adapter.stop()
