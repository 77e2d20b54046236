"""The steps of an alert nobody answers, by the clock on the wall. Pure: no database, no waiting."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import Level
from alerts.care.availability import Around, Person
from alerts.care.hours import USUAL, next_opening
from alerts.escalation import Because, Course, Missing, Step, advance
from alerts.policy import DEFAULTS, RED, YELLOW
from tests.alerts.escalating import (
    ANNA,
    BO,
    CIA,
    DAN,
    MONDAY,
    NIGHT,
    TEN,
    UNIT,
    around,
    at,
    everybody,
    person,
    play,
    red,
    yellow,
)


def test_red_goes_from_one_to_the_next_and_the_last_step_repeats() -> None:
    assert play(red(), everybody, until=timedelta(hours=2)) == [
        "Mon 08:12 Anna (opened)",
        "Mon 08:22 Bo, Cia (not_answered)",
        "Mon 08:32 Dan (not_answered)",
        "Mon 09:02 Anna, Bo, Cia, Dan, enheten (not_answered)",
        "Mon 09:32 Anna, Bo, Cia, Dan, enheten (repeated)",
        "Mon 10:02 Anna, Bo, Cia, Dan, enheten (repeated)",
    ]


def test_yellow_counts_the_hours_of_the_unit_and_repeats_in_the_morning() -> None:
    def facts(now: datetime) -> Around:
        return around(now, person(ANNA), substitutes=[person(BO)])

    friday = at("2026-11-27 14:00")
    assert play(yellow(began_at=friday), facts, until=timedelta(days=6)) == [
        "Fri 14:00 Anna (opened)",
        "Mon 10:00 Bo (not_answered)",
        "Mon 14:00 enheten (not_answered)",
        "Tue 08:00 Anna, enheten (not_answered)",
        "Wed 08:00 Anna, enheten (repeated)",
        "Thu 08:00 Anna, enheten (repeated)",
    ]


def test_yellow_at_night_waits_for_the_morning() -> None:
    assert play(yellow(began_at=NIGHT), everybody, until=timedelta(hours=10)) == [
        "Tue 08:00 Anna (opened)"
    ]


def test_on_midsummers_night_yellow_waits_over_the_holidays() -> None:
    # Midsummer's eve 2027 is Friday 25 June; Monday is a working day.
    begins = at("2027-06-24 22:00")
    assert play(yellow(began_at=begins), everybody, until=timedelta(days=3, hours=12)) == [
        "Mon 08:00 Anna (opened)"
    ]


def test_on_midsummers_night_red_is_told_to_whoever_is_on_duty_and_nobody_is_woken() -> None:
    def facts(now: datetime) -> Around:
        at_work = next_opening(USUAL, now) <= now
        return around(
            now,
            person(ANNA, is_working=at_work),
            substitutes=[person(BO, is_working=at_work)],
            duty=[person(DAN)],
        )

    begins = at("2027-06-25 23:30")
    assert play(red(DAN, begins), facts, until=timedelta(minutes=50)) == [
        "Fri 23:30 Dan (opened)",
        "Fri 23:40 steg 1: ingen (not_working)",
        "Fri 23:40 enheten (not_answered)",
        "Sat 00:10 Dan, enheten (not_answered)",
    ]


def test_at_opening_those_who_come_to_work_are_told_at_once() -> None:
    def facts(now: datetime) -> Around:
        at_work = next_opening(USUAL, now) <= now
        return around(now, person(ANNA, is_working=at_work), unit_has_channel=True)

    begins = at("2026-11-24 06:05")
    assert play(red(None, begins), facts, until=timedelta(hours=2)) == [
        "Tue 06:05 enheten (opened)",
        "Tue 06:15 steg 1: ingen (empty)",
        "Tue 06:15 steg 2: ingen (told_already)",
        "Tue 06:15 enheten (not_answered)",
        "Tue 06:45 enheten (repeated)",
        "Tue 07:15 enheten (repeated)",
        "Tue 07:45 enheten (repeated)",
        "Tue 08:00 Anna, enheten (repeated)",
    ]


def test_the_night_the_clocks_go_forward_ten_minutes_are_ten_minutes() -> None:
    begins = at("2026-03-29 01:55")
    assert play(red(DAN, begins), everybody, until=timedelta(minutes=25)) == [
        "Sun 01:55 Dan (opened)",
        "Sun 03:05 Bo, Cia (not_answered)",
        "Sun 03:15 enheten (not_answered)",
    ]


def test_the_night_the_clocks_go_back_ten_minutes_are_ten_minutes() -> None:
    begins = at("2026-10-25 02:55")
    assert play(red(DAN, begins), everybody, until=timedelta(minutes=25)) == [
        "Sun 02:55 Dan (opened)",
        "Sun 02:05 Bo, Cia (not_answered)",
        "Sun 02:15 enheten (not_answered)",
    ]


def test_of_a_team_all_who_are_at_work_are_told() -> None:
    def facts(now: datetime) -> Around:
        team = [person(ANNA), person(BO, is_absent=True), person(CIA)]
        return around(now, team=team)

    assert play(red(None, team=7), facts, until=timedelta(minutes=30)) == [
        "Mon 08:12 Anna, Cia (opened)",
        "Mon 08:22 steg 1: ingen (absent)",
        "Mon 08:22 enheten (not_answered)",
    ]


def test_who_cannot_be_reached_is_followed_by_the_next_at_once() -> None:
    assert play(red(), everybody, until=timedelta(minutes=20), failing=[ANNA]) == [
        "Mon 08:12 Anna (opened)",
        "Mon 08:13 Bo, Cia (not_reached)",
        "Mon 08:23 Dan (not_answered)",
    ]


def test_if_one_of_two_is_reached_the_next_waits() -> None:
    told = {BO: MONDAY}  # Cia was told too, and not reached
    course = replace(red(), step=2, next_at=MONDAY + TEN, told=told, in_vain=False)
    now = MONDAY + timedelta(minutes=9)
    assert advance(course, RED, everybody(now), now) is None


def test_without_a_channel_nobody_waits_for_the_contact() -> None:
    def facts(now: datetime) -> Around:
        return around(now, person(ANNA, has_channel=False), substitutes=[person(BO)])

    assert play(red(), facts, until=timedelta(minutes=9)) == [
        "Mon 08:12 steg 0: ingen (no_channel)",
        "Mon 08:12 Bo (nobody_before)",
    ]


def test_if_no_way_works_those_that_failed_are_tried_all_the_same_and_it_is_said() -> None:
    def facts(now: datetime) -> Around:
        return around(now, person(ANNA, has_channel=False), unit_has_channel=False)

    everyone = [ANNA, UNIT]
    assert play(red(), facts, until=timedelta(minutes=65), failing=everyone) == [
        "Mon 08:12 steg 0: ingen (no_channel)",
        "Mon 08:12 steg 1: ingen (empty)",
        "Mon 08:12 steg 2: ingen (no_channel)",
        "Mon 08:12 steg 3: ingen (no_channel)",
        "Mon 08:12 Anna, enheten (nobody_before)",
        "Mon 08:42 steg 4: ingen (no_channel)",
        "Mon 08:42 Anna, enheten (not_reached)",
        "Mon 09:12 steg 5: ingen (no_channel)",
        "Mon 09:12 Anna, enheten (not_reached)",
    ]


def test_a_new_receiver_is_told_and_the_steps_go_on_as_they_would() -> None:
    now = MONDAY + timedelta(minutes=4)
    course = replace(red(BO), step=1, next_at=MONDAY + TEN, told={ANNA: MONDAY}, is_rerouted=True)
    facts = around(now, person(ANNA, is_absent=True), substitutes=[person(BO)])
    step = advance(course, RED, facts, now)
    assert step == Step(
        tell=(BO,),
        why=Because.REROUTED,
        next_number=1,
        next_due_at=MONDAY + timedelta(minutes=10),
    )


def test_a_new_receiver_who_cannot_be_told_is_followed_by_the_next_at_once() -> None:
    now = MONDAY + timedelta(minutes=4)
    course = replace(red(BO), step=1, next_at=MONDAY + TEN, told={ANNA: MONDAY}, is_rerouted=True)
    facts = around(now, substitutes=[person(BO, has_channel=False), person(CIA)])
    step = advance(course, RED, facts, now)
    assert step is not None
    assert (step.tell, step.number) == ((CIA,), 1)


def test_a_new_receiver_of_a_yellow_one_is_told_when_the_unit_opens() -> None:
    course = replace(yellow(BO), step=1, next_at=MONDAY + TEN, is_rerouted=True)
    step = advance(course, YELLOW, around(NIGHT, person(BO, is_working=False)), NIGHT)
    assert step is not None
    assert (step.tell, step.is_rerouted) == ((), True)
    opening = at("2026-11-24 08:00")
    assert step.next_due_at == opening
    step = advance(course, YELLOW, around(opening, person(BO)), opening)
    assert step is not None
    assert (step.tell, step.why, step.is_rerouted) == ((BO,), Because.REROUTED, False)


def test_what_is_repeated_does_not_tell_twice_in_a_breath_who_was_just_told() -> None:
    now = MONDAY + timedelta(hours=2)
    told = {ANNA: now - timedelta(minutes=1), BO: now - timedelta(minutes=30)}
    course = replace(red(), step=6, next_at=now, told=told)
    step = advance(course, RED, everybody(now), now)
    assert step is not None
    assert step.tell == (BO, CIA, DAN, UNIT)


def test_a_unit_closed_for_weeks_is_not_waited_for() -> None:
    facts = around(MONDAY, person(ANNA, is_working=False))
    closed = replace(facts.unit, is_open=False, opens_at=MONDAY + timedelta(days=8))
    step = advance(yellow(), YELLOW, replace(facts, unit=closed), MONDAY)
    assert step is not None
    assert step.tell == (UNIT,)
    assert [one.missing for one in step.nobody] == [Missing.NOT_WORKING, Missing.EMPTY]


def test_a_receiver_whom_nobody_knows_is_not_waited_for() -> None:
    step = advance(red(CIA), RED, around(MONDAY, person(ANNA), substitutes=[person(BO)]), MONDAY)
    assert step is not None
    assert (step.tell, step.nobody[0].missing) == ((BO,), Missing.EMPTY)


def test_one_working_day_is_eight_hours_also_over_the_night_the_clocks_change() -> None:
    friday = at("2026-10-23 12:00")  # the clocks go back in the night to Sunday
    said = play(yellow(began_at=friday), everybody, until=timedelta(days=4))
    assert said[:3] == [
        "Fri 12:00 Anna (opened)",
        "Mon 08:00 Bo, Cia (not_answered)",
        "Mon 12:00 enheten (not_answered)",
    ]


def people(most: int) -> st.SearchStrategy[list[Person]]:
    one = st.builds(
        person,
        st.sampled_from([ANNA, BO, CIA, DAN]),
        is_absent=st.booleans(),
        is_working=st.booleans(),
        has_channel=st.booleans(),
    )
    return st.lists(one, max_size=most, unique_by=lambda drawn: drawn.staff_id)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Course, Around, datetime]:
    """Draw a course that has been left alone for long, and any facts."""
    now = MONDAY + timedelta(minutes=draw(st.integers(0, 2 * 366 * 24 * 60)))
    number, contact = draw(st.integers(0, 9)), draw(people(1))
    facts = around(
        now,
        contact[0] if contact else None,
        substitutes=draw(people(3)),
        team=draw(people(3)),
        duty=draw(people(2)),
        unit_has_channel=draw(st.booleans()),
    )
    course = Course(
        level=draw(st.sampled_from(list(Level))),
        began_at=now - timedelta(days=20),
        step=number,
        next_at=now - timedelta(days=draw(st.integers(0, 20))) if number else None,
        staff_id=draw(st.sampled_from([None, *range(1, 5)])),
        in_vain=draw(st.booleans()),
        is_rerouted=draw(st.booleans()),
    )
    return course, facts, now


@given(situations())
def test_whatever_the_facts_time_goes_on_and_nobody_is_told_who_could_not_act(
    drawn: tuple[Course, Around, datetime],
) -> None:
    course, facts, now = drawn
    step = advance(course, DEFAULTS[course.level], facts, now)
    assert step is not None
    assert step.next_due_at > now or (step.number is None and step.tell)
    assert step.next_due_at < now + timedelta(days=7)
    everyone = [*facts.substitutes, *facts.team, *facts.duty]
    everyone += [facts.contact] if facts.contact else []
    working = {one.staff_id for one in everyone if one.is_working}
    reached = {one.staff_id for one in everyone if one.is_working and one.has_channel}
    assert {told.staff_id for told in step.tell} <= working | {0}
    waits = course.level is Level.YELLOW and not facts.unit.is_open
    assert step.tell or step.nobody or waits
    if course.level is Level.RED and (reached or facts.unit.has_channel):
        assert step.tell


def test_in_the_hour_that_comes_twice_the_first_is_before_the_second() -> None:
    first, second = at("2026-10-25 02:30"), at("2026-10-25 02:05", fold=1)
    course = replace(red(DAN), step=1, next_at=second, told={DAN: first})
    assert advance(course, RED, everybody(first), first) is None
    assert advance(course, RED, everybody(second), second) is not None
