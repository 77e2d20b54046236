"""Who may be paired with, and when; and the number a device shows."""

import asyncio

import pytest
from bleak import BleakClient
from bleak.exc import BleakError

from gateway.radio import AskPasskey, PasskeyNotGiven, Radio, Refusal, passkey
from gateway.radio.bumble import window
from simulator.devices.cuff import Cuff
from simulator.devices.quirks import Guard, Pairing, Quirks
from simulator.devices.recording import Habits
from simulator.radio import VirtualRadio
from tests.radio.central import QUICK, Central, fetch
from tests.radio.ear import Ear


async def _cuff(
    room: VirtualRadio, name: str = "BP-1", *, habits: Habits = QUICK, **quirks: object
) -> Cuff:
    behaviour = Quirks(guard=Guard.SUBSCRIPTIONS, **quirks)  # type: ignore[arg-type]
    cuff = Cuff(name, habits=habits, quirks=behaviour)
    cuff.measure(120, 80)
    await room.attach(cuff)
    return cuff


async def _client(radio: Radio, ear: Ear, device_id: str) -> BleakClient:
    return radio.client(await ear.device(device_id), None, timeout_s=5.0, pair=True)


async def _pair(radio: Radio, ear: Ear, device_id: str, ask: AskPasskey | None = None) -> str:
    """Pair; return the address the device is known by afterwards."""
    async with radio.pairing(device_id, ask):
        client = await _client(radio, ear, device_id)
        try:
            await client.connect()
        finally:
            await client.disconnect()
    return client.address


def _types(number: int) -> AskPasskey:
    async def type_it() -> int:
        return number

    return type_it


async def test_outside_a_pairing_nothing_is_bonded_nor_even_connected_to(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = await _cuff(room)
    with pytest.raises(BleakError) as refused:
        await (await _client(radio, ear, cuff.device_id)).connect()
    assert radio.refusal(refused.value) is Refusal.NOT_PAIRED
    assert cuff._device.connections_made == 0
    assert not cuff.is_bonded


async def test_a_pairing_ends_with_its_block(room: VirtualRadio, radio: Radio, ear: Ear) -> None:
    cuff = await _cuff(room)
    async with radio.pairing(cuff.device_id, None):
        pass
    with pytest.raises(BleakError) as refused:
        await (await _client(radio, ear, cuff.device_id)).connect()
    assert radio.refusal(refused.value) is Refusal.NOT_PAIRED


async def test_another_device_is_refused_while_one_is_paired_with(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff, stranger = await _cuff(room), await _cuff(room, "BP-2")
    async with radio.pairing(cuff.device_id, None):
        with pytest.raises(BleakError) as refused:
            await (await _client(radio, ear, stranger.device_id)).connect()
    assert radio.refusal(refused.value) is Refusal.NOT_PAIRED
    assert not stranger.is_bonded
    assert not await radio.is_bonded(stranger.device_id)


async def test_two_pairings_at_once_are_refused(radio: Radio) -> None:
    async with radio.pairing("C4:64:E3:00:00:01", None):
        with pytest.raises(BleakError, match="being paired"):
            async with radio.pairing("C4:64:E3:00:00:02", None):
                pass


async def test_a_device_that_begins_to_pair_by_itself_is_refused(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    cuff = await _cuff(room)
    client = radio.client(await ear.device(cuff.device_id), central.end, timeout_s=5.0)
    await client.connect()
    (connection,) = cuff._device.connections.values()
    with pytest.raises(Exception, match="PAIRING_NOT_SUPPORTED"):
        await cuff._device.pair(connection)
    await client.disconnect()
    assert not await radio.is_bonded(cuff.device_id)


async def test_the_number_a_device_shows_is_asked_for(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = await _cuff(room, pairing=Pairing.SHOWS_PASSKEY)

    async def read_it() -> int:
        await cuff.passkey_shown.wait()
        return cuff.passkeys_shown[-1]

    await _pair(radio, ear, cuff.device_id, read_it)
    assert await radio.is_bonded(cuff.device_id)
    assert len(await fetch(radio, ear, cuff)) == 1


async def test_a_number_may_begin_with_zeros(room: VirtualRadio, radio: Radio, ear: Ear) -> None:
    cuff = await _cuff(room, pairing=Pairing.SHOWS_PASSKEY, passkey=7)
    await _pair(radio, ear, cuff.device_id, _types(7))
    assert await radio.is_bonded(cuff.device_id)


async def test_the_number_of_six_zeros_is_a_number() -> None:
    """Bumble asserts that a number is true; the simulated device cannot show this one."""
    delegate = window._Delegate(_types(0))
    given = await delegate.get_number()
    assert given == 0
    assert given


async def test_a_wrong_number_is_refused(room: VirtualRadio, radio: Radio, ear: Ear) -> None:
    cuff = await _cuff(room, pairing=Pairing.SHOWS_PASSKEY, passkey=123456)
    with pytest.raises(BleakError) as refused:
        await _pair(radio, ear, cuff.device_id, _types(654321))
    assert radio.refusal(refused.value) is Refusal.PAIRING_FAILED
    assert not await radio.is_bonded(cuff.device_id)
    assert not cuff.is_bonded


async def test_a_number_nobody_gives_is_a_refusal(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = await _cuff(room, pairing=Pairing.SHOWS_PASSKEY)

    async def nobody() -> int:
        raise PasskeyNotGiven

    with pytest.raises(BleakError) as refused:
        await _pair(radio, ear, cuff.device_id, nobody)
    assert radio.refusal(refused.value) is Refusal.PAIRING_FAILED


async def test_a_number_that_comes_too_late_is_a_refusal(
    room: VirtualRadio, radio: Radio, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkey, "PASSKEY_S_MAX", 0.05)
    cuff = await _cuff(room, pairing=Pairing.SHOWS_PASSKEY)

    async def later() -> int:
        return int(await asyncio.Event().wait())  # never

    with pytest.raises(BleakError) as refused:
        await _pair(radio, ear, cuff.device_id, later)
    assert radio.refusal(refused.value) is Refusal.PAIRING_FAILED


async def test_a_device_without_a_display_is_paired_though_somebody_could_type(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = await _cuff(room)
    await _pair(radio, ear, cuff.device_id, _types(1))
    assert len(await fetch(radio, ear, cuff)) == 1


async def test_a_device_that_is_not_in_its_pairing_mode_refuses(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = await _cuff(room, pairing=Pairing.REFUSES)
    with pytest.raises(BleakError) as refused:
        await _pair(radio, ear, cuff.device_id)
    assert radio.refusal(refused.value) is Refusal.PAIRING_FAILED
