"""Peripheral: what every virtual Bluetooth device has in common, on a virtual controller."""

import asyncio
import enum
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any

from bumble import gatt, hci
from bumble.core import AdvertisingData
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.keys import MemoryKeyStore
from bumble.pairing import PairingConfig

from simulator.devices import attributes
from simulator.devices.address import checked_address, identity_key, static_address
from simulator.devices.clock import utc_now
from simulator.devices.host import ASKED_MAX, Asked, Display, PeripheralHost, change_address
from simulator.devices.quirks import Guard, Quirks
from simulator.radio.controller import RadioController

ADVERTISING_BYTES_MAX = 31  # a legacy advertisement (Core 5.4, Vol 6, Part B, 2.3.1)
FLAGS = (int(AdvertisingData.FLAGS), b"\x06")  # general discoverable, no BR/EDR


class Happening(enum.StrEnum):
    """What a tester's page shows of a device, in the order things usually come."""

    PRESSED = "pressed"  # an act of measuring was made
    ADVERTISING = "advertising"
    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    INDICATED = "indicated"  # a value was sent and is not confirmed yet
    CONFIRMED = "confirmed"  # a central has the whole record; the device forgets it
    DISCONNECTED = "disconnected"
    SILENT = "silent"  # off the air until somebody measures again


OnEvent = Callable[[Happening, datetime], None]


class Peripheral(ABC):
    """A device with a radio: its address, its services, its advertisements and its links.

    Attributes:
        name: As advertised in the scan response.
        device_id: The address as a gateway sees it, upper case; *address*, or made from *name*.
        produced: Acts of measuring made.
        delivered: Records a central has confirmed.
        quirks: What it does that no profile says; may be changed between two connections.
        bonds: Who it is bonded with; kept while it is switched off.
        requests: What centrals asked of it, oldest first; the oldest are forgotten.
        passkeys_shown: The numbers its display showed while it was paired with.
        on_event: Called at each happening with the time it happened, aware UTC.
    """

    interval_ms = 100.0  # between advertisements while awake

    def __init__(
        self,
        name: str,
        *,
        address: str | None = None,
        quirks: Quirks | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.name = name
        self.device_id = checked_address(address or static_address(name))
        self.quirks = quirks or Quirks()
        self.produced = 0
        self.delivered = 0
        self.bonds = MemoryKeyStore()
        self.requests: deque[Asked] = deque(maxlen=ASKED_MAX)
        self.passkeys_shown: list[int] = []
        self.passkey_shown = asyncio.Event()
        self.on_event: OnEvent | None = None
        self._now = now
        self._is_awake = True
        self._has_enough = asyncio.Event()  # of this central: it hangs up

    @property
    @abstractmethod
    def pending(self) -> int:
        """Records made that no central has confirmed."""

    @abstractmethod
    async def run(self) -> None:
        """Behave like the device until cancelled."""

    @abstractmethod
    def _services(self) -> list[gatt.Service]:
        """Build the GATT services, anew each time the device is switched on."""

    @abstractmethod
    def _advertised(self) -> list[tuple[int, bytes]]:
        """Return the AD structures, after the flags, that say what the device is."""

    async def switch_on(self, controller: RadioController) -> None:
        """Start the device's host."""
        controller.aborts = self.quirks.aborted_connections
        configuration = DeviceConfiguration(
            name=self.name,
            address=hci.Address(self.device_id),
            irk=identity_key(self.device_id),
        )
        self._device = PeripheralHost(configuration, controller, self._is_asked)
        self._device.keystore = self.bonds
        self._device.pairing_config_factory = self._pairs
        self._device.add_services(self._services())
        await self._device.power_on()

    async def switch_off(self) -> None:
        await self._device.power_off()

    async def forget_bonds(self) -> None:
        """Forget who it is bonded with, as when its batteries are changed or it is reset."""
        await self.bonds.delete_all()

    @property
    def is_bonded(self) -> bool:
        """Whether it has a bond with anybody."""
        return bool(self.bonds.all_keys)

    def _is_asked(self, asked: Asked) -> bool:
        """Take note of a request; return whether to answer it."""
        self.requests.append(asked)
        if self.quirks.guard is Guard.POWER_OFF and not asked.is_encrypted:
            self._power_off()
        return not self._has_enough.is_set()

    def _power_off(self) -> None:
        """Hang up and be silent until woken; what is kept stays."""
        self._is_awake = False
        self._has_enough.set()

    def _pairs(self, _connection: Connection) -> PairingConfig:
        return Display(self.quirks, on_show=self._show).configuration()

    def _show(self, passkey: int) -> None:
        self.passkeys_shown.append(passkey)
        self.passkey_shown.set()

    def _tell(self, happening: Happening) -> None:
        if self.on_event is not None:
            self.on_event(happening, self._now())

    async def _change_address(self) -> None:
        """Take another address, if it does so at each waking."""
        if self.quirks.changes_address:
            await change_address(self._device)

    async def _central(self, window_s: float | None) -> Connection | None:
        """Advertise until a central connects; None if *window_s* passes without one."""
        arrived: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        self._device.once(Device.EVENT_CONNECTION, arrived.set_result)
        await self._advertise(AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE)
        await asyncio.wait([arrived], timeout=window_s)
        if not arrived.done():
            await self._device.stop_advertising()
        if not arrived.done():  # nor did one come while the advertising was being stopped
            self._device.remove_listener(Device.EVENT_CONNECTION, arrived.set_result)
            return None
        return arrived.result()

    async def _advertise(self, kind: AdvertisingType) -> None:
        """Put the device on the air, or change what it says there."""
        name = (int(AdvertisingData.COMPLETE_LOCAL_NAME), self.name.encode())
        await self._device.start_advertising(
            advertising_type=kind,
            own_address_type=hci.OwnAddressType.RANDOM,
            advertising_data=packed([FLAGS, *self._structures()]),
            scan_response_data=packed([name]),
            advertising_interval_min=self.interval_ms,
            advertising_interval_max=self.interval_ms,
        )

    def _structures(self) -> list[tuple[int, bytes]]:
        if self.quirks.advertised_services is None:
            return self._advertised()
        claimed = b"".join(map(attributes.advertised_uuid, self.quirks.advertised_services))
        return [(AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, claimed)]

    async def _serve(self, connection: Connection, session: Coroutine[Any, Any, None]) -> None:
        """Run *session* until it ends or the link does; the link is gone on return."""
        self._tell(Happening.CONNECTED)
        was_bonded = self.is_bonded
        ended = asyncio.Event()
        connection.on(Connection.EVENT_DISCONNECTION, lambda _reason: ended.set())
        if self._device.connections.get(connection.handle) is not connection:
            ended.set()  # it came and went
        elif self.quirks.asks_to_pair:
            self._device.request_pairing(connection)
        async with asyncio.TaskGroup() as tasks:
            ends = [
                tasks.create_task(session),
                tasks.create_task(ended.wait()),
                tasks.create_task(self._has_enough.wait()),
            ]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        self._has_enough.clear()
        if not ended.is_set():
            # The central may hang up at the same moment: then there is nothing left to end.
            with suppress(hci.HCI_Error):
                await connection.disconnect()
        if self.quirks.forgets_new_bonds and not was_bonded:
            self.bonds.all_keys.clear()
        # An indication that was cut off has left its trace after Bumble had cleared them.
        self._device.gatt_server.on_disconnection(connection)
        self._tell(Happening.DISCONNECTED)


def packed(structures: list[tuple[int, bytes]]) -> bytes:
    """Return AD structures as they go on the air; they must fit."""
    data = b"".join(bytes((len(body) + 1, kind)) + body for kind, body in structures)
    assert len(data) <= ADVERTISING_BYTES_MAX, f"{len(data)} bytes of advertising data"
    return data
