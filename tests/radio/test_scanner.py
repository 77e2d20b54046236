from gateway.radio import Radio
from simulator.devices.cuff import Cuff
from simulator.devices.mi_scale import Frame, MiScale
from simulator.devices.recording import Habits
from simulator.devices.step_counter import StepCounter
from simulator.radio import VirtualRadio
from tests.radio.ear import Ear

BLOOD_PRESSURE = "00001810-0000-1000-8000-00805f9b34fb"
WEIGHT_SCALE = "0000181d-0000-1000-8000-00805f9b34fb"
BODY_COMPOSITION = "0000181b-0000-1000-8000-00805f9b34fb"
NOW = Habits(wake_s=0)


async def test_first_detection_has_name_and_service(room: VirtualRadio, ear: Ear) -> None:
    cuff = Cuff("BP-1", habits=NOW)
    await room.attach(cuff)
    cuff.measure(120, 80)
    await ear.device(cuff.device_id)
    device, advertisement = ear.heard[0]
    assert (device.address, device.name) == (cuff.device_id, "BP-1")
    assert advertisement.local_name == "BP-1"
    assert advertisement.service_uuids == [BLOOD_PRESSURE]


async def test_repeated_advertisements_are_all_reported(room: VirtualRadio, ear: Ear) -> None:
    watch = StepCounter(interval_ms=20)
    await room.attach(watch)
    await ear.until(lambda heard: len(heard) >= 5)
    assert {advertisement.local_name for advertisement in ear.of(watch.device_id)} == {"InfiniTime"}


async def test_a_cuff_nobody_used_is_not_on_the_air(room: VirtualRadio, ear: Ear) -> None:
    cuff, watch = Cuff("BP-1", habits=NOW), StepCounter(interval_ms=20)
    await room.attach(cuff)
    await room.attach(watch)
    await ear.until(lambda heard: len(heard) >= 10)
    assert ear.of(cuff.device_id) == []


async def test_mi_scale_frames_arrive_in_order_and_unchanged(room: VirtualRadio, ear: Ear) -> None:
    shown = [bytes.fromhex("029e43e507040b101301"), bytes.fromhex("229e43e507040b101301")]
    scale = MiScale(1)
    await room.attach(scale)
    scale.show([Frame(payload, 0.25) for payload in shown])
    await scale.drained()
    heard = [advertisement.service_data[WEIGHT_SCALE] for advertisement in ear.of(scale.device_id)]
    assert list(dict.fromkeys(heard)) == shown
    assert {a.local_name for a in ear.of(scale.device_id)} == {"MI_SCALE"}


async def test_mi_body_scale_tells_weight_then_impedance(room: VirtualRadio, ear: Ear) -> None:
    scale = MiScale(2, hold_s=0.25)
    await room.attach(scale)
    counted = scale.measure(70.15, impedance_ohm=512)
    await scale.drained()
    heard = [a.service_data[BODY_COMPOSITION] for a in ear.of(scale.device_id)]
    kinds = [payload[1] & 0b1010_0010 for payload in dict.fromkeys(heard)]
    assert kinds == [0, 0, 0x20, 0x22, 0xA2]  # unsettled twice, settled, impedance, stepped off
    assert counted in heard
    assert scale.delivered == 1


async def test_a_scanner_can_be_stopped_and_started(room: VirtualRadio, radio: Radio) -> None:
    await room.attach(StepCounter(interval_ms=20))
    first, second = Ear(), Ear()
    async with radio.scanner(first):
        await first.until(bool)
    heard = len(first.heard)
    async with radio.scanner(second):
        await second.until(bool)
    assert len(first.heard) == heard
