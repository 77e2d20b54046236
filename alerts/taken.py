"""Tells those who had been told of a red alert that somebody has it: once, by the way they heard.

Of a yellow one the page tells; no telephone rings for it.
"""

from datetime import datetime
from typing import Final

from psycopg import AsyncConnection

from alerts import log
from alerts.alert import Event, Level

# Why its notifications are there; those of an alert itself have a reason of a course.
TAKEN: Final = "taken"

# Whom a message may have reached since it last began. Who takes it knows.
_TELL: Final = """
insert into notification
    (alert_id, began_at, step, staff_id, unit_id, why, level, made_at, due_at)
select n.alert_id, n.began_at, max(n.step), n.staff_id, n.unit_id, %(taken)s, n.level, %(at)s,
       %(at)s
from notification n
where n.alert_id = %(alert_id)s and n.level = %(red)s and n.why <> %(taken)s
  and n.staff_id is distinct from %(staff_id)s
  and n.began_at = (select max(began_at) from notification where alert_id = %(alert_id)s)
  and exists (select from attempt t
              where t.notification_id = n.notification_id and t.state <> 'failed')
group by n.alert_id, n.began_at, n.staff_id, n.unit_id, n.level
on conflict do nothing
returning staff_id, unit_id
"""


async def tell(connection: AsyncConnection, alert_id: int, staff_id: int, at: datetime) -> None:
    """Write who is to be told that *staff_id* has the alert, whose row the caller has locked."""
    told = await connection.execute(
        _TELL,
        {
            "alert_id": alert_id,
            "staff_id": staff_id,
            "at": at,
            "red": Level.RED,
            "taken": TAKEN,
        },
    )
    receivers = await told.fetchall()
    if receivers:
        detail = {
            "to": sorted(person for person, _ in receivers if person is not None),
            "units": sorted(unit for _, unit in receivers if unit is not None),
        }
        await log.append(connection, alert_id, Event.TAKEN_TOLD, staff_id=staff_id, detail=detail)
