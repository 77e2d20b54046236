"""Who is around a patient at a moment: all that routing looks at, in three queries."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg.types.range import Range

from alerts.care.hours import USUAL, Hours, next_opening
from alerts.care.organisation import WORKS, Unit, units


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A staff member as routing sees her at a moment."""

    staff_id: int
    name: str
    is_absent: bool
    absent_until: datetime | None  # none though she is absent: she works here no more
    is_working: bool  # her unit is open, or she is on duty; and she is not absent
    has_channel: bool  # a verified one that is not failing
    for_staff_id: int | None = None  # of a substitute's substitute: whose, who is absent herself


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNow:
    """A unit at a moment."""

    unit_id: int
    name: str
    is_open: bool
    opens_at: datetime  # the next opening; the moment itself if it is open
    has_channel: bool  # a verified one that is not failing
    hours: Hours = USUAL  # for counting working hours: alerts.care.hours.after_work
    has_hours: bool = True  # false: it has told none, and is taken to work the usual ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Who is around one patient at a moment. Who works here no more is only ever the contact."""

    patient_id: int
    unit: UnitNow
    contact: Person | None
    team_id: int | None
    team_name: str
    team: tuple[Person, ...]  # of the contact, if it is a team; by name
    # In order: the patient's own, then the contact's, then those of substitutes who are absent.
    substitutes: tuple[Person, ...]
    duty: tuple[Person, ...]  # on duty for the unit


# A contact that is named for a coming day is better than none until then.
_PATIENTS: Final = """
select p.patient_id, p.unit_id, c.staff_id as contact_id, c.team_id,
       coalesce(t.name, '') as team_name,
       array(
           select m.staff_id from team_member m join staff s using (staff_id)
           where m.team_id = t.team_id and m.from_at <= %(now)s
             and (m.until_at is null or m.until_at > %(now)s)
             and (t.ended_at is null or t.ended_at > %(now)s)
           order by s.name, s.staff_id
       ) as team,
       array(
           select s.staff_id from substitute s
           where (s.patient_id = p.patient_id or s.for_staff_id = c.staff_id)
             and s.from_at <= %(now)s and (s.until_at is null or s.until_at > %(now)s)
           order by s.patient_id is null, s.place, s.substitute_id
       ) as substitutes,
       array(
           select d.staff_id from duty d
           where d.unit_id = p.unit_id and d.withdrawn_at is null
             and d.from_at <= %(now)s and d.until_at > %(now)s
           order by d.duty_id
       ) as duty
from unnest(%(patients)s::bigint[]) as asked (patient_id)
join person p using (patient_id)
left join lateral (
    select k.staff_id, k.team_id from care_contact k
    where k.patient_id = p.patient_id and (k.until_at is null or k.until_at > %(now)s)
    order by k.from_at, k.until_at limit 1
) c on true
left join team t on t.team_id = c.team_id
"""

_STAFF: Final = sql.SQL("""
with asked as (
    select unnest(%(staff)s::bigint[]) as staff_id
    union
    select s.staff_id from substitute s where s.for_staff_id = any(%(substitutes)s)
)
select s.staff_id, s.name, s.unit_id, coalesce(s.ended_at <= %(now)s, false) as has_ended,
       exists (select from channel where staff_id = s.staff_id and {works}) as has_channel,
       exists (
           select from duty d where d.staff_id = s.staff_id and d.withdrawn_at is null
             and d.from_at <= %(now)s and d.until_at > %(now)s
       ) as is_on_duty,
       array(
           select tstzrange(a.from_at, a.until_at) from absence a
           where a.staff_id = s.staff_id and a.withdrawn_at is null and a.until_at > %(now)s
           order by a.from_at
       ) as absences,
       array(
           select b.staff_id from substitute b
           where b.for_staff_id = s.staff_id
             and b.from_at <= %(now)s and (b.until_at is null or b.until_at > %(now)s)
           order by b.place, b.substitute_id
       ) as substitutes
from asked join staff s using (staff_id)
""").format(works=WORKS)


@dataclass(frozen=True, slots=True)
class _Patient:
    patient_id: int
    unit_id: int
    contact_id: int | None
    team_id: int | None
    team_name: str
    team: list[int]
    substitutes: list[int]
    duty: list[int]

    def staff_ids(self) -> Iterator[int]:
        yield from (*self.team, *self.substitutes, *self.duty)
        if self.contact_id is not None:
            yield self.contact_id


@dataclass(frozen=True, slots=True)
class _Staff:
    staff_id: int
    name: str
    unit_id: int
    has_ended: bool
    has_channel: bool
    is_on_duty: bool
    absences: list[Range[datetime]]
    substitutes: list[int]


async def around(
    connection: AsyncConnection, patient_ids: Sequence[int], now: datetime
) -> dict[int, Around]:
    """Return who is around each of the patients at *now*; those nobody knows are left out."""
    cursor = connection.cursor(row_factory=class_row(_Patient))
    await cursor.execute(_PATIENTS, {"patients": list(patient_ids), "now": now})
    patients = await cursor.fetchall()
    staff = await _staff(connection, patients, now)
    unit_ids = {patient.unit_id for patient in patients} | {one.unit_id for one in staff.values()}
    unit = await units(connection, unit_ids, now)
    at = _Moment(now, staff, unit)
    return {patient.patient_id: at.around(patient) for patient in patients}


async def working(
    connection: AsyncConnection, staff_ids: Iterable[int], now: datetime
) -> frozenset[int]:
    """Return who of them is at work at *now*, or on duty."""
    staff = await _staff_of(connection, list(staff_ids), [], now)
    unit = await units(connection, {one.unit_id for one in staff.values()}, now)
    return _Moment(now, staff, unit).working()


async def _staff(
    connection: AsyncConnection, patients: Iterable[_Patient], now: datetime
) -> dict[int, _Staff]:
    around = {one for patient in patients for one in patient.staff_ids()}
    substitutes = {one for patient in patients for one in patient.substitutes}
    return await _staff_of(connection, list(around), list(substitutes), now)


async def _staff_of(
    connection: AsyncConnection, staff_ids: list[int], substitutes: list[int], now: datetime
) -> dict[int, _Staff]:
    """Return them, and who stands in for the *substitutes*."""
    cursor = connection.cursor(row_factory=class_row(_Staff))
    asked = {"staff": staff_ids, "substitutes": substitutes, "now": now}
    await cursor.execute(_STAFF, asked)
    return {one.staff_id: one for one in await cursor.fetchall()}


class _Moment:
    """What was read for one moment, put together patient by patient."""

    def __init__(self, now: datetime, staff: dict[int, _Staff], unit: dict[int, Unit]) -> None:
        self._staff = staff
        self._unit = {unit_id: _unit_now(one, now) for unit_id, one in unit.items()}
        self._person = {
            one.staff_id: _person(one, self._unit[one.unit_id], now) for one in staff.values()
        }

    def around(self, patient: _Patient) -> Around:
        contact_id = patient.contact_id
        return Around(
            patient_id=patient.patient_id,
            unit=self._unit[patient.unit_id],
            contact=None if contact_id is None else self._person[contact_id],
            team_id=patient.team_id,
            team_name=patient.team_name,
            team=tuple(self._still_here(patient.team)),
            substitutes=tuple(self._standing_in(patient)),
            duty=tuple(self._still_here(patient.duty)),
        )

    def working(self) -> frozenset[int]:
        return frozenset(one.staff_id for one in self._person.values() if one.is_working)

    def _still_here(self, staff_ids: Iterable[int]) -> Iterator[Person]:
        for staff_id in dict.fromkeys(staff_ids):
            if not self._staff[staff_id].has_ended:
                yield self._person[staff_id]

    def _standing_in(self, patient: _Patient) -> Iterator[Person]:
        listed = set(patient.substitutes)
        yield from self._still_here(one for one in patient.substitutes if one != patient.contact_id)
        for absent_id in dict.fromkeys(patient.substitutes):
            if not self._person[absent_id].is_absent:
                continue
            hers = [one for one in self._staff[absent_id].substitutes if one not in listed]
            for person in self._still_here(hers):
                if person.staff_id != patient.contact_id:
                    yield replace(person, for_staff_id=absent_id)
            listed.update(hers)


def _unit_now(unit: Unit, now: datetime) -> UnitNow:
    opens_at = next_opening(unit.hours, now)
    return UnitNow(
        unit_id=unit.unit_id,
        name=unit.name,
        is_open=opens_at <= now,
        opens_at=opens_at,
        has_channel=unit.has_channel,
        hours=unit.hours,
        has_hours=unit.has_hours,
    )


def _person(staff: _Staff, unit: UnitNow, now: datetime) -> Person:
    until = _absent_until(staff.absences, now)
    is_absent = staff.has_ended or until is not None
    return Person(
        staff_id=staff.staff_id,
        name=staff.name,
        is_absent=is_absent,
        absent_until=None if staff.has_ended else until,
        is_working=not is_absent and (unit.is_open or staff.is_on_duty),
        has_channel=staff.has_channel,
    )


def _absent_until(absences: Iterable[Range[datetime]], now: datetime) -> datetime | None:
    """Return when somebody is back who is away at *now*; absences that meet are one."""
    back = None
    for absence in absences:  # by their beginning
        if absence.lower is None or absence.upper is None:
            continue  # the table has none such
        if absence.lower <= (back or now):
            back = max(back or absence.upper, absence.upper)
    return back
