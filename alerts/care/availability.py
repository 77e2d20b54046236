"""Who is around a patient at a moment: all that routing looks at, in a few queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A staff member as routing sees her at a moment."""

    staff_id: int
    name: str
    is_absent: bool
    absent_until: datetime | None
    is_working: bool  # her unit is open, or she is on duty; and she is not absent
    has_channel: bool  # a verified one that is not failing


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitNow:
    """A unit at a moment."""

    unit_id: int
    name: str
    is_open: bool
    opens_at: datetime  # the next opening; the moment itself if it is open
    has_channel: bool  # a verified one that is not failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Who is around one patient at a moment."""

    patient_id: int
    unit: UnitNow
    contact: Person | None
    team_id: int | None
    team_name: str
    team: tuple[Person, ...]  # of the contact, if it is a team
    substitutes: tuple[Person, ...]  # in order: the patient's own, then the contact's
    duty: tuple[Person, ...]  # on duty for the unit


async def around(
    connection: AsyncConnection, patient_ids: Sequence[int], now: datetime
) -> dict[int, Around]:
    """Return who is around each of the patients at *now*; those nobody knows are left out."""
    raise NotImplementedError
