"""Exchanges that are cut off: by the caller, by the device, by the way out of range."""

import asyncio
from contextlib import suppress

import pytest
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode
from bumble import gatt
from bumble.att import Attribute

from devices.gatt import uuids
from gateway.radio import Radio
from simulator.devices import attributes
from simulator.devices.cuff import Cuff
from simulator.devices.peripheral import Happening
from simulator.devices.recording import Habits
from simulator.radio import VirtualRadio
from tests.radio.central import QUICK, Central, connected
from tests.radio.ear import WAIT_S, Ear

SERVICE = "e9a10000-6d6f-4e69-8e3c-000000000000"
SLOW = "e9a10001-6d6f-4e69-8e3c-000000000000"


class SlowCuff(Cuff):
    """A cuff with a characteristic that answers when it is allowed to."""

    def _services(self) -> list[gatt.Service]:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

        async def read(_connection: object) -> bytes:
            self.asked.set()
            await self.answer.wait()
            return b"slow"

        value = gatt.CharacteristicValue[bytes](read=read)
        slow = attributes.Characteristic(
            attributes.bumble_uuid(SLOW), attributes.READ, Attribute.READABLE, value
        )
        return [*super()._services(), attributes.service(SERVICE, slow)]


@pytest.fixture
async def cuff(room: VirtualRadio) -> SlowCuff:
    cuff = SlowCuff("BP-1", habits=QUICK)
    cuff.measure(120, 80)
    await room.attach(cuff)
    return cuff


async def test_an_answer_that_comes_late_is_not_taken_for_the_next(
    radio: Radio, ear: Ear, cuff: SlowCuff, central: Central
) -> None:
    client = await connected(radio, ear, cuff.device_id, central)
    reading = asyncio.create_task(client.read_gatt_char(SLOW))
    async with asyncio.timeout(WAIT_S):
        await cuff.asked.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    next_reading = asyncio.create_task(client.read_gatt_char(uuids.BATTERY_LEVEL))
    cuff.answer.set()
    assert await next_reading == bytes([90])
    await client.disconnect()


async def test_a_read_that_is_cut_off_is_an_error_and_no_cancellation(
    room: VirtualRadio, radio: Radio, ear: Ear, cuff: SlowCuff, central: Central
) -> None:
    client = await connected(radio, ear, cuff.device_id, central)
    reading = asyncio.create_task(client.read_gatt_char(SLOW))
    async with asyncio.timeout(WAIT_S):
        await cuff.asked.wait()
    await room.detach(cuff)
    with pytest.raises(BleakError):
        await reading
    cuff.answer.set()


async def test_what_the_device_refuses_keeps_its_code(
    radio: Radio, ear: Ear, cuff: SlowCuff, central: Central
) -> None:
    client = await connected(radio, ear, cuff.device_id, central)
    with pytest.raises(BleakGATTProtocolError) as refused:
        await client.read_gatt_char(uuids.BLOOD_PRESSURE_MEASUREMENT)
    assert refused.value.code == BleakGATTProtocolErrorCode.READ_NOT_PERMITTED
    await client.disconnect()


async def test_a_central_that_does_not_subscribe_is_left(
    radio: Radio, ear: Ear, room: VirtualRadio, central: Central
) -> None:
    impatient = Cuff("BP-2", habits=Habits(wake_s=0, patience_s=0.05))
    left = asyncio.Event()
    impatient.on_event = lambda happening, _at: (
        left.set() if happening is Happening.DISCONNECTED else None
    )
    impatient.measure(120, 80)
    await room.attach(impatient)
    with suppress(BleakError):  # on a slow machine it leaves before its services are known
        await connected(radio, ear, impatient.device_id, central)
    async with asyncio.timeout(WAIT_S):
        await left.wait()
    assert (impatient.delivered, impatient.pending) == (0, 1)
