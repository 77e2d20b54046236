"""The gateway's central and sessions over the virtual radio, with devices like bought ones."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading
from devices.wire import decode_reading
from gateway.central import Central
from gateway.config import SessionConfig
from gateway.database import Database
from gateway.health import Health, RadioState
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.radio import RadioConfig
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
        await until(lambda: home.inbox.depth > 5)
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
    (problem,) = home.health.problems
    assert bonded.device_id in problem
    assert open_scale.device_id not in problem
    assert bonded.pending == 1


def test_a_refusal_is_taken_back_when_the_device_lets_us_listen(
    inbox: Inbox, outbox: Outbox
) -> None:
    health = Health()
    central = Central(
        RadioConfig(),
        SessionConfig(),
        ZONE,
        inbox=inbox,
        outbox=outbox,
        health=health,
        now=lambda: datetime.now(UTC),
    )
    for number in range(100):
        central._tell_refusal(f"C0:00:00:00:00:{number:02}", may_listen=False)
    central._tell_refusal("C0:00:00:00:00:99", may_listen=None)  # it only went out of range
    assert "C0:00:00:00:00:99" in health.problems[0]
    for number in range(100):
        central._tell_refusal(f"C0:00:00:00:00:{number:02}", may_listen=True)
    assert health.problems == ()
