"""Pairing in a home: what a person does, and what becomes of the bond afterwards."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from devices.wire import ConditionCode, PairingRequest, PairingStatus, PairingStep
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.pairing import CONNECTS_MAX, Failure, PairingBusy
from gateway.pairing import Pairing as BondedBy
from gateway.radio import Radio, RadioConfig, open_radio
from simulator.devices.quirks import Guard, Pairing
from simulator.devices.recording import Habits
from simulator.devices.step_counter import StepCounter
from simulator.radio import VirtualRadio
from tests.gateway.field.field import Person, cuff, is_told, systolics
from tests.gateway.home import Home, until
from tests.radio.ear import Ear

LONG = Habits(wake_s=0.0, window_s=10.0, linger_s=0.1)


@pytest.fixture
async def radio() -> AsyncIterator[VirtualRadio]:
    async with VirtualRadio() as radio:
        yield radio


@pytest.fixture
def home(radio: VirtualRadio, inbox: Inbox, outbox: Outbox) -> Home:
    return Home(radio, inbox, outbox)


def request(device_id: str | None, *, model: str = "", within_s: float = 10.0) -> PairingRequest:
    expires_at = datetime.now(UTC) + timedelta(seconds=within_s)
    return PairingRequest(request_id="r-1", expires_at=expires_at, device_id=device_id, model=model)


async def nobody() -> int:
    raise AssertionError


def unheard(_status: PairingStatus) -> None: ...


async def test_a_bond_survives_a_restart_of_the_gateway(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        assert (await Person(home, device).pairs()).step is PairingStep.DONE
    async with home.listening():
        device.measure(142, 88)
        assert systolics(await home.has(2))[-1] == 142


async def test_a_lost_bond_is_made_anew_when_a_person_asks(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        await Person(home, device).pairs()
        await home.is_quiet()
        await device.forget_bonds()
        device.measure(142, 88)
        await until(lambda: is_told(home, device, ConditionCode.BOND_LOST))
        assert (await Person(home, device).pairs()).step is PairingStep.DONE
        assert 142 in systolics(await home.has(3))  # it was kept meanwhile
        await until(lambda: not is_told(home, device, ConditionCode.BOND_LOST))


async def test_the_first_of_a_model_is_paired_with(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device, any_address=True).pairs()
    assert (ended.step, ended.device_id) == (PairingStep.DONE, device.device_id)


async def test_a_device_that_needs_no_bond_is_done_with_its_measurement(home: Home) -> None:
    watch = StepCounter(interval_ms=20)
    watch.walk(1200)
    await home.attach(watch)
    async with home.listening():
        async with asyncio.timeout(20):
            ended = await home.central.pair(request(watch.device_id), nobody, unheard)
    assert ended.step is PairingStep.DONE


async def test_a_device_that_changes_its_address_is_paired_under_the_one_it_keeps(
    home: Home,
) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, changes_address=True)
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device, any_address=True).pairs()
    assert (ended.step, ended.device_id) == (PairingStep.DONE, device.device_id)


async def test_a_pairing_that_is_given_up_ends_at_once_also_while_it_asks(home: Home) -> None:
    device = cuff(habits=LONG, guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY)
    await home.attach(device)
    told: list[PairingStatus] = []
    async with home.listening():
        device.hold_button()

        async def never() -> int:
            return int(await asyncio.Event().wait())

        pairing = asyncio.create_task(
            home.central.pair(request(device.device_id), never, told.append)
        )
        await device.passkey_shown.wait()
        pairing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pairing
        await home.is_quiet()
        assert (told[-1].step, told[-1].problem) == (PairingStep.FAILED, Failure.CANCELLED)
        assert not device.is_bonded
        device.passkey_shown.clear()  # and somebody may try again
        assert (await Person(home, device).pairs()).step is PairingStep.DONE


async def test_a_device_that_is_never_heard_ends_it_in_time(home: Home) -> None:
    async with home.listening(), asyncio.timeout(10):
        ended = await home.central.pair(request("C4:64:E3:00:00:01", within_s=0.5), nobody, unheard)
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.NOT_HEARD)


async def test_a_device_that_cannot_be_reached_is_tried_so_often(home: Home) -> None:
    device = cuff(
        habits=Habits(wake_s=0.0, window_s=30.0), guard=Guard.SUBSCRIPTIONS, aborted_connections=99
    )
    await home.attach(device)
    async with home.listening():
        ended = await Person(home, device).pairs(within_s=30)
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.NOT_REACHED)
    assert len(home.connections) <= CONNECTS_MAX


async def _bond(radio: Radio, ear: Ear, device_id: str, pairing: BondedBy) -> None:
    await pairing.bond(radio, await ear.device(device_id), device_id, timeout_s=5.0)


async def test_an_old_bond_is_thrown_away_and_a_new_one_made(radio: VirtualRadio) -> None:
    device = cuff(habits=LONG, guard=Guard.SUBSCRIPTIONS)
    await radio.attach(device)
    ear, plug = Ear(), RadioConfig(backend="bumble", transport=radio.transport)
    async with open_radio(plug) as adapter, adapter.scanner(ear):

        def pairing() -> BondedBy:
            wanted = request(device.device_id)
            return BondedBy(wanted, ask_passkey=None, tell=unheard, now=lambda: datetime.now(UTC))

        device.hold_button()
        await _bond(adapter, ear, device.device_id, pairing())
        await device.forget_bonds()
        again = pairing()
        device.hold_button()
        await _bond(adapter, ear, device.device_id, again)
        assert again.wants(device.device_id, "")  # the old one was in the way
        assert not await adapter.is_bonded(device.device_id)
        device.hold_button()
        await _bond(adapter, ear, device.device_id, again)
        assert again.status.step is PairingStep.MEASURE
        assert await adapter.is_bonded(device.device_id)


async def test_a_number_that_came_with_the_request_is_not_asked_for(home: Home) -> None:
    device = cuff(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY, passkey=123456)
    await home.attach(device)
    wanted = msgspec.structs.replace(request(device.device_id), passkey=123456)
    told: list[PairingStep] = []

    def tell(status: PairingStatus) -> None:
        told.append(status.step)
        if status.step is PairingStep.MEASURE:
            device.measure(142, 88)

    async with home.listening(), asyncio.timeout(20):
        device.hold_button()
        ended = await home.central.pair(wanted, nobody, tell)
    assert ended.step is PairingStep.DONE
    assert PairingStep.PASSKEY in told


async def test_one_pairing_at_a_time(home: Home) -> None:
    async with home.listening():
        first = asyncio.create_task(
            home.central.pair(request("C4:64:E3:00:00:01"), nobody, unheard)
        )
        await asyncio.sleep(0)  # it has begun
        with pytest.raises(PairingBusy):
            await home.central.pair(request("C4:64:E3:00:00:02"), nobody, unheard)
        first.cancel()


async def test_a_bond_is_not_enough_without_a_measurement(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.pairing.MEASURE_S_MAX", 0.5)
    device = cuff(guard=Guard.SUBSCRIPTIONS)
    await home.attach(device)
    async with home.listening(), asyncio.timeout(10):
        device.hold_button()
        ended = await home.central.pair(request(device.device_id, within_s=3), nobody, unheard)
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.NO_TEST_READING)
