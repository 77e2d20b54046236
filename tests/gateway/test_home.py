"""The gateway's central and sessions over the virtual radio, with devices like bought ones."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from devices.drivers import Advertisement, DriverKind, RawValue, driver_for
from devices.drivers.blood_pressure import BloodPressureDriver
from devices.gatt import uuids
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading
from devices.wire import ConditionCode, decode_reading
from gateway import hearing
from gateway.advertised import STRANGERS_MAX
from gateway.database import Database
from gateway.event import GatewayEvent
from gateway.health import RadioState
from gateway.inbox import Inbox
from gateway.lending import Lending, local
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.replay import readings_of, replay_unfinished
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.mi_scale import Frame, MiScale
from simulator.devices.recording import Habits
from simulator.devices.scale import Scale
from simulator.devices.step_counter import StepCounter
from simulator.radio import VirtualRadio
from tests.gateway.home import ZONE, Home, until

BRISK = Habits(wake_s=0.0, linger_s=0.3)
# blood-pressure-monitor-fl#80: what a shop cuff sends when it could not measure.
ALL_NAN = bytes.fromhex("16ff07ff07ff07e80706170e230aff070000")
# ble_monitor: a Mi Scale at 86.55 kg, and the same scale empty.
AT_86_55_KG = bytes.fromhex("229e43e507040b101301")
EMPTY = bytes.fromhex("821400e507040b101708")


def cuff(name: str = "BP-1", **options: object) -> Cuff:
    return Cuff(name, habits=BRISK, clock=DeviceClock(), **options)  # type: ignore[arg-type]


def value(reading: Reading, quantity: Quantity) -> float | None:
    found = [each.value for each in reading.values if each.quantity == quantity]
    return found[0] if found else None


@pytest.fixture
async def home(inbox: Inbox, outbox: Outbox) -> AsyncIterator[Home]:
    async with VirtualRadio() as radio:
        yield Home(radio, inbox, outbox)


async def test_a_measurement_lies_in_the_outbox_and_the_inbox_is_empty_again(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88, 71)
        (reading,) = await home.has(1)
        await home.is_quiet()
    assert value(reading, Quantity.SYSTOLIC) == 142
    assert value(reading, Quantity.PULSE) == 71
    assert reading.device_id == device.device_id
    assert reading.battery_percent == 90
    assert reading.clock is ClockVerdict.OK


async def test_stored_records_all_come_in_one_session(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    for n in range(20):
        device.measure(120 + n, 80, 60)
    async with home.listening():
        readings = await home.has(20)
        await device.drained()
    assert [value(each, Quantity.SYSTOLIC) for each in readings] == [120 + n for n in range(20)]
    assert home.connections == [device.device_id]


async def test_a_wrong_clock_is_corrected_by_its_offset(home: Home) -> None:
    clock = DeviceClock(offset=-timedelta(minutes=16))
    device = Cuff("BP-1", habits=BRISK, clock=clock)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88, 71)
        (reading,) = await home.has(1)
    assert reading.clock is ClockVerdict.CORRECTED
    assert reading.clock_offset_s == pytest.approx(-16 * 60, abs=3)
    assert abs(reading.measured_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert reading.device_time is not None


async def test_a_failed_measurement_is_an_event_without_a_value(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        device.record(ALL_NAN)
        (reading,) = await home.has(1)
    assert reading.outcome is Outcome.FAILED
    assert reading.values == ()
    assert reading.payload == ALL_NAN.hex()


async def test_garbage_on_a_standard_characteristic_is_kept_whole(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        device.record(b"\x04\x78\x00")
        (reading,) = await home.has(1)
    assert reading.outcome is Outcome.UNREADABLE
    assert reading.payload == "047800"


async def test_a_link_that_breaks_mid_way_and_comes_back_loses_and_doubles_nothing(
    home: Home,
) -> None:
    device = cuff()
    await home.attach(device)
    for n in range(150):
        device.measure(120 + n % 60, 80, n)
    async with home.listening():
        for confirmed in (30, 90):
            await until(lambda least=confirmed: home.confirmed > least)  # type: ignore[misc]
            home.radio.unplug_hosts()
            assert confirmed < device.delivered < 150
            await until(lambda: home.health.radio is RadioState.LOST)
            device.wake()
        await device.drained()
        await home.is_quiet()
    assert [value(each, Quantity.PULSE) for each in home.readings] == list(range(150))
    assert len(home.connections) == 3


async def test_history_sent_again_is_not_sent_up_again(home: Home) -> None:
    device = cuff()
    payload = device.measure(142, 88, 71)
    await home.attach(device)
    async with home.listening():
        (reading,) = await home.has(1)
        await device.drained()
        home.outbox.settle(stored=[reading.reading_id], refused={})
        device.record(payload)
        device.measure(150, 90, 72)
        (new,) = await home.has(1)
    assert value(new, Quantity.SYSTOLIC) == 150


async def test_a_scale_and_a_cuff_that_wake_together_are_both_served(home: Home) -> None:
    scale = Scale("Scale", habits=BRISK, clock=DeviceClock())
    device = cuff()
    await home.attach(scale)
    await home.attach(device)
    async with home.listening():
        scale.measure(81.5)
        device.measure(142, 88)
        readings = await home.has(2)
    assert {each.device_id for each in readings} == {scale.device_id, device.device_id}


async def test_more_unknown_scales_than_a_stairwell_has_are_told(home: Home) -> None:
    central = home.build()
    shown = {uuids.WEIGHT_SCALE_SERVICE: AT_86_55_KG}
    said = AdvertisementData("MI_SCALE", {}, shown, [], None, -60, ())
    told = []
    for number in range(STRANGERS_MAX + 1):
        central._heard(BLEDevice(f"C0:00:00:00:00:{number:02X}", "MI_SCALE", None), said)
        told.append([each.code for each in home.health.conditions])
    assert told == [[]] * STRANGERS_MAX + [[ConditionCode.STRANGERS]]


async def test_a_mi_scale_is_heard_once_however_often_it_says_it(home: Home) -> None:
    scale = MiScale(1)
    await home.attach(scale)
    async with home.listening():
        scale.show([Frame(EMPTY, 0.3), Frame(AT_86_55_KG, 1.0), Frame(EMPTY, 0.3)])
        await scale.drained()
        (reading,) = await home.has(1)
        assert home.inbox.depth == 3
    assert value(reading, Quantity.BODY_WEIGHT) == 86.55
    assert home.connections == []
    assert home.inbox.depth == 0  # finished with the gateway's stop


async def test_a_watch_is_visited_and_then_left_alone(home: Home) -> None:
    watch = StepCounter(interval_ms=50)
    watch.walk(4321)
    await home.attach(watch)
    async with home.listening():
        (reading,) = await home.has(1)
        await home.is_quiet()
        other = cuff()
        await home.attach(other)
        other.measure(120, 80)
        await home.has(2)
    assert value(reading, Quantity.STEPS) == 4321
    assert home.connections.count(watch.device_id) == 1


async def test_only_devices_on_the_list_are_served(home: Home) -> None:
    ours, neighbours = cuff("ours"), cuff("neighbours")
    await home.attach(neighbours)
    await home.attach(ours)
    async with home.listening(allowed=(ours.device_id,)):
        neighbours.measure(180, 110)
        ours.measure(120, 80)
        await home.has(1)
        await home.is_quiet()
    assert home.connections == [ours.device_id]


async def test_a_radio_that_is_pulled_out_is_opened_again(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        home.radio.unplug_hosts()
        await until(lambda: home.health.radio is RadioState.LOST)
        (problem,) = home.health.problems
        assert "Bluetooth" in problem
        await until(lambda: home.health.radio is RadioState.SCANNING)
        assert home.health.problems == ()
        device.measure(142, 88)
        await home.has(1)


async def test_a_device_without_clock_or_battery_is_served_all_the_same(home: Home) -> None:
    device = Cuff("BP-1", habits=BRISK, clock=None, battery_percent=None)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        (reading,) = await home.has(1)
    assert reading.clock is ClockVerdict.ABSENT
    assert reading.battery_percent is None


async def test_told_to_stop_in_a_session_its_readings_still_go_to_the_outbox(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    for n in range(50):
        device.measure(120 + n, 80)
    async with home.listening():
        await until(lambda: home.confirmed > 5)
    assert home.inbox.depth == 0
    assert home.outbox.depth >= 5


async def test_a_session_read_again_from_the_inbox_gives_the_same_readings(
    home: Home, inbox: Inbox, outbox: Outbox
) -> None:
    """Live and after a power cut, the same bytes are the same readings: none is doubled."""
    device = cuff()
    await home.attach(device)
    for n in range(5):
        device.measure(120 + n, 80)
    async with home.listening():
        live = await home.has(5)
        inbox._live.clear()  # as after a restart in the middle of the session
        (session,) = inbox.unfinished()
        assert readings_of(inbox, session, ZONE) == live
        assert replay_unfinished(inbox, outbox, ZONE) == 1
    assert home.readings == live


async def test_an_indication_is_in_the_outbox_within_300_ms(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    waits_s = []
    async with home.listening():
        for n in range(10):
            count = home.outbox.depth
            device.measure(120 + n, 80)
            await home.has(count + 1)
            reading = decode_reading(home.outbox.peek(100)[-1].encoded)
            waits_s.append((datetime.now(UTC) - reading.received_at).total_seconds())
            await device.drained()
    assert sorted(waits_s)[5] < 0.3


async def test_a_record_that_finds_no_room_stays_on_the_device(
    store: Database, outbox: Outbox
) -> None:
    inbox = Inbox(store, rows_max=0)
    async with VirtualRadio() as radio:
        home, device = Home(radio, inbox, outbox), cuff()
        await home.attach(device)
        async with home.listening():
            device.measure(142, 88, 71)
            await until(lambda: bool(home.health.problems))
            await until(lambda: home.health.radio is RadioState.SCANNING)
        inbox._rows_max = 100  # there is room again
        async with home.listening():
            device.wake()
            (reading,) = await home.has(1)
            await device.drained()
    assert value(reading, Quantity.SYSTOLIC) == 142
    assert home.confirmed == 1


async def test_an_advertised_weight_that_finds_no_room_is_told(
    store: Database, outbox: Outbox
) -> None:
    async with VirtualRadio() as radio:
        home, scale = Home(radio, Inbox(store, rows_max=0), outbox), MiScale(hold_s=0.5)
        await home.attach(scale)
        async with home.listening():
            scale.measure(86.55)
            await until(lambda: bool(home.health.problems))
    assert "was not kept" in home.health.problems[0]


async def test_a_device_that_lets_nobody_listen_is_told(home: Home) -> None:
    bonded, open_scale = cuff(encrypted=True), Scale("WS-1", habits=BRISK, clock=DeviceClock())
    await home.attach(bonded)
    await home.attach(open_scale)  # without a body composition to subscribe to: no refusal
    async with home.listening():
        bonded.measure(142, 88, 71)
        await until(lambda: bool(home.health.problems))
        open_scale.measure(82.4)
        await home.has(1)
        await home.is_quiet()
    (condition,) = home.health.conditions
    assert condition.code == ConditionCode.NOT_PAIRED
    assert condition.device_id == bonded.device_id
    assert bonded.pending == 1
    assert home.connections.count(bonded.device_id) == 1


async def test_what_devices_say_of_themselves_is_told_and_survives_a_restart(home: Home) -> None:
    device, scale = cuff(battery_percent=37), MiScale(1)
    await home.attach(device)
    await home.attach(scale)
    async with home.listening():
        device.measure(142, 88)
        scale.show([Frame(AT_86_55_KG, 1.0)])
        await home.has(2)
        await device.drained()
        await until(lambda: not home.central.is_serving)
        told = {each.device_id: each for each in home.central.devices}
    status = told[device.device_id]
    assert (status.model, status.battery_percent, status.firmware) == ("standard_cuff", 37, "1.0")
    assert status.clock_offset_s == pytest.approx(0, abs=3)
    assert status.served_at is not None
    assert told[scale.device_id].served_at is not None
    again = Memory(home.inbox._database, lambda: datetime.now(UTC))
    assert again.of(device.device_id).status == status


async def test_a_changed_list_holds_at_once(home: Home) -> None:
    ours, other = cuff("ours"), cuff("other")
    await home.attach(ours)
    await home.attach(other)
    lent = [local((ours.device_id,))]
    async with home.listening(lending=lambda: lent[0]):
        other.measure(180, 110)
        ours.measure(120, 80)
        await home.has(1)
        assert home.connections == [ours.device_id]
        lent[0] = local((other.device_id,))
        await home.has(2)
        assert [each.device_id for each in home.central.devices] == [other.device_id]
    assert home.connections == [ours.device_id, other.device_id]


async def test_the_lists_model_is_believed_before_what_a_device_advertises(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    lent = Lending({device.device_id: "and_ua651ble"}, serves_others=False)
    async with home.listening(lending=lambda: lent):
        device.measure(142, 88)
        await until(lambda: bool(home.health.conditions))
    # That model is never touched without a bond, so this one was taken for it.
    assert home.health.conditions[0].code == ConditionCode.NOT_PAIRED
    assert home.connections == []


async def test_a_neighbours_scale_is_not_kept_where_there_is_a_list(home: Home) -> None:
    scale, ours = MiScale(1), cuff()
    await home.attach(scale)
    await home.attach(ours)
    async with home.listening(allowed=(ours.device_id,)):
        scale.show([Frame(AT_86_55_KG, 0.5)])
        await scale.drained()
        ours.measure(120, 80)
        (reading,) = await home.has(1)
        await home.is_quiet()
    assert reading.device_id == ours.device_id


async def test_the_room_is_told_what_came_and_what_failed(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await home.has(1)
        await device.drained()
        device.record(ALL_NAN)
        await home.has(2)
        await home.is_quiet()
    assert home.events == [GatewayEvent.RECEIVED, GatewayEvent.FAILED]


async def test_a_bug_in_one_devices_driver_keeps_nobody_else_waiting_for_long(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is started again, and the device that it fails in comes last."""
    poison, other = cuff("poison"), cuff("other")
    await home.attach(poison)
    await home.attach(other)

    class Broken(BloodPressureDriver):
        def received(self, _raw: RawValue) -> list[Reading]:
            raise ZeroDivisionError

    def kind(seen: Advertisement, zone: ZoneInfo, model: str = "") -> DriverKind | None:
        found = driver_for(seen, zone, model)
        if found is None or seen.device_id != poison.device_id:
            return found
        return DriverKind(name=found.name, model=found.model, zone=zone, make=Broken)

    monkeypatch.setattr(hearing, "driver_for", kind)
    central, failures = home.build(), 0
    async with asyncio.TaskGroup() as tasks:

        async def restart_for_ever() -> None:
            nonlocal failures
            while True:
                try:
                    await central.run()
                except* ZeroDivisionError:
                    failures += 1

        running = tasks.create_task(restart_for_ever())
        for n in range(30):
            poison.measure(200, 120, n)  # more than one session takes before it fails
        await until(lambda: failures > 0)
        assert poison.pending > 0
        other.measure(142, 88)
        readings = await home.has(1)
        running.cancel()
    assert [each.device_id for each in readings] == [other.device_id]
    assert failures == 1
    assert home.inbox.depth > 0  # what it sent is kept, for a version without the bug


async def test_a_bug_in_hearing_is_raised_at_once_and_heals_with_a_restart(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = cuff()
    await home.attach(device)
    raises = [True]

    def kind(seen: Advertisement, zone: ZoneInfo, model: str = "") -> DriverKind | None:
        if raises:
            raise ZeroDivisionError
        return driver_for(seen, zone, model)

    monkeypatch.setattr(hearing, "driver_for", kind)
    central = home.build()
    device.measure(142, 88)
    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.timeout(10):
            await central.run()
    assert caught.group_contains(ZeroDivisionError)
    raises.clear()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(central.run())
        await home.has(1)
        running.cancel()


async def test_the_scanner_is_restarted_and_the_adapter_power_cycled_without_losing_a_device(
    home: Home,
) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        for n, step in enumerate((home.central.restart_scanner, home.central.power_cycle)):
            await step()
            device.measure(120 + n, 80)
            await home.has(n + 1)
            await device.drained()
        assert home.central.heard_any_s > time.monotonic() - 10


async def test_a_radio_that_is_away_says_so_to_who_would_restart_it(home: Home) -> None:
    central = home.build()
    with pytest.raises(BleakError, match="not open"):
        await central.restart_scanner()
    await central.power_cycle()  # opened for that
