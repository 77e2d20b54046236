"""Plausibility: equal to a slow, obvious reference row by row; and the cases that matter, named."""

import math
import statistics
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.quantity import Panel, Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Status, Value
from ingest import history
from ingest.batch import microseconds
from ingest.history import History
from ingest.plausibility import Suspicion, Verdict, judge, refuse_readings
from ingest.quarantine import Reason, reason_of
from tests.ingest.county import NOW, batch_of, pressure, reading, weight

Q = Quantity


@dataclass
class Expected:
    reason: Reason | None = None
    suspicion: Suspicion = Suspicion.NONE
    samples: list[tuple[Reason | None, Suspicion]] = field(default_factory=list)


def _judge(
    readings: list[Reading], patients: list[int] | None = None, stored: History | None = None
) -> Verdict:
    batch = batch_of(readings)
    patient = np.array(patients or [1] * len(readings), np.int64)
    return judge(batch, refuse_readings(batch), patient, stored or history.nothing())


def _seen(readings: list[Reading], verdict: Verdict) -> list[Expected]:
    """Return the verdict in the reference's terms."""
    samples = iter(zip(verdict.sample_reason, verdict.sample_suspicion, strict=True))
    seen = []
    for row, one in enumerate(readings):
        mine = [next(samples) for _ in one.values]
        seen.append(
            Expected(
                _reason(verdict.reason[row]),
                Suspicion(int(verdict.suspicion[row])),
                [(_reason(code), Suspicion(int(bits))) for code, bits in mine],
            )
        )
    return seen


def _reason(code: np.int8) -> Reason | None:
    return reason_of(int(code)) if code else None


# The reference: one reading at a time, in plain words.


def _reference(readings: list[Reading], patients: list[int]) -> list[Expected]:
    expected = []
    refused_early = [_refused_early(one) for one in readings]
    for number, one in enumerate(readings):
        early = refused_early[number]
        in_hour = 0
        if early is None:
            in_hour = sum(
                other.device_id == one.device_id
                and patients[place] == patients[number]
                and refused_early[place] is None
                and one.measured_at - timedelta(hours=1) < other.measured_at <= one.measured_at
                for place, other in enumerate(readings)
            )
        expected.append(_reference_of(one, early, in_hour))
    _reference_medians(readings, patients, expected)
    for result in expected:
        for reason, bits in result.samples:
            if reason is None and result.reason is None:
                result.suspicion |= bits
    return expected


def _refused_early(one: Reading) -> Reason | None:
    names = [value.quantity for value in one.values if value.quantity in list(Q)]
    if (one.outcome is Outcome.MEASURED) != bool(one.values) or len(set(names)) < len(names):
        return Reason.MALFORMED_READING
    if one.outcome is Outcome.UNREADABLE:
        return Reason.UNREADABLE
    if one.clock is ClockVerdict.UNKNOWN:
        return Reason.TIME_UNKNOWN
    if one.measured_at > NOW + timedelta(minutes=10):
        return Reason.IN_FUTURE
    return None


def _reference_of(one: Reading, early: Reason | None, in_hour: int) -> Expected:
    result = Expected(Reason.TOO_FREQUENT if early is None and in_hour > 30 else early)
    if one.clock in (ClockVerdict.CORRECTED, ClockVerdict.IMPLAUSIBLE) or (
        one.clock_offset_s is not None and abs(one.clock_offset_s) > 300
    ):
        result.suspicion |= Suspicion.CLOCK_OFF
    if in_hour > 6:
        result.suspicion |= Suspicion.FREQUENT
    for status, bit in (
        (Status.CUFF_LOOSE, Suspicion.CUFF_LOOSE),
        (Status.BODY_MOVEMENT, Suspicion.BODY_MOVEMENT),
        (Status.IMPROPER_POSITION, Suspicion.IMPROPER_POSITION),
    ):
        if one.status & status:
            result.suspicion |= bit
    result.samples = [(r, b | result.suspicion) for r, b in _reference_values(one)]
    if (
        result.reason is None
        and one.outcome is Outcome.MEASURED
        and all(reason for reason, _ in result.samples)
    ):
        result.reason = result.samples[0][0]
    return result


def _reference_values(one: Reading) -> list[tuple[Reason | None, Suspicion]]:
    known = {
        Q(v.quantity): v.value
        for v in one.values
        if v.quantity in list(Q) and v.unit == Q(v.quantity).facts.unit
    }
    gap = known.get(Q.SYSTOLIC, math.nan) - known.get(Q.DIASTOLIC, math.nan)
    mean = known.get(Q.MEAN_ARTERIAL, math.nan)
    outside = mean < known.get(Q.DIASTOLIC, math.nan) or mean > known.get(Q.SYSTOLIC, math.nan)
    results: list[tuple[Reason | None, Suspicion]] = []
    panels: list[Panel | None] = []
    for value in one.values:
        if value.quantity not in list(Q):
            results.append((Reason.UNKNOWN_QUANTITY, Suspicion.NONE))
            panels.append(None)
            continue
        facts = Q(value.quantity).facts
        panels.append(facts.panel)
        bits = Suspicion.NONE
        reason: Reason | None = None
        if not facts.soft_low <= value.value <= facts.soft_high:
            bits |= Suspicion.BEYOND_SOFT_BOUND
        if facts.panel is Panel.BLOOD_PRESSURE:
            if gap < 15 or gap > 120:
                bits |= Suspicion.PULSE_PRESSURE
            if outside:
                bits |= Suspicion.MEAN_NOT_BETWEEN
        pair = value.quantity in (Q.SYSTOLIC, Q.DIASTOLIC)
        if not facts.hard_low <= value.value <= facts.hard_high or (pair and gap < 5):
            reason = Reason.IMPLAUSIBLE
        if value.unit != facts.unit:
            reason = Reason.UNKNOWN_UNIT
        results.append((reason, bits))
    return _spoil(results, panels)


def _spoil(
    results: list[tuple[Reason | None, Suspicion]], panels: list[Panel | None]
) -> list[tuple[Reason | None, Suspicion]]:
    """A refused value takes the rest of its panel along, for the first one's reason."""
    spoilt: dict[Panel, Reason] = {}
    for (reason, _), panel in zip(results, panels, strict=True):
        if reason and panel:
            spoilt.setdefault(panel, reason)
    return [
        (reason or (spoilt.get(panel) if panel else None), bits)
        for (reason, bits), panel in zip(results, panels, strict=True)
    ]


def _reference_medians(
    readings: list[Reading], patients: list[int], expected: list[Expected]
) -> None:
    weights = [
        (patients[place], one.measured_at, value.value, place, number)
        for place, one in enumerate(readings)
        for number, value in enumerate(one.values)
        if value.quantity == Q.BODY_WEIGHT
        and expected[place].reason is None
        and expected[place].samples[number][0] is None
    ]
    counting = [w for w in weights if not expected[w[3]].samples[w[4]][1]]
    off = []
    for patient, at, kg, place, number in weights:
        before = [
            w[2] for w in counting if w[0] == patient and at - timedelta(days=14) <= w[1] < at
        ]
        if len(before) >= 3 and abs(kg - statistics.median(before)) > 5:
            off.append((place, number))
    for place, number in off:
        reason, bits = expected[place].samples[number]
        expected[place].samples[number] = (reason, bits | Suspicion.WEIGHT_OFF_MEDIAN)


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
        reading_id=UUID(int=draw(st.integers(0, 2**128 - 1))),
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
    expected = _reference(readings, patients)
    assert _seen(readings, _judge(readings, patients)) == expected


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
    assert _seen(readings, _judge(readings, patients)) == _reference(readings, patients)


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
    whole = _seen(readings, _judge(readings))[split:]
    assert _seen(now, _judge(now, stored=past)) == whole


# By name.


def _one(one: Reading) -> Expected:
    return _seen([one], _judge([one]))[0]


@pytest.mark.parametrize("value", [2047.0, 2046.0, 2050.0, -2048.0])
def test_a_failed_reading_read_naively_is_never_a_value(value: float) -> None:
    for one in (pressure(value, 80), pressure(value, value), pressure(120, value)):
        assert _one(one).reason is Reason.IMPLAUSIBLE


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_a_value(value: float) -> None:
    batch = batch_of([pressure(120, 80)])
    batch.samples.value[0] = value
    verdict = judge(batch, refuse_readings(batch), np.array([1]), history.nothing())
    assert _reason(verdict.reason[0]) is Reason.NOT_A_NUMBER


@pytest.mark.parametrize(
    ("systolic", "diastolic", "reason", "suspicion"),
    [
        (40, 20, None, Suspicion.BEYOND_SOFT_BOUND),
        (39.9, 20, Reason.IMPLAUSIBLE, None),
        (300, 180, None, Suspicion.BEYOND_SOFT_BOUND),
        (300.1, 200, Reason.IMPLAUSIBLE, None),
        (80, 80, Reason.IMPLAUSIBLE, None),
        (80, 90, Reason.IMPLAUSIBLE, None),
        (84.9, 80, Reason.IMPLAUSIBLE, None),
        (85, 80, None, Suspicion.PULSE_PRESSURE),
        (94.9, 80, None, Suspicion.PULSE_PRESSURE),
        (95, 80, None, Suspicion.NONE),
        (200, 80, None, Suspicion.NONE),
        (200.1, 80, None, Suspicion.PULSE_PRESSURE),
    ],
)
def test_pressures_have_their_bounds(
    systolic: float, diastolic: float, reason: Reason | None, suspicion: Suspicion | None
) -> None:
    judged = _one(pressure(systolic, diastolic))
    assert judged.reason is reason
    if suspicion is not None:
        assert judged.suspicion == suspicion


def test_a_mean_outside_the_pair_is_suspect() -> None:
    mean = {Q.SYSTOLIC: 120.0, Q.DIASTOLIC: 80.0, Q.MEAN_ARTERIAL: 125.0}
    assert _one(reading(mean)).suspicion == Suspicion.MEAN_NOT_BETWEEN


def test_a_refused_value_takes_its_panel_along_and_no_other() -> None:
    judged = _one(reading({Q.SYSTOLIC: 2047.0, Q.DIASTOLIC: 80.0, Q.PULSE: 70.0}))
    assert [reason for reason, _ in judged.samples] == [
        Reason.IMPLAUSIBLE,
        Reason.IMPLAUSIBLE,
        None,
    ]
    assert judged.reason is None  # the pulse is stored


def test_a_weight_stays_when_the_body_fat_is_none() -> None:
    judged = _one(reading({Q.BODY_WEIGHT: 86.5, Q.BODY_FAT: 0.0}))
    assert [reason for reason, _ in judged.samples] == [None, Reason.IMPLAUSIBLE]


def test_the_seventh_reading_of_an_hour_is_suspect_and_the_thirty_first_refused() -> None:
    readings = [pressure(120, 80, measured_at=NOW - timedelta(minutes=40 - n)) for n in range(31)]
    judged = _seen(readings, _judge(readings))
    assert [one.suspicion for one in judged[:7]] == [Suspicion.NONE] * 6 + [Suspicion.FREQUENT]
    assert [one.reason for one in judged[29:]] == [None, Reason.TOO_FREQUENT]


def test_the_hour_is_open_at_its_beginning() -> None:
    """A reading every ten minutes is the usual six an hour, for ever."""
    readings = [pressure(120, 80, measured_at=NOW - timedelta(minutes=10 * n)) for n in range(20)]
    assert {one.suspicion for one in _seen(readings, _judge(readings))} == {Suspicion.NONE}


@pytest.mark.parametrize(
    ("oldest", "suspicion"),
    [
        (timedelta(days=14), Suspicion.WEIGHT_OFF_MEDIAN),
        (timedelta(days=14, microseconds=1), Suspicion.NONE),  # two are no median
    ],
)
def test_the_median_is_of_the_last_fourteen_days(oldest: timedelta, suspicion: Suspicion) -> None:
    ages = [oldest, timedelta(days=2), timedelta(days=1)]
    readings = [weight(80, measured_at=NOW - age) for age in ages] + [weight(86)]
    assert _seen(readings, _judge(readings))[-1].suspicion == suspicion


def test_a_true_change_of_weight_is_believed_once_it_is_the_rule() -> None:
    """The median follows; a patient is not doubted for ever."""
    readings = [
        weight(80 if day < 4 else 87, measured_at=NOW - timedelta(days=20 - day))
        for day in range(12)
    ]
    bits = [one.suspicion for one in _seen(readings, _judge(readings))]
    assert bits[4] == Suspicion.WEIGHT_OFF_MEDIAN
    assert bits[-1] == Suspicion.NONE


def test_one_reading_cannot_say_a_quantity_twice() -> None:
    value = Value(quantity="pulse", value=60.0, unit="/min")
    one = reading()
    twice = Reading(
        reading_id=uuid4(),
        device_id=one.device_id,
        source=one.source,
        payload=one.payload,
        outcome=one.outcome,
        measured_at=NOW,
        received_at=NOW,
        clock=ClockVerdict.OK,
        values=(value, value),
    )
    assert _one(twice).reason is Reason.MALFORMED_READING


def test_a_failed_measurement_is_kept_and_an_unreadable_one_is_not() -> None:
    assert _one(reading({}, outcome=Outcome.FAILED)).reason is None
    assert _one(reading({}, outcome=Outcome.UNREADABLE)).reason is Reason.UNREADABLE
