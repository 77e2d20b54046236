import asyncio
from datetime import timedelta

import pytest
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from devices.gatt import uuids
from devices.gatt.date_time import CurrentTime
from gateway.radio import Radio, RadioConfig, open_radio
from simulator.devices.clock import DeviceClock
from simulator.devices.cuff import Cuff
from simulator.devices.peripheral import Happening
from simulator.devices.scale import BodyScale, Scale
from simulator.devices.step_counter import StepCounter
from simulator.radio import VirtualRadio
from tests.radio.central import CONNECT_S, QUICK, Central, connected, fetch
from tests.radio.ear import WAIT_S, Ear


async def test_services_and_properties_are_discovered(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    cuff = Cuff("BP-1", habits=QUICK, clock=DeviceClock())
    await room.attach(cuff)
    cuff.measure(120, 80)
    client = await connected(radio, ear, cuff.device_id, central)
    assert {
        uuids.BLOOD_PRESSURE_SERVICE,
        uuids.CURRENT_TIME_SERVICE,
        uuids.BATTERY_SERVICE,
        uuids.DEVICE_INFORMATION_SERVICE,
    } <= {service.uuid for service in client.services}
    properties = {
        characteristic.uuid: set(characteristic.properties)
        for characteristic in client.services.characteristics.values()
    }
    assert properties[uuids.BLOOD_PRESSURE_MEASUREMENT] == {"indicate"}
    assert properties[uuids.CURRENT_TIME] == {"read", "write"}
    assert await client.read_gatt_char(uuids.BLOOD_PRESSURE_FEATURE) == bytes.fromhex("0700")
    assert await client.read_gatt_char(uuids.BATTERY_LEVEL) == bytes([90])
    assert await client.read_gatt_char(uuids.MODEL_NUMBER) == b"BP-1"
    assert client.mtu_size == 517


async def test_stored_records_arrive_unchanged_and_in_order(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuff = Cuff("BP-1", habits=QUICK, clock=DeviceClock())
    made = [cuff.measure(150, 95, 70), cuff.fail(), cuff.measure(148, 92, 71)]
    await room.attach(cuff)
    assert await fetch(radio, ear, cuff) == made
    assert (cuff.produced, cuff.delivered, cuff.pending) == (3, 3, 0)


async def test_callback_has_run_before_the_device_is_told_so(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    happened: list[str] = []
    cuff.on_event = lambda happening, _at: happened.append(happening)
    cuff.measure(120, 80)
    await room.attach(cuff)
    client = await connected(radio, ear, cuff.device_id, central)
    await client.start_notify(
        uuids.BLOOD_PRESSURE_MEASUREMENT, lambda *_value: happened.append("stored")
    )
    await central.until_hung_up()
    told = happened.index(Happening.INDICATED)
    assert happened[told : told + 3] == ["indicated", "stored", "confirmed"]


async def test_a_record_that_could_not_be_stored_stays_in_the_device(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    made = cuff.measure(120, 80)
    await room.attach(cuff)
    client = await connected(radio, ear, cuff.device_id, central)
    tried = asyncio.Event()

    def disk_full(*_value: object) -> None:
        tried.set()
        raise OSError

    await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, disk_full)
    async with asyncio.timeout(WAIT_S):
        await tried.wait()
    await client.disconnect()
    assert cuff.delivered == 0
    assert await fetch(radio, ear, cuff) == [made]


async def test_clock_is_read_and_set(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    clock = DeviceClock(offset=timedelta(days=-2000))
    cuff = Cuff("BP-1", habits=QUICK, clock=clock)
    cuff.measure(120, 80)
    await room.attach(cuff)
    client = await connected(radio, ear, cuff.device_id, central)
    shown = CurrentTime.decode(bytes(await client.read_gatt_char(uuids.CURRENT_TIME))).local
    assert shown is not None
    right = shown + timedelta(days=2000)
    await client.write_gatt_char(uuids.CURRENT_TIME, CurrentTime(right).encode(), response=True)
    again = CurrentTime.decode(bytes(await client.read_gatt_char(uuids.CURRENT_TIME))).local
    assert again is not None
    assert timedelta(0) <= again - right < timedelta(seconds=WAIT_S)
    await client.disconnect()


async def test_body_scale_sends_on_both_characteristics(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    scale = BodyScale("WS-1", habits=QUICK)
    weight = scale.measure(86.55, fat_percent=24.5)
    await room.attach(scale)
    client = await connected(radio, ear, scale.device_id, central)
    await client.start_notify(uuids.WEIGHT_MEASUREMENT, central.take)
    await client.start_notify(uuids.BODY_COMPOSITION_MEASUREMENT, central.take)
    await central.until_hung_up()
    assert central.received == [weight, bytes.fromhex("0000f500")]
    assert weight == bytes.fromhex("009e43")


async def test_a_scale_that_failed_says_so(room: VirtualRadio, radio: Radio, ear: Ear) -> None:
    central, scale = Central(), Scale("WS-1", habits=QUICK)
    scale.fail()
    await room.attach(scale)
    client = await connected(radio, ear, scale.device_id, central)
    await client.start_notify(uuids.WEIGHT_MEASUREMENT, central.take)
    await central.until_hung_up()
    assert central.received == [bytes.fromhex("00ffff")]


async def test_step_counter_is_read_and_tells_new_steps(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    watch = StepCounter(interval_ms=20)
    watch.walk(1200)
    await room.attach(watch)
    client = await connected(radio, ear, watch.device_id, central)
    told = asyncio.Event()

    def take(characteristic: object, payload: bytearray) -> None:
        central.take(characteristic, payload)
        told.set()

    await client.start_notify(uuids.STEP_COUNT, take)
    assert await client.read_gatt_char(uuids.STEP_COUNT) == (1200).to_bytes(4, "little")
    watch.walk(34)
    async with asyncio.timeout(WAIT_S):
        await told.wait()
    assert central.received == [(1234).to_bytes(4, "little")]
    assert watch.pending == 0
    await client.disconnect()
    await ear.device(watch.device_id)  # on the air again


async def test_the_end_of_a_connection_is_told_once(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    cuff.measure(120, 80)
    await room.attach(cuff)
    client = await connected(radio, ear, cuff.device_id, central)
    assert client.is_connected
    await room.detach(cuff)
    await central.until_hung_up()
    assert not client.is_connected
    with pytest.raises(BleakError):
        await client.read_gatt_char(uuids.BATTERY_LEVEL)
    await client.disconnect()
    assert central.ends == 1


async def test_connecting_to_a_device_that_fell_silent_times_out_and_the_next_works(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    silent, cuff = Cuff("BP-1", habits=QUICK), Cuff("BP-2", habits=QUICK)
    silent.measure(120, 80)
    await room.attach(silent)
    device = await ear.device(silent.device_id)
    await room.detach(silent)
    with pytest.raises(TimeoutError):
        await radio.client(device, central.end, timeout_s=0.2).connect()
    made = cuff.measure(130, 85)
    await room.attach(cuff)
    assert await fetch(radio, ear, cuff) == [made]
    assert central.ends == 0


async def test_a_cancelled_attempt_leaves_the_adapter_free(
    room: VirtualRadio, radio: Radio, ear: Ear, central: Central
) -> None:
    silent, cuff = Cuff("BP-1", habits=QUICK), Cuff("BP-2", habits=QUICK)
    silent.measure(120, 80)
    await room.attach(silent)
    device = await ear.device(silent.device_id)
    await room.detach(silent)
    attempt = asyncio.create_task(radio.client(device, central.end, timeout_s=CONNECT_S).connect())
    made = cuff.measure(130, 85)
    await room.attach(cuff)
    waiting = await ear.device(cuff.device_id)  # by now the attempt is in the controller
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    assert waiting.address == cuff.device_id
    assert await fetch(radio, ear, cuff) == [made]


async def test_three_devices_are_connected_at_once(
    room: VirtualRadio, radio: Radio, ear: Ear
) -> None:
    cuffs = [Cuff(f"BP-{number}", habits=QUICK) for number in range(3)]
    made = [cuff.measure(120 + number, 80) for number, cuff in enumerate(cuffs)]
    for cuff in cuffs:
        await room.attach(cuff)
    centrals = [Central() for _ in cuffs]
    clients = [
        await connected(radio, ear, cuff.device_id, central)
        for cuff, central in zip(cuffs, centrals, strict=True)
    ]
    assert all(client.is_connected for client in clients)
    for client, central in zip(clients, centrals, strict=True):
        await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, central.take)
    for central in centrals:
        await central.until_hung_up()
    assert [central.received for central in centrals] == [[payload] for payload in made]


async def test_two_gateways_fetch_from_two_devices_at_the_same_time(
    room: VirtualRadio, plug: RadioConfig, radio: Radio, ear: Ear
) -> None:
    near, far = Cuff("BP-1", habits=QUICK), Cuff("BP-2", habits=QUICK)
    made = [near.measure(120, 80), far.measure(130, 85)]
    await room.attach(near)
    await room.attach(far)
    async with open_radio(plug) as other:
        other_ear = Ear()
        async with other.scanner(other_ear):
            assert room.hosts == 2
            fetched = await asyncio.gather(fetch(radio, ear, near), fetch(other, other_ear, far))
    assert list(fetched) == [[made[0]], [made[1]]]


async def test_of_two_gateways_at_one_device_one_gets_it(
    room: VirtualRadio, plug: RadioConfig, radio: Radio, ear: Ear
) -> None:
    cuff = Cuff("BP-1", habits=QUICK)
    made = cuff.measure(120, 80)
    async with open_radio(plug) as other:
        other_ear = Ear()
        async with other.scanner(other_ear):
            await room.attach(cuff)
            device = await ear.device(cuff.device_id)
            other_device = await other_ear.device(cuff.device_id)
            results = await asyncio.gather(
                _try(radio, device, made), _try(other, other_device, made)
            )
    assert sorted(results) == ["fetched", "refused"]
    assert cuff.delivered == 1


async def _try(radio: Radio, device: BLEDevice, made: bytes) -> str:
    central = Central()
    client = radio.client(device, central.end, timeout_s=1.0)
    try:
        await client.connect()
        await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, central.take)
    except (BleakError, TimeoutError):
        return "refused"
    await central.until_hung_up()
    assert central.received == [made]
    return "fetched"
