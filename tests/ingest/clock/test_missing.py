"""Missing measurements: reminded, reminded again, then the nurse's list; once each."""

from datetime import datetime, timedelta

import pytest

from devices.quantity import Quantity
from ingest.clock import due, missing
from ingest.plausibility import Suspicion
from ingest.rules.model import Missing
from tests.ingest.clock.timeline import DAY, HOUR, Timeline, local

START = local(2026, 3, 2, 8)
DAILY = Missing(quantity=Quantity.SYSTOLIC, interval_h=24)  # grace 12 h
FIRST = START + 36 * HOUR
KEY = "missing:systolic"


def _run(timeline: Timeline, from_at: datetime, until: datetime, step: timedelta = HOUR) -> None:
    """Let the clock look every hour, as if nothing else happened."""
    now = from_at
    while now <= until:
        timeline.at(now, due.make, missing.look)
        now += step


def _go_to(timeline: Timeline, *moments: datetime) -> None:
    """Let the clock look then, and have been there all the time before."""
    for now in moments:
        timeline.county.connection.execute(
            "update clock_turn set done_at = %s where chore = 'missing'", [now]
        )
        timeline.at(now, due.make, missing.look)


def test_a_patient_who_never_measures_is_reminded_twice_and_then_the_nurses_matter(
    timeline: Timeline,
) -> None:
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST - HOUR)
    assert timeline.reminders() == []
    _go_to(timeline, FIRST, FIRST + 11 * HOUR)
    assert timeline.reminders() == [(patient, START + DAY, 1)]
    _go_to(timeline, FIRST + 12 * HOUR, FIRST + 23 * HOUR)
    assert timeline.reminders()[1:] == [(patient, START + DAY, 2)]
    assert timeline.breaches() == []
    _go_to(timeline, FIRST + DAY, FIRST + DAY + HOUR)
    assert timeline.breaches() == [(patient, KEY, FIRST + DAY)]
    assert timeline.alerts() == [(patient, "missing:blood_pressure", 1)]
    (detail,) = timeline.county.rows("select detail from breach")[0]
    assert detail["kind"] == "missing"
    _go_to(timeline, FIRST + DAY + timedelta(days=6), FIRST + DAY + timedelta(days=7))
    assert len(timeline.breaches()) == 2
    assert len(timeline.alerts()) == 1
    assert len(timeline.reminders()) == 2


def test_a_measurement_that_arrives_late_ends_the_ladder(timeline: Timeline) -> None:
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST, FIRST + 12 * HOUR)
    assert len(timeline.reminders()) == 2
    timeline.measure(patient, START + 30 * HOUR)  # before the first reminder; it was under way
    _go_to(timeline, FIRST + DAY)
    assert timeline.breaches() == []
    assert len(timeline.reminders()) == 2
    again = START + 30 * HOUR + 36 * HOUR
    _go_to(timeline, again - HOUR, again)
    assert timeline.reminders()[2:] == [(patient, START + 54 * HOUR, 1)]


def test_a_doubted_measurement_is_one_and_a_superseded_one_is_none(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    doubted, wrong = timeline.patient(START, DAILY), timeline.patient(START, DAILY)
    _go_to(timeline, START)
    timeline.measure(doubted, START + DAY, suspicion=int(Suspicion.CUFF_LOOSE))
    timeline.measure(wrong, START + DAY, suspicion=int(Suspicion.SUPERSEDED))
    _go_to(timeline, FIRST)
    assert [row[0] for row in timeline.reminders()] == [wrong]


def test_when_the_last_one_is_superseded_the_one_before_it_counts(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START)
    timeline.measure(patient, START + DAY)
    timeline.measure(patient, START + DAY + HOUR)
    _go_to(timeline, FIRST)
    timeline.county.connection.execute(
        "update sample set suspicion = 1024 where measured_at = %s", [START + DAY + HOUR]
    )
    _go_to(timeline, FIRST + DAY + HOUR)
    assert timeline.reminders() == [(patient, START + 2 * DAY, 1)]


def test_a_pause_is_silent_and_a_whole_interval_follows_it(timeline: Timeline) -> None:
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST)
    home = FIRST + 10 * DAY
    timeline.pause(patient, FIRST + HOUR, home)
    _go_to(timeline, FIRST + 12 * HOUR, FIRST + 2 * DAY, home + 35 * HOUR)
    assert len(timeline.reminders()) == 1
    _go_to(timeline, home + 36 * HOUR)
    assert timeline.reminders()[1:] == [(patient, home + DAY, 1)]


def test_a_pause_cut_short_is_over(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.pause(patient, START, START + 30 * DAY)
    _go_to(timeline, START + HOUR)
    timeline.county.connection.execute("update patient_pause set until_at = %s", [START + DAY])
    _go_to(timeline, START + DAY, START + DAY + 36 * HOUR)
    assert timeline.reminders() == [(patient, START + 2 * DAY, 1)]


def test_a_pause_that_is_planned_takes_no_step_and_tells_nobody_again(timeline: Timeline) -> None:
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST)
    timeline.pause(patient, FIRST + 10 * DAY, FIRST + 11 * DAY)
    _go_to(timeline, FIRST + HOUR)
    assert len(timeline.reminders()) == 1
    _go_to(timeline, FIRST + 12 * HOUR, FIRST + DAY)
    assert (len(timeline.reminders()), len(timeline.breaches())) == (2, 1)
    timeline.county.connection.execute("update alert set state = 'closed'")
    timeline.pause(patient, FIRST + 20 * DAY, FIRST + 21 * DAY)
    _go_to(timeline, FIRST + DAY + HOUR)
    assert (len(timeline.breaches()), len(timeline.alerts())) == (1, 1)


def test_going_through_everybody_takes_no_step(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST)
    timeline.county.connection.execute("update clock_turn set revision = -1 where chore = 'due'")
    _go_to(timeline, FIRST + HOUR)
    assert len(timeline.reminders()) == 1


def test_a_pause_after_the_nurse_was_told_and_cut_short_begins_anew(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST, FIRST + 12 * HOUR, FIRST + DAY)
    told = FIRST + DAY
    timeline.pause(patient, told + HOUR, told + 30 * DAY)
    _go_to(timeline, told + HOUR)
    timeline.county.connection.execute("update patient_pause set until_at = %s", [told + DAY])
    _go_to(timeline, told + DAY, told + DAY + 35 * HOUR)
    assert len(timeline.reminders()) == 2
    _go_to(timeline, told + DAY + 36 * HOUR)
    assert timeline.reminders()[2:] == [(patient, told + 2 * DAY, 1)]


def test_a_gateway_that_comes_and_goes_holds_nothing_for_ever(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    gateway_id = timeline.gateway(patient, START)
    timeline.at(START, due.make, missing.look)
    for number in range(4 * 24 * 4):
        now = FIRST + number * timedelta(minutes=16)  # silent is who was not heard for 15
        if number % 2:
            timeline.hear(gateway_id, now)
        _go_to(timeline, now)
        if timeline.breaches():
            break
    assert FIRST + 2 * DAY <= timeline.breaches()[0][2] <= FIRST + 3 * DAY + HOUR


def test_while_her_gateway_is_silent_nobody_is_told_and_then_the_ladder_begins(
    timeline: Timeline,
) -> None:
    patient = timeline.patient(START, DAILY)
    gateway_id = timeline.gateway(patient, FIRST - timedelta(minutes=16))
    _go_to(timeline, START, FIRST, FIRST + 20 * HOUR)
    assert timeline.reminders() == []
    back = FIRST + 21 * HOUR
    timeline.hear(gateway_id, back)
    _go_to(timeline, back)  # what waits in it is on its way
    assert timeline.reminders() == []
    timeline.hear(gateway_id, back + timedelta(minutes=15))
    _go_to(timeline, back + timedelta(minutes=15))
    assert timeline.reminders() == [(patient, START + DAY, 1)]


def test_of_two_gateways_at_home_one_that_is_heard_is_enough(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.gateway(patient, START)
    other = timeline.gateway(timeline.county.add_patient(), FIRST)
    timeline.county.connection.execute(
        "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, %s)",
        [other, patient, START],
    )
    _go_to(timeline, START, FIRST)
    assert timeline.reminders() == [(patient, START + DAY, 1)]


def test_what_waited_in_a_silent_gateway_makes_nobody_tell_her(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    gateway_id = timeline.gateway(patient, START)
    _go_to(timeline, START, FIRST, FIRST + 20 * HOUR)
    back = FIRST + 21 * HOUR
    timeline.hear(gateway_id, back)
    _go_to(timeline, back)
    timeline.measure(patient, START + DAY)
    _go_to(timeline, back + timedelta(minutes=15))
    assert timeline.reminders() == []
    assert timeline.breaches() == []


def test_after_two_days_of_silence_it_is_the_nurses_matter(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.gateway(patient, START)
    _go_to(timeline, START, FIRST, FIRST + DAY, FIRST + 47 * HOUR)
    assert timeline.breaches() == []
    _go_to(timeline, FIRST + 48 * HOUR)
    assert timeline.breaches() == [(patient, KEY, FIRST + 48 * HOUR)]
    assert timeline.reminders() == []


def test_a_gateway_that_stands_elsewhere_now_does_not_speak_for_her(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.gateway(patient, START)
    moved = timeline.gateway(timeline.county.add_patient(), FIRST)
    timeline.county.connection.execute(
        "insert into gateway_home (gateway_id, patient_id, from_at, until_at)"
        " values (%s, %s, %s, %s)",
        [moved, patient, START - 2 * DAY, START - DAY],
    )
    _go_to(timeline, START, FIRST)
    assert timeline.reminders() == []


def test_without_a_home_the_gateway_is_that_of_her_last_reading(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.county.connection.execute(
        "insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, outcome,"
        " measured_at, received_at, sent_at, arrived_at, clock, source, payload) values"
        " (gen_random_uuid(), %s, 0, 'g-test', 'd', 'failed', %s, now(), now(), now(), 'ok', '',"
        " '')",
        [patient, START],
    )
    _go_to(timeline, START, FIRST)  # never heard
    assert timeline.reminders() == []
    timeline.hear("g-test", FIRST + HOUR)
    _go_to(timeline, FIRST + HOUR)
    timeline.hear("g-test", FIRST + 2 * HOUR)
    _go_to(timeline, FIRST + 2 * HOUR)
    assert [row[0] for row in timeline.reminders()] == [patient]


def test_another_interval_begins_anew_and_a_rule_that_is_gone_is_silent(
    plain_timeline: Timeline,
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST)
    changed = FIRST + HOUR
    timeline.plan(patient, changed, Missing(quantity=Quantity.SYSTOLIC, interval_h=72))
    _go_to(timeline, changed, FIRST + 12 * HOUR, changed + 107 * HOUR)
    assert len(timeline.reminders()) == 1
    _go_to(timeline, changed + 108 * HOUR)
    assert timeline.reminders()[1:] == [(patient, changed + 72 * HOUR, 1)]
    timeline.plan(patient, changed + 109 * HOUR)
    _go_to(timeline, changed + 109 * HOUR, changed + 200 * HOUR)
    assert len(timeline.reminders()) == 2
    assert timeline.county.count("rule_due") == 0


def test_a_version_that_begins_by_itself_is_seen(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START)
    begins = START + 5 * DAY
    timeline.plan(patient, begins, DAILY)
    _go_to(timeline, START, begins - HOUR)
    assert timeline.county.count("rule_due") == 0
    _go_to(timeline, begins, begins + 36 * HOUR)
    assert timeline.reminders() == [(patient, begins + DAY, 1)]


def test_a_clock_that_was_away_for_three_weeks_waits_and_tells_each_once(
    timeline: Timeline,
) -> None:
    silent, measuring = timeline.patient(START, DAILY), timeline.patient(START, DAILY)
    timeline.at(START, due.make, missing.look)
    back = START + 21 * DAY
    timeline.at(back, due.make, missing.look)
    timeline.at(back + timedelta(minutes=5), missing.look)
    assert timeline.reminders() == []
    timeline.measure(measuring, back - HOUR)  # what gateways kept meanwhile
    _run(timeline, back + timedelta(minutes=10), back + timedelta(minutes=40), timedelta(minutes=5))
    assert timeline.reminders() == [(silent, START + DAY, 1)]
    assert timeline.breaches() == []


def test_nobody_is_reminded_of_the_canary(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    patient = timeline.patient(START, DAILY)
    timeline.county.connection.execute(
        "update patient set is_canary = true where patient_id = %s", [patient]
    )
    _go_to(timeline, START, FIRST)
    assert timeline.reminders() == []


@pytest.mark.parametrize(
    ("night", "expected"),
    [
        (local(2026, 3, 28, 20), local(2026, 3, 29, 21)),
        (local(2026, 10, 24, 20), local(2026, 10, 25, 19)),
    ],
    ids=["spring", "autumn"],
)
def test_hours_of_an_interval_are_elapsed_ones(
    plain_timeline: Timeline, night: datetime, expected: datetime
) -> None:
    timeline = plain_timeline
    patient = timeline.patient(night, DAILY)
    _go_to(timeline, night, expected + 12 * HOUR - timedelta(minutes=1))
    assert timeline.reminders() == []
    _go_to(timeline, expected + 12 * HOUR)
    assert timeline.reminders() == [(patient, expected, 1)]


def test_a_rule_that_nobody_understands_stops_no_other(plain_timeline: Timeline) -> None:
    timeline = plain_timeline
    timeline.patient(START, DAILY)
    timeline.county.connection.execute("update plan_rule set spec = '{\"interval_h\": [1]}'")
    patient = timeline.patient(START, DAILY)
    _go_to(timeline, START, FIRST)
    assert timeline.reminders() == [(patient, START + DAY, 1)]
