"""Rolling means once a week and baselines once a day, at six in the morning."""

from datetime import datetime, timedelta

import pytest

from devices.quantity import Quantity
from ingest.clock import due, means
from ingest.rules.model import Baseline, RollingMean
from tests.ingest.clock.timeline import DAY, HOUR, Timeline, local

HIGH = RollingMean(quantity=Quantity.SYSTOLIC, high=135.0)
KEY = "rolling_mean:systolic:high:7d"
MONDAY = local(2026, 6, 1, 14)
SECOND = timedelta(seconds=1)


def _measure(
    timeline: Timeline, patient: int, from_day: datetime, days: int, value: float = 140.0
) -> None:
    """Morning and evening, so many days from a midnight on."""
    for day in range(days):
        for hour in (7, 19):
            at = (from_day + day * DAY + hour * HOUR).replace(minute=day)
            timeline.measure(patient, at, value)


def test_the_mean_is_looked_at_once_a_week_at_six(timeline: Timeline) -> None:
    patient = timeline.patient(MONDAY, HIGH)
    calm = timeline.patient(MONDAY, HIGH)
    _measure(timeline, patient, local(2026, 6, 1), 14)
    _measure(timeline, calm, local(2026, 6, 1), 14, 134.0)
    timeline.at(MONDAY, due.make, means.weekly)
    six = local(2026, 6, 8, 6)
    assert timeline.at(six - SECOND, means.weekly) == [0]
    assert timeline.at(six + SECOND, means.weekly, means.weekly) == [2, 0]
    assert timeline.breaches() == [(patient, KEY, six)]
    assert timeline.alerts() == [(patient, "trend:blood_pressure", 1)]
    assert timeline.county.count("breach_reading") == 12
    timeline.at(six + 7 * DAY + SECOND, means.weekly)
    assert timeline.breaches()[1:] == [(patient, KEY, six + 7 * DAY)]


@pytest.mark.parametrize(
    ("start", "six"),
    [
        (local(2026, 3, 22, 3), local(2026, 3, 29, 6)),
        (local(2026, 10, 18, 23), local(2026, 10, 25, 6)),
    ],
    ids=["spring", "autumn"],
)
def test_six_is_six_on_the_days_when_clocks_change(
    timeline: Timeline, start: datetime, six: datetime
) -> None:
    patient = timeline.patient(start, HIGH)
    _measure(timeline, patient, start - 12 * HOUR, 8)
    timeline.at(start + 12 * HOUR, due.make, means.weekly)
    timeline.at(six - SECOND, means.weekly)
    assert timeline.breaches() == []
    timeline.at(six, means.weekly)
    assert timeline.breaches() == [(patient, KEY, six)]


def test_a_clock_that_was_away_looks_at_the_newest_occasion_only(timeline: Timeline) -> None:
    patient = timeline.patient(MONDAY, HIGH)
    _measure(timeline, patient, local(2026, 6, 1), 28)
    timeline.at(MONDAY, due.make, means.weekly)
    back = local(2026, 6, 24, 11)
    assert timeline.at(back, due.make, means.weekly, means.weekly)[1:] == [1, 0]
    assert timeline.breaches() == [(patient, KEY, local(2026, 6, 22, 6))]
    assert timeline.county.one("select due_at from rule_due") == local(2026, 6, 29, 6)


def test_a_new_version_keeps_the_weekday_and_is_what_the_mean_is_held_against(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(MONDAY, HIGH)
    _measure(timeline, patient, local(2026, 6, 1), 14)
    timeline.at(MONDAY, due.make, means.weekly)
    milder = RollingMean(quantity=Quantity.SYSTOLIC, high=150.0)
    version = timeline.plan(patient, local(2026, 6, 4, 12), milder)
    timeline.at(local(2026, 6, 4, 12), due.make, means.weekly)
    timeline.at(local(2026, 6, 8, 6), due.make, means.weekly)
    assert timeline.breaches() == []
    assert timeline.county.rows("select plan_version_id, due_at from rule_due") == [
        (version, local(2026, 6, 15, 6))
    ]


def test_what_was_in_force_at_the_occasion_counts_when_the_clock_is_late(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(MONDAY, HIGH)
    _measure(timeline, patient, local(2026, 6, 1), 14)
    timeline.at(MONDAY, due.make, means.weekly)
    timeline.plan(patient, local(2026, 6, 8, 7), RollingMean(quantity=Quantity.SYSTOLIC, high=150))
    timeline.at(local(2026, 6, 8, 8), means.weekly, due.make)
    assert timeline.breaches() == [(patient, KEY, local(2026, 6, 8, 6))]


def test_a_pause_silences_the_occasion_in_it(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(MONDAY, HIGH)
    _measure(timeline, patient, local(2026, 6, 1), 14)
    timeline.at(MONDAY, due.make, means.weekly)
    timeline.pause(patient, local(2026, 6, 8, 5), local(2026, 6, 8, 7))
    timeline.at(local(2026, 6, 8, 8), means.weekly)
    assert timeline.breaches() == []
    timeline.at(local(2026, 6, 15, 8), means.weekly)
    assert timeline.breaches() == [(patient, KEY, local(2026, 6, 15, 6))]


def test_a_baseline_is_looked_at_every_day(timeline: Timeline) -> None:
    patient = timeline.patient(MONDAY, Baseline(quantity=Quantity.STEPS))
    for day in range(35):
        steps = 6000.0 if day < 28 else 3000.0
        at = local(2026, 6, 1) + day * DAY + 21 * HOUR
        timeline.measure(patient, at, steps, Quantity.STEPS)
        timeline.measure(patient, at - HOUR, steps / 2, Quantity.STEPS)
        timeline.measure(patient, at, 2 * steps, Quantity.STEPS, suspicion=1)  # counts for nothing
    timeline.at(MONDAY, due.make, means.daily)
    assert timeline.at(local(2026, 7, 6, 6), means.daily, means.daily) == [1, 0]
    assert timeline.breaches() == [(patient, "baseline:steps:7d", local(2026, 7, 6, 6))]
    assert timeline.county.one("select due_at from rule_due") == local(2026, 7, 7, 6)
    assert timeline.alerts() == [(patient, "trend:steps", 1)]
    assert timeline.county.rows(
        "select min(s.value), max(s.value), count(*) from breach_reading"
        " join sample s using (reading_id)"
    ) == [(3000.0, 3000.0, 7)]


def test_without_any_sample_nothing_is_found(plain_timeline: Timeline) -> None:
    plain_timeline.patient(MONDAY, HIGH)
    plain_timeline.at(MONDAY, due.make, means.weekly)
    assert plain_timeline.at(local(2026, 6, 8, 6), means.weekly) == [1]
    assert plain_timeline.breaches() == []
