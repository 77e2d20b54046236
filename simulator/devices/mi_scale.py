"""MiScale: a Xiaomi scale, which says its weight in advertisements and is never connected to."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bumble import gatt
from bumble.core import AdvertisingData
from bumble.device import AdvertisingType

from devices.gatt import uuids
from devices.gatt.mi_scale import MiScaleV1, MiScaleV2
from simulator.devices import attributes
from simulator.devices.clock import DeviceClock, utc_now
from simulator.devices.peripheral import Happening, Peripheral

# Weighings waiting to be shown; a scale has one display.
_SHOWS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Frame:
    """Service data and how long it stays on the air, seconds."""

    payload: bytes
    hold_s: float


class MiScale(Peripheral):
    """Advertises while somebody stands on it: finding the weight, the weight, stepping off.

    Nobody confirms an advertisement: an act of weighing counts as delivered when all of its
    frames have had their time on the air.

    Args:
        version: 1 has no impedance and advertises 0x181D, 2 advertises 0x181B.
        hold_s: How long the weight that was found stays on the air; bought ones do 10 s.
    """

    def __init__(
        self,
        version: int = 1,
        *,
        address: str | None = None,
        clock: DeviceClock | None = None,
        hold_s: float = 5.0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__("MI_SCALE" if version == 1 else "MIBFS", address=address, now=now)
        self.version = version
        self.hold_s = hold_s
        self._clock = clock or DeviceClock(now=now)
        self._shows: deque[list[Frame]] = deque()
        self._stepped_on = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def pending(self) -> int:
        return len(self._shows)

    async def drained(self) -> None:
        """Wait until every weighing has had its time on the air."""
        await self._empty.wait()

    def measure(self, weight_kg: float, *, impedance_ohm: int | None = None) -> bytes:
        """Weigh somebody; return the service data of the weight that counts.

        An *impedance_ohm* comes a moment after the weight, from version 2.
        """
        moment_s = self.hold_s / 10
        found = self._frame(weight_kg, stabilised=True)
        frames = [
            Frame(self._frame(weight_kg * 0.6, stabilised=False), moment_s),
            Frame(self._frame(weight_kg * 1.03, stabilised=False), moment_s),
            Frame(found, self.hold_s),
        ]
        if impedance_ohm is not None:
            found = self._frame(weight_kg, stabilised=True, impedance_ohm=impedance_ohm)
            frames.append(Frame(found, self.hold_s))
        off = self._frame(weight_kg, stabilised=True, removed=True, impedance_ohm=impedance_ohm)
        self.show([*frames, Frame(off, moment_s)])
        return found

    def show(self, frames: list[Frame]) -> None:
        """Advertise service data as it is, from a capture for example: one act of weighing."""
        assert len(self._shows) < _SHOWS_MAX, "weighings come faster than they are shown"
        self._shows.append(frames)
        self.produced += 1
        self._empty.clear()
        self._tell(Happening.PRESSED)
        self._stepped_on.set()

    async def run(self) -> None:
        while True:
            await self._stepped_on.wait()
            self._stepped_on.clear()
            self._tell(Happening.ADVERTISING)
            while self._shows:
                for frame in self._shows[0]:
                    self._payload = frame.payload
                    await self._advertise(AdvertisingType.UNDIRECTED)
                    await asyncio.sleep(frame.hold_s)
                self._shows.popleft()
                self.delivered += 1
            await self._device.stop_advertising()
            self._empty.set()
            self._tell(Happening.SILENT)

    def _frame(
        self,
        weight_kg: float,
        *,
        stabilised: bool,
        removed: bool = False,
        impedance_ohm: int | None = None,
    ) -> bytes:
        time_stamp = self._clock.read().replace(microsecond=0)
        if self.version == 1:
            return MiScaleV1(
                weight=weight_kg, stabilised=stabilised, removed=removed, time_stamp=time_stamp
            ).encode()
        return MiScaleV2(
            weight=weight_kg,
            stabilised=stabilised,
            removed=removed,
            time_stamp=time_stamp,
            impedance_ohm=impedance_ohm,
        ).encode()

    def _services(self) -> list[gatt.Service]:
        return []

    def _advertised(self) -> list[tuple[int, bytes]]:
        # All in the advertisement itself: one that is not scannable has no scan response.
        known = {1: uuids.WEIGHT_SCALE_SERVICE, 2: uuids.BODY_COMPOSITION_SERVICE}
        service = attributes.advertised_uuid(known[self.version])
        return [
            (AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, service),
            (AdvertisingData.SERVICE_DATA_16_BIT_UUID, service + self._payload),
            (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()),
        ]
