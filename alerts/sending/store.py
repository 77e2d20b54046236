"""Claims what is due, and keeps what came of it. The row of an attempt is there before it is sent.

Any number of senders may run. A claim moves ``due_at`` on by a lease: a sender that dies leaves
the notification due again, and its attempt is then ``unknown``. Every change of a notification
is made under its row's lock, from all of its attempts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from alerts import log
from alerts.alert import Event, Level
from alerts.alert import State as AlertState
from alerts.channels.outcome import Outcome, State
from alerts.sending import digest, health, others, rows
from alerts.sending.digest import ALONE, Member
from alerts.sending.move import LEASE, End, Ending, Move, Send, Try, Wait, Way, next_move
from alerts.sending.others import Taken, is_of_taking
from alerts.sending.rows import Row

Connection = AsyncConnection[Any]

# A course that somebody else is working on is told of a failure a little later.
_AGAIN_AFTER: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One thing to send now; its attempt is written."""

    attempt_id: int
    notification_id: int
    level: Level
    alerts: int  # that the message is about
    way: Way
    taken: Taken | None = None  # it tells who has taken the alert


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found."""

    to_send: Sequence[Claimed]
    looked_at: int


async def now(connection: Connection) -> datetime:
    """Return the database's time, in UTC.

    In a zone with summer time, moments of one night add and compare by the wall.
    """
    cursor = await connection.execute("select clock_timestamp()")
    (at,) = await cursor.fetchone() or (None,)
    assert isinstance(at, datetime)
    return at.astimezone(UTC)


async def claim(connection: Connection, kinds: Sequence[str], at: datetime, most: int) -> Claim:
    """Decide about what is due at *at*, and write an attempt for each that is to be sent.

    Args:
        connection: In no transaction: what is returned must be written before it is sent.
        kinds: Of channels, that can be carried.
        at: The database's time.
        most: How many notifications to look at.
    """
    to_send = []
    async with connection.transaction():
        found = await rows.due(connection, at, most)
        if found:
            await rows.bury(connection, [row.notification_id for row in found], at)
            stale = await rows.stale(connection, found, at)
            for row in found:
                if row.notification_id in stale:
                    await _end(connection, row, Ending.CANCELLED, at)
            fresh = [row for row in found if row.notification_id not in stale]
            for look in await _looks(connection, fresh, kinds, at):
                if isinstance(look.move, Send):
                    to_send.append(await _begin(connection, look, look.move.way, at))
                else:
                    await _rest(connection, look.row, look.move, at)
    return Claim(to_send, len(found))


async def mark(connection: Connection, attempt_id: int, outcome: Outcome, at: datetime) -> None:
    """Keep what came of an attempt. A receipt that was faster stays."""
    async with connection.transaction():
        row = await rows.hold(connection, attempt_id)
        assert row is not None  # attempts are never deleted
        await rows.answer(connection, attempt_id, outcome, at)
        await health.of_channel(connection, attempt_id, at)
        await health.of_provider(connection, attempt_id, outcome, at)
        await settle(connection, row, at)


async def settle(connection: Connection, row: Row, at: datetime) -> None:
    """End a notification that has arrived; let the next claim decide about any other.

    That all has failed is said under the lock of the alert's course too, and who holds a
    notification must not wait for that.
    """
    tries = (await rows.tries(connection, [row.notification_id]))[row.notification_id]
    if any(one.state is State.DELIVERED for one in tries):
        if row.state != Ending.DELIVERED:  # perhaps long after it was given up
            await _end(connection, row, Ending.DELIVERED, at)
    elif row.due_at is not None:
        is_sent = any(one.state in (State.ACCEPTED, State.HANDED_OVER) for one in tries)
        await _postpone(connection, row, at, is_sent=is_sent)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A notification, and what is to be done about it now."""

    row: Row
    move: Move
    tries: int  # so far
    alerts: int  # that a message now would be about
    taken: Taken | None = None  # it tells who has taken the alert


async def _looks(
    connection: Connection, found: Sequence[Row], kinds: Sequence[str], at: datetime
) -> list[_Look]:
    tries = await rows.tries(connection, [row.notification_id for row in found])
    taken = await others.heard(connection, found, kinds, at)
    looks = [
        _look_at_taken(row, taken.get(row.notification_id), tries, at)
        for row in found
        if is_of_taking(row)
    ]
    found = [row for row in found if not is_of_taking(row)]
    ways = await rows.ways(connection, found, kinds)
    untold = [row for row in found if not tries[row.notification_id]]
    held = await digest.hold(connection, untold, at)
    parts = await digest.members(connection, found)
    for row in found:
        its, part = tries[row.notification_id], parts.get(row.notification_id, ALONE)
        move = _without_a_try(row, part, held.get(row.notification_id), at) or next_move(
            is_red=row.level >= Level.RED,
            tries=its,
            ways=ways[row.staff_id, row.unit_id],
            now=at,
        )
        looks.append(_Look(row=row, move=move, tries=len(its), alerts=part.alerts))
    return looks


def _look_at_taken(
    row: Row, taken: Taken | None, tries: Mapping[int, Sequence[Try]], at: datetime
) -> _Look:
    its = tries[row.notification_id]
    move = others.next_move(taken, its, at)
    return _Look(row=row, move=move, tries=len(its), alerts=1, taken=taken)


def _without_a_try(
    row: Row, part: Member, held_until: datetime | None, at: datetime
) -> Wait | End | None:
    """Return what is to be done if nothing is to be sent for this one itself."""
    # A raised alert is open again, and who is told then is told by another notification.
    if row.alert_state != AlertState.OPEN:
        return End(Ending.CANCELLED)
    if held_until is not None:
        return Wait(held_until)
    if part.speaks:
        return None
    return Wait(at + digest.LOOK_AGAIN) if part.ending is None else End(part.ending)


async def _begin(connection: Connection, look: _Look, way: Way, at: datetime) -> Claimed:
    row = look.row
    written = await connection.execute(
        "insert into attempt (notification_id, channel_id, number, began_at) "
        "values (%s, %s, %s, %s) returning attempt_id",
        (row.notification_id, way.channel_id, look.tries + 1, at),
    )
    (attempt_id,) = await written.fetchone() or (0,)
    await _postpone(connection, row, at + LEASE, is_sent=row.state == Ending.SENT)
    return Claimed(
        attempt_id=attempt_id,
        notification_id=row.notification_id,
        level=Level(row.level),
        alerts=look.alerts,
        way=way,
        taken=look.taken,
    )


async def _rest(connection: Connection, row: Row, move: Wait | End, at: datetime) -> None:
    if isinstance(move, Wait):
        await _postpone(connection, row, move.until, is_sent=row.state == Ending.SENT)
    elif (
        move.ending not in _HOPELESS
        or is_of_taking(row)
        or await _hurry_course(connection, row, at)
    ):
        await _end(connection, row, move.ending, at)
    else:
        await _postpone(connection, row, at + _AGAIN_AFTER, is_sent=row.state == Ending.SENT)


async def _postpone(connection: Connection, row: Row, until: datetime, *, is_sent: bool) -> None:
    await connection.execute(
        "update notification set due_at = %s, state = %s where notification_id = %s",
        (until, "sent" if is_sent else "waiting", row.notification_id),
    )


_HOPELESS: Final = (Ending.FAILED, Ending.NO_CHANNEL)
_EVENTS: Final = {
    Ending.DELIVERED: Event.DELIVERED,
    Ending.FAILED: Event.NOT_DELIVERED,
    Ending.NO_CHANNEL: Event.NOT_DELIVERED,
}


async def _end(connection: Connection, row: Row, ending: Ending, at: datetime) -> None:
    await connection.execute(
        "update notification set due_at = null, state = %s, ended_at = %s "
        "where notification_id = %s",
        (ending, at, row.notification_id),
    )
    event = _EVENTS.get(ending)
    if event is not None and not is_of_taking(row):
        detail = {"notification": row.notification_id, "unit": row.unit_id, "why": ending}
        await log.append(connection, row.alert_id, event, staff_id=row.staff_id, detail=detail)


_COURSE: Final = "select from alert_course where alert_id = %s for update skip locked"
# The others of the same step may still be reached, or have been: then the policy's time stands.
_HURRY: Final = """
update alert_course c set due_at = %(at)s
where c.alert_id = %(alert_id)s and c.began_at = %(began_at)s and c.due_at > %(at)s
  and not exists (
    select from notification n
    where n.alert_id = c.alert_id and n.began_at = c.began_at and n.step = %(step)s
      and n.notification_id <> %(notification_id)s and n.state in ('waiting', 'sent', 'delivered'))
"""


async def _hurry_course(connection: Connection, row: Row, at: datetime) -> bool:
    """Make the next step due if nobody of this one can be reached.

    Returns:
        False if somebody else has the course just now, and it must be asked again.
    """
    if (await connection.execute(_COURSE, (row.alert_id,))).rowcount == 0:
        exists = await connection.execute(
            "select from alert_course where alert_id = %s", (row.alert_id,)
        )
        return exists.rowcount == 0
    await connection.execute(
        _HURRY,
        {
            "at": at,
            "alert_id": row.alert_id,
            "began_at": row.began_at,
            "step": row.step,
            "notification_id": row.notification_id,
        },
    )
    return True
