"""What is wrong with what devices say: clocks, failures, vendors' frames, users (14 to 18)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devices.gatt import uuids
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome
from gateway.agenda import CLOCK_QUIET_S
from gateway.event import GatewayEvent
from simulator.devices.clock import DeviceClock
from simulator.devices.consent import ConsentScale, Unknown
from simulator.devices.cuff import Cuff
from simulator.devices.peripheral import Happening
from simulator.devices.quirks import ClockHabit, Quirks
from simulator.devices.scale import Scale
from tests.gateway.field.field import BRISK, cuff, systolics, told_of, value, work
from tests.gateway.home import ZONE, Home

CLOCKS = (uuids.short(uuids.CURRENT_TIME), uuids.short(uuids.DATE_TIME))
PAUSING = replace(BRISK, pause_s=CLOCK_QUIET_S + 0.3)  # long enough for its clock to be set
# What a shop cuff indicated when it could not measure (blood-pressure-monitor-fl#80).
ALL_NAN = bytes.fromhex("16ff07ff07ff07e80706170e230aff070000")

# From a Beurer BM85, pulse and status with swapped bytes (blood-pressure-monitor-fl#735).
BEURER = bytes.fromhex("566a0047000000ea07080b121f00003f000000")


def _year(year: int) -> timedelta:
    """Return how far a clock is off that was set to the same day of another year."""
    now = datetime.now(UTC)
    return now.replace(year=year, month=1, day=1) - now


@pytest.mark.parametrize(
    "offset",
    [
        pytest.param(_year(1970), id="1970"),
        pytest.param(_year(2021), id="2021"),
        pytest.param(_year(2094), id="2094"),
        pytest.param(-(datetime.now(ZONE).utcoffset() or timedelta()), id="utc_for_local"),
        pytest.param(timedelta(minutes=-16), id="16_minutes_slow"),
    ],
)
async def test_field_14_a_wrong_clock_is_corrected_and_nothing_is_dropped(
    home: Home, offset: timedelta
) -> None:
    measured_at = datetime.now(UTC) - timedelta(hours=3)
    now = measured_at
    clock = DeviceClock(offset=offset, now=lambda: now)
    device = Cuff("BP-1", habits=BRISK, clock=clock)
    device.measure(142, 88, 71)  # three hours ago, with nobody listening
    now = datetime.now(UTC)
    shown = clock.read()
    # The offset; and an hour beside it while summer time has just begun or ended.
    wrong_by = shown - now.astimezone(ZONE).replace(tzinfo=None)
    await home.attach(device)
    async with home.listening():
        (reading,) = await home.has(1)
        await home.is_quiet()
    assert abs(reading.measured_at - measured_at) < timedelta(seconds=30)
    assert reading.clock is ClockVerdict.CORRECTED
    assert reading.clock_offset_s == pytest.approx(wrong_by.total_seconds(), abs=30)
    assert reading.device_time is not None
    assert abs(reading.device_time - (shown - timedelta(hours=3))) < timedelta(seconds=5)
    assert datetime.now(UTC) - reading.received_at < timedelta(seconds=30)
    assert value(reading, Quantity.SYSTOLIC) == 142


@pytest.mark.parametrize("has_date_time_clock", [False, True])
async def test_field_15_the_clock_is_read_then_set_then_read_back(
    home: Home, *, has_date_time_clock: bool
) -> None:
    clock = DeviceClock(offset=timedelta(minutes=-16))
    quirks = Quirks(has_date_time_clock=has_date_time_clock)
    device = Cuff("BP-1", habits=PAUSING, clock=clock, quirks=quirks)
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        device.measure(143, 88)  # comes when the clock is right, and was stamped when it was not
        readings = await home.has(2)
        await home.is_quiet()
        assert told_of(home, device).clock_set is True
    assert abs(clock.read() - datetime.now(ZONE).replace(tzinfo=None)) < timedelta(seconds=3)
    for reading in readings:
        assert reading.clock_offset_s == pytest.approx(-16 * 60, abs=3)  # as it was before
    on_the_clock = [each.what for each in work(device) if each.uuid in CLOCKS]
    assert on_the_clock == ["READ_REQUEST", "WRITE_REQUEST", "READ_REQUEST"]
    assert work(device)[0].what == "WRITE_REQUEST"  # the subscription came first
    assert work(device)[0].uuid not in CLOCKS


@pytest.mark.parametrize("habit", [ClockHabit.REFUSES, ClockHabit.IGNORES])
async def test_field_15_a_clock_that_cannot_be_set_costs_no_reading(
    home: Home, habit: ClockHabit
) -> None:
    clock = DeviceClock(offset=timedelta(minutes=-16))
    device = Cuff("BP-1", habits=PAUSING, clock=clock, quirks=Quirks(clock=habit))
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88)
        device.measure(143, 88)  # comes after the clock was tried in vain
        readings = await home.has(2)
        await home.is_quiet()
        assert told_of(home, device).clock_set is False
    assert systolics(readings) == [142, 143]
    assert {each.clock for each in readings} == {ClockVerdict.CORRECTED}
    assert any(each.what == "WRITE_REQUEST" and each.uuid in CLOCKS for each in work(device))
    assert home.connections == [device.device_id]


async def test_field_15_a_clock_is_not_set_while_records_stamped_by_it_still_come(
    home: Home,
) -> None:
    """Else the link breaks, and what is left is placed by a clock that seems to be right."""
    measured_at = now = datetime.now(UTC) - timedelta(days=2)
    clock = DeviceClock(offset=_year(2021), now=lambda: now)
    device = Cuff("BP-1", habits=replace(BRISK, pause_s=0.15), clock=clock)
    for systolic in range(120, 128):
        device.measure(systolic, 80)
    now = datetime.now(UTC)
    await home.attach(device)
    count = device.on_event
    assert count is not None

    def confirmed(happening: Happening, at: datetime) -> None:
        count(happening, at)
        if home.confirmed == 4 and happening is Happening.CONFIRMED:
            device._has_enough.set()

    device.on_event = confirmed
    async with home.listening():
        readings = await home.has(8)
        await home.is_quiet()
    assert home.connections == [device.device_id] * 2
    assert [e for e in work(device) if e.what == "WRITE_REQUEST" and e.uuid in CLOCKS] == []
    assert systolics(readings) == [*range(120, 128)]
    for reading in readings:
        assert reading.clock is ClockVerdict.CORRECTED
        assert abs(reading.measured_at - measured_at) < timedelta(seconds=30)


async def test_field_16_a_failed_measurement_is_an_event_and_never_a_value(home: Home) -> None:
    device = cuff()
    await home.attach(device)
    async with home.listening():
        device.record(ALL_NAN)
        (reading,) = await home.has(1)
    assert reading.outcome is Outcome.FAILED
    assert reading.values == ()
    assert reading.problem
    assert home.events == [GatewayEvent.FAILED]  # somebody in the room can act on it
    assert reading.payload == ALL_NAN.hex()


async def test_field_17_a_vendors_frame_is_kept_raw_and_never_taken_for_a_value(
    home: Home,
) -> None:
    """By the profile these bytes are a pressure of next to nothing, and a pulse."""
    frame = bytes.fromhex("04 8081 8283 8485 8687")
    device = cuff("SBM69", prelude=(frame,))
    await home.attach(device)
    async with home.listening():
        device.measure(142, 88, 71)
        readings = await home.has(2)
    (kept,) = [each for each in readings if each.payload == frame.hex()]
    (measured,) = [each for each in readings if each is not kept]
    assert kept.outcome is Outcome.UNREADABLE
    assert kept.values == ()
    assert value(measured, Quantity.SYSTOLIC) == 142


async def test_field_17_a_makers_own_layout_is_read_as_the_maker_meant_it(home: Home) -> None:
    device = cuff("BM85")
    await home.attach(device)
    async with home.listening():
        device.record(BEURER)
        (reading,) = await home.has(1)
    assert [value(reading, each) for each in (Quantity.SYSTOLIC, Quantity.PULSE)] == [106, 63]
    assert reading.payload == BEURER.hex()


async def test_field_18_the_slot_is_the_devices_own_number(home: Home) -> None:
    scale = Scale("WS-1", habits=BRISK, clock=DeviceClock())
    await home.attach(scale)
    async with home.listening():
        scale.measure(81.5, user_id=2)
        scale.measure(64.0, user_id=0xFF)  # it does not know who
        readings = await home.has(2)
    assert [each.slot for each in readings] == [2, None]
    assert [value(each, Quantity.BODY_WEIGHT) for each in readings] == [81.5, 64.0]


async def test_field_18_a_scale_that_wants_consent_is_registered_with_once_and_remembered(
    home: Home,
) -> None:
    scale = ConsentScale("BF720", habits=BRISK, clock=DeviceClock())
    await home.attach(scale)
    async with home.listening():
        scale.measure(81.5, user_id=1)
        await home.has(1)
        await home.is_quiet()
    assert (scale.registered, len(scale.users)) == (1, 1)
    async with home.listening():  # the gateway was restarted: the code was kept
        scale.measure(81.0, user_id=1)
        readings = await home.has(2)
    assert [value(each, Quantity.BODY_WEIGHT) for each in readings] == [81.5, 81.0]
    assert {each.slot for each in readings} == {1}
    assert scale.registered == 1
    assert scale.consents >= 1


async def test_field_18_a_weighing_of_nobody_is_kept_without_a_slot(home: Home) -> None:
    scale = ConsentScale("BF500", habits=BRISK, clock=DeviceClock(), unknown=Unknown.NOBODY)
    scale.users = dict.fromkeys(range(1, 9), 1234)  # full, of people who keep their code
    await home.attach(scale)
    async with home.listening():
        scale.measure(81.5, user_id=3)
        (reading,) = await home.has(1)
    assert reading.slot is None
    assert value(reading, Quantity.BODY_WEIGHT) == 81.5
