"""What goes wrong while a device delivers (10 to 13)."""

import asyncio

from devices.gatt import uuids
from simulator.devices.peripheral import Happening
from simulator.devices.recording import Habits
from tests.gateway.field.field import CCCD, cuff, systolics, work
from tests.gateway.home import Home

MEASUREMENT = uuids.short(uuids.BLOOD_PRESSURE_MEASUREMENT)
FULL_MEMORY = 200


async def test_field_10_a_measurement_is_subscribed_to_and_never_read(home: Home) -> None:
    device = cuff(hangs_up_when_read=True)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        readings = await home.has(1)
        await home.is_quiet()
    assert systolics(readings) == [142]
    assert [r for r in device.requests if r.what == "READ_REQUEST" and r.uuid == MEASUREMENT] == []


async def test_field_11_what_comes_before_the_answer_to_the_subscription_is_kept(
    home: Home,
) -> None:
    device = cuff(sends_before_answering=True)
    await home.attach(device)
    async with home.listening():
        for systolic in (120, 130, 140):
            device.measure(systolic, 80)
        readings = await home.has(3)
        await home.is_quiet()
    assert systolics(readings) == [120, 130, 140]
    assert device.delivered == 3


async def test_field_11_the_subscription_comes_before_any_other_work(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await home.has(1)
        await home.is_quiet()
    first = work(device)[0]
    assert (first.uuid, first.of, first.payload) == (CCCD, MEASUREMENT, b"\x02\x00")


async def test_field_11_what_a_device_may_forget_is_in_the_durable_inbox(home: Home) -> None:
    """A confirmed record is gone from the device: its bytes must be on the disk by then."""
    device = cuff()
    await home.attach(device)
    kept_at_confirmation: list[int] = []
    count = device.on_event
    assert count is not None

    def confirmed(happening: Happening, at: object) -> None:
        if happening is Happening.CONFIRMED:
            kept_at_confirmation.append(home.inbox.depth)
        count(happening, at)  # type: ignore[arg-type]  # handed on as it came

    device.on_event = confirmed
    async with home.listening():
        for systolic in (120, 130, 140):
            device.measure(systolic, 80)
        await home.has(3)
        await home.is_quiet()
    assert len(kept_at_confirmation) == 3
    for nth, kept in enumerate(kept_at_confirmation, start=1):
        assert kept >= nth


async def test_field_12_a_full_memory_comes_in_one_session(home: Home) -> None:
    device = cuff(habits=Habits(wake_s=0.0, window_s=2.0, linger_s=0.1))
    await home.attach(device)
    for pulse in range(FULL_MEMORY):
        device.measure(120 + pulse % 60, 80, pulse)
    async with home.listening():
        readings = await home.has(FULL_MEMORY)
        await home.is_quiet()
    assert systolics(readings) == [120 + pulse % 60 for pulse in range(FULL_MEMORY)]
    assert home.connections == [device.device_id]


async def test_field_12_a_device_that_pauses_between_records_is_waited_for(home: Home) -> None:
    device = cuff(habits=Habits(wake_s=0.0, window_s=2.0, pause_s=0.6, linger_s=0.1))
    await home.attach(device)
    for systolic in (120, 130, 140):
        device.measure(systolic, 80)
    async with home.listening():
        readings = await home.has(3)
    assert systolics(readings) == [120, 130, 140]
    assert home.connections == [device.device_id]


async def test_field_12_a_device_that_never_hangs_up_is_left_when_it_is_done(home: Home) -> None:
    device = cuff(habits=Habits(wake_s=0.0, window_s=2.0, linger_s=60.0))
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        await home.has(1)
        async with asyncio.timeout(5):
            await home.is_quiet()
    assert home.inbox.depth == 0


async def test_field_13_history_sent_again_and_again_is_one_reading_each(home: Home) -> None:
    device = cuff(repeats_history=True)
    await home.attach(device)
    async with home.listening():
        device.measure(120, 80, 60)
        (first,) = await home.has(1)
        await home.is_quiet()
        home.outbox.settle(stored=[first.reading_id], refused={})  # care has it
        device.measure(130, 80, 61)
        await home.has(1)
        await home.is_quiet()
        device.measure(140, 80, 62)
        readings = await home.has(2)
        await home.is_quiet()
    assert systolics(readings) == [130, 140]
