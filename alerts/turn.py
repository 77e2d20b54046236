"""What a look at one alert comes to: it begins anew, rests, or takes its next step. Pure.

Law of this module: an alert rests only while somebody acts or has said until when it may, and
always until a time. Whatever ends the rest begins the course anew, with the receiver; but a yellow
one that is normal again when its time comes ends there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from alerts.alert import NORMAL, Event, Level, State
from alerts.care.availability import Around
from alerts.escalation import Because, Course, Receiver, Step, advance
from alerts.policy import Policy

# A course that begins anew is later than it was, whatever the clocks say: what is told goes by it.
_LATER: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An alert and its course as they are; all times in UTC.

    Attributes:
        routed_at: When it got the receiver it has.
        acknowledged_until: None: nobody has it, or it is not told until when.
        is_worse: A worse value came after the snooze began.
        is_normal: The snooze is over, and all has been in range for so long that it may end.
        began_at: None: it has no course yet, nor what follows.
        known_level: The one its course goes by. Below the alert's: it was raised.
        known_routed_at: Of the receiver the course knows; none: a new one waits to be told.
        told: Who has been told since it began, and when last.
        in_vain: None of those told last could be reached.
    """

    alert_id: int
    patient_id: int
    level: Level
    state: State
    opened_at: datetime
    level_since: datetime
    changed_at: datetime
    staff_id: int | None
    team_id: int | None
    unit_id: int
    routed_at: datetime
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    snoozed_until: datetime | None = None
    is_worse: bool = False
    is_normal: bool = False
    began_at: datetime | None = None
    known_level: Level | None = None
    because: Because = Because.OPENED
    step: int = 0
    next_at: datetime | None = None
    known_routed_at: datetime | None = None
    told: Mapping[Receiver, datetime] = field(default_factory=dict)
    in_vain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is to be written.

    Attributes:
        due_at: When to look again, whatever happens.
        begins: The course begins, or begins anew: what it rested for is over.
        opens: Whoever had taken it has it no more.
        closes: It ends by itself.
        number: Of the step, of the notifications of *tell*; below zero: told beside the steps.
        tell: Who is told now.
        warns: Somebody should mend the care record or the rota.
        entries: For the log, in order.
    """

    alert_id: int
    level: Level
    began_at: datetime
    because: Because
    step: int
    next_at: datetime | None
    due_at: datetime
    routed_at: datetime | None
    begins: bool = False
    opens: bool = False
    closes: bool = False
    ends_snooze: bool = False
    number: int = 0
    tell: tuple[Receiver, ...] = ()
    why: Because = Because.OPENED
    warns: bool = False
    entries: tuple[tuple[Event, Mapping[str, object]], ...] = ()


def look(standing: Standing, policy: Policy, around: Around, now: datetime) -> Turn:
    """Return what to do about an alert that has not ended."""
    because = _begins(standing, policy, now)
    if because is None and (until := _rests_until(standing, policy)) is not None:
        return _rest(standing, until)
    if because is Because.SNOOZE_ENDED and _may_end(standing):
        return _end(standing, now)
    if because not in (None, Because.OPENED):
        return _begin(standing, because, now)
    course = _course(standing, because)
    step = advance(course, policy, around, now)
    if step is None:
        assert course.next_at is not None
        return _keep(standing, course, course.next_at)
    return _go(standing, course, step, is_new=because is not None)


def _begins(standing: Standing, policy: Policy, now: datetime) -> Because | None:
    """Return why the course begins, or begins anew; none: it goes on, or rests."""
    if standing.known_level is not None and standing.known_level < standing.level:
        return Because.RAISED
    if standing.snoozed_until is not None:
        if standing.is_worse:
            return Because.SNOOZE_BROKEN
        return Because.SNOOZE_ENDED if standing.snoozed_until <= now else None
    until = _rests_until(standing, policy)
    if until is not None:
        return Because.ACK_EXPIRED if until <= now else None
    if standing.began_at is None:
        return Because.RAISED if standing.level_since > standing.opened_at else Because.OPENED
    return None


def _may_end(standing: Standing) -> bool:
    """Whether it ends by itself. A red one never does."""
    return standing.is_normal and standing.level is Level.YELLOW


def _rests_until(standing: Standing, policy: Policy) -> datetime | None:
    """Return when somebody must have acted; none: nobody has it."""
    if standing.snoozed_until is not None:
        return standing.snoozed_until
    if standing.state is not State.ACKNOWLEDGED:
        return None
    if standing.acknowledged_until is not None:
        return standing.acknowledged_until
    return (standing.acknowledged_at or standing.changed_at) + policy.acknowledged


def _course(standing: Standing, because: Because | None) -> Course:
    if because is not None:
        return Course(
            level=standing.level,
            began_at=standing.level_since,
            because=because,
            staff_id=standing.staff_id,
            team_id=standing.team_id,
        )
    assert standing.began_at is not None
    known = standing.known_routed_at
    return Course(
        level=standing.level,
        began_at=standing.began_at,
        because=standing.because,
        step=standing.step,
        next_at=standing.next_at,
        staff_id=standing.staff_id,
        team_id=standing.team_id,
        is_rerouted=known is None or known != standing.routed_at,
        told=standing.told,
        in_vain=standing.in_vain,
    )


def _rest(standing: Standing, until: datetime) -> Turn:
    return Turn(
        alert_id=standing.alert_id,
        level=standing.level,
        began_at=standing.began_at or standing.level_since,
        because=standing.because,
        step=standing.step,
        next_at=standing.next_at,
        due_at=until,
        routed_at=standing.routed_at,
    )


def _end(standing: Standing, now: datetime) -> Turn:
    entries = ((Event.CLOSED, {"outcome": NORMAL}),)
    return replace(_rest(standing, now), closes=True, ends_snooze=True, entries=entries)


def _begin(standing: Standing, because: Because, now: datetime) -> Turn:
    """Return that it begins anew. Its receiver is found before the first step is taken."""
    began_at = standing.level_since if because is Because.RAISED else now
    if standing.began_at is not None:
        began_at = max(began_at, standing.began_at + _LATER)
    return Turn(
        alert_id=standing.alert_id,
        level=standing.level,
        began_at=began_at,
        because=because,
        step=0,
        next_at=None,
        due_at=now,
        routed_at=standing.routed_at,
        begins=True,
        opens=standing.state is State.ACKNOWLEDGED,
        ends_snooze=standing.snoozed_until is not None,
        entries=_began(standing, because),
    )


def _keep(standing: Standing, course: Course, due_at: datetime) -> Turn:
    return Turn(
        alert_id=standing.alert_id,
        level=standing.level,
        began_at=course.began_at,
        because=course.because,
        step=course.step,
        next_at=course.next_at,
        due_at=due_at,
        routed_at=standing.routed_at,
    )


def _go(standing: Standing, course: Course, step: Step, *, is_new: bool) -> Turn:
    number = step.number
    if number is None:  # one for each receiver it gets, by when she got it
        number = -1 - abs(int((standing.routed_at - course.began_at).total_seconds()))
    return Turn(
        alert_id=standing.alert_id,
        level=standing.level,
        began_at=course.began_at,
        because=course.because,
        step=step.next_number,
        next_at=course.next_at if step.is_rerouted else step.next_due_at,
        due_at=step.next_due_at,
        routed_at=None if step.is_rerouted else standing.routed_at,
        begins=is_new,
        number=number,
        tell=step.tell,
        why=step.why,
        warns=any(one.step == 0 for one in step.nobody) or (bool(step.nobody) and not step.tell),
        entries=_said(step),
    )


def _began(standing: Standing, because: Because) -> tuple[tuple[Event, Mapping[str, object]], ...]:
    """Return what the log says of a beginning."""
    entries: list[tuple[Event, Mapping[str, object]]] = []
    if standing.snoozed_until is not None:
        is_ended = because is Because.SNOOZE_ENDED
        entries.append((Event.SNOOZE_ENDED if is_ended else Event.SNOOZE_BROKEN, {}))
    if because is Because.ACK_EXPIRED:
        entries.append((Event.ACK_EXPIRED, {}))
    elif standing.state is State.ACKNOWLEDGED or standing.acknowledged_until is not None:
        entries.append((Event.REOPENED, {"why": because}))
    return tuple(entries)


_IN_TURN = (Because.NOT_ANSWERED, Because.NOT_REACHED, Because.NOBODY_BEFORE)


def _said(step: Step) -> tuple[tuple[Event, Mapping[str, object]], ...]:
    """Return what the log says of a step."""
    entries: list[tuple[Event, Mapping[str, object]]] = [
        (Event.NOBODY_TO_NOTIFY, {"step": one.step, "why": one.missing}) for one in step.nobody
    ]
    if step.tell and step.why in _IN_TURN:
        entries.append((Event.ESCALATED, {"step": step.number, "why": step.why}))
    if step.tell:
        people = [one.staff_id for one in step.tell if one.staff_id]
        units = [one.unit_id for one in step.tell if one.unit_id]
        told = {"step": step.number, "why": step.why, "to": people, "units": units}
        entries.append((Event.NOTIFIED, told))
    return tuple(entries)
