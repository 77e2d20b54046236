"""Tells those who had been told of a red alert that somebody has it: once, by the way they heard.

Of a yellow one the page tells; no telephone rings for it. Nor is anybody woken for it: who has gone
home since she was told sees it in the list.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection

from alerts import log
from alerts.alert import Event, Level
from alerts.care.availability import working

# Why its notifications are there; those of an alert itself have a reason of a course.
TAKEN: Final = "taken"
# Who has been told so lately may have it in mind, or be on her way, wherever she is.
FRESH: Final = timedelta(hours=1)

# Whom a message may have reached since it last began. Who takes it knows.
_HEARD: Final = """
select n.began_at, max(n.step), n.staff_id, n.unit_id, n.level, max(n.made_at) as told_at
from notification n
where n.alert_id = %(alert_id)s and n.level = %(red)s and n.why <> %(taken)s
  and n.staff_id is distinct from %(staff_id)s
  and n.began_at = (select max(began_at) from notification where alert_id = %(alert_id)s)
  and exists (select from attempt t
              where t.notification_id = n.notification_id and t.state <> 'failed')
group by n.began_at, n.staff_id, n.unit_id, n.level
"""
_TELL: Final = """
insert into notification
    (alert_id, began_at, step, staff_id, unit_id, level, why, made_at, due_at)
select %(alert_id)s, began_at, step, staff_id, unit_id, level, %(taken)s, %(at)s, %(at)s
from unnest(%(began)s::timestamptz[], %(steps)s::int[], %(staff)s::bigint[], %(units)s::bigint[],
            %(levels)s::smallint[]) as heard (began_at, step, staff_id, unit_id, level)
on conflict do nothing
returning staff_id, unit_id
"""


class _Heard(NamedTuple):
    """A row of ``_HEARD``."""

    began_at: datetime
    step: int
    staff_id: int | None
    unit_id: int | None
    level: int
    told_at: datetime


async def tell(connection: AsyncConnection, alert_id: int, staff_id: int, at: datetime) -> None:
    """Write who is to be told that *staff_id* has the alert, whose row the caller has locked."""
    asked = {"alert_id": alert_id, "staff_id": staff_id, "red": Level.RED, "taken": TAKEN}
    heard = await (await connection.execute(_HEARD, asked)).fetchall()
    tell = await _awake(connection, [_Heard(*row) for row in heard], at)
    if not tell:
        return
    began, steps, staff, units, levels, _ = map(list, zip(*tell, strict=True))
    told = await connection.execute(
        _TELL,
        {
            "alert_id": alert_id,
            "taken": TAKEN,
            "at": at,
            "began": began,
            "steps": steps,
            "staff": staff,
            "units": units,
            "levels": levels,
        },
    )
    receivers = await told.fetchall()
    if receivers:
        detail = {
            "to": sorted(person for person, _ in receivers if person is not None),
            "units": sorted(unit for _, unit in receivers if unit is not None),
        }
        await log.append(connection, alert_id, Event.TAKEN_TOLD, staff_id=staff_id, detail=detail)


async def _awake(
    connection: AsyncConnection[Any], heard: Sequence[_Heard], at: datetime
) -> list[_Heard]:
    """Return those whom it does not wake: a unit's telephone lies where there is work."""
    people = [one.staff_id for one in heard if one.staff_id is not None]
    at_work = await working(connection, people, at) if people else frozenset[int]()
    return [
        one
        for one in heard
        if one.staff_id is None or one.staff_id in at_work or one.told_at > at - FRESH
    ]
