"""What holds for every driver, whatever comes in whatever order."""

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import wire
from devices.drivers import RawValue, driver_names
from tests.devices.golden import rows
from tests.devices.sessions import (
    ALL_READS,
    BATTERY,
    COMPOSITION,
    CUFF,
    CURRENT_TIME,
    DATE_TIME,
    MI_V1,
    MI_V2,
    NOW,
    STEPS,
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
