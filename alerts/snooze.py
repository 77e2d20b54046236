"""Lets an alert rest until a time: nobody is told of it till then, unless a worse value comes."""

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from psycopg import AsyncConnection

from alerts import audience, course, engine, log, taken
from alerts.actions import NOTE_CHARS_MAX
from alerts.alert import Event, Level, State
from alerts.care.people import Viewer
from alerts.held import Answer, Done, Held, hold, moment, too_late

# Red is looked at every day; a yellow one rests while a change of medicine takes effect: what it
# does to a blood pressure is judged after four weeks.
SNOOZE_MAX: Final = MappingProxyType(
    {Level.RED: timedelta(hours=24), Level.YELLOW: timedelta(days=28)}
)

_WRITE: Final = """
update alert_case set snoozed_until = %(until)s, snoozed_by = %(staff_id)s, snoozed_why = %(why)s,
    snoozed_breach_id = %(breach_id)s, told_at = %(at)s
where alert_id = %(alert_id)s
"""
# What is being sent at this moment is on its way; whoever sends it holds its row.
_CANCEL: Final = """
update notification set due_at = null, ended_at = %s,
    state = case when state = 'waiting' then 'cancelled' else state end
where notification_id in (
    select notification_id from notification
    where alert_id = %s and due_at is not null for update skip locked
)
"""


async def snooze(
    connection: AsyncConnection,
    viewer: Viewer,
    alert_id: int,
    *,
    until: datetime,
    why: str,
    seen_breach_id: int,
    now: datetime | None = None,
) -> Done:
    """Let the alert rest. Then it is open, and its receiver is told as if it were new.

    Args:
        connection: In no transaction, or in the caller's.
        viewer: Who answers for it. What somebody else has taken is not hers to let rest.
        alert_id: Which.
        until: After the present moment, and no later than ``SNOOZE_MAX`` of its level.
        why: In the viewer's own words; not empty, at most ``NOTE_CHARS_MAX``.
        seen_breach_id: The newest breach the viewer had before her: what comes later may be worse.
        now: The moment; the database's if it is not given.
    """
    why = why.strip()
    async with connection.transaction():
        held = await hold(connection, viewer, alert_id, now)
        if held is None:
            return Done(Answer.NOT_FOUND)
        is_hers = held.state == State.OPEN or held.acknowledged_by == viewer.staff_id
        if held.state == State.CLOSED or not is_hers:
            return too_late(held, viewer)
        at = await moment(connection, now)
        longest = SNOOZE_MAX[Level(held.level)]
        if not (at < until <= at + longest and 0 < len(why) <= NOTE_CHARS_MAX):
            return Done(Answer.UNFIT, held.patient_id)
        if held.newest_breach_id > seen_breach_id:
            return Done(Answer.NEW_VALUE, held.patient_id)
        await _store(connection, viewer, held, until=until, why=why, now=now)
        detail = {"until": until.isoformat(), "note": why}
        await log.append(
            connection, alert_id, Event.SNOOZED, staff_id=viewer.staff_id, detail=detail
        )
        if held.state == State.OPEN and viewer.staff_id is not None:
            await taken.tell(connection, alert_id, viewer.staff_id, at)
    return Done(Answer.DONE, held.patient_id, viewer.name, until)


async def _store(
    connection: AsyncConnection,
    viewer: Viewer,
    held: Held,
    *,
    until: datetime,
    why: str,
    now: datetime | None,
) -> None:
    await engine.advance(connection, held.alert_id, now)  # a person can be faster than routing
    at = await moment(connection, now)
    await connection.execute(
        "update alert set changed_at = %s where alert_id = %s", (at, held.alert_id)
    )
    await connection.execute(
        _WRITE,
        {
            "alert_id": held.alert_id,
            "until": until,
            "staff_id": viewer.staff_id,
            "why": why,
            "breach_id": held.newest_breach_id,
            "at": at,
        },
    )
    await connection.execute(_CANCEL, (at, held.alert_id))
    await course.rest(connection, held.alert_id, until)
    await audience.tell(connection, [held.alert_id], at)
