"""Who stands in for whom: for one patient, or for a colleague's patients. Lists, from a time on."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.care.staffing import Member, hold

# Who is told one after the other; after five the unit has long been told.
SUBSTITUTES_MAX: Final = 5


class Refusal(enum.Enum):
    """Why they were not named; the value is what she reads who named them."""

    UNKNOWN = "En av ersättarna finns inte eller har slutat. Välj någon annan."
    NO_PATIENT = "Patienten finns inte. Ladda om sidan."
    GIVES_NO_CARE = "En av ersättarna arbetar inte i vården av patienter. Välj någon annan."
    TWICE = "Samma person står två gånger. Ta bort den ena."
    TOO_MANY = f"Högst {SUBSTITUTES_MAX} ersättare. Ta bort någon."
    HERSELF = "Den som ska ersättas kan inte ersätta sig själv. Välj någon annan."
    IN_THE_PAST = "Ändringen kan inte gälla bakåt i tiden. Låt den gälla från nu eller senare."


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody who stands in, or is going to."""

    staff_id: int
    name: str
    from_at: datetime


async def named(
    connection: AsyncConnection,
    now: datetime,
    *,
    patient_id: int | None = None,
    for_staff_id: int | None = None,
) -> list[Named]:
    """Return who stands in for a patient's contact or for a colleague, those of later times too.

    Who works here no more is left out.
    """
    cursor = connection.cursor(row_factory=class_row(Named))
    await cursor.execute(
        "select s.staff_id, m.name, s.from_at from substitute s join staff m using (staff_id) "
        "where s.patient_id is not distinct from %s and s.for_staff_id is not distinct from %s "
        "and (s.until_at is null or (s.until_at > %s and s.until_at > s.from_at)) "
        "and (m.ended_at is null or m.ended_at > %s) order by s.from_at, s.place, s.substitute_id",
        (patient_id, for_staff_id, now, now),
    )
    return await cursor.fetchall()


async def of_patient(
    connection: AsyncConnection,
    patient_id: int,
    staff_ids: Sequence[int],
    *,
    from_at: datetime,
    noted_by: int | None,
    now: datetime,
) -> Refusal | None:
    """Let these, in order, stand in for the patient's contact from *from_at* on. None: done.

    Nobody is a list too. What was named for later times is named no more.
    """
    async with connection.transaction():
        # The patient's lists are written one after the other.
        found = await connection.execute(
            "select from person where patient_id = %s for no key update", (patient_id,)
        )
        if await found.fetchone() is None:
            return Refusal.NO_PATIENT
        contact = await connection.execute(
            "select from care_contact where patient_id = %s and staff_id = any(%s) "
            "and from_at <= %s and (until_at is null or until_at > %s)",
            (patient_id, list(staff_ids), from_at, from_at),
        )
        if await contact.fetchone() is not None:
            return Refusal.HERSELF
        refusal = _refused(staff_ids, await hold(connection, staff_ids, now), from_at, now)
        if refusal is None:
            of = {"patient_id": patient_id, "for_staff_id": None}
            await _name(connection, of, staff_ids, from_at, noted_by)
        return refusal


async def of_colleague(
    connection: AsyncConnection,
    for_staff_id: int,
    staff_ids: Sequence[int],
    *,
    from_at: datetime,
    noted_by: int | None,
    now: datetime,
) -> Refusal | None:
    """Let these, in order, stand in for a colleague with all her patients. None: done.

    Nobody is a list too. What was named for later times is named no more.
    """
    if for_staff_id in staff_ids:
        return Refusal.HERSELF
    async with connection.transaction():
        # All at once and in order: two who name each other's substitutes do not deadlock.
        members = await hold(connection, [for_staff_id, *staff_ids], now)
        if for_staff_id not in members:
            return Refusal.UNKNOWN
        refusal = _refused(staff_ids, members, from_at, now)
        if refusal is None:
            of = {"patient_id": None, "for_staff_id": for_staff_id}
            await _name(connection, of, staff_ids, from_at, noted_by)
        return refusal


def _refused(
    staff_ids: Sequence[int], members: dict[int, Member], from_at: datetime, now: datetime
) -> Refusal | None:
    if from_at < now:
        return Refusal.IN_THE_PAST
    if len(set(staff_ids)) < len(staff_ids):
        return Refusal.TWICE
    if len(staff_ids) > SUBSTITUTES_MAX:
        return Refusal.TOO_MANY
    if any(one not in members or members[one].has_ended for one in staff_ids):
        return Refusal.UNKNOWN
    if not all(members[one].gives_care for one in staff_ids):
        return Refusal.GIVES_NO_CARE
    return None


_NAMED: Final = """
select staff_id, from_at > %(from_at)s as is_to_come, until_at is not null as has_end
from substitute
where patient_id is not distinct from %(patient_id)s
  and for_staff_id is not distinct from %(for_staff_id)s
  and (until_at is null or (until_at > %(from_at)s and until_at > from_at))
order by from_at, place, substitute_id
"""
# What was named for a later time is ended where it would have begun: it never was.
_END: Final = """
update substitute set until_at = greatest(from_at, %(from_at)s), ended_by = %(noted_by)s
where patient_id is not distinct from %(patient_id)s
  and for_staff_id is not distinct from %(for_staff_id)s
  and (until_at is null or until_at > %(from_at)s)
"""
_BEGIN: Final = """
insert into substitute (patient_id, for_staff_id, place, staff_id, from_at, noted_by)
select %(patient_id)s, %(for_staff_id)s, place, staff_id, %(from_at)s, %(noted_by)s
from unnest(%(staff)s::bigint[]) with ordinality as named (staff_id, place)
"""


async def _name(
    connection: AsyncConnection,
    of: Mapping[str, int | None],
    staff_ids: Sequence[int],
    from_at: datetime,
    noted_by: int | None,
) -> None:
    """End the list there was and begin the new one; the same list again writes nothing."""
    asked: dict[str, object] = {**of, "from_at": from_at}
    cursor = await connection.execute(_NAMED, asked)
    named = await cursor.fetchall()
    if named == [(staff_id, False, False) for staff_id in staff_ids]:
        return
    asked |= {"staff": list(staff_ids), "noted_by": noted_by}
    await connection.execute(_END, asked)
    await connection.execute(_BEGIN, asked)
