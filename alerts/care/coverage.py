"""Whether somebody is there for every patient: asked when who is there is about to change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import scalar_row

from alerts.care.availability import Around, Person, around

# A nurse has some 80 patients and stands in for a few colleagues' as many.
_PATIENTS_MAX: Final = 2_000
# Moments looked at in a time of absence: a month in which a colleague goes twice a day.
_MOMENTS_MAX: Final = 60

# Whose alerts could come to her: as the contact, in the contact's team, or standing in.
_OF: Final = """
select patient_id from care_contact c
where (c.until_at is null or c.until_at > %(from_at)s) and (
    c.staff_id = %(staff_id)s
    or c.staff_id in (select for_staff_id from substitute s where s.staff_id = %(staff_id)s
                      and (s.until_at is null or s.until_at > %(from_at)s))
    or c.team_id in (select team_id from team_member m where m.staff_id = %(staff_id)s
                     and (m.until_at is null or m.until_at > %(from_at)s))
)
union
select patient_id from substitute s
where s.staff_id = %(staff_id)s and s.patient_id is not null
  and (s.until_at is null or s.until_at > %(from_at)s)
limit %(most)s
"""
# When it can become otherwise in between: one of those around goes, or stands in no more.
_MOMENTS: Final = """
select at from (
    select from_at as at from absence where withdrawn_at is null and staff_id = any(%(staff)s)
    union select until_at from substitute where staff_id = any(%(staff)s)
    union select until_at from team_member where staff_id = any(%(staff)s)
) change
where at > %(from_at)s and at < %(until_at)s
order by at limit %(most)s
"""


async def uncovered(
    connection: AsyncConnection, staff_id: int, from_at: datetime, until_at: datetime
) -> frozenset[int]:
    """Return the patients of *staff_id* who at some moment in that time have nobody.

    Hers are all whose alerts could come to her. A patient has nobody when neither her contact,
    nor one of the contact's team, nor a substitute is there: her alerts go to the unit's queue.
    """
    cursor = connection.cursor(row_factory=scalar_row)
    asked = {"staff_id": staff_id, "from_at": from_at, "until_at": until_at}
    await cursor.execute(_OF, {**asked, "most": _PATIENTS_MAX})
    patients: list[int] = await cursor.fetchall()
    there = await around(connection, patients, from_at)
    staff = {person.staff_id for one in there.values() for person in _people(one)}
    await cursor.execute(_MOMENTS, {**asked, "staff": list(staff), "most": _MOMENTS_MAX})
    found = _without(there)
    for moment in await cursor.fetchall():
        covered = [one for one in patients if one not in found]
        found |= _without(await around(connection, covered, moment))
    return frozenset(found)


def _without(there: Mapping[int, Around]) -> set[int]:
    return {
        patient_id
        for patient_id, one in there.items()
        if all(person.is_absent for person in _people(one))
    }


def _people(around: Around) -> tuple[Person, ...]:
    contact = () if around.contact is None else (around.contact,)
    return (*contact, *around.team, *around.substitutes)
