"""Takes the alerts whose course is to be looked at: by indexes alone, red ones first.

A wave of alerts so costs each no more than a few do.
"""

from datetime import datetime
from typing import Final

from psycopg import AsyncConnection

# Of those that may be claimed, as many are looked at as so many workers take at once.
_WORKERS: Final = 8
# Alerts with a receiver whose course is due, or to which something happened: they are new, were
# raised, got another receiver, or a value came while they rest. By indexes alone, so that a wave
# of alerts costs no more for each than a few.
_NEAR: Final = """
(select alert_id from alert a where is_unlooked and state <> 'closed'
    and (select true from alert_case k where k.alert_id = a.alert_id)
 order by level desc, alert_id limit %(most)s)
union all
(select alert_id from alert_course c where level = 2 and due_at <= %(now)s
    and (select state <> 'closed' from alert a where a.alert_id = c.alert_id)
 order by due_at limit %(most)s)
union all
(select alert_id from alert_course c where level = 1 and due_at <= %(now)s
    and (select state <> 'closed' from alert a where a.alert_id = c.alert_id)
 order by due_at limit %(most)s)
"""
# What is new or raised is before what is told again. The lock is the weaker one: who only refers
# to an alert, as its log does, need not wait. A row that another worker wrote meanwhile is looked
# at once more, alone: so it is not asked for in the statement above, all of which would be done
# again for each.
_CLAIM: Final = """
select alert_id from alert a
where alert_id = any (%(near)s::bigint[]) and state <> 'closed' and (
    is_unlooked
    or (select due_at <= %(now)s from alert_course c where c.alert_id = a.alert_id)
)
order by level desc, is_unlooked desc, alert_id
limit %(most)s
for no key update skip locked
"""


async def claim(connection: AsyncConnection, now: datetime, most: int) -> list[int]:
    """Return at most *most* alerts that are ours to look at; their rows are locked.

    Args:
        connection: In a transaction, which holds the locks.
        now: The moment; aware.
        most: How many, 1 or more.
    """
    found = await connection.execute(_NEAR, {"now": now, "most": _WORKERS * most})
    near = [alert_id for (alert_id,) in await found.fetchall()]
    claimed = await connection.execute(_CLAIM, {"near": near, "now": now, "most": most})
    return [alert_id for (alert_id,) in await claimed.fetchall()]
