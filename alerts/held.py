"""An alert whose row is locked by who acts on it, and what became of the action."""

import enum
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts.alert import State
from alerts.care.people import RELATION, Viewer, relation


class Answer(enum.StrEnum):
    """What became of an action."""

    DONE = "done"
    ALREADY_YOURS = "already_yours"  # you did it before: a second click, or another tab
    TAKEN = "taken"  # somebody else acknowledged it first
    CLOSED = "closed"  # somebody, you perhaps, has ended it
    UNFIT = "unfit"  # not like that; nothing was changed
    NEW_VALUE = "new_value"  # a breach came that you have not seen; nothing was changed
    NOT_FOUND = "not_found"  # there is no such alert that you may see


@dataclass(frozen=True, slots=True)
class Done:
    """The answer, and who it is that acts or ended it, and since when."""

    answer: Answer
    patient_id: int | None = None
    name: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An alert whose row is locked by us."""

    alert_id: int
    patient_id: int
    level: int
    state: str
    newest_breach_id: int
    seen_level: int  # by the breaches the caller has seen; 0: none
    acknowledged_by: int | None
    acknowledged_name: str | None
    acknowledged_at: datetime | None
    closed_name: str | None
    closed_at: datetime | None

    def is_raised_since(self, seen_breach_id: int) -> bool:
        """Return whether it is of a higher level than that breach and those before made it."""
        return self.newest_breach_id > seen_breach_id and self.level > self.seen_level


# The weaker lock: who only refers to an alert, as its log does, need not wait.
_HOLD: Final = sql.SQL("""
select a.alert_id from alert a
join person p using (patient_id)
where a.alert_id = %(alert_id)s and {relation}
for no key update of a
""").format(relation=RELATION)

# A statement of its own: it must see what was committed while we waited for the lock.
_STATE: Final = """
select a.alert_id, a.patient_id, a.level, a.state,
       coalesce((select max(breach_id) from breach b where b.alert_id = a.alert_id), 0)
           as newest_breach_id,
       coalesce((select max(level) from breach b where b.alert_id = a.alert_id
                 and b.breach_id <= %s and not b.late), 0) as seen_level,
       k.acknowledged_by, taker.name as acknowledged_name, k.acknowledged_at,
       closer.name as closed_name, k.closed_at
from alert a
left join alert_case k using (alert_id)
left join staff taker on taker.staff_id = k.acknowledged_by
left join staff closer on closer.staff_id = k.closed_by
where a.alert_id = %s
"""


async def hold(
    connection: AsyncConnection,
    viewer: Viewer,
    alert_id: int,
    now: datetime | None,
    seen_breach_id: int = 0,
) -> Held | None:
    """Lock the alert's row, if *viewer* is staff and may see it.

    *seen_breach_id* is the newest breach the viewer had before her.
    """
    if viewer.staff_id is None:
        return None
    found = await connection.execute(_HOLD, {**relation(viewer, now), "alert_id": alert_id})
    if await found.fetchone() is None:
        return None
    cursor = connection.cursor(row_factory=class_row(Held))
    await cursor.execute(_STATE, (seen_breach_id, alert_id))
    return await cursor.fetchone()


async def moment(connection: AsyncConnection, now: datetime | None) -> datetime:
    """Return *now*, or the database's if it is not given; in UTC, which has no summer time."""
    if now is not None:
        return now.astimezone(UTC)
    cursor = await connection.execute("select clock_timestamp()")
    (at,) = await cursor.fetchone() or (None,)
    assert isinstance(at, datetime)
    return at.astimezone(UTC)


def too_late(held: Held, viewer: Viewer) -> Done:
    """Return the answer to who was not the first: it is over, or it is somebody's."""
    if held.state == State.CLOSED:
        return Done(Answer.CLOSED, held.patient_id, held.closed_name, held.closed_at)
    mine = held.acknowledged_by == viewer.staff_id
    answer = Answer.ALREADY_YOURS if mine else Answer.TAKEN
    return Done(answer, held.patient_id, held.acknowledged_name, held.acknowledged_at)
