"""Pairing with Just Works, and what a bond is worth afterwards."""

import pytest
from bleak import BleakClient
from bleak.exc import BleakError, BleakGATTProtocolError, BleakGATTProtocolErrorCode

from devices.gatt import uuids
from gateway.radio import Radio, Refusal
from simulator.devices.cuff import Cuff
from simulator.radio import VirtualRadio
from tests.radio.central import QUICK, Central, connected, fetch
from tests.radio.ear import Ear


@pytest.fixture
async def cuff(room: VirtualRadio) -> Cuff:
    """A cuff that tells nothing over a link that is not encrypted."""
    cuff = Cuff("BP-1", habits=QUICK, encrypted=True)
    await room.attach(cuff)
    return cuff


async def _pair(radio: Radio, ear: Ear, cuff: Cuff) -> BleakClient:
    client = await connected(radio, ear, cuff.device_id, Central())
    async with radio.pairing(cuff.device_id, None):
        await client.pair()
    return client


async def test_without_pairing_the_subscription_is_refused(
    radio: Radio, ear: Ear, cuff: Cuff, central: Central
) -> None:
    cuff.measure(120, 80)
    client = await connected(radio, ear, cuff.device_id, central)
    with pytest.raises(BleakGATTProtocolError) as refused:
        await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, central.take)
    assert refused.value.code == BleakGATTProtocolErrorCode.INSUFFICIENT_ENCRYPTION
    assert radio.refusal(refused.value) is Refusal.NOT_PAIRED
    await client.disconnect()


async def test_pairing_opens_the_subscription(
    radio: Radio, ear: Ear, cuff: Cuff, central: Central
) -> None:
    made = cuff.measure(120, 80)
    client = await connected(radio, ear, cuff.device_id, central)
    async with radio.pairing(cuff.device_id, None):
        await client.pair()
    await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, central.take)
    await central.until_hung_up()
    assert central.received == [made]


async def test_a_bonded_device_is_encrypted_at_reconnection(
    radio: Radio, ear: Ear, cuff: Cuff
) -> None:
    first = cuff.measure(120, 80)
    await (await _pair(radio, ear, cuff)).disconnect()
    assert await fetch(radio, ear, cuff) == [first]
    second = cuff.measure(125, 82)
    assert await fetch(radio, ear, cuff) == [second]


async def test_a_device_that_forgot_its_bond_is_an_error_until_paired_again(
    room: VirtualRadio, radio: Radio, ear: Ear, cuff: Cuff
) -> None:
    made = cuff.measure(120, 80)
    await (await _pair(radio, ear, cuff)).disconnect()
    await room.detach(cuff)
    await cuff.forget_bonds()
    await room.attach(cuff)  # its batteries were changed
    cuff.wake()
    device = await ear.device(cuff.device_id)
    client = radio.client(device, None, timeout_s=5.0)
    with pytest.raises(BleakError) as lost:
        await client.connect()
    assert radio.refusal(lost.value) is Refusal.BOND_LOST
    assert not client.is_connected
    await radio.forget(cuff.device_id)
    await (await _pair(radio, ear, cuff)).disconnect()
    assert await fetch(radio, ear, cuff) == [made]
