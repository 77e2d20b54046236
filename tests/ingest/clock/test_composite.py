"""Composites: two rules at once, whichever fired first; told once."""

from datetime import timedelta

from devices.quantity import Quantity
from ingest.clock import composite, due, means
from ingest.rules.model import Baseline, Composite, RollingMean
from tests.ingest.clock.timeline import DAY, HOUR, Timeline, local

START = local(2026, 6, 1, 0)
SIX = local(2026, 7, 6, 6)
MEAN = RollingMean(quantity=Quantity.SYSTOLIC, high=135.0)
STEPS = Baseline(quantity=Quantity.STEPS, level=0)
BOTH = Composite(
    name="mean_and_steps", quantity=Quantity.SYSTOLIC, components=(MEAN.key, STEPS.key)
)
KEY = "composite:mean_and_steps"


def _fill(timeline: Timeline, patient: int, recent_steps: float) -> None:
    for day in range(35):
        at = START + day * DAY
        steps = 6000.0 if day < 28 else recent_steps
        timeline.measure(patient, at + 21 * HOUR, steps, Quantity.STEPS)
        timeline.measure(patient, at + 8 * HOUR, 140.0)
        timeline.measure(patient, at + 20 * HOUR, 140.0)


def test_two_rules_at_once_are_one_more_alert_and_it_is_red(timeline: Timeline) -> None:
    both = timeline.patient(START, MEAN, STEPS, BOTH)
    one = timeline.patient(START, MEAN, STEPS, BOTH)
    _fill(timeline, both, 3000.0)
    _fill(timeline, one, 6000.0)
    timeline.at(START + HOUR, due.make, means.weekly, means.daily)
    now = timeline.county.one("select now()")
    timeline.at(SIX, means.daily)
    timeline.at(now + timedelta(seconds=1), composite.look)
    timeline.at(SIX + HOUR, means.weekly)
    timeline.at(now + timedelta(seconds=2), composite.look, composite.look)
    found = [row for row in timeline.breaches() if row[1] == KEY]
    assert found == [(both, KEY, SIX)]
    assert [row for row in timeline.alerts() if row[0] == both] == [
        (both, "trend:blood_pressure", 1),
        (both, KEY, 2),
    ]
    assert [row for row in timeline.alerts() if row[0] == one] == [(one, "trend:blood_pressure", 1)]
    (detail,) = timeline.county.rows("select detail from breach where rule_key = %s", KEY)[0]
    assert [part["kind"] for part in detail["parts"]] == ["rolling_mean", "baseline"]
    assert timeline.county.rows(
        "select count(*) from breach_reading join breach using (breach_id) where rule_key = %s", KEY
    ) == [(12 + 7,)]


def test_a_part_alone_alerts_nobody(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, STEPS, MEAN, BOTH)
    for day in range(35):
        steps = 6000.0 if day < 28 else 3000.0
        timeline.measure(patient, START + day * DAY + 21 * HOUR, steps, Quantity.STEPS)
    timeline.at(START + HOUR, due.make, means.daily)
    timeline.at(SIX, means.daily)
    now = timeline.county.one("select now()")
    assert timeline.at(now, composite.look) == [1]
    assert [row[1] for row in timeline.breaches()] == [STEPS.key]
    assert timeline.alerts() == []
