"""Who stands in for whom: for one patient, or for a colleague's patients. Lists, from a time on.

Who works for another huvudman stands in where the patient has consented that her unit sees values,
alerts and plan, and as long as she has; never for a colleague's patients, who were not asked.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.care import across
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
    NO_CONSENT = (
        "En av ersättarna arbetar hos en annan huvudman, eller så är huvudmannen inte inskriven. "
        "Då behövs patientens samtycke till värden, larm och plan för den enheten. "
        "Fråga patienten och skriv in samtycket först, eller välj någon annan."
    )
    BLOCKED = (
        "En av ersättarna arbetar på en enhet som patienten har spärrat sina uppgifter för. "
        "Välj någon annan. Bara patienten kan häva spärren."
    )
    OTHER_HUVUDMAN = (
        "En av ersättarna arbetar hos en annan huvudman, eller så är huvudmannen inte inskriven. "
        "Då får hon inte se alla patienterna. Välj någon annan, eller fråga patienterna och skriv "
        "in ersättaren hos var och en som samtycker."
    )
    BLOCKED_BY_ONE = (
        "En av patienterna har spärrat sina uppgifter för en enhet där en av ersättarna arbetar. "
        "Välj någon annan. Inget har ändrats."
    )
    IN_THE_PAST = "Ändringen kan inte gälla bakåt i tiden. Låt den gälla från nu eller senare."


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody who stands in, or is going to."""

    staff_id: int
    name: str
    from_at: datetime
    until_at: datetime | None


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
        "select s.staff_id, m.name, s.from_at, s.until_at "
        "from substitute s join staff m using (staff_id) "
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
        if refusal is not None:
            return refusal
        known = await across.standing(connection, patient_id, staff_ids, from_at)
        if any(one.is_blocked for one in known.values()):
            return Refusal.BLOCKED
        if any(one.lacks_consent for one in known.values()):
            return Refusal.NO_CONSENT
        ends = {one.staff_id: one.until_at for one in known.values() if one.is_anothers}
        of = {"patient_id": patient_id, "for_staff_id": None}
        named = [(staff_id, ends.get(staff_id)) for staff_id in staff_ids]
        await _name(connection, of, named, from_at, noted_by)
        return None


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
            unit_id = members[for_staff_id].unit_id
            if await across.of_others(connection, unit_id, staff_ids):
                return Refusal.OTHER_HUVUDMAN
            if await across.are_blocked(connection, for_staff_id, staff_ids, from_at):
                return Refusal.BLOCKED_BY_ONE
            of = {"patient_id": None, "for_staff_id": for_staff_id}
            named = [(staff_id, None) for staff_id in staff_ids]
            await _name(connection, of, named, from_at, noted_by)
        return refusal


async def keep_to_consent(
    connection: AsyncConnection, patient_id: int, unit_id: int, *, by: int | None
) -> None:
    """Let the unit's staff stand in for the patient no longer than she has consented, from now on.

    A block ends it at once, whosesoever the unit is. Of her own unit's huvudman they need no
    consent.
    """
    await connection.execute(
        _KEEP_TO_CONSENT, {"patient_id": patient_id, "unit_id": unit_id, "by": by}
    )


async def go_on(
    connection: AsyncConnection,
    patient_id: int,
    unit_id: int,
    *,
    ended_at: datetime,
    until_at: datetime | None,
) -> None:
    """Let who was to stand in until a consent ended at *ended_at* do so as long as the new one.

    Whoever is named to follow her follows when it was said; who has ended stays ended.
    """
    await connection.execute(
        _GO_ON,
        {
            "patient_id": patient_id,
            "unit_id": unit_id,
            "ended_at": ended_at,
            "until_at": until_at,
        },
    )


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
select staff_id, until_at, from_at > %(from_at)s as is_to_come
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
insert into substitute (patient_id, for_staff_id, place, staff_id, from_at, until_at, noted_by)
select %(patient_id)s, %(for_staff_id)s, place, staff_id, %(from_at)s, until_at, %(noted_by)s
from unnest(%(staff)s::bigint[], %(ends)s::timestamptz[])
    with ordinality as named (staff_id, until_at, place)
"""
_KEEP_TO_CONSENT: Final = sql.SQL("""
update substitute s
set until_at = greatest(s.from_at, held.until_at), ended_by = %(by)s, is_revoked = true
from staff m join unit t on t.unit_id = m.unit_id,
    person p join unit f on f.unit_id = p.unit_id,
    (select coalesce(
         (select coalesce(until_at, 'infinity') from consent
          where patient_id = %(patient_id)s and unit_id = %(unit_id)s
            and scope @> array['values', 'alerts', 'plan'] and revoked_at is null
            and from_at <= clock_timestamp()
            and not exists (select from block where patient_id = %(patient_id)s
                            and unit_id = %(unit_id)s and lifted_at is null)),
         clock_timestamp()) as until_at) held
where m.staff_id = s.staff_id and m.unit_id = %(unit_id)s
  and s.patient_id = %(patient_id)s and p.patient_id = s.patient_id
  and held.until_at < coalesce(s.until_at, 'infinity')
  and ({is_anothers} or exists (select from block where patient_id = %(patient_id)s
                                and unit_id = %(unit_id)s and lifted_at is null))
""").format(is_anothers=across.IS_ANOTHERS)
_GO_ON: Final = sql.SQL("""
update substitute s
set until_at = nullif(least(coalesce(%(until_at)s::timestamptz, 'infinity'),
        (select min(n.from_at) from substitute n
         where n.patient_id = s.patient_id and n.from_at >= s.until_at
           and (n.until_at is null or n.until_at > n.from_at))), 'infinity'),
    ended_by = null, is_revoked = false
from staff m join unit t on t.unit_id = m.unit_id,
    person p join unit f on f.unit_id = p.unit_id
where m.staff_id = s.staff_id and m.unit_id = %(unit_id)s
  and s.patient_id = %(patient_id)s and p.patient_id = s.patient_id and {is_anothers}
  and s.until_at = %(ended_at)s and s.until_at > s.from_at
  and s.until_at > clock_timestamp()
  and s.until_at < coalesce(%(until_at)s::timestamptz, 'infinity')
""").format(is_anothers=across.IS_ANOTHERS)


async def _name(
    connection: AsyncConnection,
    of: Mapping[str, int | None],
    staff: Sequence[tuple[int, datetime | None]],
    from_at: datetime,
    noted_by: int | None,
) -> None:
    """End the list there was and begin the new one, each until her end; the same writes nothing."""
    asked: dict[str, object] = {**of, "from_at": from_at}
    cursor = await connection.execute(_NAMED, asked)
    named = await cursor.fetchall()
    if named == [(*one, False) for one in staff]:
        return
    asked |= {
        "staff": [staff_id for staff_id, _ in staff],
        "ends": [until_at for _, until_at in staff],
        "noted_by": noted_by,
    }
    await connection.execute(_END, asked)
    await connection.execute(_BEGIN, asked)
