"""Sends what technicians are told of faults: channel after channel, as alerts are.

Any number of senders may run, by the same leases. What all channels have failed with is for the
next look for faults to act on: the fault's next step is made due at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alerts.channels.outcome import Outcome, State
from alerts.sending import health, rows
from alerts.sending.move import LEASE, End, Ending, Send, Way, next_move
from alerts.sending.rows import Of
from alerts.technical.policy import POLICIES

Connection = AsyncConnection[Any]

# How many of its faults nobody has taken, and are there still: the others are not spoken of.
_COLUMNS: Final = """
n.notice_id, n.staff_id, n.unit_id, n.is_urgent, n.state, n.due_at, (
    select count(*)::int from technical_told d join technical t using (technical_id)
    where d.notice_id = n.notice_id and t.closed_at is null and t.taken_by is null) as faults
"""
_DUE: Final = f"""
select {_COLUMNS} from technical_notice n where n.due_at <= %s
order by n.is_urgent desc, n.due_at, n.notice_id limit %s for update of n skip locked
"""  # noqa: S608 - our own text
_HOLD: Final = f"""
select {_COLUMNS} from attempt t join technical_notice n using (notice_id)
where t.attempt_id = %s for update of n
"""  # noqa: S608 - our own text
_BEGIN: Final = """
insert into attempt (notice_id, channel_id, number, began_at) values (%s, %s, %s, %s)
returning attempt_id
"""
_POSTPONE: Final = "update technical_notice set due_at = %s, state = %s where notice_id = %s"
_END: Final = """
update technical_notice set due_at = null, state = %s, ended_at = %s where notice_id = %s
"""
# Others who were told as the same step may have been reached: then the policy's time stands. So
# does it for the last step, which is repeated.
_HURRY: Final = """
update technical t set due_at = %(at)s
from technical_told d
where d.notice_id = %(notice_id)s and t.technical_id = d.technical_id and t.step = d.step + 1
    and t.due_at > %(at)s and d.step < (%(last)s::jsonb ->> t.tier)::int
    and not exists (
        select from technical_told o join technical_notice n using (notice_id)
        where o.technical_id = d.technical_id and o.step = d.step
            and o.notice_id <> d.notice_id and n.made_at >= t.told_from
            and n.state in ('waiting', 'sent', 'delivered'))
"""
_LAST: Final = {tier.value: policy.last for tier, policy in POLICIES.items()}
_SENT: Final = (State.ACCEPTED, State.HANDED_OVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A notice whose row is locked by us."""

    notice_id: int
    staff_id: int | None
    unit_id: int | None
    is_urgent: bool
    state: str
    due_at: datetime | None  # null: nothing is to be done any more
    faults: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """One thing to send now; its attempt is written."""

    attempt_id: int
    notice_id: int
    is_urgent: bool
    faults: int  # that the message is about
    way: Way


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found."""

    to_send: Sequence[Claimed]
    looked_at: int


async def claim(connection: Connection, kinds: Sequence[str], at: datetime, most: int) -> Claim:
    """Decide about what is due at *at*, and write an attempt for each that is to be sent.

    Args:
        connection: In no transaction: what is returned must be written before it is sent.
        kinds: Of channels, that can be carried.
        at: The database's time.
        most: How many notices to look at.
    """
    async with connection.transaction():
        cursor = connection.cursor(row_factory=class_row(Row))
        await cursor.execute(_DUE, (at, most))
        found = await cursor.fetchall()
        to_send = await _decide(connection, found, kinds, at) if found else []
    return Claim(to_send, len(found))


async def mark(connection: Connection, attempt_id: int, outcome: Outcome, at: datetime) -> None:
    """Keep what came of an attempt. A receipt that was faster stays."""
    async with connection.transaction():
        row = await hold(connection, attempt_id)
        assert row is not None  # attempts are never deleted
        await rows.answer(connection, attempt_id, outcome, at)
        await health.of_channel(connection, attempt_id, at)
        await health.of_provider(connection, attempt_id, outcome, at)
        await settle(connection, row, at)


async def hold(connection: Connection, attempt_id: int) -> Row | None:
    """Lock and return the notice of an attempt; none if it is of something else."""
    cursor = connection.cursor(row_factory=class_row(Row))
    await cursor.execute(_HOLD, (attempt_id,))
    return await cursor.fetchone()


async def settle(connection: Connection, row: Row, at: datetime) -> None:
    """End a notice that has arrived; let the next claim decide about any other."""
    tries = (await rows.tries(connection, [row.notice_id], Of.NOTICE))[row.notice_id]
    if any(one.state is State.DELIVERED for one in tries):
        await _end(connection, row, Ending.DELIVERED, at)
    elif row.due_at is not None:
        state = "sent" if any(one.state in _SENT for one in tries) else "waiting"
        await connection.execute(_POSTPONE, (at, state, row.notice_id))


async def _decide(
    connection: Connection, found: Sequence[Row], kinds: Sequence[str], at: datetime
) -> list[Claimed]:
    ids = [row.notice_id for row in found]
    await rows.bury(connection, ids, at, Of.NOTICE)
    tries = await rows.tries(connection, ids, Of.NOTICE)
    ways = await rows.ways(connection, found, kinds)
    to_send = []
    for row in found:
        its = tries[row.notice_id]
        move = next_move(
            is_red=row.is_urgent, tries=its, ways=ways[row.staff_id, row.unit_id], now=at
        )
        if not row.faults and not isinstance(move, End):
            move = End(Ending.CANCELLED)
        if isinstance(move, Send):
            to_send.append(await _begin(connection, row, move.way, len(its) + 1, at))
        elif isinstance(move, End):
            await _end(connection, row, move.ending, at)
        else:
            await connection.execute(_POSTPONE, (move.until, row.state, row.notice_id))
    return to_send


async def _begin(connection: Connection, row: Row, way: Way, number: int, at: datetime) -> Claimed:
    cursor = await connection.execute(_BEGIN, (row.notice_id, way.channel_id, number, at))
    (attempt_id,) = await cursor.fetchone() or (0,)
    await connection.execute(_POSTPONE, (at + LEASE, row.state, row.notice_id))
    return Claimed(
        attempt_id=attempt_id,
        notice_id=row.notice_id,
        is_urgent=row.is_urgent,
        faults=row.faults,
        way=way,
    )


async def _end(connection: Connection, row: Row, ending: Ending, at: datetime) -> None:
    await connection.execute(_END, (ending, at, row.notice_id))
    if ending in (Ending.FAILED, Ending.NO_CHANNEL):
        values = {"at": at, "notice_id": row.notice_id, "last": Jsonb(_LAST)}
        await connection.execute(_HURRY, values)
