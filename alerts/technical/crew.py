"""Who is there to see to faults at a moment: technicians, and the channels of their units."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection, sql

from alerts.care.hours import next_opening
from alerts.care.organisation import WORKS, units
from alerts.technical.policy import Group, Step

Connection = AsyncConnection[Any]

_TECHNICIANS: Final = sql.SQL("""
select s.staff_id, s.unit_id,
    exists (select from channel where staff_id = s.staff_id and {works}) as has_channel,
    exists (
        select from absence a where a.staff_id = s.staff_id and a.withdrawn_at is null
            and a.from_at <= %(now)s and a.until_at > %(now)s) as is_absent,
    exists (
        select from duty d where d.staff_id = s.staff_id and d.withdrawn_at is null
            and d.from_at <= %(now)s and d.until_at > %(now)s) as is_on_duty
from staff s join staff_function f using (staff_id)
where f.name = 'technician' and f.from_at <= %(now)s
    and (f.until_at is null or f.until_at > %(now)s)
    and (s.ended_at is null or s.ended_at > %(now)s)
order by s.staff_id
""").format(works=WORKS)
# A unit that has patients, or in which somebody gives care, has its channel for alerts.
_UNITS: Final = """
select u.unit_id from unnest(%(units)s::bigint[]) as u (unit_id)
where not exists (select from person p where p.unit_id = u.unit_id) and not exists (
    select from staff s join staff_function f using (staff_id)
    where s.unit_id = u.unit_id and f.name = 'care'
        and f.from_at <= %(now)s and (f.until_at is null or f.until_at > %(now)s)
        and (s.ended_at is null or s.ended_at > %(now)s))
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A technician or a unit; one of them."""

    staff_id: int | None = None
    unit_id: int | None = None


@dataclass(frozen=True, slots=True)
class Crew:
    """Who can be told at a moment: each has a channel that works, but for *here*.

    Attributes:
        at_work: Technicians in their unit's hours or on duty, not away.
        present: Technicians who are not away.
        here: Their numbers, and of those no channel of whom works.
        units: Of technicians only.
        opens_at: When technicians work next; the moment itself if some do.
        works_again_at: The same from the next day on.
    """

    at_work: Sequence[Receiver]
    present: Sequence[Receiver]
    here: frozenset[int]
    units: Sequence[Receiver]
    opens_at: datetime
    works_again_at: datetime

    def of(self, step: Step) -> list[Receiver]:
        """Return who is told as that step; nobody if the list is empty."""
        return self._of(step.tell) or self._of(step.otherwise)

    def _of(self, groups: Collection[Group]) -> list[Receiver]:
        members = {
            Group.AT_WORK: self.at_work,
            Group.PRESENT: self.present,
            Group.UNITS: self.units,
        }
        return list(dict.fromkeys(one for group in groups for one in members[group]))


async def crew(connection: Connection, now: datetime, tomorrow: datetime) -> Crew:
    """Return who is there at *now*.

    Args:
        connection: Any.
        now: The database's time, in UTC.
        tomorrow: When the next day begins; ``Crew.works_again_at`` is not before it.
    """
    cursor = await connection.execute(_TECHNICIANS, {"now": now})
    found = await cursor.fetchall()
    unit = await units(connection, {unit_id for _, unit_id, *_ in found}, now)
    opens = {unit_id: next_opening(one.hours, now) for unit_id, one in unit.items()}
    later = [next_opening(one.hours, tomorrow) for one in unit.values()]
    at_work, present = [], []
    for staff_id, unit_id, has_channel, is_absent, is_on_duty in found:
        if has_channel and not is_absent:
            present.append(Receiver(staff_id=staff_id))
            if is_on_duty or opens[unit_id] <= now:
                at_work.append(Receiver(staff_id=staff_id))
    cursor = await connection.execute(_UNITS, {"units": list(unit), "now": now})
    theirs = [
        Receiver(unit_id=unit_id)
        for (unit_id,) in await cursor.fetchall()
        if unit[unit_id].has_channel
    ]
    return Crew(
        at_work,
        present,
        frozenset(staff_id for staff_id, _, _, is_absent, _ in found if not is_absent),
        theirs,
        min(opens.values(), default=now),
        min(later, default=tomorrow),
    )
