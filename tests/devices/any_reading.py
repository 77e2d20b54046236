"""Any reading the wire format can say, for hypothesis."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from devices.reading import ClockVerdict, Outcome, Reading, Value

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
DEVICES = st.text("09AZaz:._-", min_size=1, max_size=64)
LABELS = st.text("!-~[]aZ0", min_size=1, max_size=64)
CODES = st.text(min_size=1, max_size=64)
PROBLEMS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
# Without -0.0, which JSON has, but which no comparison tells from 0.
NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)


def _without_space(code: str) -> str:
    return code.replace(" ", "_")


VALUES = st.builds(
    Value,
    quantity=st.sampled_from(["systolic", "body_weight"]) | CODES.map(_without_space),
    value=NUMBERS,
    unit=st.sampled_from(["mm[Hg]", "kg"]) | CODES,
    original_value=st.none() | NUMBERS,
    original_unit=st.none() | LABELS,
)
READINGS = st.builds(
    Reading,
    reading_id=st.uuids(),
    device_id=st.just("C4:00:00:00:00:01") | DEVICES,
    source=st.just("2a35") | LABELS,
    payload=st.binary(max_size=40).map(bytes.hex),
    outcome=st.sampled_from(Outcome),
    measured_at=MOMENTS,
    received_at=MOMENTS,
    clock=st.sampled_from(ClockVerdict),
    slot=st.none() | st.integers(0, 255),
    device_time=st.none() | st.datetimes(),
    clock_offset_s=st.none() | st.floats(-3.2e11, 3.2e11).map(lambda number: number + 0.0),
    values=st.lists(VALUES, max_size=3).map(tuple),
    status=st.integers(0, 0xFFFF),
    problem=st.none() | PROBLEMS,
    battery_percent=st.none() | st.integers(0, 100),
)
SOME_READINGS = st.lists(READINGS, min_size=1, max_size=4)
