"""What care makes of a year's breaches: routing and the default policy, with a virtual clock.

Routing and escalation are the product's own (``alerts.routing``, ``alerts.escalation``,
``alerts.policy``). The staff are invented: how they are away and how soon they answer are
assumptions, and stand first.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from alerts.alert import Level
from alerts.care.availability import Around, Person, UnitNow
from alerts.care.hours import USUAL, after_work, next_opening
from alerts.escalation import Because, Course, Receiver, Step, advance
from alerts.policy import DEFAULTS
from alerts.routing import Why, route
from alerts.snooze import SNOOZE_MAX

# One municipal nurse follows 80 patients; eight nurses are a unit.
PATIENTS_A_NURSE: Final = 80
NURSES_A_UNIT: Final = 8
# Leave: four weeks in summer, one in another season; ill in spells of some days.
SUMMER_DAYS: Final = 28
WINTER_DAYS: Final = 7
ILL_SPELLS_PER_YEAR: Final = 4.0
ILL_DAYS_MEAN: Final = 2.5
# From a message to the one who takes the alert, in minutes: median, and the log's spread.
_ANSWER_MIN: Final = {Level.RED: (15.0, 1.0), Level.YELLOW: (90.0, 1.0)}
_MORNING_MIN: Final = 45.0  # an unanswered one of the day before is seen so soon, on average
_DUTY_SILENT_SHARE: Final = 0.1  # a message at night that nobody hears
# From taking it to its end, counted in working hours for yellow.
_WORK_H: Final = {Level.RED: 1.5, Level.YELLOW: 3.0}
# The second of its kind within so long: she knows. It rests, unless something worse comes, and is
# back on the list at the end of its rest.
KNOWN_WITHIN: Final = timedelta(days=14)
REST: Final = SNOOZE_MAX
_STEPS_MAX: Final = 10_000
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Episode:
    """One alert as care met it."""

    level: Level
    opened_at: datetime
    why: Why  # of its first route
    told: int = 0  # messages
    handled: int = 0  # times somebody took it
    rests: int = 0
    acknowledged_at: datetime = _NEVER
    by_contact: bool = False
    closed_at: datetime = _NEVER


@dataclass(frozen=True, slots=True)
class Nurse:
    """Somebody of the staff, and when she is away."""

    staff_id: int
    unit_id: int
    away: tuple[tuple[datetime, datetime], ...]

    def until(self, now: datetime) -> datetime | None:
        """Return until when she is away; none: she is not."""
        return max((end for begin, end in self.away if begin <= now < end), default=None)


class Clinic:
    """Who cares for whom, and who is there at a moment."""

    def __init__(self, patients: int, begin: datetime, random: np.random.Generator) -> None:
        count = -(-patients // PATIENTS_A_NURSE)
        self._nurses = [
            Nurse(number + 1, number // NURSES_A_UNIT + 1, tuple(_leave(begin, number % 2, random)))
            for number in range(count)
        ]

    def contact(self, patient: int) -> Nurse:
        """Return the fixed care contact of a patient, counted from 1."""
        return self._nurses[(patient - 1) // PATIENTS_A_NURSE]

    def around(self, patient: int, now: datetime) -> Around:
        """Return who is around a patient, as the care record would."""
        contact = self.contact(patient)
        unit = self._nurses[(contact.unit_id - 1) * NURSES_A_UNIT :][:NURSES_A_UNIT]
        opens_at = next_opening(USUAL, now)
        is_open = opens_at <= now
        place = unit.index(contact)
        others = [unit[(place + after) % len(unit)] for after in (1, 2)]
        week = _week(now)
        rota = [unit[(week + turn) % len(unit)] for turn in range(len(unit))]
        on_duty = next((one for one in rota if one.until(now) is None), rota[0])
        return Around(
            patient_id=patient,
            unit=UnitNow(
                unit_id=contact.unit_id,
                name=f"Enhet {contact.unit_id}",
                is_open=is_open,
                opens_at=opens_at,
                has_channel=True,
            ),
            contact=_person(contact, now, is_open=is_open),
            team_id=None,
            team_name="",
            team=(),
            substitutes=tuple(
                _person(one, now, is_open=is_open) for one in others if one is not contact
            ),
            duty=() if is_open else (_person(on_duty, now, is_open=True),),
        )


def _person(nurse: Nurse, now: datetime, *, is_open: bool) -> Person:
    until = nurse.until(now)
    return Person(
        staff_id=nurse.staff_id,
        name=f"Sköterska {nurse.staff_id}",
        is_absent=until is not None,
        absent_until=until,
        is_working=is_open and until is None,
        has_channel=True,
    )


def _week(now: datetime) -> int:
    return (now.date() - date(2000, 1, 3)).days // 7


def _leave(
    begin: datetime, half: int, random: np.random.Generator
) -> Iterator[tuple[datetime, datetime]]:
    """Yield her leave; half of a unit goes first in summer, then the other."""
    summer = begin.replace(month=6, day=15) + timedelta(days=half * SUMMER_DAYS)
    if summer < begin:
        summer += timedelta(days=365)
    yield summer, summer + timedelta(days=SUMMER_DAYS)
    for days in (
        WINTER_DAYS,
        *(1 + random.exponential(ILL_DAYS_MEAN - 1, random.poisson(ILL_SPELLS_PER_YEAR))),
    ):
        first = begin + timedelta(days=int(random.integers(0, 365)))
        yield first, first + timedelta(days=round(float(days)))


@dataclass(slots=True)
class _Asked:
    """Who has been told of one alert since it began, and who will answer when."""

    told: dict[Receiver, datetime] = field(default_factory=dict)
    answers: list[tuple[datetime, int]] = field(default_factory=list)  # a heap; 0: of the unit


@dataclass(slots=True)
class Care:
    """Follows the breaches of one patient's family to their ends."""

    clinic: Clinic
    random: np.random.Generator
    with_rest: bool
    episodes: list[Episode] = field(default_factory=list)
    waits: dict[Level, list[timedelta]] = field(default_factory=lambda: {one: [] for one in Level})

    def follow(self, patient: int, breaches: Sequence[tuple[datetime, Level]]) -> None:
        """Take a patient's breaches of one family, ascending by time."""
        episode: Episode | None = None
        for at, level in breaches:
            if episode is not None and at < episode.closed_at:
                if level > episode.level:  # raised: open again, from the first step
                    self._run(patient, episode, level, at, Because.RAISED)
                continue
            is_known = episode is not None and at - episode.closed_at < KNOWN_WITHIN
            episode = Episode(level, at, route(self.clinic.around(patient, at), level).why)
            self.episodes.append(episode)
            self._run(patient, episode, level, at, Because.OPENED)
            if self.with_rest and is_known:
                self._rest(patient, episode, [one for one in breaches if one[0] > at])

    def _rest(
        self, patient: int, episode: Episode, coming: Sequence[tuple[datetime, Level]]
    ) -> None:
        """Let it rest instead of ending it; something worse breaks the rest."""
        ends_at = episode.acknowledged_at + REST[episode.level]
        episode.rests += 1
        worse = (at for at, level in coming if level > episode.level)
        broken_at = next((at for at in worse if episode.acknowledged_at < at < ends_at), None)
        if broken_at is not None:
            self._run(patient, episode, Level.RED, broken_at, Because.SNOOZE_BROKEN)
        else:
            self._run(patient, episode, episode.level, ends_at, Because.SNOOZE_ENDED)

    def _run(
        self, patient: int, episode: Episode, level: Level, began_at: datetime, because: Because
    ) -> None:
        """Take the policy's steps until somebody answers."""
        asked = _Asked()
        number, due_at, now = 0, began_at, began_at
        for _ in range(_STEPS_MAX):
            if asked.answers and asked.answers[0][0] <= due_at:
                break
            now = due_at
            around = self.clinic.around(patient, now)
            where = route(around, level)
            course = Course(
                level=level,
                began_at=began_at,
                because=because,
                step=number,
                next_at=due_at,
                staff_id=where.staff_id,
                told=asked.told,
            )
            step = advance(course, DEFAULTS[level], around, now)
            assert step is not None
            number, due_at = step.next_number, step.next_due_at
            self._tell(step, around, level, now, asked)
            episode.told += len(step.tell)
        else:
            raise AssertionError(episode)
        at, by = asked.answers[0]
        self.waits[level].append(at - began_at)
        episode.level = level
        episode.handled += 1
        episode.acknowledged_at = at
        episode.by_contact = by == self.clinic.contact(patient).staff_id
        work = timedelta(hours=float(self.random.exponential(_WORK_H[level])))
        episode.closed_at = at + work if level is Level.RED else after_work(USUAL, at, work)

    def _tell(self, step: Step, around: Around, level: Level, now: datetime, asked: _Asked) -> None:
        for receiver in step.tell:
            asked.told[receiver] = now
            if (at := self._answer(receiver, around, level, now)) is not None:
                heapq.heappush(asked.answers, (at, receiver.staff_id))

    def _answer(
        self, receiver: Receiver, around: Around, level: Level, now: datetime
    ) -> datetime | None:
        """Return when she takes it; none: she does not hear it.

        A unit's own channel is heard while it is open, by whoever is there, and not at night.
        """
        if receiver.unit_id and not around.unit.is_open:
            return None
        median, spread = _ANSWER_MIN[level]
        at = now + timedelta(minutes=float(self.random.lognormal(np.log(median), spread)))
        if not around.unit.is_open:  # on duty
            return None if self.random.random() < _DUTY_SILENT_SHARE else at
        opens_at = next_opening(USUAL, at)
        if opens_at > at:  # she went home before
            return opens_at + timedelta(minutes=float(self.random.exponential(_MORNING_MIN)))
        return at
