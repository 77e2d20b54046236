"""What goes wrong before a device is connected to, and with the adapter itself (1, 2, 3, 19-21)."""

import asyncio
import time

import pytest

from devices.gatt import uuids
from devices.wire import ConditionCode
from gateway.watchdog import Pace, Watchdog
from simulator.devices.clock import DeviceClock
from simulator.devices.recording import Habits
from simulator.devices.scale import Scale
from simulator.devices.step_counter import StepCounter
from simulator.radio import Cure, Fault
from tests.gateway.field.field import BRISK, cuff, systolics
from tests.gateway.home import Home, until

# On the air for less than a second after each measurement.
BLINK = Habits(wake_s=0.0, window_s=0.6, linger_s=0.05)
# Long enough for every try to connect, too short for a second visit after a pause.
SHORT = Habits(wake_s=0.0, window_s=4.0, linger_s=0.05)
# A watchdog in a hurry: a real one waits minutes where this waits a moment.
HURRIED = Pace(silent_s=0.4, look_s=0.05, step_s=0.4, pause_s_min=0.4, pause_s_max=0.4)


async def test_field_01_a_window_of_half_a_second_is_enough_for_a_scanner_that_never_rests(
    home: Home,
) -> None:
    device = cuff(habits=BLINK)
    await home.attach(device)
    async with home.listening():
        for systolic in (120, 130, 140):
            device.measure(systolic, 80)
            async with asyncio.timeout(3):
                await device.drained()
        readings = await home.has(3)
    assert systolics(readings) == [120, 130, 140]
    assert home.radio.adapter.scans_started == 1


async def test_field_01_a_device_that_fell_silent_does_not_hold_the_others_up(home: Home) -> None:
    # One advertisement, and gone before anybody could connect.
    silent = cuff("silent", habits=Habits(wake_s=0.0, window_s=0.05))
    other = cuff("other", habits=Habits(wake_s=0.0, window_s=6.0, linger_s=0.05))
    await home.attach(silent)
    await home.attach(other)
    async with home.listening():
        silent.measure(120, 80)
        await until(lambda: home.central.is_serving, 3)
        other.measure(140, 90)
        (reading,) = await home.has(1)
    assert reading.device_id == other.device_id
    assert silent.pending == 1


async def test_field_02_a_connection_that_aborts_is_tried_again_within_the_window(
    home: Home,
) -> None:
    device = cuff(habits=SHORT, aborted_connections=3)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        async with asyncio.timeout(SHORT.window_s):
            await device.drained()
        readings = await home.has(1)
    assert systolics(readings) == [142]


async def test_field_03_one_scan_and_one_connection_at_a_time_never_freeze_the_adapter(
    touchy_home: Home,
) -> None:
    home = touchy_home
    cuffs = [cuff(f"BP-{n}", Habits(wake_s=0.0, window_s=10.0, linger_s=0.1)) for n in range(3)]
    scale = Scale("WS-1", habits=BRISK, clock=DeviceClock())
    for device in (*cuffs, scale, StepCounter(interval_ms=50)):
        await home.attach(device)
    async with home.listening():
        for n, device in enumerate(cuffs):
            device.measure(120 + n, 80)
        scale.measure(81.5)
        for device in (*cuffs, scale):
            async with asyncio.timeout(10):
                await device.drained()
        readings = await home.has(4)
    assert {120, 121, 122} <= set(systolics(readings))
    assert home.radio.adapter.misuses == []
    assert home.radio.adapter.links_most == 1


async def test_field_19_services_that_are_not_where_they_were_are_looked_for_once_more(
    home: Home,
) -> None:
    device = cuff(habits=SHORT, hidden_for=1)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        readings = await home.has(1)
        await device.drained()
        await home.is_quiet()
    assert systolics(readings) == [142]
    assert len(home.connections) == 2


async def test_field_19_services_that_never_come_are_not_looked_for_for_ever(home: Home) -> None:
    device = cuff(habits=SHORT, hidden_for=1000)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await until(lambda: len(home.connections) >= 2)
        await until(lambda: not home.central.is_serving)
        heard_s = time.monotonic()
        await until(lambda: home.central.heard_any_s > heard_s)  # it still advertises
        await home.is_quiet()
    assert len(home.connections) == 2


@pytest.mark.parametrize(
    ("fault", "cure", "helped"),
    [
        (Fault.DEAF, Cure.SCAN_RESTART, "scanner_restarted"),
        (Fault.DEAF, Cure.RESET, "adapter_power_cycled"),
        (Fault.BUSY, Cure.RESET, "adapter_power_cycled"),
    ],
)
async def test_field_20_a_stuck_adapter_is_brought_back_by_the_least_that_helps(
    home: Home, fault: Fault, cure: Cure, helped: str
) -> None:
    watch, device = StepCounter(interval_ms=50), cuff()
    await home.attach(watch)
    await home.attach(device)
    async with home.listening():
        await until(lambda: watch.device_id in home.connections)
        await home.is_quiet()
        home.radio.stick(fault, cure)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(Watchdog(home.central, home.health, HURRIED).run())
            await until(lambda: "heard_again" in steps(home))
            watching.cancel()
        device.measure(142, 88)
        await until(lambda: 142 in systolics(home.readings))
    assert steps(home)[-2:] == [helped, "heard_again"]
    assert ConditionCode.RADIO_SILENT.value not in {each.code for each in home.health.conditions}


async def test_field_20_a_quiet_house_is_legal(home: Home) -> None:
    async with home.listening(), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(Watchdog(home.central, home.health, HURRIED).run())
        await until(lambda: "adapter_power_cycled" in steps(home))
        await until(lambda: steps(home).count("scanner_restarted") >= 2)  # and on it goes
        assert home.health.conditions == ()
        watching.cancel()


async def test_field_20_an_adapter_that_obeys_no_more_is_told(home: Home) -> None:
    async with home.listening(), asyncio.TaskGroup() as tasks:
        home.radio.stick(Fault.BUSY, Cure.NOTHING)
        watching = tasks.create_task(Watchdog(home.central, home.health, HURRIED).run())
        await until(lambda: bool(home.health.conditions))
        watching.cancel()
    assert any(step.endswith("_failed") for step in steps(home))


def steps(home: Home) -> list[str]:
    return [each.step for each in home.health.radio_steps]


async def test_field_21_a_name_is_believed_before_services_that_lie(home: Home) -> None:
    """Linux tells of a known device the services it had once, not those it advertises."""
    device = cuff("1872B", advertised_services=(uuids.WEIGHT_SCALE_SERVICE,))
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        readings = await home.has(1)
    assert systolics(readings) == [142]


async def test_field_21_a_nameless_lie_is_found_out_by_what_the_device_offers(home: Home) -> None:
    device = cuff(habits=SHORT, advertised_services=(uuids.WEIGHT_SCALE_SERVICE,))
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        readings = await home.has(1)
    assert systolics(readings) == [142]
