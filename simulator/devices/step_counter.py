"""StepCounter: a watch with InfiniTime, whose Motion Service tells the steps of the day."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from bumble import gatt
from bumble.core import AdvertisingData
from bumble.device import Connection

from devices.gatt import uuids
from devices.gatt.infinitime import StepCount
from simulator.devices import attributes
from simulator.devices.clock import DeviceClock, utc_now
from simulator.devices.peripheral import Happening, Peripheral

# InfiniTime advertises its firmware-update service and its name, not what it measures
# (NimbleController.cpp, StartAdvertising).
_FIRMWARE_UPDATE_SERVICE = UUID("00001530-1212-efde-1523-785feabcd123")


class StepCounter(Peripheral):
    """Always advertises; any central may connect and stay. The total starts anew each day.

    ``delivered`` counts the walks a central has read, or was told of, in a total.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        name: str = "InfiniTime",
        interval_ms: float = 500.0,
        battery_percent: int | None = 80,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(name, address=address, now=now)
        self.interval_ms = interval_ms
        self.total = 0
        self.battery_percent = battery_percent
        self._walked = asyncio.Event()
        self._clock = DeviceClock(now=now)

    @property
    def pending(self) -> int:
        return self.produced - self.delivered

    def walk(self, steps: int) -> None:
        """Count *steps* more; a subscribed central is told."""
        self.total += steps
        self.produced += 1
        self._tell(Happening.PRESSED)
        self._walked.set()

    def new_day(self) -> None:
        """Begin at 0 again, as at midnight or after an empty battery."""
        self.total = 0
        self._walked.set()

    async def run(self) -> None:
        while True:
            self._tell(Happening.ADVERTISING)
            if connection := await self._central(None):
                await self._serve(connection, self._tell_walks(connection))

    async def _tell_walks(self, connection: Connection) -> None:
        self._walked.clear()
        while True:
            await self._walked.wait()
            self._walked.clear()
            server = self._device.gatt_server
            configuration = server.read_cccd(connection, self._steps)
            if configuration[0] & attributes.NOTIFICATIONS_ENABLED:
                await server.notify_subscriber(connection, self._steps, self._read())

    def _read(self) -> bytes:
        if self.delivered < self.produced:
            self.delivered = self.produced
            self._tell(Happening.CONFIRMED)
        return StepCount(self.total).encode()

    def _services(self) -> list[gatt.Service]:
        readable = attributes.READ | attributes.NOTIFY
        self._steps = attributes.readable(uuids.STEP_COUNT, self._read, readable)
        services = [
            attributes.service(uuids.MOTION_SERVICE, self._steps),
            attributes.current_time_service(self._clock),
            attributes.device_information_service("PineTime", self.device_id),
        ]
        if self.battery_percent is not None:
            services.append(attributes.battery_service(lambda: self.battery_percent or 0))
        return services

    def _advertised(self) -> list[tuple[int, bytes]]:
        service = _FIRMWARE_UPDATE_SERVICE.bytes[::-1]
        return [(AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, service)]
