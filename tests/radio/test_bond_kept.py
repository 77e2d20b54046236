"""Bonds outlive the program, the address we are known by, and the addresses devices take."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from bleak.exc import BleakError

from gateway.radio import Radio, RadioConfig, Refusal, open_radio
from gateway.radio.bumble.bonds import FILE_NAME
from simulator.devices.cuff import Cuff
from simulator.devices.quirks import Guard, Quirks
from simulator.radio import VirtualRadio
from tests.radio.central import QUICK, fetch, fetch_from
from tests.radio.ear import Ear


async def _cuff(room: VirtualRadio, **quirks: object) -> Cuff:
    behaviour = Quirks(guard=Guard.SUBSCRIPTIONS, **quirks)  # type: ignore[arg-type]
    cuff = Cuff("BP-1", habits=QUICK, quirks=behaviour)
    await room.attach(cuff)
    return cuff


async def _pair(radio: Radio, ear: Ear, heard_as: str) -> str:
    async with radio.pairing(heard_as, None):
        client = radio.client(await ear.device(heard_as), None, timeout_s=5.0, pair=True)
        await client.connect()
        await client.disconnect()
    return client.address


async def test_a_bond_survives_the_program(
    room: VirtualRadio, plug: RadioConfig, tmp_path: Path
) -> None:
    cuff = await _cuff(room)
    for systolic in (120, 121):
        async with open_radio(plug, tmp_path / "keys") as radio:
            ear = Ear()
            async with radio.scanner(ear):
                if not await radio.is_bonded(cuff.device_id):
                    assert systolic == 120
                    cuff.hold_button()
                    await _pair(radio, ear, cuff.device_id)
                made = cuff.measure(systolic, 80)
                assert await fetch(radio, ear, cuff) == [made]
    assert all(asked.is_encrypted for asked in cuff.requests)


async def test_without_a_directory_a_bond_lasts_as_long_as_the_radio(
    room: VirtualRadio, plug: RadioConfig
) -> None:
    cuff = await _cuff(room)
    cuff.hold_button()
    async with open_radio(plug) as radio:
        ear = Ear()
        async with radio.scanner(ear):
            await _pair(radio, ear, cuff.device_id)
        assert await radio.is_bonded(cuff.device_id)
    async with open_radio(plug) as radio:
        assert not await radio.is_bonded(cuff.device_id)


async def test_keys_are_for_our_account_alone(
    room: VirtualRadio, plug: RadioConfig, tmp_path: Path
) -> None:
    async with open_radio(plug, tmp_path / "keys"):
        pass
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "keys" / FILE_NAME).stat().st_mode) == 0o600


async def test_a_bond_that_is_thrown_away_is_gone_at_both_times(
    room: VirtualRadio, plug: RadioConfig, tmp_path: Path
) -> None:
    cuff = await _cuff(room)
    cuff.hold_button()
    async with open_radio(plug, tmp_path / "keys") as radio:
        ear = Ear()
        async with radio.scanner(ear):
            await _pair(radio, ear, cuff.device_id)
        await radio.forget(cuff.device_id)
        assert not await radio.is_bonded(cuff.device_id)
    async with open_radio(plug, tmp_path / "keys") as radio:
        assert not await radio.is_bonded(cuff.device_id)
        await radio.forget(cuff.device_id)  # once more does no harm


async def test_a_device_that_changes_its_address_is_found_again(
    room: VirtualRadio, plug: RadioConfig, tmp_path: Path
) -> None:
    cuff = await _cuff(room, changes_address=True)
    cuff.hold_button()
    async with open_radio(plug, tmp_path / "keys") as radio:
        ear = Ear()
        async with radio.scanner(ear):
            (device, _), *_ = await ear.until(bool)
            assert device.address != cuff.device_id  # a private one
            assert await _pair(radio, ear, device.address) == cuff.device_id
            made = cuff.measure(120, 80)
            assert await fetch(radio, ear, cuff) == [made]
    async with open_radio(plug, tmp_path / "keys") as radio:
        ear = Ear()
        async with radio.scanner(ear):
            made = cuff.measure(121, 80)
            assert await fetch_from(radio, ear, cuff.device_id) == [made]


async def test_a_device_with_an_identity_key_is_also_found_under_the_address_it_keeps(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    """Bumble would scan for such a device by itself, beside our scanner."""
    cuff = await _cuff(room, changes_address=True)
    cuff.hold_button()
    (device, _), *_ = await ear.until(bool)
    await _pair(radio, ear, device.address)
    await room.detach(cuff)
    cuff.quirks = replace(cuff.quirks, changes_address=False)
    await room.attach(cuff)
    made = cuff.measure(120, 80)
    assert await fetch(radio, ear, cuff) == [made]
    assert room.adapter.scans_started == 1


async def test_a_stranger_with_the_address_of_a_bonded_device_gets_nothing(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = await _cuff(room)
    cuff.hold_button()
    await _pair(radio, ear, cuff.device_id)
    await room.detach(cuff)
    stranger = Cuff("BP-1", address=cuff.device_id, habits=QUICK)
    await room.attach(stranger)
    stranger.measure(180, 110)
    client = radio.client(await ear.device(cuff.device_id), None, timeout_s=5.0)
    with pytest.raises(BleakError) as refused:
        await client.connect()
    assert radio.refusal(refused.value) is Refusal.BOND_LOST
    assert stranger.delivered == 0
