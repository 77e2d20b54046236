"""Which rules the clock looks at: those of the plan in force, and no others."""

from datetime import timedelta

from devices.quantity import Quantity
from ingest.clock import due, trim
from ingest.rules.model import Baseline, Missing, RollingMean
from tests.ingest.clock.timeline import DAY, HOUR, Timeline, local

START = local(2026, 3, 2, 8)
DAILY = Missing(quantity=Quantity.SYSTOLIC, interval_h=24)
WEEKLY = RollingMean(quantity=Quantity.SYSTOLIC, high=135.0)
STEPS = Baseline(quantity=Quantity.STEPS)


def _keys(timeline: Timeline, patient: int) -> list[str]:
    return [
        key
        for (key,) in timeline.county.rows(
            "select rule_key from rule_due where patient_id = %s order by rule_key", patient
        )
    ]


def test_everybody_is_gone_through_at_first_and_then_only_who_changed(timeline: Timeline) -> None:
    patients = [timeline.patient(START, DAILY, STEPS) for _ in range(5)]
    timeline.most = 2
    assert timeline.at(START + HOUR, *[due.make] * 5) == [2, 2, 1, 0, 0]
    assert [len(_keys(timeline, patient)) for patient in patients] == [2] * 5
    timeline.plan(patients[3], START + HOUR, DAILY, WEEKLY)
    late = timeline.patient(START + 2 * HOUR, WEEKLY)
    assert timeline.at(START + 2 * HOUR, due.make, due.make) == [2, 0]
    assert _keys(timeline, patients[3]) == ["missing:systolic", "rolling_mean:systolic:high:7d"]
    assert _keys(timeline, late) == ["rolling_mean:systolic:high:7d"]


def test_a_rule_that_reads_as_before_goes_on_where_it_stood(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY, WEEKLY)
    timeline.at(START, due.make)
    stood = START + 3 * DAY
    timeline.county.connection.execute("update rule_due set step = 2, due_at = %s", [stood])
    version = timeline.plan(
        patient, START + HOUR, DAILY, RollingMean(quantity=Quantity.SYSTOLIC, high=140.0)
    )
    timeline.at(START + HOUR, due.make)
    assert timeline.county.rows(
        "select rule_key, step, plan_version_id from rule_due order by rule_key"
    ) == [("missing:systolic", 2, version), ("rolling_mean:systolic:high:7d", 0, version)]


def test_who_was_away_for_longer_than_changes_are_kept_goes_through_everybody(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.at(START, due.make)
    timeline.county.connection.execute("delete from rule_due")
    timeline.plan(patient, START + HOUR, DAILY)
    tomorrow = timeline.county.one("select now()") + timedelta(days=2)
    assert timeline.at(tomorrow, trim.forget, trim.forget)[1] == 0
    assert timeline.county.count("registry_change") == 0
    timeline.at(tomorrow, due.make)
    assert _keys(timeline, patient) == ["missing:systolic"]


def test_changes_of_the_last_day_are_kept(plain_timeline: Timeline) -> None:
    plain_timeline.patient(START, DAILY)
    now = plain_timeline.county.one("select now()")
    assert plain_timeline.at(now + timedelta(hours=23), trim.forget) == [0]


def test_versions_that_begin_at_once_are_followed_some_at_a_time(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patients = [timeline.patient(START) for _ in range(5)]
    for number, patient in enumerate(patients):
        timeline.plan(patient, START + DAY + number * HOUR, DAILY)
    timeline.at(START, *[due.make] * 9)
    assert timeline.county.count("rule_due") == 0
    timeline.most = 2
    assert timeline.at(START + 2 * DAY, *[due.make] * 4) == [2, 2, 1, 0]
    assert timeline.county.count("rule_due") == 5
