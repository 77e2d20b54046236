"""What holds for every driver, whatever comes in whatever order."""

from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import wire
from devices.drivers import (
    DriverKind,
    Notes,
    RawValue,
    Read,
    SetClock,
    Subscribe,
    Write,
    driver_for,
    driver_named,
    driver_names,
)
from devices.gatt import uuids
from devices.models import Advertisement, models
from devices.reading import Reading
from tests.devices.conversation import REQUESTS_MAX
from tests.devices.golden import rows
from tests.devices.sessions import (
    ALL_READS,
    BATTERY,
    COMPOSITION,
    CUFF,
    CURRENT_TIME,
    DATE_TIME,
    DEVICE,
    MI_V1,
    MI_V2,
    NOW,
    STEPS,
    STOCKHOLM,
    WEIGHT,
    run,
)

PAYLOADS: Final = {
    CUFF: "blood_pressure",
    WEIGHT: "weight",
    COMPOSITION: "body_composition",
    MI_V1: "mi_scale_v1",
    MI_V2: "mi_scale_v2",
    STEPS: "infinitime_steps",
    CURRENT_TIME: "current_time",
    DATE_TIME: "date_time",
    BATTERY: "battery",
    uuids.USER_CONTROL_POINT: "user_control_response",
    uuids.FIRMWARE_REVISION: "device_information",
}
SEEN: Final = [
    (source, bytes.fromhex(row["hex"]))
    for source, codec in PAYLOADS.items()
    for kind in ("vector", "refused")
    for row in rows(codec, kind)
]


@st.composite
def sessions(draw: st.DrawFn) -> list[RawValue]:
    """Return what came in a session: values as seen, or any bytes, in any order and repeated."""
    came = st.sampled_from(SEEN) | st.tuples(
        st.sampled_from(list(PAYLOADS)), st.binary(max_size=20)
    )
    values = draw(st.lists(came, max_size=12))
    gaps = draw(st.lists(st.integers(0, 60), min_size=len(values), max_size=len(values)))
    return [
        RawValue(source, payload, NOW + timedelta(seconds=sum(gaps[: place + 1])))
        for place, (source, payload) in enumerate(values)
    ]


@pytest.mark.parametrize("name", driver_names())
@given(values=sessions())
def test_same_values_give_the_same_readings_each_known_by_one_id(
    name: str, values: list[RawValue]
) -> None:
    live = run(name, *values, unanswered=ALL_READS)
    replayed = run(name, *values)
    assert sorted(live, key=str) == sorted(replayed, key=str)
    assert len({reading.reading_id for reading in live}) == len(live)
    for reading in live:
        assert wire.decode_reading(wire.encode_reading(reading)) == reading
        assert reading.measured_at <= reading.received_at + timedelta(minutes=10)


@pytest.mark.parametrize("name", driver_names())
@given(values=sessions())
def test_what_is_sent_twice_in_a_session_is_told_once(name: str, values: list[RawValue]) -> None:
    def steady(session: list[RawValue]) -> list[str]:
        readings = run(name, *session)
        return sorted(str(reading.reading_id) for reading in readings)

    if name == "infinitime":  # a running total: telling it again may be news
        return
    later = values[-1].received_at if values else NOW
    again = [RawValue(value.source, value.payload, later) for value in values]
    assert steady([*values, *again]) == steady(values)


ASKED: Final = [
    ask(source)
    for source in PAYLOADS
    for ask in (Read, Subscribe, SetClock, lambda source: Write(source, b"\x01\0\0"))
]
EVENTS: Final = st.lists(
    st.sampled_from(ASKED)
    | st.sampled_from(SEEN)
    | st.tuples(st.sampled_from(list(PAYLOADS)), st.binary(max_size=24))
    | st.none(),
    max_size=30,
)
MEMORY: Final = st.dictionaries(
    st.sampled_from(["user_slot", "user_code", "user_registrations", "x"]), st.text(max_size=8)
)


def of_model(name: str) -> DriverKind:
    found = driver_for(Advertisement(DEVICE), STOCKHOLM, name)
    assert found is not None
    return found


@pytest.mark.parametrize("model", [model.name for model in models()])
@given(events=EVENTS, memory=MEMORY)
def test_driver_takes_anything_in_any_order(
    model: str, events: list[Any], memory: dict[str, str]
) -> None:
    """Values and refusals, asked for or not, before, while and after it is asked."""
    session = of_model(model).new(DEVICE, memory)
    readings: list[Reading] = []
    requests = list(session.connected())
    for event in events:
        if event is None:
            requests += session.asks()
        elif isinstance(event, tuple):
            source, payload = event
            readings += session.received(RawValue(source, payload, NOW))
        else:
            readings += session.unanswered(event)
        assert wire_can_tell(session.notes)
    readings += session.finished()
    assert len({reading.reading_id for reading in readings}) == len(readings)
    assert len(requests) <= REQUESTS_MAX


def wire_can_tell(notes: Notes) -> bool:
    status = wire.GatewayStatus(
        v=1,
        gateway="g",
        state=wire.GatewayState.ONLINE,
        devices=(
            wire.DeviceStatus(
                device_id=DEVICE,
                battery_percent=notes.battery_percent,
                firmware=notes.firmware or "",
                model=notes.model_number or "",
                clock_offset_s=notes.clock_offset_s,
                clock_set=notes.clock_set,
            ),
        ),
    )
    return wire.decode_status(wire.encode_status(status)) == status


@pytest.mark.parametrize("model", [model.name for model in models()])
@given(values=sessions(), memory=MEMORY)
def test_replay_needs_neither_model_nor_memory(
    model: str, values: list[RawValue], memory: dict[str, str]
) -> None:
    """The inbox keeps the driver's name and the values that came, and nothing else."""
    kind = of_model(model)
    live = kind.new(DEVICE, memory)
    asked = {request.characteristic for request in live.connected()}
    came = [value for value in values if value.source in asked or not kind.connects]
    readings = [reading for value in came for reading in live.received(value)]
    readings += [reading for read in ALL_READS for reading in live.unanswered(read)]
    readings += live.finished()
    replayed = driver_named(kind.name, STOCKHOLM).new(DEVICE)
    replayed.connected()
    again = [reading for value in came for reading in replayed.received(value)]
    again += replayed.finished()
    assert sorted(map(str, readings)) == sorted(map(str, again))
