"""What is the same for absence, duty and substitutes: whom it may be, and until when."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

# Rows are locked in order, so that two who write about the same people wait and do not deadlock.
_HOLD: Final = """
select s.staff_id, s.unit_id, s.name, coalesce(s.ended_at <= %(now)s, false) as has_ended,
       exists (
           select from staff_function f where f.staff_id = s.staff_id and f.name = 'care'
             and f.from_at <= %(now)s and (f.until_at is null or f.until_at > %(now)s)
       ) as gives_care
from staff s where s.staff_id = any(%(staff)s)
order by s.staff_id
for no key update of s
"""


@dataclass(frozen=True, slots=True)
class Member:
    """A staff member whose row is locked by us."""

    staff_id: int
    unit_id: int
    name: str
    has_ended: bool  # works here no more
    gives_care: bool  # may have patients


async def hold(
    connection: AsyncConnection, staff_ids: Collection[int], now: datetime
) -> dict[int, Member]:
    """Lock the rows of these staff members; those there are not are left out."""
    cursor = connection.cursor(row_factory=class_row(Member))
    await cursor.execute(_HOLD, {"staff": list(staff_ids), "now": now})
    return {member.staff_id: member for member in await cursor.fetchall()}
