"""Another unit answers for a patient from now on, with a contact there: unit, contact and alerts.

What was ends, and stays in the history. The caller has decided that it is to be, and holds the
patient's row.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection

from alerts import course, engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Who is to be the fixed care contact: one of the two is set."""

    staff_id: int | None = None
    team_id: int | None = None

    def __post_init__(self) -> None:
        if (self.staff_id is None) == (self.team_id is None):
            problem = "a contact is a person or a team"
            raise ValueError(problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Whose unit changes, to which, with whom as her contact; and who said so."""

    patient_id: int
    unit_id: int
    contact: Contact
    by: int | None
    handover_id: int | None


# Her own substitutes of other units end with it: they would go on seeing her.
_MOVE: Final = (
    """
update person_unit set until_at = greatest(%(now)s, from_at)
where patient_id = %(patient_id)s and until_at is null
""",
    """
insert into person_unit (patient_id, unit_id, from_at, handover_id)
values (%(patient_id)s, %(unit_id)s, %(now)s, %(handover_id)s)
""",
    "update person set unit_id = %(unit_id)s where patient_id = %(patient_id)s",
    """
update care_contact set until_at = greatest(%(now)s, from_at)
where patient_id = %(patient_id)s and (until_at is null or until_at > %(now)s)
""",
    """
insert into care_contact (patient_id, staff_id, team_id, from_at, named_by)
values (%(patient_id)s, %(staff_id)s, %(team_id)s, %(now)s, %(by)s)
""",
    """
update substitute s set until_at = greatest(%(now)s, s.from_at) from staff
where s.patient_id = %(patient_id)s and (s.until_at is null or s.until_at > %(now)s)
  and staff.staff_id = s.staff_id and staff.unit_id <> %(unit_id)s
""",
    """
update care_relation set until_at = greatest(%(now)s, from_at)
where patient_id = %(patient_id)s and unit_id = %(unit_id)s
  and (until_at is null or until_at > %(now)s)
""",
)
# Works at the unit and cares for patients; or a team of it, in which there is somebody.
_IS_OF: Final = """
select from staff s join staff_function f using (staff_id)
where s.staff_id = %(staff_id)s and s.unit_id = %(unit_id)s
  and (s.ended_at is null or s.ended_at > %(now)s) and f.name = 'care'
  and f.from_at <= %(now)s and (f.until_at is null or f.until_at > %(now)s)
union all
select from team t join team_member m using (team_id)
where t.team_id = %(team_id)s and t.unit_id = %(unit_id)s
  and (t.ended_at is null or t.ended_at > %(now)s)
  and m.from_at <= %(now)s and (m.until_at is null or m.until_at > %(now)s)
limit 1
"""
_UNCLOSED: Final = """
select alert_id from alert where patient_id = %s and state <> 'closed'
order by alert_id for no key update
"""
# Who has taken one, or let it rest, can see the patient no more: her word ends here.
_NOBODY_ACTS: Final = """
update alert_case k set acknowledged_until = %(now)s,
    snoozed_until = case when k.snoozed_until is not null then least(k.snoozed_until, %(now)s) end
from alert a
where a.alert_id = k.alert_id and k.alert_id = any(%(alerts)s)
  and (a.state = 'acknowledged' or k.snoozed_until > %(now)s)
returning k.alert_id
"""


async def is_of(connection: AsyncConnection, contact: Contact, unit_id: int, now: datetime) -> bool:
    """Return whether *contact* can be the fixed care contact of the unit's patients."""
    values = {
        "staff_id": contact.staff_id,
        "team_id": contact.team_id,
        "unit_id": unit_id,
        "now": now,
    }
    return (await connection.execute(_IS_OF, values)).rowcount > 0


async def carry_out(connection: AsyncConnection, move: Move, now: datetime) -> None:
    """Write unit and contact, and give her alerts that are not closed to the new contact."""
    values = {
        "patient_id": move.patient_id,
        "unit_id": move.unit_id,
        "handover_id": move.handover_id,
        "staff_id": move.contact.staff_id,
        "team_id": move.contact.team_id,
        "by": move.by,
        "now": now,
    }
    for statement in _MOVE:
        await connection.execute(statement, values)
    held = await connection.execute(_UNCLOSED, (move.patient_id,))
    alert_ids = [alert_id for (alert_id,) in await held.fetchall()]
    await engine.follow(connection, alert_ids, now)
    ended = await connection.execute(_NOBODY_ACTS, {"now": now, "alerts": alert_ids})
    for (alert_id,) in await ended.fetchall():
        await course.rest(connection, alert_id, now)  # and no longer: it is looked at at once
