"""Every alert has a receiver, the right one, and the reason is told."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import Level
from alerts.care.availability import Around, Person, UnitNow
from alerts.routing import Route, Warning, Why, route  # noqa: A004 - its name

RED, YELLOW = Level.RED, Level.YELLOW
UNIT = 3
TEAM = 9
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
OPENS_AT = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)  # Tuesday 8 o'clock in Sweden
BACK_AT = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)  # Tuesday 1 December in Sweden


def person(staff_id: int, name: str, **facts: bool | datetime | None) -> Person:
    """Return somebody at work who can be reached, but for *facts*."""
    one = Person(
        staff_id=staff_id,
        name=name,
        is_absent=False,
        absent_until=None,
        is_working=True,
        has_channel=True,
    )
    return replace(one, **facts)  # type: ignore[arg-type]


def at_home(one: Person) -> Person:
    """Return her outside hours."""
    return replace(one, is_working=False)


def away(one: Person) -> Person:
    """Return her on leave."""
    return replace(one, is_working=False, is_absent=True, absent_until=BACK_AT)


ANNA, EVA, LISA, DORIS = (
    person(number, name) for number, name in enumerate(("Anna", "Eva", "Lisa", "Doris"), start=1)
)
OPEN = UnitNow(unit_id=UNIT, name="Hemsjukvården", is_open=True, opens_at=NOW, has_channel=True)
CLOSED = replace(OPEN, is_open=False, opens_at=OPENS_AT)


def around(
    *,
    unit: UnitNow = OPEN,
    contact: Person | None = None,
    team: tuple[Person, ...] | None = None,
    substitutes: tuple[Person, ...] = (),
    duty: tuple[Person, ...] = (),
) -> Around:
    return Around(
        patient_id=1,
        unit=unit,
        contact=contact,
        team_id=None if team is None else TEAM,
        team_name="" if team is None else "Team Nord",
        team=team or (),
        substitutes=substitutes,
        duty=duty,
    )


def closed(one: Around) -> Around:
    """Return the same after hours: nobody works but who is on duty."""
    return replace(
        one,
        unit=CLOSED,
        contact=None if one.contact is None else at_home(one.contact),
        team=tuple(at_home(member) for member in one.team),
        substitutes=tuple(at_home(each) for each in one.substitutes),
    )


def where(answer: Route) -> tuple[int | None, Why]:
    assert answer.unit_id == UNIT
    assert answer.team_id is None
    return answer.staff_id, answer.why


def test_in_hours_the_fixed_contact_receives_and_nobody_else_is_told() -> None:
    facts = around(contact=ANNA, substitutes=(EVA,), duty=(DORIS,))
    for level in Level:
        answer = route(facts, level)
        assert where(answer) == (1, Why.FIXED_CONTACT)
        assert answer.sentence == "Till Anna: fast vårdkontakt."
        assert (answer.told, answer.warnings) == ((1,), ())


def test_a_contact_who_works_while_the_unit_is_closed_receives() -> None:
    assert where(route(around(unit=CLOSED, contact=ANNA), YELLOW)) == (1, Why.FIXED_CONTACT)


def test_while_the_contact_is_away_the_first_who_stands_in_receives() -> None:
    answer = route(around(contact=away(ANNA), substitutes=(EVA, LISA), duty=(DORIS,)), YELLOW)
    assert where(answer) == (2, Why.SUBSTITUTE)
    assert answer.sentence == "Till Eva: ersättare, för Anna är borta till tisdag 1 december."
    assert (answer.told, answer.warnings) == ((2,), ())


def test_while_she_is_away_too_the_next_receives() -> None:
    answer = route(around(contact=away(ANNA), substitutes=(away(EVA), LISA)), RED)
    assert where(answer) == (3, Why.SUBSTITUTE_OF_SUBSTITUTE)
    assert answer.sentence == (
        "Till Lisa: nästa ersättare, för Anna är borta till tisdag 1 december, "
        "och Eva är inte heller på plats."
    )


def test_several_who_are_not_there_are_all_named() -> None:
    facts = around(contact=away(ANNA), substitutes=(away(EVA), away(LISA), DORIS))
    assert "och Eva och Lisa är inte heller på plats" in route(facts, RED).sentence


def test_a_present_contact_is_not_passed_over_for_who_stands_in() -> None:
    facts = around(unit=CLOSED, contact=at_home(ANNA), substitutes=(EVA,), duty=(DORIS,))
    assert where(route(facts, RED)) == (4, Why.DUTY)


def test_with_nobody_to_stand_in_who_is_on_duty_receives_also_in_hours() -> None:
    answer = route(around(contact=away(ANNA), duty=(DORIS,)), YELLOW)
    assert where(answer) == (4, Why.DUTY)
    assert answer.warnings == (Warning.NO_SUBSTITUTE,)
    assert answer.sentence == "Till Doris: har jour, för Anna är borta till tisdag 1 december."


def test_with_nobody_at_all_the_units_queue_receives_with_a_warning() -> None:
    answer = route(around(contact=away(ANNA), substitutes=(away(EVA),)), RED)
    assert where(answer) == (None, Why.UNIT_QUEUE)
    assert answer.sentence == (
        "Till kön hos Hemsjukvården: Anna är borta till tisdag 1 december, "
        "och ingen ersättare eller jour är på plats."
    )
    assert (answer.told, answer.warnings) == ((), (Warning.NO_SUBSTITUTE,))
    assert answer.in_queue


def test_a_team_as_contact_receives_and_all_of_it_at_work_are_told() -> None:
    answer = route(around(team=(ANNA, away(EVA), LISA)), RED)
    assert (answer.staff_id, answer.team_id, answer.why) == (None, TEAM, Why.CONTACT_TEAM)
    assert answer.sentence == "Till Team Nord: teamet är fast vårdkontakt."
    assert (answer.told, answer.warnings) == ((1, 3), ())
    assert not answer.in_queue


@pytest.mark.parametrize("team", [(), (away(ANNA), away(EVA))])
def test_a_team_of_which_nobody_is_there_is_said_and_passed_over(team: tuple[Person, ...]) -> None:
    answer = route(around(team=team, substitutes=(LISA,)), YELLOW)
    assert where(answer) == (3, Why.SUBSTITUTE)
    assert answer.sentence == "Till Lisa: ersättare, för ingen i Team Nord är på plats."
    assert answer.warnings == (Warning.EMPTY_TEAM,)
    queued = route(around(team=team), RED)
    assert where(queued) == (None, Why.UNIT_QUEUE)
    assert queued.warnings == (Warning.EMPTY_TEAM,)


def test_outside_hours_red_goes_to_all_on_duty() -> None:
    doris = replace(DORIS, has_channel=False)
    answer = route(closed(around(contact=ANNA, duty=(doris, EVA))), RED)
    assert where(answer) == (2, Why.DUTY)  # the first who can be reached
    assert set(answer.told) == {2, 4}
    assert answer.sentence == "Till Eva: har jour, för Anna är inte i tjänst."
    assert answer.warnings == ()


def test_who_is_on_duty_and_away_does_not_count() -> None:
    answer = route(closed(around(contact=ANNA, duty=(away(DORIS),))), RED)
    assert where(answer) == (None, Why.UNIT_QUEUE)
    assert answer.warnings == (Warning.NOBODY_ON_DUTY,)
    assert answer.sentence == (
        "Till kön hos Hemsjukvården: Anna är inte i tjänst, och ingen har jour."
    )


def test_outside_hours_with_an_empty_rota_red_goes_to_a_substitute_who_works() -> None:
    facts = replace(closed(around(contact=ANNA)), substitutes=(at_home(EVA), LISA))
    answer = route(facts, RED)
    assert where(answer) == (3, Why.SUBSTITUTE_OF_SUBSTITUTE)
    assert "för Anna är inte i tjänst" in answer.sentence
    assert answer.warnings == ()  # somebody has it


def test_outside_hours_red_for_a_team_goes_to_who_is_on_duty() -> None:
    answer = route(closed(around(team=(ANNA, EVA), duty=(DORIS,))), RED)
    assert where(answer) == (4, Why.DUTY)
    assert answer.warnings == ()
    assert answer.sentence == "Till Doris: har jour, för Team Nord är inte i tjänst."


def test_outside_hours_yellow_waits_with_its_receiver_and_wakes_nobody() -> None:
    answer = route(closed(around(contact=ANNA, substitutes=(EVA,), duty=(DORIS,))), YELLOW)
    assert where(answer) == (1, Why.WAITS_FOR_OPENING)
    assert answer.sentence == (
        "Till Anna: fast vårdkontakt. Väntar till enheten öppnar, tisdag 24 november 08:00."
    )
    assert (answer.told, answer.warnings) == ((), ())


def test_yellow_waits_with_the_team_or_with_who_stands_in() -> None:
    team = route(closed(around(team=(ANNA, away(EVA)))), YELLOW)
    assert (team.team_id, team.why, team.told) == (TEAM, Why.WAITS_FOR_OPENING, ())
    assert team.sentence.startswith("Till Team Nord: teamet är fast vårdkontakt. Väntar")
    stands_in = route(
        closed(around(contact=away(ANNA), substitutes=(away(EVA), LISA), duty=(DORIS,))), YELLOW
    )
    assert where(stands_in) == (3, Why.WAITS_FOR_OPENING)
    assert stands_in.told == ()
    assert stands_in.sentence == (
        "Till Lisa: ersättare, för Anna är borta till tisdag 1 december. "
        "Väntar till enheten öppnar, tisdag 24 november 08:00."
    )


def test_yellow_with_nobody_to_wait_for_lies_in_the_queue_and_wakes_nobody() -> None:
    for facts in (
        around(contact=away(ANNA), duty=(DORIS,)),
        around(team=(away(ANNA),), duty=(DORIS,)),
        around(duty=(DORIS,)),
    ):
        answer = route(closed(facts), YELLOW)
        assert answer.in_queue
        assert answer.told == ()


def test_the_unit_can_be_open_while_the_contacts_own_is_closed() -> None:
    answer = route(around(contact=at_home(ANNA), duty=(DORIS,)), YELLOW)
    assert where(answer) == (1, Why.WAITS_FOR_OPENING)
    assert answer.sentence == "Till Anna: fast vårdkontakt. Väntar till hennes enhet öppnar."


def test_a_unit_that_has_told_no_hours_is_to_tell_them() -> None:
    facts = around(contact=ANNA, unit=replace(OPEN, has_hours=False))
    assert route(facts, RED).warnings == (Warning.NO_HOURS,)


def test_without_a_contact_the_units_queue_receives_with_a_warning() -> None:
    answer = route(around(), RED)
    assert where(answer) == (None, Why.NO_CONTACT)
    assert answer.sentence == "Till kön hos Hemsjukvården: patienten saknar fast vårdkontakt."
    assert answer.warnings == (Warning.NO_CONTACT,)
    night = route(closed(around()), RED)
    assert night.warnings == (Warning.NO_CONTACT, Warning.NOBODY_ON_DUTY)


def test_without_a_contact_a_person_still_comes_before_the_queue() -> None:
    stands_in = route(around(substitutes=(EVA,)), RED)
    assert where(stands_in) == (2, Why.SUBSTITUTE)
    assert stands_in.sentence == "Till Eva: ersättare, för patienten saknar fast vårdkontakt."
    on_duty = route(closed(around(duty=(DORIS,))), RED)
    assert where(on_duty) == (4, Why.DUTY)
    assert stands_in.warnings == on_duty.warnings == (Warning.NO_CONTACT,)


def test_a_receiver_who_cannot_be_reached_keeps_it_and_that_is_said() -> None:
    mute = replace(ANNA, has_channel=False)
    answer = route(around(contact=mute), RED)
    assert (where(answer), answer.warnings) == ((1, Why.FIXED_CONTACT), (Warning.NO_CHANNEL,))
    assert answer.told == (1,)
    assert route(around(team=(mute, EVA)), RED).warnings == ()
    assert route(around(team=(mute,)), RED).warnings == (Warning.NO_CHANNEL,)
    silent = around(unit=replace(OPEN, has_channel=False))
    assert route(silent, RED).warnings == (Warning.NO_CONTACT, Warning.NO_CHANNEL)


def test_a_contact_who_works_here_no_more_is_none() -> None:
    gone = replace(away(ANNA), absent_until=None)
    answer = route(around(contact=gone, substitutes=(EVA,)), RED)
    assert where(answer) == (2, Why.SUBSTITUTE)
    assert answer.sentence == "Till Eva: ersättare, för Anna arbetar inte kvar."
    assert answer.warnings == (Warning.NO_CONTACT,)
    assert Warning.NO_CONTACT not in route(around(contact=away(ANNA)), RED).warnings


@st.composite
def people(draw: st.DrawFn) -> Person:
    is_absent = draw(st.booleans())
    return Person(
        staff_id=draw(st.integers(1, 8)),
        name=draw(st.text(max_size=5)),
        is_absent=is_absent,
        absent_until=draw(st.none() | st.just(BACK_AT)) if is_absent else None,
        is_working=not is_absent and draw(st.booleans()),
        has_channel=draw(st.booleans()),
    )


few = st.lists(people(), max_size=3).map(tuple)
unit_now = st.sampled_from([OPEN, CLOSED, replace(CLOSED, has_hours=False)])


@st.composite
def circumstances(draw: st.DrawFn) -> Around:
    facts = around(unit=draw(unit_now), substitutes=draw(few), duty=draw(few))
    kind = draw(st.sampled_from(["person", "team", "nobody"]))
    if kind == "person":
        return replace(facts, contact=draw(people()))
    if kind == "team":
        return replace(facts, team_id=TEAM, team_name="Team", team=draw(few))
    return facts


@given(circumstances(), st.sampled_from(Level))
def test_no_circumstances_leave_an_alert_without_a_place_or_a_reason(
    facts: Around, level: Level
) -> None:
    answer = route(facts, level)
    assert answer.unit_id == UNIT
    assert answer.staff_id is None or answer.team_id is None
    assert answer.sentence.endswith(".")
    if answer.in_queue:
        assert answer.told == ()
    known = [*facts.team, *facts.substitutes, *facts.duty]
    known += [facts.contact] if facts.contact is not None else []
    working = {one.staff_id for one in known if one.is_working}
    assert set(answer.told) <= working


@given(circumstances())
def test_red_is_told_to_somebody_at_once_if_anybody_works(facts: Around) -> None:
    known = [*facts.team, *facts.substitutes, *facts.duty]
    known += [facts.contact] if facts.contact is not None else []
    answer = route(facts, RED)
    assert bool(answer.told) is any(one.is_working for one in known)
    assert answer.why is not Why.WAITS_FOR_OPENING
    assert bool(answer.told) or Warning.NOBODY_ON_DUTY in answer.warnings or facts.unit.is_open


@given(circumstances())
def test_nobody_who_is_away_receives(facts: Around) -> None:
    for level in Level:
        answer = route(facts, level)
        known = [*facts.team, *facts.substitutes, *facts.duty]
        known += [facts.contact] if facts.contact is not None else []
        mine = [one for one in known if one.staff_id == answer.staff_id]
        assert not mine or not all(one.is_absent for one in mine)
