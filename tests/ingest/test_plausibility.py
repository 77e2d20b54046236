"""Plausibility: equal to a slow, obvious reference row by row."""

from datetime import timedelta
from uuid import UUID

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value
from ingest.batch import microseconds
from ingest.history import History
from tests.ingest.county import NOW, pressure, weight
from tests.ingest.plausibility_reference import reference, seen, verdict_of

Q = Quantity


_CLOSE = [0.0, 4.0, 5.0, 14.0, 15.0, 19.9, 20.0, 30.0, 39.0, 40.0, 41.0, 69.0, 70.0, 80.0, 85.0]
_FAR = [100.0, 120.0, 150.0, 180.0, 200.0, 205.0, 250.0, 251.0, 300.0, 300.1, 350.0, 2047.0]
_VALUE = st.builds(
    Value,
    quantity=st.sampled_from([*(q.value for q in Q), "mood"]),
    value=st.sampled_from([*_CLOSE, *_FAR, 50_000.0, 100_001.0, -1.0]),
    unit=st.just("1"),
)


def _with_unit(value: Value, wrong: bool) -> Value:
    unit = Q(value.quantity).facts.unit if value.quantity in list(Q) else "1"
    return Value(quantity=value.quantity, value=value.value, unit="[lb_av]" if wrong else unit)


@st.composite
def _readings(draw: st.DrawFn) -> Reading:
    values = tuple(
        _with_unit(value, wrong=draw(st.integers(0, 9)) == 0)
        for value in draw(st.lists(_VALUE, max_size=5))
    )
    return Reading(
        reading_id=UUID(int=draw(st.integers(1, 2**128 - 1))),
        device_id=draw(st.sampled_from(["A", "B"])),
        source="2a35",
        payload="00",
        outcome=draw(st.sampled_from([Outcome.MEASURED, Outcome.MEASURED, *Outcome])),
        measured_at=NOW
        + draw(
            st.sampled_from(
                [
                    timedelta(minutes=10),
                    timedelta(minutes=10, microseconds=1),
                    timedelta(),
                    -timedelta(minutes=59),
                    -timedelta(hours=1),
                    -timedelta(days=1),
                    -timedelta(days=13, hours=23),
                    -timedelta(days=14),
                    -timedelta(days=14, microseconds=1),
                ]
            )
        ),
        received_at=NOW,
        clock=draw(st.sampled_from(list(ClockVerdict))),
        clock_offset_s=draw(st.sampled_from([None, 0.0, 300.0, -300.5, 301.0])),
        status=draw(st.sampled_from([0, 0, 1, 2, 4, 32, 63])),
        values=values,
    )


def _distinct(readings: list[Reading]) -> list[Reading]:
    return list({one.reading_id: one for one in readings}.values())


@given(
    readings=st.lists(_readings(), min_size=1, max_size=12).map(_distinct),
    patients=st.lists(st.integers(1, 2), min_size=12, max_size=12),
)
def test_every_reading_is_judged_as_the_slow_reference_judges_it(
    readings: list[Reading], patients: list[int]
) -> None:
    patients = patients[: len(readings)]
    expected = reference(readings, patients)
    assert seen(readings, verdict_of(readings, patients)) == expected


_WEIGHTS = st.builds(
    weight,
    st.sampled_from([70.0, 72.0, 75.0, 75.1, 80.0, 80.2, 90.0]),
    measured_at=st.integers(0, 20).map(lambda days: NOW - timedelta(days=days)),
    status=st.sampled_from([0, 0, 0, 2]),
)


@given(readings=st.lists(_WEIGHTS, min_size=1, max_size=15))
def test_weights_are_held_against_their_own_median_as_the_reference_does(
    readings: list[Reading],
) -> None:
    patients = [1 + n % 2 for n in range(len(readings))]
    assert seen(readings, verdict_of(readings, patients)) == reference(readings, patients)


@given(
    minutes=st.lists(st.integers(0, 130), min_size=1, max_size=60),
    split=st.integers(0, 60),
    again=st.booleans(),
)
def test_readings_in_the_hour_count_alike_stored_or_in_the_batch(
    minutes: list[int], split: int, again: bool
) -> None:
    """The rate does not depend on where a batch ended, and a repeat counts once."""
    readings = [pressure(120, 80, measured_at=NOW - timedelta(minutes=m)) for m in minutes]
    before, now = readings[:split], readings[split:]
    if not now:
        return
    stored = before + (now if again else [])
    past = History(
        rate_group=np.zeros(len(stored), np.int64),
        rate_measured_at=microseconds([one.measured_at for one in stored]),
        rate_reading_id=np.array([one.reading_id.bytes for one in stored], "S16"),
        weight_patient=np.empty(0, np.int64),
        weight_measured_at=np.empty(0, np.int64),
        weight_kg=np.empty(0),
        weight_reading_id=np.empty(0, "S16"),
    )
    whole = seen(readings, verdict_of(readings))[split:]
    assert seen(now, verdict_of(now, stored=past)) == whole
