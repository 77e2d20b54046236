"""Yellow alerts of one person or unit that go in one message: the first speaks for all.

Each stays a notification of its own, with its own end and its own place in its alert's log; those
that wait for the first to arrive end as it does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.alert import Level, State
from alerts.sending.move import Ending
from alerts.sending.reach import USUAL, Reach, send_at
from alerts.sending.rows import Row

Connection = AsyncConnection[Any]

# How often one that is spoken for looks what came of it.
LOOK_AGAIN: Final = timedelta(seconds=2)
_MINUTE: Final = timedelta(minutes=1)

_REACH: Final = """
select s.staff_id, s.unit_id, r.gather_minutes, r.quiet_from, r.quiet_until,
       (select max(d.send_at) from digest d
        where coalesce(d.staff_id, 0) = s.staff_id and coalesce(d.unit_id, 0) = s.unit_id
          and d.send_at > %s)
from unnest(%s::bigint[], %s::bigint[]) as s (staff_id, unit_id) left join reach r using (staff_id)
"""
_HELD: Final = """
select notification_id, coalesce(staff_id, 0), coalesce(unit_id, 0), send_at from digest
where notification_id = any(%s)
"""
_HOLD: Final = """
insert into digest (staff_id, unit_id, notification_id, send_at)
select nullif(staff_id, 0), nullif(unit_id, 0), notification_id, send_at
from unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[])
    as held (staff_id, unit_id, notification_id, send_at)
"""
# Those of alerts that somebody has taken meanwhile are not spoken of; one that was taken after its
# message had gone has spoken for the others all the same.
_TOGETHER: Final = """
select coalesce(d.staff_id, 0), coalesce(d.unit_id, 0), d.send_at, n.notification_id, n.due_at,
       case n.state when 'cancelled' then 'sent' else n.state end
from digest d join notification n using (notification_id) join alert a using (alert_id)
where (coalesce(d.staff_id, 0), coalesce(d.unit_id, 0), d.send_at) in
          (select * from unnest(%s::bigint[], %s::bigint[], %s::timestamptz[]))
  and ((a.state = %s and n.state <> 'cancelled')
       or (n.due_at is null and n.state <> 'cancelled')
       or exists (select from attempt t where t.notification_id = n.notification_id
                  and t.state in ('accepted', 'handed_over', 'delivered')))
order by n.notification_id
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One notification's part in a message.

    Attributes:
        speaks: It is this one that is sent.
        alerts: How many the message is about.
        ending: How the one that speaks has ended; none: it has not, or it is this one.
    """

    speaks: bool
    alerts: int
    ending: Ending | None = None


ALONE: Final = Member(speaks=True, alerts=1)


async def wish(connection: Connection, staff_id: int) -> Reach:
    """Return when a staff member wants to hear of yellow alerts."""
    cursor = await connection.execute(
        "select gather_minutes, quiet_from, quiet_until from reach where staff_id = %s", (staff_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        return USUAL
    return Reach(gather=timedelta(minutes=row[0]), quiet_from=row[1], quiet_until=row[2])


async def keep(connection: Connection, staff_id: int, reach: Reach) -> None:
    """Keep when she wants to; those that wait already go when it was said."""
    await connection.execute(
        "insert into reach (staff_id, gather_minutes, quiet_from, quiet_until) "
        "values (%s, %s, %s, %s) on conflict (staff_id) do update set "
        "gather_minutes = excluded.gather_minutes, quiet_from = excluded.quiet_from, "
        "quiet_until = excluded.quiet_until, changed_at = clock_timestamp()",
        (staff_id, reach.gather // _MINUTE, reach.quiet_from, reach.quiet_until),
    )


async def hold(connection: Connection, rows: Sequence[Row], at: datetime) -> Mapping[int, datetime]:
    """Let yellow notifications wait for others.

    Args:
        connection: In the transaction that holds them.
        rows: Of which nothing has been sent.
        at: The database's time.

    Returns:
        Until when, by notification; one that is not there goes now.
    """
    new = [row for row in rows if _can_wait(row)]
    held = await connection.execute(_HELD, ([row.notification_id for row in new],))
    known = {notification_id for notification_id, *_ in await held.fetchall()}
    new = [row for row in new if row.notification_id not in known]
    if not new:
        return {}
    times = await _times(connection, {_receiver(row) for row in new}, at)
    waits = [(row, until) for row in new if (until := times[_receiver(row)]) > at]
    await connection.execute(
        _HOLD,
        (
            [row.staff_id or 0 for row, _ in waits],
            [row.unit_id or 0 for row, _ in waits],
            [row.notification_id for row, _ in waits],
            [until for _, until in waits],
        ),
    )
    return {row.notification_id: until for row, until in waits}


async def members(connection: Connection, rows: Sequence[Row]) -> Mapping[int, Member]:
    """Return the part of each notification that goes with others."""
    held = await connection.execute(_HELD, ([row.notification_id for row in rows],))
    groups = {
        (staff_id, unit_id, at.astimezone(UTC))
        for _, staff_id, unit_id, at in await held.fetchall()
    }
    if not groups:
        return {}
    cursor = await connection.execute(
        _TOGETHER, (*map(list, zip(*groups, strict=True)), State.OPEN)
    )
    together: dict[tuple[int, int, datetime], list[_Told]] = {}
    for staff_id, unit_id, at, notification_id, due_at, state in await cursor.fetchall():
        ending = Ending(state) if due_at is None else None
        group = together.setdefault((staff_id, unit_id, at.astimezone(UTC)), [])
        group.append((notification_id, ending))
    return {
        notification_id: member
        for group in together.values()
        for notification_id, member in _parts(group).items()
    }


_Told = tuple[int, Ending | None]  # a notification, and how it has ended


def _parts(group: Sequence[_Told]) -> Mapping[int, Member]:
    first, ending = group[0]
    parts = {one: Member(speaks=False, alerts=0, ending=ending) for one, _ in group}
    return {**parts, first: Member(speaks=True, alerts=len(group))}


_Receiver = tuple[int, int]  # a person and 0, or 0 and a unit


def _receiver(row: Row) -> _Receiver:
    return row.staff_id or 0, row.unit_id or 0


async def _times(
    connection: Connection, receivers: Collection[_Receiver], at: datetime
) -> Mapping[_Receiver, datetime]:
    """Return when each is sent its next message. A unit gathers as usual, and is never quiet."""
    people, units = [one for one, _ in receivers], [one for _, one in receivers]
    cursor = await connection.execute(_REACH, (at, people, units))
    times = {}
    for staff_id, unit_id, minutes, quiet_from, quiet_until, waiting in await cursor.fetchall():
        wish = USUAL
        if minutes is not None:
            wish = Reach(
                gather=timedelta(minutes=minutes), quiet_from=quiet_from, quiet_until=quiet_until
            )
        times[staff_id, unit_id] = send_at(wish, waiting and waiting.astimezone(UTC), at)
    return times


def _can_wait(row: Row) -> bool:
    return row.level < Level.RED
