"""Ear: remembers what a scanner detected, so that a test can wait for it."""

import asyncio
from collections.abc import Callable

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

# What happens at all happens within milliseconds, on a slow machine within a second.
WAIT_S = 10.0

Heard = tuple[BLEDevice, AdvertisementData]


class Ear:
    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._news = asyncio.Event()

    def __call__(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        self.heard.append((device, advertisement))
        self._news.set()

    async def until(self, enough: Callable[[list[Heard]], bool]) -> list[Heard]:
        async with asyncio.timeout(WAIT_S):
            while not enough(self.heard):
                self._news.clear()
                await self._news.wait()
        return self.heard

    async def device(self, device_id: str) -> BLEDevice:
        """Return the device when it is heard again from now on."""
        already = len(self.heard)
        await self.until(lambda heard: any(d.address == device_id for d, _ in heard[already:]))
        found: BLEDevice = next(d for d, _ in reversed(self.heard) if d.address == device_id)
        return found

    def of(self, device_id: str) -> list[AdvertisementData]:
        return [said for device, said in self.heard if device.address == device_id]
