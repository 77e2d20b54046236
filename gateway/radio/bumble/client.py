"""BumbleClient: bleak's client over Bumble."""

import asyncio
from collections.abc import Callable
from typing import Any

from bleak.args import SizedBuffer
from bleak.assigned_numbers import gatt_char_props_to_strs
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError
from bleak.uuids import normalize_uuid_str
from bumble import gatt, hci
from bumble.core import UUID
from bumble.gatt_client import CharacteristicProxy

from gateway.radio.bumble.adapter import Adapter, Link

# What BlueZ asks for as well: one attribute value of 512 bytes with its header fits.
MTU_BYTES = 517
ATT_WRITE_HEADER_BYTES = 3


class BumbleClient(BaseBleakClient):
    """One device found by our scanner, from connect to disconnect, any number of times.

    A notification callback runs before the indication is confirmed. One that raises withholds
    the confirmation, so that the device keeps its record.
    """

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,  # bleak's name; in seconds
        radio_adapter: Adapter,
        **_for_other_backends: Any,
    ) -> None:
        super().__init__(
            address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout
        )
        details = getattr(address_or_ble_device, "details", None)
        if not isinstance(details, hci.Address):
            problem = "connect to a device the scanner found: its address has a type"
            raise BleakError(problem)
        self._peer = details
        self._name = getattr(address_or_ble_device, "name", None)
        self._adapter = radio_adapter
        self._link: Link | None = None

    @property
    def name(self) -> str:
        return self._name or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        return self._open_link().connection.att_mtu

    @property
    def is_connected(self) -> bool:
        return self._link is not None and self._link.is_open

    async def connect(self, pair: bool, **_kwargs: Any) -> None:  # noqa: FBT001 # bleak's
        """Connect, encrypt if bonded, and find the services.

        Raises:
            TimeoutError: Not connected, or the services not found, in the time the client was
                given for each.
            RefusedError: As ``pair``.
            BleakError: The attempt failed or the link ended.
        """
        if self.is_connected:
            problem = f"{self.address} is connected already"
            raise BleakError(problem)
        who = self._adapter.identity(self._peer)
        is_bonded = self._adapter.bonds.is_bonded(str(who))
        if pair and not is_bonded:  # some devices switch off when they are merely touched
            self._adapter.require_admitted(who)
        # A person who types a number takes longer than a device that answers: pairing has
        # limits of its own.
        async with asyncio.timeout(self._timeout):
            link = await self._adapter.connect(self._peer)
        self._link = link
        link.ended.add_done_callback(lambda _ended: self._on_end(link))
        try:
            if pair or is_bonded:
                await self.pair()
            async with asyncio.timeout(self._timeout):
                await link.finish(link.gatt.request_mtu(MTU_BYTES))
                self.services = await link.finish(_discover(link))
        except BaseException:
            self._link = None  # it never was a connection to the caller
            await link.disconnect()
            raise

    async def disconnect(self) -> None:
        if self._link is not None:
            await self._link.disconnect()

    async def pair(self, *_args: Any, **_kwargs: Any) -> None:
        """Encrypt with the keys there are, or make the bond if that is allowed now.

        Raises:
            RefusedError: The device, or the rules of the radio, did not let us in.
            BleakError: The link ended.
        """
        who = await self._open_link().secure()
        self.address = who.to_string(with_type_qualifier=False)

    async def unpair(self) -> None:
        """Throw our keys for the device away; a connection stays as it is."""
        await self._adapter.forget(self.address)

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, **_kwargs: Any
    ) -> bytearray:
        return await self._read(characteristic.handle)

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, **_kwargs: Any
    ) -> bytearray:
        return await self._read(descriptor.handle)

    async def write_gatt_char(
        self,
        characteristic: BleakGATTCharacteristic,
        data: SizedBuffer,
        response: bool,  # noqa: FBT001 # bleak's
    ) -> None:
        await self._write(characteristic.handle, bytes(data), with_response=response)

    async def write_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, data: SizedBuffer
    ) -> None:
        await self._write(descriptor.handle, bytes(data), with_response=True)

    async def start_notify(
        self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_kwargs: Any
    ) -> None:
        """Subscribe; *callback* is in place before the device hears of it."""
        proxy: CharacteristicProxy[bytes] = characteristic.obj
        if proxy.get_descriptor(gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR) is None:
            problem = f"{characteristic} cannot be subscribed to"
            raise BleakError(problem)
        link = self._open_link()
        await link.finish(link.gatt.subscribe(proxy, lambda value: callback(bytearray(value))))

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        link = self._open_link()
        await link.finish(link.gatt.unsubscribe(characteristic.obj))

    async def _read(self, handle: int) -> bytearray:
        link = self._open_link()
        return bytearray(await link.finish(link.gatt.read_value(handle)))

    async def _write(self, handle: int, value: bytes, *, with_response: bool) -> None:
        link = self._open_link()
        await link.finish(link.gatt.write_value(handle, value, with_response=with_response))

    def _open_link(self) -> Link:
        if self._link is None:
            problem = f"{self.address} is not connected"
            raise BleakError(problem)
        return self._link

    def _on_end(self, link: Link) -> None:
        if self._link is link:
            self.services = None
            if self._disconnected_callback is not None:
                self._disconnected_callback()


async def _discover(link: Link) -> BleakGATTServiceCollection:
    """Ask for everything the device offers; a round trip for each service and characteristic."""
    found = BleakGATTServiceCollection()
    for proxy in await link.gatt.discover_services():
        service = BleakGATTService(proxy, proxy.handle, _uuid(proxy.uuid))
        found.add_service(service)
        for characteristic in await proxy.discover_characteristics():
            await _discover_characteristic(link, characteristic, service, found)
    return found


async def _discover_characteristic(
    link: Link,
    proxy: CharacteristicProxy[bytes],
    service: BleakGATTService,
    found: BleakGATTServiceCollection,
) -> None:
    characteristic = BleakGATTCharacteristic(
        proxy,
        proxy.handle,
        _uuid(proxy.uuid),
        list(gatt_char_props_to_strs(proxy.properties)),
        lambda: link.connection.att_mtu - ATT_WRITE_HEADER_BYTES,
        service,
    )
    found.add_characteristic(characteristic)
    if proxy.end_group_handle > proxy.handle:
        for descriptor in await proxy.discover_descriptors():
            found.add_descriptor(
                BleakGATTDescriptor(
                    descriptor, descriptor.handle, _uuid(descriptor.type), characteristic
                )
            )
    proxy.descriptors_discovered = True


def _uuid(uuid: UUID) -> str:
    return normalize_uuid_str(uuid.to_hex_str("-"))
