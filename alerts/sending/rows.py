"""What is read of notifications, their attempts and their receivers' channels. Queries only."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row, dict_row

from alerts.alert import Level
from alerts.channels.message import Kind
from alerts.channels.outcome import Fault, Outcome, State
from alerts.sending.move import LEASE, Try, Way
from alerts.taken import TAKEN

Connection = AsyncConnection[Any]

# More addresses than a person keeps up; the first ones are tried.
WAYS_MAX: Final = 6


class Of(enum.StrEnum):
    """What an attempt is of; the names are those of its columns."""

    NOTIFICATION = "notification_id"
    NOTICE = "notice_id"
    TEST = "test_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A notification whose row is locked by us."""

    notification_id: int
    alert_id: int
    began_at: datetime
    step: int
    staff_id: int | None
    unit_id: int | None
    why: str
    level: int
    state: str
    due_at: datetime | None  # null: nothing is to be done any more
    alert_state: str


_COLUMNS: Final = sql.SQL("""
    n.notification_id, n.alert_id, n.began_at, n.step, n.staff_id, n.unit_id, n.why, n.level,
    n.state, n.due_at, a.state as alert_state
""")
# The alert's row before the notification's, as who acknowledges has it: else both wait for ever.
# Who claims waits for nobody. Red ones first.
_DUE: Final = sql.SQL("""
select {columns} from notification n join alert a using (alert_id)
where n.due_at <= %(now)s
order by n.level desc, n.due_at, n.notification_id limit %(most)s
for update of n skip locked for key share of a skip locked
""").format(columns=_COLUMNS)
_HOLD_ALERT: Final = """
select from alert where alert_id = (
    select n.alert_id from attempt t join notification n using (notification_id)
    where t.attempt_id = %s)
for key share
"""
_HOLD: Final = sql.SQL("""
select {columns} from attempt t
join notification n using (notification_id) join alert a using (alert_id)
where t.attempt_id = %s for update of n
""").format(columns=_COLUMNS)
_TRIES: Final = sql.SQL("""
select {what} as what, channel_id, state, fault, began_at, answered_at from attempt
where {what} = any(%s) order by {what}, number
""")
_ANSWER: Final = """
update attempt set state = %s, fault = %s, answered_at = %s, reply = %s,
    provider_key = coalesce(provider_key, %s)
where attempt_id = %s and state in ('sending', 'unknown')
"""
# Their senders are dead: what they sent, nobody knows.
DIED: Final = "the sender died"
_BURY: Final = sql.SQL("""
update attempt set state = %s, fault = %s, answered_at = %s, reply = %s
where {what} = any(%s) and state = 'sending' and began_at <= %s
""")
_WAYS: Final = """
select staff_id, unit_id, channel_id, kind, address from channel
where (staff_id = any(%(staff)s) or unit_id = any(%(units)s)) and kind = any(%(kinds)s)
  and verified_at is not null and ended_at is null
order by failing_since is not null, place, channel_id
"""
# What need not be said any more. Resting: who let it rest cannot cancel what a sender holds.
# Untried: she has been told of something newer, or will be; the alert was raised or open again,
# and its course tells anew; or a yellow one was given to somebody else before she heard of it.
_STALE: Final = """
select n.notification_id
from notification n
left join alert_case k using (alert_id)
left join alert_course c using (alert_id)
where n.notification_id = any(%(ids)s) and (
    (k.snoozed_until > %(now)s and n.why <> %(taken)s)
    or not exists (select from attempt t where t.notification_id = n.notification_id) and (
        exists (
            select from notification newer
            where newer.alert_id = n.alert_id and newer.notification_id > n.notification_id
              and (newer.staff_id, newer.unit_id) is not distinct from (n.staff_id, n.unit_id))
        or c.began_at <> n.began_at
        or (n.level < %(red)s and n.step <= 0 and k.routed_at > n.made_at and not (
            k.staff_id is not distinct from n.staff_id and k.team_id is null
                and (n.staff_id is not null or k.unit_id = n.unit_id)
            or exists (
                select from team_member m
                where m.team_id = k.team_id and m.staff_id = n.staff_id
                  and (m.until_at is null or m.until_at > %(now)s))))
    )
)
"""


async def due(connection: Connection, now: datetime, most: int) -> list[Row]:
    """Lock and return at most *most* notifications whose time has come."""
    cursor = connection.cursor(row_factory=class_row(Row))
    await cursor.execute(_DUE, {"now": now, "most": most})
    return await cursor.fetchall()


async def stale(connection: Connection, rows: Sequence[Row], now: datetime) -> set[int]:
    """Return which of them need not be told any more."""
    ids = [row.notification_id for row in rows]
    cursor = await connection.execute(
        _STALE, {"ids": ids, "now": now, "red": Level.RED, "taken": TAKEN}
    )
    return {notification_id for (notification_id,) in await cursor.fetchall()}


async def hold(connection: Connection, attempt_id: int) -> Row | None:
    """Lock and return the notification of an attempt."""
    await connection.execute(_HOLD_ALERT, (attempt_id,))
    cursor = connection.cursor(row_factory=class_row(Row))
    await cursor.execute(_HOLD, (attempt_id,))
    return await cursor.fetchone()


async def tries(
    connection: Connection, ids: Sequence[int], of: Of = Of.NOTIFICATION
) -> Mapping[int, list[Try]]:
    """Return the attempts of each, by its id, in order; their times in UTC."""
    found: dict[int, list[Try]] = {one: [] for one in ids}
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(_TRIES.format(what=sql.Identifier(of)), (list(found),))
    for one in await cursor.fetchall():
        found[one.pop("what")].append(
            Try(
                channel_id=one["channel_id"],
                state=State(one["state"]),
                fault=None if one["fault"] is None else Fault(one["fault"]),
                began_at=one["began_at"].astimezone(UTC),
                answered_at=one["answered_at"] and one["answered_at"].astimezone(UTC),
            )
        )
    return found


async def answer(connection: Connection, attempt_id: int, outcome: Outcome, at: datetime) -> None:
    """Keep what came of an attempt. A receipt that was faster stays."""
    told = (outcome.state, outcome.fault, at, outcome.reply, outcome.provider_key, attempt_id)
    await connection.execute(_ANSWER, told)


async def bury(
    connection: Connection, ids: Sequence[int], at: datetime, of: Of = Of.NOTIFICATION
) -> None:
    """Note that the senders of old attempts are dead: what they sent, nobody knows."""
    values = (State.UNKNOWN, Fault.PROVIDER, at, DIED, list(ids), at - LEASE)
    await connection.execute(_BURY.format(what=sql.Identifier(of)), values)


Receiver = tuple[int | None, int | None]  # staff_id, unit_id: one of them


class Received(Protocol):
    """What is for a staff member or a unit."""

    @property
    def staff_id(self) -> int | None: ...
    @property
    def unit_id(self) -> int | None: ...


async def ways(
    connection: Connection, rows: Sequence[Received], kinds: Sequence[str]
) -> Mapping[Receiver, list[Way]]:
    """Return the channels of each receiver that can be used, in the order of trying them."""
    found: dict[Receiver, list[Way]] = {(row.staff_id, row.unit_id): [] for row in rows}
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        _WAYS,
        {
            "staff": [staff for staff, _ in found if staff is not None],
            "units": [unit for _, unit in found if unit is not None],
            "kinds": list(kinds),
        },
    )
    for one in await cursor.fetchall():
        its = found[one["staff_id"], one["unit_id"]]
        if len(its) < WAYS_MAX:
            its.append(Way(one["channel_id"], Kind(one["kind"]), one["address"]))
    return found
