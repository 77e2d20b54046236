"""Plausibility: the cases that matter, named."""

import math
from datetime import timedelta
from uuid import uuid4

import msgspec
import numpy as np
import pytest

from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value
from ingest import history
from ingest.plausibility import Suspicion, judge, readings_per_hour, refuse_readings
from ingest.quarantine import Reason
from tests.ingest.county import NOW, batch_of, pressure, reading, weight
from tests.ingest.plausibility_reference import Expected, reason_named, seen, verdict_of

Q = Quantity


def _one(one: Reading) -> Expected:
    return seen([one], verdict_of([one]))[0]


@pytest.mark.parametrize("value", [2047.0, 2046.0, 2050.0, -2048.0])
def test_a_failed_reading_read_naively_is_never_a_value(value: float) -> None:
    for one in (pressure(value, 80), pressure(value, value), pressure(120, value)):
        assert _one(one).reason is Reason.IMPLAUSIBLE


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_a_value(value: float) -> None:
    batch = batch_of([pressure(120, 80)])
    batch.samples.value[0] = value
    verdict = judge(batch, refuse_readings(batch), np.array([1]), history.nothing())
    assert reason_named(verdict.reason[0]) is Reason.NOT_A_NUMBER


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


@pytest.mark.parametrize(
    ("mean", "suspicion"),
    [
        (120.1, Suspicion.MEAN_NOT_BETWEEN),
        (120.0, Suspicion.NONE),
        (80.0, Suspicion.NONE),
        (79.9, Suspicion.MEAN_NOT_BETWEEN),
    ],
)
def test_a_mean_outside_the_pair_is_suspect(mean: float, suspicion: Suspicion) -> None:
    values = {Q.SYSTOLIC: 120.0, Q.DIASTOLIC: 80.0, Q.MEAN_ARTERIAL: mean}
    assert _one(reading(values)).suspicion == suspicion


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
    judged = seen(readings, verdict_of(readings))
    assert [one.suspicion for one in judged[:7]] == [Suspicion.NONE] * 6 + [Suspicion.FREQUENT]
    assert [one.reason for one in judged[29:]] == [None, Reason.TOO_FREQUENT]


def test_the_hour_is_open_at_its_beginning() -> None:
    """A reading every ten minutes is the usual six an hour, for ever."""
    readings = [pressure(120, 80, measured_at=NOW - timedelta(minutes=10 * n)) for n in range(20)]
    assert {one.suspicion for one in seen(readings, verdict_of(readings))} == {Suspicion.NONE}


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
    assert seen(readings, verdict_of(readings))[-1].suspicion == suspicion


def test_a_true_change_of_weight_is_believed_once_it_is_the_rule() -> None:
    """The median follows; a patient is not doubted for ever."""
    readings = [
        weight(80 if day < 4 else 87, measured_at=NOW - timedelta(days=20 - day))
        for day in range(12)
    ]
    bits = [one.suspicion for one in seen(readings, verdict_of(readings))]
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


def test_two_quantities_that_nobody_knows_are_not_one_said_twice() -> None:
    mood = Value(quantity="mood", value=1.0, unit="1")
    odd = msgspec.structs.replace(pressure(120, 80), values=(mood, mood))
    for readings in ([odd], [pressure(120, 80), odd]):
        judged = seen(readings, verdict_of(readings))[-1]
        assert judged.reason is Reason.UNKNOWN_QUANTITY


@pytest.mark.parametrize(
    ("kg", "ago", "suspicion"),
    [
        (85.0, timedelta(days=1), Suspicion.NONE),  # just so far is not further
        (85.1, timedelta(days=1), Suspicion.WEIGHT_OFF_MEDIAN),
        (75.0, timedelta(days=1), Suspicion.NONE),
        (74.9, timedelta(days=1), Suspicion.WEIGHT_OFF_MEDIAN),
        (86.0, timedelta(microseconds=1), Suspicion.WEIGHT_OFF_MEDIAN),
        (86.0, timedelta(), Suspicion.NONE),  # of the same moment, they are not before it
    ],
)
def test_a_weight_is_held_against_those_before_it(
    kg: float, ago: timedelta, suspicion: Suspicion
) -> None:
    readings = [*(weight(80.0, measured_at=NOW - ago) for _ in range(3)), weight(kg)]
    assert seen(readings, verdict_of(readings))[-1].suspicion == suspicion


def test_a_reading_that_is_not_counted_is_of_no_hour() -> None:
    batch = batch_of([pressure(120, 80), pressure(121, 80)])
    counted = np.array([True, False])
    counts = readings_per_hour(batch, counted, np.array([1, 1]), history.nothing())
    assert counts.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("before", "kg", "suspicion"),
    [
        ((70.0, 80.0, 81.0), 85.0, Suspicion.NONE),
        ((70.0, 80.0, 81.0), 85.1, Suspicion.WEIGHT_OFF_MEDIAN),
        ((70.0, 80.0, 82.0, 90.0), 86.0, Suspicion.NONE),  # half way between the middle two
        ((70.0, 80.0, 82.0, 90.0), 86.1, Suspicion.WEIGHT_OFF_MEDIAN),
    ],
)
def test_the_median_is_the_middle_or_half_way(
    before: tuple[float, ...], kg: float, suspicion: Suspicion
) -> None:
    stored = [weight(one, measured_at=NOW - timedelta(days=1)) for one in before]
    readings = [*stored, weight(kg)]
    assert seen(readings, verdict_of(readings))[-1].suspicion == suspicion
