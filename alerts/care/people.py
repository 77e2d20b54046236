"""Who is who, and who may see whom by care relation: in one place.

A staff member sees the patients whose fixed care contact she is, alone or with her team; those
of a colleague who is away, if she stands in for her; and those of her own unit who have no
contact (they are in the unit's queue). While a patient has an alert that is not closed, whoever
it was routed to, has taken it or was told of it sees her too, and who is on duty for her unit. A
patient sees herself. For everybody else a patient does not exist.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

# Who has this role in the care record file, and no functions there, looks after gateways and
# devices. What she may is said by her functions.
TECHNICIAN: Final = "Tekniker"

# One nurse follows 70–80 patients; a queue without contacts can be longer.
PATIENTS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is looking: exactly one of *staff_id*, *patient_id* and *relative_id* is set.

    Attributes:
        functions: What a staff member may do now (``alerts.care.organisation.Function``).
    """

    name: str
    role: str = ""
    unit_name: str = ""
    staff_id: int | None = None
    unit_id: int | None = None
    patient_id: int | None = None
    relative_id: int | None = None
    functions: frozenset[str] = frozenset()

    @property
    def gives_care(self) -> bool:
        """Whether she may have patients; a staff member who does not sees none."""
        return self.staff_id is not None and "care" in self.functions

    @property
    def is_technician(self) -> bool:
        """Whether she looks after gateways and devices, and is to see no patient."""
        return self.staff_id is not None and "technician" in self.functions and not self.gives_care


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A patient as her care and she herself may see her."""

    patient_id: int
    given_name: str
    family_name: str
    personal_number: str
    born_on: date
    phone: str
    diagnosis: str
    unit_name: str
    unit_phone: str
    unit_hours: str
    contact_id: int | None  # none: she has none, or it is a team
    contact_name: str | None
    contact_role: str | None
    contact_phone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A patient in a list."""

    patient_id: int
    given_name: str
    family_name: str
    born_on: date
    diagnosis: str
    has_contact: bool
    last_measured_at: datetime | None


# The moment that is asked about: the database's now, unless a caller brings another.
NOW: Final = sql.SQL("coalesce(%(now)s::timestamptz, now())")

# The current contact c of person p: staff_id, team_id, or neither. One whose end is written ahead
# of time counts until then; one that is named for a coming day is better than none.
CONTACT: Final = sql.SQL("""
left join lateral (
    select k.staff_id, k.team_id from care_contact k
    where k.patient_id = p.patient_id and (k.until_at is null or k.until_at > {now})
    order by k.from_at, k.until_at limit 1
) c on true
""").format(now=NOW)

# The teams of the viewer.
TEAMS: Final = sql.SQL("""
select m.team_id from team_member m join team t using (team_id)
where m.staff_id = %(staff_id)s and m.from_at <= {now}
  and (m.until_at is null or m.until_at > {now}) and (t.ended_at is null or t.ended_at > {now})
""").format(now=NOW)

# She stands in for the contact c of p, who is away, works here no more, or is nobody. If the
# contact is a team, only what is routed to her makes her see.
STANDS_IN: Final = sql.SQL("""
select from substitute s
where s.staff_id = %(staff_id)s and (s.patient_id = p.patient_id or s.for_staff_id = c.staff_id)
  and s.from_at <= {now} and (s.until_at is null or s.until_at > {now})
  and c.team_id is null and (
      c.staff_id is null
      or exists (select from absence a where a.staff_id = c.staff_id and a.withdrawn_at is null
                 and a.from_at <= {now} and a.until_at > {now})
      or exists (select from staff gone where gone.staff_id = c.staff_id and gone.ended_at <= {now})
  )
""").format(now=NOW)

# An alert of p that is not closed is hers to see. What she was told while another unit answered
# for p is not.
_ALERTED: Final = sql.SQL("""
select from alert b left join alert_case k using (alert_id)
where b.patient_id = p.patient_id and b.state <> 'closed' and (
    k.staff_id = %(staff_id)s
    or k.team_id in ({teams})
    or (k.staff_id is null and k.team_id is null and k.unit_id = %(unit_id)s)
    or (k.acknowledged_by = %(staff_id)s and b.state = 'acknowledged'
        and (k.acknowledged_until is null or k.acknowledged_until > {now}))
    or exists (select from duty d where d.staff_id = %(staff_id)s and d.unit_id = p.unit_id
               and d.withdrawn_at is null and d.from_at <= {now} and d.until_at > {now})
    or exists (select from notification n where n.alert_id = b.alert_id
               and (n.staff_id = %(staff_id)s or n.unit_id = %(unit_id)s)
               and n.made_at >= coalesce((select from_at from person_unit u
                   where u.patient_id = p.patient_id and u.until_at is null), '-infinity'))
)
""").format(teams=TEAMS, now=NOW)

# The viewer's relation to person p. Who works here no more, or gives no care, has none.
# Parameters: ``relation``.
RELATION: Final = sql.SQL("""
(p.patient_id = %(patient_id)s or exists (
    select from staff me {contact}
    where me.staff_id = %(staff_id)s and (me.ended_at is null or me.ended_at > {now})
    and exists (select from staff_function f where f.staff_id = me.staff_id and f.name = 'care'
                and f.from_at <= {now} and (f.until_at is null or f.until_at > {now}))
    and (
        c.staff_id = %(staff_id)s
        or c.team_id in ({teams})
        or (c.staff_id is null and c.team_id is null and p.unit_id = %(unit_id)s)
        or exists ({stands_in})
        or exists ({alerted})
    )
))
""").format(contact=CONTACT, teams=TEAMS, stands_in=STANDS_IN, alerted=_ALERTED, now=NOW)

_SELECT: Final = sql.SQL("""
select p.patient_id, p.given_name, p.family_name, p.personal_number, p.born_on, p.phone,
       p.diagnosis, u.name as unit_name, u.phone as unit_phone, u.hours as unit_hours,
       s.staff_id as contact_id, coalesce(s.name, t.name) as contact_name,
       case when t.team_id is null then s.role else 'vårdteam' end as contact_role,
       coalesce(s.phone, team_unit.phone) as contact_phone
from person p
join unit u using (unit_id)
{contact}
left join staff s on s.staff_id = c.staff_id
left join team t on t.team_id = c.team_id
left join unit team_unit on team_unit.unit_id = t.unit_id
where p.patient_id = %(wanted)s and {relation}
""")
_PATIENT: Final = _SELECT.format(contact=CONTACT, relation=RELATION)
_KNOWN: Final = _SELECT.format(contact=CONTACT, relation=sql.SQL("true"))

# First whom she could see by lasting relation, each by an index of hers; then those she may. Of a
# long queue there is a part; whose contact she is are all there.
_LISTED: Final = sql.SQL("""
with candidate as (
    select patient_id from care_contact where staff_id = %(staff_id)s
    union
    select patient_id from care_contact where team_id in ({teams})
    union
    select patient_id from substitute where staff_id = %(staff_id)s and patient_id is not null
    union
    select h.patient_id from substitute s join care_contact h on h.staff_id = s.for_staff_id
    where s.staff_id = %(staff_id)s
    union (
        select q.patient_id from person q where q.unit_id = %(unit_id)s and not exists (
            select from care_contact n where n.patient_id = q.patient_id and n.until_at is null)
        limit %(most)s
    )
)
select p.patient_id, p.given_name, p.family_name, p.born_on, p.diagnosis,
       num_nonnulls(c.staff_id, c.team_id) > 0 as has_contact,
       (select r.measured_at from reading r where r.patient_id = p.patient_id
        and r.outcome = 'measured' order by r.measured_at desc limit 1) as last_measured_at
from candidate join person p using (patient_id)
{contact}
where {relation}
order by num_nonnulls(c.staff_id, c.team_id) desc, p.patient_id
limit %(most)s
""").format(teams=TEAMS, contact=CONTACT, relation=RELATION)


def relation(viewer: Viewer, now: datetime | None = None) -> dict[str, int | datetime | None]:
    """Return the parameters of ``RELATION``; *now* is the database's if it is not given."""
    return {
        "staff_id": viewer.staff_id,
        "unit_id": viewer.unit_id,
        "patient_id": viewer.patient_id,
        "now": now,
    }


async def patient(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> Patient | None:
    """Return the patient, or nothing if there is none *viewer* may see."""
    cursor = connection.cursor(row_factory=class_row(Patient))
    await cursor.execute(_PATIENT, {**relation(viewer), "wanted": patient_id})
    return await cursor.fetchone()


async def known(connection: AsyncConnection, patient_id: int) -> Patient | None:
    """Return the patient, for who has been let in already (``alerts.access``)."""
    cursor = connection.cursor(row_factory=class_row(Patient))
    await cursor.execute(_KNOWN, {"wanted": patient_id, "now": None})
    return await cursor.fetchone()


async def patients(connection: AsyncConnection, viewer: Viewer) -> list[Listed]:
    """Return the patients a staff member follows, in no order."""
    cursor = connection.cursor(row_factory=class_row(Listed))
    await cursor.execute(_LISTED, {**relation(viewer), "most": PATIENTS_MAX})
    return await cursor.fetchall()
