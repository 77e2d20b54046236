"""Across huvudmän: what hinders staff of another unit from caring for a patient.

Units of which no huvudman is known are not of the same. Another huvudman's unit needs the patient's
consent to values, alerts and plan; a unit that she has blocked is closed to her whosoever it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.care.facts import IN_FORCE
from alerts.care.people import NOW

# Whether unit t is of another huvudman than unit f.
IS_ANOTHERS: Final = sql.SQL(
    "(t.unit_id <> f.unit_id and (f.huvudman_id = t.huvudman_id) is not true)"
)
# Her consent that lets unit t care for her; of the parameters of the patient and of now.
CONSENT: Final = sql.SQL("""
select until_at from consent where patient_id = %(patient_id)s and unit_id = t.unit_id
  and scope @> array['values', 'alerts', 'plan'] and {in_force}
""").format(in_force=IN_FORCE)
IS_BLOCKED: Final = sql.SQL("""
exists (select from block b where b.patient_id = %(patient_id)s and b.unit_id = t.unit_id
        and t.unit_id <> f.unit_id and b.from_at <= {now}
        and (b.lifted_at is null or b.lifted_at > {now}))
""").format(now=NOW)
_STAND: Final = sql.SQL("""
select s.staff_id, {is_anothers} as is_anothers, c.unit_id is not null as has_consent,
       c.until_at, {is_blocked} as is_blocked
from staff s join unit t on t.unit_id = s.unit_id
join person p on p.patient_id = %(patient_id)s join unit f on f.unit_id = p.unit_id
left join lateral (select t.unit_id, until_at from ({consent}) held) c on true
where s.staff_id = any(%(staff)s)
""").format(is_anothers=IS_ANOTHERS, is_blocked=IS_BLOCKED, consent=CONSENT)
_ANOTHERS: Final = sql.SQL("""
select s.staff_id from staff s join unit t on t.unit_id = s.unit_id
join unit f on f.unit_id = %(unit_id)s
where s.staff_id = any(%(staff)s) and {is_anothers}
""").format(is_anothers=IS_ANOTHERS)
# A patient whose contact she is has blocked a unit that one of the others works at.
_BLOCKED: Final = sql.SQL("""
select from care_contact c join person p using (patient_id) join block b using (patient_id)
join staff s on s.unit_id = b.unit_id and s.unit_id <> p.unit_id
where c.staff_id = %(contact)s and (c.until_at is null or c.until_at > {now})
  and s.staff_id = any(%(staff)s)
  and b.from_at <= {now} and (b.lifted_at is null or b.lifted_at > {now})
limit 1
""").format(now=NOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a staff member's unit stands to a patient.

    Attributes:
        is_anothers: It is of another huvudman than the unit that answers for her.
        has_consent: She has consented that it sees values, alerts and plan.
        until_at: When that consent ends by itself.
        is_blocked: She has blocked it.
    """

    staff_id: int
    is_anothers: bool
    has_consent: bool
    until_at: datetime | None
    is_blocked: bool

    @property
    def lacks_consent(self) -> bool:
        """Whether it needs a consent and has none."""
        return self.is_anothers and not self.has_consent


async def standing(
    connection: AsyncConnection, patient_id: int, staff_ids: Sequence[int], now: datetime
) -> dict[int, Standing]:
    """Return how the units of these staff stand to the patient at *now*."""
    cursor = connection.cursor(row_factory=class_row(Standing))
    asked = {"patient_id": patient_id, "staff": list(staff_ids), "now": now}
    await cursor.execute(_STAND, asked)
    return {one.staff_id: one for one in await cursor.fetchall()}


async def of_others(
    connection: AsyncConnection, unit_id: int, staff_ids: Sequence[int]
) -> frozenset[int]:
    """Return who of these works for another huvudman than the unit's."""
    found = await connection.execute(_ANOTHERS, {"unit_id": unit_id, "staff": list(staff_ids)})
    return frozenset(staff_id for (staff_id,) in await found.fetchall())


async def are_blocked(
    connection: AsyncConnection, contact_id: int, staff_ids: Sequence[int], now: datetime
) -> bool:
    """Return whether a patient of the contact's has blocked the unit of one of these staff."""
    asked = {"contact": contact_id, "staff": list(staff_ids), "now": now}
    return (await connection.execute(_BLOCKED, asked)).rowcount > 0
