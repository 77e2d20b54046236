"""What the tests of the field share: devices as they are met in homes, and how a person pairs."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from devices.quantity import Quantity
from devices.reading import Reading
from devices.wire import ConditionCode, DeviceStatus, PairingRequest, PairingStatus, PairingStep
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.host import Asked
from simulator.devices.quirks import Quirks
from simulator.devices.recording import Habits, RecordingPeripheral
from tests.gateway.home import Home

# Quicker than a bought device, in the same order; on the air for two seconds at a time.
BRISK = Habits(wake_s=0.0, window_s=2.0, linger_s=0.1)

# ATT requests a central needs to find its way; everything else is work.
_FINDING = ("EXCHANGE_MTU", "FIND_", "READ_BY_TYPE", "READ_BY_GROUP_TYPE")
CCCD = "2902"


# What a cuff is taken for that says no more of itself than its service.
CUFF_MODEL = "standard_cuff"


def cuff(name: str = "BP-1", habits: Habits = BRISK, **quirks: object) -> Cuff:
    """Return a cuff with a right clock that misbehaves in *quirks* alone."""
    behaviour = Quirks(**quirks)  # type: ignore[arg-type]  # each test's own
    return Cuff(name, habits=habits, clock=DeviceClock(), quirks=behaviour)


def value(reading: Reading, quantity: Quantity) -> float | None:
    found = [each.value for each in reading.values if each.quantity == quantity]
    return found[0] if found else None


def systolics(readings: Iterable[Reading]) -> list[float | None]:
    return [value(each, Quantity.SYSTOLIC) for each in readings]


def work(device: RecordingPeripheral) -> list[Asked]:
    """Return what was asked of the device beyond finding its services."""
    return [each for each in device.requests if not each.what.startswith(_FINDING)]


def conditions(home: Home, device: RecordingPeripheral) -> set[str]:
    """Return what is wrong with the device, as a technician would see it."""
    return {each.code for each in home.health.conditions if each.device_id == device.device_id}


def told_of(home: Home, device: RecordingPeripheral) -> DeviceStatus:
    """Return what the heartbeat says of the device."""
    (status,) = [each for each in home.central.devices if each.device_id == device.device_id]
    return status


class Person:
    """Somebody who pairs a device: holds its button, reads its display, measures when told to.

    Args:
        home: Where.
        device: What is to be paired.
        types: What is typed in place of the number the device shows.
        any_address: The address is not known beforehand.
    """

    def __init__(
        self, home: Home, device: Cuff, *, types: int | None = None, any_address: bool = False
    ) -> None:
        self._home = home
        self._device = device
        self._types = types
        self._device_id = None if any_address else device.device_id
        self.steps: list[PairingStep] = []

    async def pairs(self, within_s: float = 10.0) -> PairingStatus:
        """Return how it ended."""
        request = PairingRequest(
            request_id=f"pairing-{self._device.name}",
            expires_at=datetime.now(UTC) + timedelta(seconds=within_s),
            device_id=self._device_id,
            model="" if self._device_id else CUFF_MODEL,
        )
        self._device.hold_button()
        async with asyncio.timeout(within_s + 5):
            return await self._home.central.pair(request, self._reads, self._is_told)

    async def _reads(self) -> int:
        await self._device.passkey_shown.wait()
        return self._device.passkeys_shown[-1] if self._types is None else self._types

    def _is_told(self, status: PairingStatus) -> None:
        if not self.steps or self.steps[-1] is not status.step:
            self.steps.append(status.step)
            if status.step is PairingStep.MEASURE:
                self._device.measure(121 + self._device.produced, 81)  # no two alike


def is_told(home: Home, device: RecordingPeripheral, code: ConditionCode) -> bool:
    return code.value in conditions(home, device)
