"""What a person does with an alert: take it, end it. One wins; the others are told who."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from psycopg import AsyncConnection

from alerts import audience, course, engine, log, policy, taken
from alerts.alert import Event, IllegalTransition, Level, Outcome, State, after
from alerts.care.people import Viewer
from alerts.held import Answer, Done, Held, hold, moment, too_late

__all__ = ["NOTE_CHARS_MAX", "Answer", "Done", "acknowledge", "close"]

# A note is a few lines; the journal is elsewhere.
NOTE_CHARS_MAX = 2_000


async def acknowledge(
    connection: AsyncConnection,
    viewer: Viewer,
    alert_id: int,
    *,
    seen_breach_id: int,
    now: datetime | None = None,
) -> Done:
    """Let *viewer* take the alert, if nobody has; for as long as the policy gives her.

    Args:
        connection: In no transaction, or in the caller's.
        viewer: Who takes it.
        alert_id: Which.
        seen_breach_id: The newest breach the viewer had before her. An alert that was raised by
            a newer one is not hers to take unseen; a newer value of the same level is.
        now: The moment; the database's if it is not given.
    """
    async with connection.transaction():
        held = await hold(connection, viewer, alert_id, now, seen_breach_id)
        if held is None:
            return Done(Answer.NOT_FOUND)
        try:
            state = after(State(held.state), Event.ACKNOWLEDGED)
        except IllegalTransition:
            return too_late(held, viewer)
        if held.is_raised_since(seen_breach_id):
            return Done(Answer.NEW_VALUE, held.patient_id)
        at = await _store(connection, held, viewer, state, ending={}, now=now)
        await log.append(connection, alert_id, Event.ACKNOWLEDGED, staff_id=viewer.staff_id)
        await _tell_others(connection, held, viewer, at)
    return Done(Answer.DONE, held.patient_id, viewer.name, at)


async def close(
    connection: AsyncConnection,
    viewer: Viewer,
    alert_id: int,
    *,
    outcome: Outcome,
    note: str = "",
    seen_breach_id: int,
    now: datetime | None = None,
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
        now: The moment; the database's if it is not given.
    """
    if len(note) > NOTE_CHARS_MAX:
        problem = f"a note holds at most {NOTE_CHARS_MAX} characters"
        raise ValueError(problem)
    async with connection.transaction():
        held = await hold(connection, viewer, alert_id, now)
        if held is None:
            return Done(Answer.NOT_FOUND)
        try:
            state = after(State(held.state), Event.CLOSED)
        except IllegalTransition:
            return too_late(held, viewer)
        if held.newest_breach_id > seen_breach_id:
            return Done(Answer.NEW_VALUE, held.patient_id)
        ending = {"outcome": outcome, "note": note.strip()}
        at = await _store(connection, held, viewer, state, ending=ending, now=now)
        await log.append(
            connection, alert_id, Event.CLOSED, staff_id=viewer.staff_id, detail=ending
        )
        await _tell_others(connection, held, viewer, at)
    return Done(Answer.DONE, held.patient_id, viewer.name, at)


async def _tell_others(
    connection: AsyncConnection, held: Held, viewer: Viewer, at: datetime
) -> None:
    """Tell those who had been told of it that it is hers, if it was nobody's until now."""
    if held.state == State.OPEN and viewer.staff_id is not None:
        await taken.tell(connection, held.alert_id, viewer.staff_id, at)


async def _store(
    connection: AsyncConnection,
    held: Held,
    viewer: Viewer,
    state: State,
    *,
    ending: Mapping[str, str],
    now: datetime | None,
) -> datetime:
    """Write the new state, who made it so, and tell the worklists. Nobody else is told any more."""
    await engine.advance(connection, held.alert_id, now)  # a person can be faster than routing
    at = await moment(connection, now)
    await connection.execute(
        "update alert set state = %s, changed_at = %s where alert_id = %s",
        (state, at, held.alert_id),
    )
    until = None if state is State.CLOSED else at + await _lasts(connection, held)
    await connection.execute(
        "update alert_case set told_at = %(at)s, "
        "acknowledged_by = case when %(takes)s then %(staff_id)s else acknowledged_by end, "
        "acknowledged_at = case when %(takes)s then %(at)s else acknowledged_at end, "
        "acknowledged_until = %(until)s, snoozed_until = null, "
        "closed_by = case when %(closed)s then %(staff_id)s::bigint end, "
        "closed_at = case when %(closed)s then %(at)s::timestamptz end, "
        "outcome = %(outcome)s, note = %(note)s "
        "where alert_id = %(alert_id)s",
        {
            "alert_id": held.alert_id,
            "staff_id": viewer.staff_id,
            "at": at,
            "until": until,
            "takes": held.state == State.OPEN,  # who closes an open alert took it there and then
            "closed": state is State.CLOSED,
            "outcome": ending.get("outcome"),
            "note": ending.get("note", ""),
        },
    )
    if until is None:
        await course.stop(connection, held.alert_id)
    else:
        await course.rest(connection, held.alert_id, until)
    await audience.tell(connection, [held.alert_id], at)
    return at


async def _lasts(connection: AsyncConnection, held: Held) -> timedelta:
    """Return for how long the alert is hers who takes it."""
    cursor = await connection.execute(
        "select unit_id from alert_case where alert_id = %s", (held.alert_id,)
    )
    (unit_id,) = await cursor.fetchone() or (0,)
    policies = await policy.in_force(connection, [unit_id])
    return policies[unit_id, Level(held.level)].acknowledged
