"""What a policy would do: for an alert that nobody answers, and for those there have been.

It goes through the steps that the course of an alert goes through, with somebody in every group:
the contact and the others work when their unit is open, who is on duty works always.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.alert import Event, Level
from alerts.care.availability import Around, Person, UnitNow
from alerts.care.hours import Hours, next_opening
from alerts.escalation import Because, Course, Receiver, advance
from alerts.policy import Group, Policy
from alerts.routing import route

# Who plays whom.
_CONTACT, _SUBSTITUTE, _MEMBER, _ON_DUTY, _UNIT = 1, 2, 3, 4, 1
_GROUPS: Final = {
    _CONTACT: Group.CONTACT,
    _SUBSTITUTE: Group.SUBSTITUTES,
    _MEMBER: Group.TEAM,
    _ON_DUTY: Group.DUTY,
}
# All steps, and the last of them repeated, so that it is seen how often.
_REPEATS_SHOWN: Final = 2
# Waits for opening hours between two tellings; no unit is closed so often.
_TURNS_MAX: Final = 60
# Alerts that are rehearsed: as many as are gone through without anybody waiting for it.
REHEARSED_MAX: Final = 100
LOOK_BACK: Final = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody would be told."""

    at: datetime
    whom: tuple[Group, ...]
    why: Because


@dataclass(frozen=True, slots=True)
class Answered:
    """An alert that there has been: when it opened, and when somebody took or ended it."""

    opened_at: datetime
    answered_at: datetime | None


def unanswered(policy: Policy, level: Level, hours: Hours, opened_at: datetime) -> Iterator[Told]:
    """Yield who would be told when, of an alert that opens then and that nobody answers."""
    now = opened_at
    to = route(_around(hours, now), level)
    course = Course(level=level, began_at=now, staff_id=to.staff_id, team_id=to.team_id)
    left = policy.last + 1 + _REPEATS_SHOWN
    for _ in range(_TURNS_MAX):
        step = advance(course, policy, _around(hours, now), now)
        assert step is not None  # it is looked at when it is due
        if step.tell:
            yield Told(now, tuple(map(_group, step.tell)), step.why)
            left -= 1
        if not left:
            return
        told = {**course.told, **dict.fromkeys(step.tell, now)}
        course = replace(course, step=step.next_number, next_at=step.next_due_at, told=told)
        now = step.next_due_at


def times_told(policy: Policy, level: Level, hours: Hours, alert: Answered, now: datetime) -> int:
    """Return how often somebody would have been told until it was answered, or until *now*."""
    until = alert.answered_at or now
    return sum(told.at <= until for told in unanswered(policy, level, hours, alert.opened_at))


def _around(hours: Hours, now: datetime) -> Around:
    opens_at = next_opening(hours, now)
    is_open = opens_at <= now
    unit = UnitNow(
        unit_id=_UNIT, name="", is_open=is_open, opens_at=opens_at, has_channel=True, hours=hours
    )
    return Around(
        patient_id=1,
        unit=unit,
        contact=_person(_CONTACT, is_working=is_open),
        team_id=None,
        team_name="",
        team=(_person(_MEMBER, is_working=is_open),),
        substitutes=(_person(_SUBSTITUTE, is_working=is_open),),
        duty=(_person(_ON_DUTY, is_working=True),),
    )


def _person(staff_id: int, *, is_working: bool) -> Person:
    return Person(
        staff_id=staff_id,
        name="",
        is_absent=False,
        absent_until=None,
        is_working=is_working,
        has_channel=True,
    )


def _group(receiver: Receiver) -> Group:
    return _GROUPS[receiver.staff_id] if receiver.staff_id else Group.UNIT


_ANSWERED: Final = """
select a.opened_at, (
    select min(l.at) from alert_log l where l.alert_id = a.alert_id and l.event = any (%(events)s)
) as answered_at
from alert a join alert_case k using (alert_id)
where k.unit_id = %(unit_id)s and a.level = %(level)s and a.opened_at > %(since)s
order by a.opened_at desc limit %(most)s
"""


async def answered(
    connection: AsyncConnection, unit_id: int, level: Level, now: datetime
) -> list[Answered]:
    """Return a unit's newest alerts of a level within ``LOOK_BACK``, at most ``REHEARSED_MAX``."""
    cursor = connection.cursor(row_factory=class_row(Answered))
    asked = {
        "unit_id": unit_id,
        "level": level,
        "since": now - LOOK_BACK,
        "events": [Event.ACKNOWLEDGED, Event.CLOSED],
        "most": REHEARSED_MAX,
    }
    await cursor.execute(_ANSWERED, asked)
    return await cursor.fetchall()
