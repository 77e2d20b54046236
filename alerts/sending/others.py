"""What is sent to those who had been told of an alert that a colleague has taken: one try.

Law of this module: nobody depends on it. What fails is not tried again and hurries nobody, and
what is no longer true is not sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from psycopg import AsyncConnection

from alerts.channels.message import Kind
from alerts.channels.outcome import State
from alerts.sending.move import LEASE, End, Ending, Move, Send, Try, Wait, Way
from alerts.sending.rows import Row
from alerts.taken import TAKEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Who has it, when the receiver was told of it, and the way by which she heard."""

    name: str
    told_at: datetime
    way: Way


# The way that is surest to have reached her, and of those the last. Of one that is open again, and
# does not rest, nobody has it.
_HEARD: Final = """
select distinct on (note.notification_id) note.notification_id, s.name, t.began_at,
       c.channel_id, c.kind, c.address
from notification note
join alert a using (alert_id)
join alert_case k using (alert_id)
join staff s on s.staff_id = case
    when a.state <> 'open' then k.acknowledged_by
    when k.snoozed_until > %(now)s then k.snoozed_by end
join notification n on n.alert_id = note.alert_id and n.began_at = note.began_at
    and n.why <> %(taken)s
    and (n.staff_id, n.unit_id) is not distinct from (note.staff_id, note.unit_id)
join attempt t on t.notification_id = n.notification_id
join channel c using (channel_id)
where note.notification_id = any(%(ids)s)
  and c.verified_at is not null and c.ended_at is null and c.kind = any(%(kinds)s)
  and t.state in ('delivered', 'handed_over', 'accepted', 'unknown')
order by note.notification_id,
    array_position(array['delivered', 'handed_over', 'accepted', 'unknown'], t.state),
    t.attempt_id desc
"""


def is_of_taking(row: Row) -> bool:
    """Return whether it tells that somebody has the alert, and not of the alert itself."""
    return row.why == TAKEN


async def heard(
    connection: AsyncConnection[Any], rows: Sequence[Row], kinds: Sequence[str], now: datetime
) -> Mapping[int, Taken]:
    """Return what to say and how, by notification; what is not so, or has no way, is left out.

    Args:
        connection: In the transaction that holds them.
        rows: Of any kind; only those of taking are looked at.
        kinds: Of channels, that can be carried.
        now: The database's time.
    """
    ids = [row.notification_id for row in rows if is_of_taking(row)]
    if not ids:
        return {}
    asked = {"ids": ids, "kinds": list(kinds), "taken": TAKEN, "now": now}
    cursor = await connection.execute(_HEARD, asked)
    return {
        notification_id: Taken(
            name=name,
            told_at=told_at.astimezone(UTC),
            way=Way(channel_id, Kind(kind), address),
        )
        for notification_id, name, told_at, channel_id, kind, address in await cursor.fetchall()
    }


def next_move(taken: Taken | None, tries: Sequence[Try], now: datetime) -> Move:
    """Return what to do next with one that tells of a taking. Pure.

    Args:
        taken: What to say; none: it is no longer so, or there is no way to her any more.
        tries: Of it; one at most.
        now: The database's time.
    """
    if tries:
        last = tries[-1]
        if last.state is State.SENDING and last.began_at + LEASE > now:
            return Wait(last.began_at + LEASE)
        return End(_ENDINGS.get(last.state, Ending.SENT))
    return End(Ending.CANCELLED) if taken is None else Send(taken.way)


_ENDINGS: Final = {State.DELIVERED: Ending.DELIVERED, State.FAILED: Ending.FAILED}
