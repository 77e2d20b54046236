"""A unit, its people and a course of theirs, told step by step in lines."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.alert import Level
from alerts.care.availability import Around, Person, UnitNow
from alerts.care.hours import USUAL, next_opening
from alerts.escalation import Course, Receiver, Step, advance
from alerts.policy import DEFAULTS

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ANNA, BO, CIA, DAN = (Receiver(staff_id=number) for number in (1, 2, 3, 4))
UNIT = Receiver(unit_id=9)
NAMES = {ANNA: "Anna", BO: "Bo", CIA: "Cia", DAN: "Dan", UNIT: "enheten"}

Facts = Callable[[datetime], Around]


def at(text: str, *, fold: int = 0) -> datetime:
    """Return a moment on the wall: ``2026-11-23 08:12``, a Monday."""
    return datetime.fromisoformat(text).replace(tzinfo=STOCKHOLM, fold=fold)


MONDAY = at("2026-11-23 08:12")
TEN = timedelta(minutes=10)
NIGHT = at("2026-11-23 23:00")


def person(who: Receiver, **more: bool) -> Person:
    return Person(
        staff_id=who.staff_id,
        name=NAMES[who],
        absent_until=None,
        is_absent=more.get("is_absent", False),
        is_working=more.get("is_working", True) and not more.get("is_absent", False),
        has_channel=more.get("has_channel", True),
    )


def around(
    now: datetime,
    contact: Person | None = None,
    *,
    substitutes: Iterable[Person] = (),
    team: Iterable[Person] = (),
    duty: Iterable[Person] = (),
    unit_has_channel: bool = True,
) -> Around:
    opens_at = next_opening(USUAL, now)
    team = tuple(team)
    return Around(
        patient_id=5,
        unit=UnitNow(
            unit_id=9,
            name="Enheten",
            is_open=opens_at <= now,
            opens_at=opens_at,
            has_channel=unit_has_channel,
        ),
        contact=contact,
        team_id=7 if team else None,
        team_name="Teamet" if team else "",
        team=team,
        substitutes=tuple(substitutes),
        duty=tuple(duty),
    )


def play(
    course: Course, facts: Facts, *, until: timedelta, failing: Iterable[Receiver] = ()
) -> list[str]:
    """Let the time pass from when the course began; return what is done, by the wall.

    Those in *failing* turn out not to be reached a minute after they were told.
    """
    said, now = [], course.began_at.astimezone(UTC)
    end = now + until
    for _ in range(200):
        policy, seen = DEFAULTS[course.level], facts(now)
        step = advance(course, policy, seen, now)
        if step is None:
            assert course.next_at is not None
            due_at = course.next_at
        else:
            said += [f"{clock(now)} {line}" for line in lines(step)]
            course, due_at = after(course, step, now), step.next_due_at
            if step.tell and set(step.tell) <= set(failing):
                told = {who: when for who, when in course.told.items() if who not in step.tell}
                course, due_at = (
                    replace(course, in_vain=True, told=told),
                    now + timedelta(minutes=1),
                )
        assert due_at > now, "time stands still"
        if due_at >= end:
            return said
        now = due_at
    raise AssertionError(said)


def clock(now: datetime) -> str:
    return now.astimezone(STOCKHOLM).strftime("%a %H:%M")


def lines(step: Step) -> list[str]:
    passed_over = [f"steg {one.step}: ingen ({one.missing})" for one in step.nobody]
    told = ", ".join(NAMES[one] for one in step.tell)
    return [*passed_over, *([f"{told} ({step.why})"] if told else [])]


def after(course: Course, step: Step, now: datetime) -> Course:
    return replace(
        course,
        step=step.next_number,
        next_at=step.next_due_at,
        told={**course.told, **dict.fromkeys(step.tell, now)},
        in_vain=False,
        is_rerouted=step.is_rerouted,
    )


def red(
    staff: Receiver | None = ANNA, began_at: datetime = MONDAY, team: int | None = None
) -> Course:
    staff_id = staff.staff_id if staff else None
    return Course(level=Level.RED, began_at=began_at, staff_id=staff_id, team_id=team)


def yellow(staff: Receiver | None = ANNA, began_at: datetime = MONDAY) -> Course:
    return replace(red(staff, began_at), level=Level.YELLOW)


def everybody(now: datetime) -> Around:
    substitutes, duty = [person(BO), person(CIA)], [person(DAN)]
    return around(now, person(ANNA), substitutes=substitutes, duty=duty)
