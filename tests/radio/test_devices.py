"""Virtual devices behave like bought ones, with nobody listening."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from devices.gatt.blood_pressure import BloodPressure
from simulator.devices.address import checked_address, static_address
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.peripheral import Happening
from simulator.devices.recording import MEMORY_RECORDS_MAX, Habits
from simulator.radio import VirtualRadio
from tests.radio.ear import WAIT_S

WINTER = datetime(2026, 1, 15, 7, 0, tzinfo=UTC)  # 08:00 in Stockholm


class Time:
    """A clock a test turns."""

    def __init__(self) -> None:
        self.at = WINTER

    def __call__(self) -> datetime:
        return self.at


def test_an_address_follows_from_its_seed_and_is_random_static() -> None:
    assert static_address("BP-1") == static_address("BP-1") != static_address("BP-2")
    assert checked_address(static_address("BP-1")) == static_address("BP-1")
    with pytest.raises(ValueError, match="random static"):
        checked_address("12:34:56:78:9A:BC")


def test_a_clock_shows_local_time_wrong_by_its_offset() -> None:
    now = Time()
    clock = DeviceClock(offset=timedelta(minutes=-16), now=now)
    assert clock.read() == datetime(2026, 1, 15, 7, 44)  # noqa: DTZ001 # a device has no zone
    clock.set(datetime(2026, 1, 15, 8, 0))  # noqa: DTZ001
    now.at += timedelta(minutes=5)
    assert clock.read() == datetime(2026, 1, 15, 8, 5)  # noqa: DTZ001


def test_a_clock_drifts() -> None:
    now = Time()
    clock = DeviceClock(drift_s_per_day=-30, now=now)
    now.at += timedelta(days=2)
    assert clock.read() == datetime(2026, 1, 17, 7, 59)  # noqa: DTZ001


def test_records_carry_the_devices_own_time() -> None:
    now = Time()
    cuff = Cuff("BP-1", clock=DeviceClock(offset=timedelta(hours=-1), now=now), now=now)
    stamped = BloodPressure.decode(cuff.measure(120, 80, 60)).time_stamp
    assert stamped == datetime(2026, 1, 15, 7, 0)  # noqa: DTZ001


def test_a_full_memory_loses_the_oldest() -> None:
    cuff = Cuff("BP-1")
    for number in range(MEMORY_RECORDS_MAX + 3):
        cuff.measure(100 + number, 60)
    assert (cuff.produced, cuff.pending, cuff.overwritten) == (
        MEMORY_RECORDS_MAX + 3,
        MEMORY_RECORDS_MAX,
        3,
    )


async def test_a_cuff_nobody_fetches_from_falls_silent_and_keeps_its_records(
    room: VirtualRadio,
) -> None:
    cuff = Cuff("BP-1", habits=Habits(wake_s=0, window_s=0.05))
    silent = asyncio.Event()
    happened: list[Happening] = []

    def tell(happening: Happening, _at: datetime) -> None:
        happened.append(happening)
        if happening is Happening.SILENT:
            silent.set()

    cuff.on_event = tell
    await room.attach(cuff)
    cuff.measure(120, 80)
    async with asyncio.timeout(WAIT_S):
        await silent.wait()
        silent.clear()
        cuff.wake()  # the transfer button
        await silent.wait()
    assert happened == ["pressed", "advertising", "silent", "advertising", "silent"]
    assert cuff.pending == 1


async def test_two_devices_cannot_have_one_address(room: VirtualRadio) -> None:
    await room.attach(Cuff("BP-1"))
    with pytest.raises(ValueError, match="address"):
        await room.attach(Cuff("BP-1"))


async def test_a_device_that_breaks_ends_the_radio() -> None:
    class Broken(Cuff):
        async def run(self) -> None:
            raise ZeroDivisionError

    async def room_with_a_broken_device() -> None:
        async with VirtualRadio() as room, asyncio.timeout(WAIT_S):
            await room.attach(Broken("BP-1"))
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as ended:
        await room_with_a_broken_device()
    assert isinstance(ended.value.exceptions[0], ZeroDivisionError)


async def test_an_error_in_the_room_is_raised_as_it_is() -> None:
    async def room_with_an_error() -> None:
        async with VirtualRadio() as room:
            await room.attach(Cuff("BP-1"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await room_with_an_error()
