"""What goes wrong with pairing and bonds (4 to 9)."""

import asyncio

import pytest

from devices.wire import Bond, ConditionCode, PairingStep
from gateway.pairing import Failure
from simulator.devices.quirks import Guard, Pairing
from simulator.devices.recording import Habits
from tests.gateway.field.field import CCCD, Person, cuff, is_told, systolics, told_of, work
from tests.gateway.home import Home, until

# A name by which a device is known to switch itself off when it is touched without encryption.
UA_651BLE = "A&D_UA-651BLE_0A1B2C"
PATIENT = Habits(wake_s=0.0, window_s=10.0, linger_s=0.1)


async def test_field_04_just_works_pairing_is_done_when_it_was_asked_for(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, asks_to_pair=True)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device).pairs()
        readings = await home.has(1)
    assert (ended.step, ended.device_id) == (PairingStep.DONE, device.device_id)
    assert systolics(readings) == [121]


async def test_field_04_nobody_is_paired_with_unasked(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, asks_to_pair=True)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await until(lambda: is_told(home, device, ConditionCode.NOT_PAIRED))
        await home.is_quiet()
    assert not device.is_bonded
    assert device.pending == 1  # kept in the cuff until somebody pairs it


async def test_field_04_only_the_expected_device_is_paired_with(home: Home) -> None:
    stranger = cuff("stranger", PATIENT, guard=Guard.SUBSCRIPTIONS, asks_to_pair=True)
    expected = cuff("expected", PATIENT, guard=Guard.SUBSCRIPTIONS)
    await home.attach(stranger)
    await home.attach(expected)
    async with home.listening():
        stranger.measure(180, 110)
        stranger.hold_button()
        ended = await Person(home, expected).pairs()
        await until(lambda: stranger.device_id in home.connections)
        await home.is_quiet()
    assert ended.step is PairingStep.DONE
    assert not stranger.is_bonded


async def test_field_04_a_device_that_is_not_in_its_pairing_mode_is_told(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.REFUSES)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device).pairs()
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.REFUSED)


async def test_field_05_the_number_a_device_shows_is_asked_for(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY)
    await home.attach(device)
    async with home.listening():
        person = Person(home, device)
        ended = await person.pairs()
    assert ended.step is PairingStep.DONE
    assert PairingStep.PASSKEY in person.steps
    assert len(device.passkeys_shown) == 1


async def test_field_05_a_wrong_number_ends_the_pairing(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY, passkey=123456)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device, types=654321).pairs()
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.WRONG_PASSKEY)
    assert not device.is_bonded


async def test_field_06_a_bond_that_does_not_last_is_never_called_paired(home: Home) -> None:
    """It pairs and delivers; at the next connection it knows nothing of it."""
    device = cuff(guard=Guard.SUBSCRIPTIONS, forgets_new_bonds=True)
    await home.attach(device)
    async with home.listening():
        person = Person(home, device)
        ended = await person.pairs()
        assert told_of(home, device).bond is not Bond.PROVEN
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.LOST_AGAIN)
    assert PairingStep.DONE not in person.steps


async def test_field_06_a_bond_is_proven_by_a_second_encrypted_connection(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device).pairs()
        assert told_of(home, device).bond is Bond.PROVEN
    assert ended.step is PairingStep.DONE
    subscribed_at = {each.connection for each in work(device) if each.uuid == CCCD}
    assert subscribed_at == {2}
    assert all(each.is_encrypted for each in work(device) if each.connection == 2)


async def test_field_07_subscriptions_are_left_as_they_are_at_the_end(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, forgets_bond_when_unsubscribed=True)
    await home.attach(device)
    async with home.listening():
        await Person(home, device).pairs()
        device.measure(142, 88)
        await home.has(2)
        await home.is_quiet()
        device.measure(143, 88)
        readings = await home.has(3)
    assert systolics(readings) == [121, 142, 143]
    assert device.is_bonded
    taken_back = [r for r in device.requests if r.uuid == CCCD and r.payload == bytes(2)]
    assert taken_back == []


async def test_field_07_nor_when_the_gateway_ends_the_session(home: Home) -> None:
    dawdling = Habits(wake_s=0.0, window_s=2.0, linger_s=20.0)  # it never hangs up by itself
    device = cuff(habits=dawdling, forgets_bond_when_unsubscribed=True)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await home.has(1)
        await home.is_quiet()
    assert [r for r in device.requests if r.uuid == CCCD and not any(r.payload)] == []


async def test_field_08_a_device_that_hates_open_links_is_encrypted_before_anything_else(
    home: Home,
) -> None:
    device = cuff(UA_651BLE, guard=Guard.POWER_OFF)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device).pairs()
        device.measure(142, 88)
        readings = await home.has(2)
        await home.is_quiet()
    assert ended.step is PairingStep.DONE
    assert systolics(readings) == [121, 142]
    assert all(each.is_encrypted for each in device.requests)


async def test_field_08_and_is_left_alone_until_it_is_paired(home: Home) -> None:
    device = cuff(UA_651BLE, guard=Guard.POWER_OFF)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await until(lambda: is_told(home, device, ConditionCode.NOT_PAIRED))
        await home.is_quiet()
    assert list(device.requests) == []


async def test_field_09_a_lost_bond_is_told_once_and_not_hammered(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        await Person(home, device).pairs()
        await device.forget_bonds()
        before = len(home.connections)
        for systolic in (142, 143):  # two windows
            device.measure(systolic, 88)
            await until(lambda: is_told(home, device, ConditionCode.BOND_LOST))
            async with asyncio.timeout(5):
                await device.silent()
        assert 1 <= len(home.connections) - before <= 2
        assert told_of(home, device).bond is Bond.LOST


async def test_field_09_pairing_again_brings_what_was_measured_meanwhile(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        await Person(home, device).pairs()
        await device.forget_bonds()
        device.measure(142, 88)
        await until(lambda: is_told(home, device, ConditionCode.BOND_LOST))
        assert (await Person(home, device).pairs()).step is PairingStep.DONE
        readings = await home.has(2)
        assert not is_told(home, device, ConditionCode.BOND_LOST)
    assert 142 in systolics(readings)


async def test_field_09_a_bond_outlives_a_restart_of_the_box_and_new_batteries_in_the_device(
    home: Home,
) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        await Person(home, device).pairs()
    await home.radio.detach(device)
    await home.radio.attach(device)
    async with home.listening():
        device.measure(142, 88)
        readings = await home.has(2)
    assert systolics(readings) == [121, 142]


@pytest.mark.parametrize("pairing", [Pairing.JUST_WORKS, Pairing.SHOWS_PASSKEY])
async def test_a_bonded_device_that_changes_its_address_is_known_all_the_same(
    home: Home, pairing: Pairing
) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=pairing, changes_address=True)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device, any_address=True).pairs()
        device.measure(142, 88)
        readings = await home.has(2)
    assert ended.step is PairingStep.DONE
    assert {each.device_id for each in readings} == {device.device_id}
