"""Five stories of a gateway in a home; the same on the virtual radio and on bluetoothd.

On an emulated machine everything takes ten times as long: waits are bounded, never counted on.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from devices.quantity import Quantity
from devices.reading import Reading
from devices.wire import Bond, ConditionCode, PairingRequest, PairingStatus, PairingStep
from gateway.watchdog import Pace, Watchdog
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.quirks import Guard, Pairing, Quirks
from simulator.devices.recording import Habits
from simulator.devices.step_counter import StepCounter
from simulator.radio import Cure, Fault
from tests.gateway.home import Home, until

pytestmark = pytest.mark.timeout(180)

WAIT_S = 60.0
HABITS = Habits(wake_s=0.0, window_s=WAIT_S, linger_s=0.5)
# A watchdog in a hurry: a real one waits minutes where this waits a moment.
HURRIED = Pace(silent_s=1.0, look_s=0.2, step_s=2.0, pause_s_min=2.0, pause_s_max=2.0)


def bonding_cuff(name: str, quirks: Quirks | None = None) -> Cuff:
    """Return a cuff of its own for each story: bluetoothd remembers those of the stories before."""
    return Cuff(
        name,
        habits=HABITS,
        clock=DeviceClock(),
        quirks=quirks or Quirks(guard=Guard.SUBSCRIPTIONS),
    )


def systolic(reading: Reading) -> float | None:
    found = [each.value for each in reading.values if each.quantity == Quantity.SYSTOLIC]
    return found[0] if found else None


async def has(home: Home, count: int) -> list[Reading]:
    await until(lambda: home.outbox.depth >= count, WAIT_S)
    return home.readings


async def pair(home: Home, device: Cuff) -> list[PairingStep]:
    """Pair as a person would: hold the button, read the display, measure when told to."""
    steps: list[PairingStep] = []

    async def read_display() -> int:
        async with asyncio.timeout(WAIT_S):
            await device.passkey_shown.wait()
        return device.passkeys_shown[-1]

    def told(status: PairingStatus) -> None:
        if not steps or steps[-1] is not status.step:
            steps.append(status.step)
            if status.step is PairingStep.MEASURE:
                device.measure(121 + device.produced, 81)  # no two alike

    request = PairingRequest(
        request_id="pairing-1",
        expires_at=datetime.now(UTC) + timedelta(seconds=WAIT_S),
        device_id=device.device_id,
    )
    device.hold_button()
    async with asyncio.timeout(WAIT_S + 5):
        last = await home.central.pair(request, read_display, told)
    assert last.step is PairingStep.DONE, last.problem
    return steps


def has_condition(home: Home, code: ConditionCode, device: Cuff) -> Callable[[], bool]:
    return lambda: any(
        each.code == code and each.device_id == device.device_id for each in home.health.conditions
    )


async def test_measure(home: Home) -> None:
    device = bonding_cuff("BP-1", Quirks())
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88, 71)
        (reading,) = await has(home, 1)
        async with asyncio.timeout(WAIT_S):
            await device.drained()
    assert (systolic(reading), reading.device_id) == (142, device.device_id)


async def test_pair(home: Home) -> None:
    device = bonding_cuff("BP-2")
    await home.attach(device)
    async with home.listening():
        steps = await pair(home, device)
        (reading,) = await has(home, 1)
    assert systolic(reading) == 121
    assert steps[-2:] == [PairingStep.MEASURE, PairingStep.DONE]
    assert device.is_bonded


async def test_pair_by_a_displayed_number(home: Home) -> None:
    shown = Quirks(guard=Guard.SUBSCRIPTIONS, pairing=Pairing.SHOWS_PASSKEY, passkey=4711)
    device = bonding_cuff("BP-3", shown)
    await home.attach(device)
    async with home.listening():
        steps = await pair(home, device)
    assert PairingStep.PASSKEY in steps
    assert device.is_bonded


async def test_bonded_device_comes_back(home: Home) -> None:
    device = bonding_cuff("BP-4")
    await home.attach(device)
    async with home.listening():
        await pair(home, device)
    async with home.listening():  # the box was restarted
        device.measure(150, 90)
        readings = await has(home, 2)
    assert systolic(readings[-1]) == 150
    assert not home.health.conditions


async def test_lost_bond(home: Home) -> None:
    device = bonding_cuff("BP-5")
    await home.attach(device)
    async with home.listening():
        await pair(home, device)
        await device.forget_bonds()
        before = len(home.connections)
        device.measure(150, 90)
        await until(has_condition(home, ConditionCode.BOND_LOST, device), WAIT_S)
        assert len(home.connections) - before <= 2  # no loop
        assert [each.bond for each in home.central.devices] == [Bond.LOST]
        assert device.pending == 1  # nothing is lost: it waits in the cuff
        await pair(home, device)
        readings = await has(home, 3)
        assert not has_condition(home, ConditionCode.BOND_LOST, device)()
    assert {systolic(each) for each in readings} == {121, 150, 123}


async def test_watchdog_power_cycles_an_adapter_that_is_stuck(home: Home) -> None:
    device, watch = bonding_cuff("BP-6", Quirks()), StepCounter(interval_ms=100)
    await home.attach(device)
    await home.attach(watch)
    async with home.listening():
        await until(lambda: watch.device_id in home.connections, WAIT_S)
        await until(lambda: not home.central.is_serving, WAIT_S)
        home.radio.stick(Fault.DEAF, Cure.RESET)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(Watchdog(home.central, home.health, HURRIED).run())
            steps = home.health
            await until(lambda: any(s.step == "heard_again" for s in steps.radio_steps), WAIT_S)
            watching.cancel()
        device.measure(142, 88)
        await until(lambda: any(systolic(each) == 142 for each in home.readings), WAIT_S)
    assert "adapter_power_cycled" in [each.step for each in home.health.radio_steps]
    assert home.radio.adapter.fault is None
