"""What is done next about an alert that nobody has answered. Pure; ``now`` is given.

Law of this module: nothing waits for nothing. A step that finds nobody is passed over at once,
and that is said; one of which nobody could be reached is followed by the next at once; the last
is repeated until somebody acts. Who is absent or not at work is told nothing: she could not act.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from typing import Final

from alerts.alert import Level
from alerts.care.availability import Around, Person
from alerts.care.hours import Hours, after_work, is_open, next_opening
from alerts.policy import Counting, Group, Policy
from alerts.routing import Why, route
from ingest.rules.day import ZONE

# No unit is closed for longer over holidays. Beyond it, its channel is told all the same.
CLOSED_MAX: Final = timedelta(days=7)
# Who was told so lately has hardly had time to look; below any wait between two repetitions.
TOLD_NOW: Final = timedelta(minutes=5)
# What is told of each morning wakes nobody, also where somebody is at work day and night.
MORNING: Final = time(7)


class Because(enum.StrEnum):
    """Why somebody is told just now."""

    OPENED = "opened"  # the alert is new
    RAISED = "raised"  # it became red
    ACK_EXPIRED = "ack_expired"  # somebody took it, and nothing has come of it
    SNOOZE_ENDED = "snooze_ended"  # its time is over
    SNOOZE_BROKEN = "snooze_broken"  # a worse value came
    REROUTED = "rerouted"  # it is hers now
    NOT_ANSWERED = "not_answered"  # those before have been told, and nobody took it
    NOT_REACHED = "not_reached"  # none of those before could be reached
    NOBODY_BEFORE = "nobody_before"  # the steps before had nobody to tell
    REPEATED = "repeated"  # all have been told, and nobody took it


class Missing(enum.StrEnum):
    """Why a step found nobody, the nearest to somebody first."""

    NO_CHANNEL = "no_channel"  # there are some, but no way of reaching them that is known to work
    NOT_WORKING = "not_working"  # they are outside their hours
    ABSENT = "absent"  # they are on leave
    TOLD_ALREADY = "told_already"  # they have been told in a step before
    EMPTY = "empty"  # there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is told: a staff member, or a unit by its own channel."""

    staff_id: int = 0
    unit_id: int = 0

    def __post_init__(self) -> None:
        if (self.staff_id > 0) == (self.unit_id > 0):
            problem = f"a receiver is a person or a unit: {self.staff_id}, {self.unit_id}"
            raise ValueError(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Where an alert stands on its way through its policy.

    Attributes:
        level: The alert's.
        began_at: When it opened, was raised, or was open again.
        because: Which of these.
        step: The number of the next step.
        next_at: When it is due, if those told before were reached; none: at once.
        staff_id: The receiver, if it is a person.
        team_id: The receiver, if it is a team. Neither: the unit.
        is_rerouted: The receiver is new since the last step.
        told: Who has been told since it began, and when last; not those who were not reached.
        in_vain: None of those told in the last step could be reached.
    """

    level: Level
    began_at: datetime
    because: Because = Because.OPENED
    step: int = 0
    next_at: datetime | None = None
    staff_id: int | None = None
    team_id: int | None = None
    is_rerouted: bool = False
    told: Mapping[Receiver, datetime] = field(default_factory=dict)
    in_vain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Nobody:
    """A step that found nobody, and why."""

    step: int
    missing: Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is to be done.

    Attributes:
        tell: Who is told, once each; empty: nobody can be, or it is not yet time.
        why: Why they are told.
        number: Of the step that this is; none: it is no step, only a new receiver or a wait.
        next_number: Of the next.
        next_due_at: When that is due.
        nobody: Steps that were passed over.
        is_rerouted: The new receiver still waits to be told.
    """

    tell: tuple[Receiver, ...] = ()
    why: Because
    number: int | None = None
    next_number: int
    next_due_at: datetime
    nobody: tuple[Nobody, ...] = ()
    is_rerouted: bool = False


def advance(course: Course, policy: Policy, around: Around, now: datetime) -> Step | None:
    """Return what is to be done now; none if it is not yet time."""
    now = now.astimezone(UTC)  # in local time, adding and comparing go by the wall
    if course.step > 0 and course.is_rerouted:
        return _tell_new_receiver(course, policy, around, now)
    if course.next_at is not None and now < course.next_at and not _goes_on_at_once(course, policy):
        return None
    if (opens_at := _waits_until(policy, around, now)) is not None:
        return Step(why=course.because, next_number=course.step, next_due_at=opens_at)
    return _take(course, policy, around, now)


def _goes_on_at_once(course: Course, policy: Policy) -> bool:
    """Whether the next person is told without waiting. Who is last is not told without pause."""
    return course.in_vain and not policy.repeats(course.step)


def _waits_until(policy: Policy, around: Around, now: datetime) -> datetime | None:
    """Return the opening that the policy waits for; none: it waits for none."""
    unit = around.unit
    if policy.counting is Counting.CLOCK or unit.is_open or unit.opens_at - now > CLOSED_MAX:
        return None
    return unit.opens_at


def _after(policy: Policy, hours: Hours, number: int, taken_at: datetime) -> datetime:
    """Return when the step of *number* is due, after the one before it was taken."""
    taken_at = taken_at.astimezone(UTC)
    if policy.is_of_mornings(number):
        return min(_next_morning(hours, taken_at), taken_at + CLOSED_MAX)
    wait = policy.wait(number)
    if policy.counting is Counting.WORK:
        return min(after_work(hours, taken_at, wait), taken_at + wait + CLOSED_MAX)
    if number >= policy.last and not is_open(hours, taken_at):
        # Those who come to work are told when they come.
        return min(taken_at + wait, next_opening(hours, taken_at))
    return taken_at + wait


def _next_morning(hours: Hours, since: datetime) -> datetime:
    """Return when the unit is staffed in the morning of a day after *since*, or first after it."""
    tomorrow = since.astimezone(ZONE).date() + timedelta(days=1)
    return next_opening(hours, datetime.combine(tomorrow, MORNING, ZONE))


def _tell_new_receiver(course: Course, policy: Policy, around: Around, now: datetime) -> Step:
    """Tell who has become the receiver; the steps go on as they would have."""
    due_at = now if course.next_at is None else max(now, course.next_at.astimezone(UTC))
    opens_at = _waits_until(policy, around, now)
    if opens_at is not None:
        return Step(
            why=Because.REROUTED,
            next_number=course.step,
            next_due_at=opens_at,
            is_rerouted=True,
        )
    reached = [
        one
        for one in _of(Group.RECEIVER, course, around)
        if one.missing is None and (_is_receiver(one, course) or one.receiver not in course.told)
    ]
    if not reached and (due_at <= now or not policy.repeats(course.step)):
        return _take(course, policy, around, now)  # as if she had been told in vain
    return Step(
        tell=_in_order(reached),
        why=Because.REROUTED,
        next_number=course.step,
        next_due_at=due_at,
    )


def _is_receiver(one: "_Candidate", course: Course) -> bool:
    """Return whether it is hers by name; who only shares it with her may have been told."""
    return course.staff_id is None or one.receiver.staff_id == course.staff_id


def _take(course: Course, policy: Policy, around: Around, now: datetime) -> Step:
    """Take the next step that has somebody; the last has somebody, or is tried again later."""
    nobody: list[Nobody] = []
    first = course.step
    last = max(first, policy.last)
    for number in range(first, last + 1):
        found = _found(course, policy, around, number, now)
        tell = _in_order(one for one in found if one.missing is None)
        if not tell:
            nobody.append(Nobody(step=number, missing=_nearest(found)))
        if not tell and number == last:
            # Better by a way that failed before than by none.
            tell = _in_order(one for one in found if one.missing is Missing.NO_CHANNEL)
        if tell or number == last:
            return Step(
                tell=tell,
                why=_why(course, policy, number, nobody),
                number=number,
                next_number=number + 1,
                next_due_at=_after(policy, around.unit.hours, number + 1, now),
                nobody=tuple(nobody),
            )
    raise AssertionError(course)


def _why(course: Course, policy: Policy, number: int, nobody: list[Nobody]) -> Because:
    if number == 0:
        return course.because
    if course.in_vain:
        return Because.NOT_REACHED
    if not course.told:
        return Because.NOBODY_BEFORE if nobody else course.because
    return Because.REPEATED if policy.repeats(number) else Because.NOT_ANSWERED


@dataclass(frozen=True, slots=True)
class _Candidate:
    receiver: Receiver
    missing: Missing | None  # none: she can be told


def _found(
    course: Course, policy: Policy, around: Around, number: int, now: datetime
) -> tuple[_Candidate, ...]:
    """Return those of a step; the others of the step only if none of the first can be told."""
    step = policy.at(number)
    # The last tells all, also who knows; but nobody twice in a breath.
    since = now - TOLD_NOW if number >= policy.last else course.began_at.astimezone(UTC)
    first = _candidates(step.tell, course, around, since)
    if any(one.missing is None for one in first):
        return first
    return (*first, *_candidates(step.otherwise, course, around, since))


def _in_order(found: Iterable[_Candidate]) -> tuple[Receiver, ...]:
    """Return people by number, then the unit."""
    receivers = (one.receiver for one in found)
    return tuple(sorted(receivers, key=lambda one: (one.unit_id, one.staff_id)))


def _candidates(
    groups: Iterable[Group], course: Course, around: Around, since: datetime
) -> tuple[_Candidate, ...]:
    """Return those of *groups*; who has been told from *since* on is not told again."""
    found = {one.receiver: one for group in groups for one in _of(group, course, around)}
    told = {receiver for receiver, at in course.told.items() if at >= since}
    return tuple(
        replace(one, missing=Missing.TOLD_ALREADY) if one.receiver in told else one
        for one in found.values()
    )


def _of(group: Group, course: Course, around: Around) -> tuple[_Candidate, ...]:
    match group:
        case Group.RECEIVER:
            return _receiver(course, around)
        case Group.CONTACT:
            return _people(() if around.contact is None else (around.contact,))
        case Group.SUBSTITUTES:
            return _people(around.substitutes)
        case Group.TEAM:
            return _people(around.team)
        case Group.DUTY:
            return _people(around.duty)
        case Group.UNIT:
            missing = None if around.unit.has_channel else Missing.NO_CHANNEL
            return (_Candidate(Receiver(unit_id=around.unit.unit_id), missing),)


def _receiver(course: Course, around: Around) -> tuple[_Candidate, ...]:
    if course.team_id is not None:
        return _people(around.team) if course.team_id == around.team_id else ()
    if course.staff_id is None:
        return _of(Group.UNIT, course, around)
    contact = () if around.contact is None else (around.contact,)
    to = route(around, course.level)
    if to.why is Why.DUTY and course.staff_id in to.told:  # it is theirs together
        return _people(one for one in around.duty if one.staff_id in to.told)
    everybody = (*contact, *around.substitutes, *around.team, *around.duty)
    mine = [one for one in everybody if one.staff_id == course.staff_id]
    # One whom the facts of this moment do not know: routing is about to name another.
    return _people(mine[:1])


def _people(people: Iterable[Person]) -> tuple[_Candidate, ...]:
    return tuple(_Candidate(Receiver(staff_id=one.staff_id), _missing(one)) for one in people)


def _missing(person: Person) -> Missing | None:
    if person.is_absent:
        return Missing.ABSENT
    if not person.is_working:
        return Missing.NOT_WORKING
    return None if person.has_channel else Missing.NO_CHANNEL


def _nearest(found: Iterable[_Candidate]) -> Missing:
    order = list(Missing)
    missing = [one.missing for one in found if one.missing is not None]
    return min(missing, key=order.index, default=Missing.EMPTY)
