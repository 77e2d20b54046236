"""Who is who, and who may see whom: by care relation only, in one place.

A staff member sees the patients whose fixed care contact she is, and those of her own unit who
have none (they are in the unit's queue). A patient sees herself. For everybody else a patient
does not exist.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

# The role of staff who look after gateways and devices.
TECHNICIAN: Final = "Tekniker"

# One nurse follows 70–80 patients; a queue without contacts can be longer.
PATIENTS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who is looking: exactly one of *staff_id*, *patient_id* and *relative_id* is set."""

    name: str
    role: str = ""
    unit_name: str = ""
    staff_id: int | None = None
    unit_id: int | None = None
    patient_id: int | None = None
    relative_id: int | None = None

    @property
    def is_technician(self) -> bool:
        """Whether she looks after gateways and devices, and is to see no patient."""
        return self.staff_id is not None and self.role.casefold() == TECHNICIAN.casefold()


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
    contact_id: int | None
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


# Names the relation of the viewer to person p with its current contact c.
RELATION: Final = sql.SQL(
    "(c.staff_id = %(staff_id)s or (c.staff_id is null and p.unit_id = %(unit_id)s)"
    " or p.patient_id = %(patient_id)s)"
)

_PATIENT: Final = sql.SQL("""
select p.patient_id, p.given_name, p.family_name, p.personal_number, p.born_on, p.phone,
       p.diagnosis, u.name as unit_name, u.phone as unit_phone, u.hours as unit_hours,
       s.staff_id as contact_id, s.name as contact_name, s.role as contact_role,
       s.phone as contact_phone
from person p
join unit u using (unit_id)
left join care_contact c on c.patient_id = p.patient_id and c.until_at is null
left join staff s on s.staff_id = c.staff_id
where p.patient_id = %(wanted)s and {relation}
""").format(relation=RELATION)

_LISTED: Final = """
select p.patient_id, p.given_name, p.family_name, p.born_on, p.diagnosis, has_contact,
       (select r.measured_at from reading r where r.patient_id = p.patient_id
        and r.outcome = 'measured' order by r.measured_at desc limit 1) as last_measured_at
from (
    select patient_id, true as has_contact from care_contact
    where staff_id = %(staff_id)s and until_at is null
    union all
    select q.patient_id, false from person q where q.unit_id = %(unit_id)s and not exists (
        select from care_contact c where c.patient_id = q.patient_id and c.until_at is null)
) seen
join person p using (patient_id)
limit %(most)s
"""


def relation(viewer: Viewer) -> dict[str, int | None]:
    """Return the parameters of ``RELATION``."""
    return {
        "staff_id": viewer.staff_id,
        "unit_id": viewer.unit_id,
        "patient_id": viewer.patient_id,
    }


async def patient(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> Patient | None:
    """Return the patient, or nothing if there is none *viewer* may see."""
    cursor = connection.cursor(row_factory=class_row(Patient))
    await cursor.execute(_PATIENT, {**relation(viewer), "wanted": patient_id})
    return await cursor.fetchone()


async def patients(connection: AsyncConnection, viewer: Viewer) -> list[Listed]:
    """Return the patients a staff member follows, in no order."""
    cursor = connection.cursor(row_factory=class_row(Listed))
    await cursor.execute(_LISTED, {**relation(viewer), "most": PATIENTS_MAX})
    return await cursor.fetchall()
