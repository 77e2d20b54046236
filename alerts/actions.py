"""What a person does with an alert: take it, end it. One wins; the others are told who."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts import engine, log
from alerts.alert import Event, IllegalTransition, Outcome, State, after
from alerts.care.people import RELATION, Viewer, relation
from alerts.signal import notify_worklists, topic

# A note is a few lines; the journal is elsewhere.
NOTE_CHARS_MAX = 2_000


class Answer(enum.StrEnum):
    """What became of an action."""

    DONE = "done"
    ALREADY_YOURS = "already_yours"  # you did it before: a second click, or another tab
    TAKEN = "taken"  # somebody else acknowledged it first
    CLOSED = "closed"  # somebody, you perhaps, has ended it
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
class _Held:
    """An alert whose row is locked by us."""

    alert_id: int
    patient_id: int
    state: str
    newest_breach_id: int
    acknowledged_by: int | None
    acknowledged_name: str | None
    acknowledged_at: datetime | None
    closed_name: str | None
    closed_at: datetime | None


async def acknowledge(connection: AsyncConnection, viewer: Viewer, alert_id: int) -> Done:
    """Let *viewer* take the alert, if nobody has."""
    async with connection.transaction():
        held = await _hold(connection, viewer, alert_id)
        if held is None:
            return Done(Answer.NOT_FOUND)
        try:
            state = after(State(held.state), Event.ACKNOWLEDGED)
        except IllegalTransition:
            return _too_late(held, viewer)
        at = await _store(connection, held, viewer, state, {})
        await log.append(connection, alert_id, Event.ACKNOWLEDGED, staff_id=viewer.staff_id)
    return Done(Answer.DONE, held.patient_id, viewer.name, at)


async def close(
    connection: AsyncConnection,
    viewer: Viewer,
    alert_id: int,
    *,
    outcome: Outcome,
    note: str = "",
    seen_breach_id: int,
) -> Done:
    """End the alert with an outcome.

    Args:
        connection: In no transaction.
        viewer: Who ends it.
        alert_id: Which.
        outcome: How it ended.
        note: In the viewer's own words; at most ``NOTE_CHARS_MAX``.
        seen_breach_id: The newest breach the viewer had before her. A newer one is not hers to
            close unread.
    """
    if len(note) > NOTE_CHARS_MAX:
        problem = f"a note holds at most {NOTE_CHARS_MAX} characters"
        raise ValueError(problem)
    async with connection.transaction():
        held = await _hold(connection, viewer, alert_id)
        if held is None:
            return Done(Answer.NOT_FOUND)
        try:
            state = after(State(held.state), Event.CLOSED)
        except IllegalTransition:
            return _too_late(held, viewer)
        if held.newest_breach_id > seen_breach_id:
            return Done(Answer.NEW_VALUE, held.patient_id)
        ending = {"outcome": outcome, "note": note.strip()}
        at = await _store(connection, held, viewer, state, ending)
        await log.append(
            connection, alert_id, Event.CLOSED, staff_id=viewer.staff_id, detail=ending
        )
    return Done(Answer.DONE, held.patient_id, viewer.name, at)


def _too_late(held: _Held, viewer: Viewer) -> Done:
    if held.state == State.CLOSED:
        return Done(Answer.CLOSED, held.patient_id, held.closed_name, held.closed_at)
    mine = held.acknowledged_by == viewer.staff_id
    answer = Answer.ALREADY_YOURS if mine else Answer.TAKEN
    return Done(answer, held.patient_id, held.acknowledged_name, held.acknowledged_at)


_HOLD: Final = sql.SQL("""
select a.alert_id from alert a
join person p using (patient_id)
left join care_contact c on c.patient_id = p.patient_id and c.until_at is null
where a.alert_id = %(alert_id)s and {relation}
for update of a
""").format(relation=RELATION)

# A statement of its own: it must see what was committed while we waited for the lock.
_STATE: Final = """
select a.alert_id, a.patient_id, a.state,
       coalesce((select max(breach_id) from breach b where b.alert_id = a.alert_id), 0)
           as newest_breach_id,
       k.acknowledged_by, taker.name as acknowledged_name, k.acknowledged_at,
       closer.name as closed_name, k.closed_at
from alert a
left join alert_case k using (alert_id)
left join staff taker on taker.staff_id = k.acknowledged_by
left join staff closer on closer.staff_id = k.closed_by
where a.alert_id = %s
"""


async def _hold(connection: AsyncConnection, viewer: Viewer, alert_id: int) -> _Held | None:
    """Lock the alert's row, if *viewer* is staff and may see it."""
    if viewer.staff_id is None:
        return None
    found = await connection.execute(_HOLD, {**relation(viewer), "alert_id": alert_id})
    if await found.fetchone() is None:
        return None
    cursor = connection.cursor(row_factory=class_row(_Held))
    await cursor.execute(_STATE, (alert_id,))
    return await cursor.fetchone()


async def _store(
    connection: AsyncConnection,
    held: _Held,
    viewer: Viewer,
    state: State,
    ending: Mapping[str, str],
) -> datetime:
    """Write the new state, who made it so, and tell the worklists."""
    await engine.advance(connection, only=held.alert_id)  # a person can be faster than routing
    changed = await connection.execute(
        "update alert set state = %s, changed_at = clock_timestamp() where alert_id = %s "
        "returning changed_at",
        (state, held.alert_id),
    )
    row = await changed.fetchone()
    assert row is not None
    at: datetime = row[0]
    written = await connection.execute(
        "update alert_case set told_at = %(at)s, "
        "acknowledged_by = case when %(takes)s then %(staff_id)s else acknowledged_by end, "
        "acknowledged_at = case when %(takes)s then %(at)s else acknowledged_at end, "
        "closed_by = case when %(closed)s then %(staff_id)s::bigint end, "
        "closed_at = case when %(closed)s then %(at)s::timestamptz end, "
        "outcome = %(outcome)s, note = %(note)s "
        "where alert_id = %(alert_id)s returning staff_id, unit_id",
        {
            "alert_id": held.alert_id,
            "staff_id": viewer.staff_id,
            "at": at,
            "takes": held.state == State.OPEN,  # who closes an open alert took it there and then
            "closed": state is State.CLOSED,
            "outcome": ending.get("outcome"),
            "note": ending.get("note", ""),
        },
    )
    receiver = await written.fetchone()
    assert receiver is not None
    await notify_worklists(connection, [topic(*receiver)])
    return at
