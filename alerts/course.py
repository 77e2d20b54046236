"""Takes alerts through their policies: who is told, when nobody has answered, again and again.

Any number of workers may run: an alert is claimed by its row with ``skip locked``, all that a look
at it comes to is written in the same transaction, and a worker that dies leaves it due. Decisions
are ``alerts.turn``'s; sending is ``alerts.sending``'s.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts import audience, engine, policy
from alerts.alert import NORMAL, Level, State
from alerts.care.availability import around
from alerts.claim import claim
from alerts.escalation import Because, Receiver
from alerts.pulse import Part, beat
from alerts.rested import IS_NORMAL, IS_WORSE, NORMAL_FOR, PARAMETERS
from alerts.taken import TAKEN
from alerts.turn import Standing, Turn, look

# A claim holds row locks that ingest may wait for.
CLAIM_ROWS_MAX: Final = 200
# How long after its time a step is taken; asking is a look at two indexes.
POLL_S: Final = 1.0
# A patient whom the care record does not know holds up nobody else.
UNKNOWN_AGAIN: Final = timedelta(minutes=1)

_log = structlog.get_logger()

# Who says that nobody was reached writes to it too.
_LOOKED_AT: Final = """
update alert set is_unlooked = false where alert_id = any (%s::bigint[]) and is_unlooked
"""
_LOCK: Final = """
select from alert_course where alert_id = any (%s::bigint[]) order by alert_id for update
"""

# A statement of its own, after the locks: what was committed before we had them is seen.
_STANDING: Final = f"""
select a.alert_id, a.patient_id, a.level, a.state, a.opened_at, a.level_since, a.changed_at,
       k.staff_id, k.team_id, k.unit_id, k.routed_at,
       k.acknowledged_at, k.acknowledged_until, k.snoozed_until,
       {IS_WORSE} as is_worse, {IS_NORMAL} as is_normal,
       c.began_at, c.level as known_level, c.because, c.step, c.next_at,
       c.routed_at as known_routed_at
from alert a
join alert_case k using (alert_id)
left join alert_course c using (alert_id)
where a.alert_id = any (%(alerts)s::bigint[]) and a.state <> 'closed'
"""  # noqa: S608 - our own text
_TOLD: Final = """
select n.alert_id, n.staff_id, n.unit_id, max(n.made_at) as made_at,
       max(n.made_at) filter (where n.state not in ('failed', 'no_channel') and (
           n.state <> 'cancelled' or exists (
               select from attempt t
               where t.notification_id = n.notification_id and t.state <> 'failed'))) as reached_at
from notification n
join alert_course c using (alert_id, began_at)
where n.alert_id = any (%s::bigint[]) and n.why <> %s
group by n.alert_id, n.staff_id, n.unit_id
"""

_COURSE: Final = """
insert into alert_course
    as c (alert_id, began_at, level, because, step, next_at, due_at, routed_at, warns)
select * from unnest(%s::bigint[], %s::timestamptz[], %s::smallint[], %s::text[], %s::int[],
                     %s::timestamptz[], %s::timestamptz[], %s::timestamptz[], %s::boolean[])
on conflict (alert_id) do update set began_at = excluded.began_at, level = excluded.level,
    because = excluded.because, step = excluded.step, next_at = excluded.next_at,
    due_at = excluded.due_at, routed_at = excluded.routed_at,
    warns = excluded.warns or (c.warns and c.began_at = excluded.began_at)
"""
_CASE: Final = """
update alert_case k set
    warning = k.warning or turn.warns,
    acknowledged_until = case when turn.begins then null else k.acknowledged_until end,
    snoozed_until = case when turn.ends_snooze then null else k.snoozed_until end
from unnest(%s::bigint[], %s::boolean[], %s::boolean[], %s::boolean[])
    as turn (alert_id, warns, begins, ends_snooze)
where k.alert_id = turn.alert_id
"""
_OPEN: Final = """
update alert set state = 'open', changed_at = clock_timestamp() where alert_id = any (%s::bigint[])
"""
_NOTIFY: Final = """
insert into notification
    (alert_id, began_at, step, staff_id, unit_id, why, level, made_at, due_at)
select alert_id, began_at, step, staff_id, unit_id, why, level, %s, %s
from unnest(%s::bigint[], %s::timestamptz[], %s::int[], %s::bigint[], %s::bigint[], %s::text[],
            %s::smallint[]) as t (alert_id, began_at, step, staff_id, unit_id, why, level)
on conflict do nothing
"""
_ENTRIES: Final = """
insert into alert_log (alert_id, at, event, detail)
select alert_id, %s, event, detail
from unnest(%s::bigint[], %s::text[], %s::jsonb[]) with ordinality as e (alert_id, event, detail, n)
order by n
"""
# Of one that was raised, the steps taken at the level before count no more.
_REST: Final = """
insert into alert_course as c (alert_id, began_at, level, due_at, routed_at)
select a.alert_id, a.level_since, a.level, %(until)s, k.routed_at
from alert a join alert_case k using (alert_id) where a.alert_id = %(alert_id)s
on conflict (alert_id) do update set level = excluded.level,
    began_at = case when c.level < excluded.level
        then greatest(excluded.began_at, c.began_at + interval '1 microsecond')
        else c.began_at end,
    because = case when c.level < excluded.level then 'raised' else c.because end,
    step = case when c.level < excluded.level then 0 else c.step end,
    next_at = case when c.level < excluded.level then null else c.next_at end,
    due_at = excluded.due_at, routed_at = excluded.routed_at
"""


async def run(pool: AsyncConnectionPool) -> None:
    """Advance courses for ever."""
    while True:
        try:
            async with pool.connection() as connection:
                while await advance(connection):
                    await beat(connection, Part.COURSE)
                await beat(connection, Part.COURSE)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("course.database_away", problem=type(error).__name__)
        await asyncio.sleep(POLL_S)


async def advance(connection: AsyncConnection, now: datetime | None = None) -> int:
    """Look at what is due, at most ``CLAIM_ROWS_MAX`` alerts, in one transaction.

    Args:
        connection: Of a pool; in no transaction.
        now: The moment; the database's if it is not given.

    Returns:
        How many alerts were looked at.
    """
    async with connection.transaction():
        # In a zone with summer time, moments of one night compare and add wrongly.
        await connection.execute("set local time zone 'UTC'")
        moment = await _moment(connection, now)
        alert_ids = await claim(connection, moment, CLAIM_ROWS_MAX)
        if alert_ids:
            await connection.execute(_LOCK, (alert_ids,))
            turns = await _turns(connection, alert_ids, moment)
            await _store(connection, turns, moment)
            await connection.execute(_LOOKED_AT, (alert_ids,))
            # The level, or who may be told, is another than when it was routed.
            await engine.follow(
                connection, [turn.alert_id for turn in turns if turn.begins], moment
            )
    return len(alert_ids)


async def rest(connection: AsyncConnection, alert_id: int, until: datetime) -> None:
    """Let the course of an alert rest, whose row the caller has locked and seen; somebody acts."""
    await connection.execute(_REST, {"alert_id": alert_id, "until": until})
    await connection.execute(_LOOKED_AT, ([alert_id],))


async def stop(connection: AsyncConnection, alert_id: int) -> None:
    """End the course of an alert that has ended."""
    await connection.execute("delete from alert_course where alert_id = %s", (alert_id,))


async def _moment(connection: AsyncConnection, now: datetime | None) -> datetime:
    if now is not None:
        return now.astimezone(UTC)
    cursor = await connection.execute("select now()")
    (moment,) = await cursor.fetchone() or (None,)
    assert isinstance(moment, datetime)
    return moment


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of ``_STANDING``."""

    alert_id: int
    patient_id: int
    level: int
    state: str
    opened_at: datetime
    level_since: datetime
    changed_at: datetime
    staff_id: int | None
    team_id: int | None
    unit_id: int
    routed_at: datetime
    acknowledged_at: datetime | None
    acknowledged_until: datetime | None
    snoozed_until: datetime | None
    is_worse: bool
    is_normal: bool
    began_at: datetime | None
    known_level: int | None
    because: str | None
    step: int | None
    next_at: datetime | None
    known_routed_at: datetime | None

    def standing(self, told: Iterable["_Told"]) -> Standing:
        """Return the same as the rules of a turn read it."""
        told = list(told)
        newest = max((one.made_at for one in told), default=None)
        return Standing(
            alert_id=self.alert_id,
            patient_id=self.patient_id,
            level=Level(self.level),
            state=State(self.state),
            opened_at=self.opened_at,
            level_since=self.level_since,
            changed_at=self.changed_at,
            staff_id=self.staff_id,
            team_id=self.team_id,
            unit_id=self.unit_id,
            routed_at=self.routed_at,
            acknowledged_at=self.acknowledged_at,
            acknowledged_until=self.acknowledged_until,
            snoozed_until=self.snoozed_until,
            is_worse=self.is_worse,
            is_normal=self.is_normal,
            began_at=self.began_at,
            known_level=None if self.known_level is None else Level(self.known_level),
            because=Because(self.because or Because.OPENED),
            step=self.step or 0,
            next_at=self.next_at,
            known_routed_at=self.known_routed_at,
            told={one.receiver: one.reached_at for one in told if one.reached_at is not None},
            in_vain=newest is not None
            and all(one.is_in_vain for one in told if one.made_at == newest),
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """Somebody who has been told since the course began."""

    alert_id: int
    staff_id: int | None
    unit_id: int | None
    made_at: datetime  # the newest
    reached_at: datetime | None  # the newest that is not known to have failed

    @property
    def receiver(self) -> Receiver:
        return Receiver(staff_id=self.staff_id or 0, unit_id=self.unit_id or 0)

    @property
    def is_in_vain(self) -> bool:
        """Whether the newest has failed."""
        return self.reached_at != self.made_at


async def _turns(
    connection: AsyncConnection, alert_ids: Sequence[int], now: datetime
) -> list[Turn]:
    """Return what a look at each of the alerts comes to. They are locked."""
    cursor = connection.cursor(row_factory=class_row(_Row))
    asked = {"alerts": alert_ids, "now": now, "normal_since": now - NORMAL_FOR}
    await cursor.execute(_STANDING, {**PARAMETERS, **asked})
    rows = await cursor.fetchall()
    told = await _told(connection, alert_ids)
    facts = await around(connection, sorted({row.patient_id for row in rows}), now)
    policies = await policy.in_force(connection, [here.unit.unit_id for here in facts.values()])
    turns = []
    for row in rows:
        here = facts.get(row.patient_id)
        if here is None:  # she was routed once: somebody took her out of the care record
            _log.error("course.patient_unknown", alert=row.alert_id, cure="seed her person again")
            await rest(connection, row.alert_id, now + UNKNOWN_AGAIN)
            continue
        standing = row.standing(told.get(row.alert_id, ()))
        in_force = policies[here.unit.unit_id, standing.level]
        turns.append(look(standing, in_force, here, now))
    return turns


async def _told(connection: AsyncConnection, alert_ids: Sequence[int]) -> Mapping[int, list[_Told]]:
    cursor = connection.cursor(row_factory=class_row(_Told))
    await cursor.execute(_TOLD, (alert_ids, TAKEN))
    told: dict[int, list[_Told]] = {}
    for one in await cursor.fetchall():
        told.setdefault(one.alert_id, []).append(one)
    return told


async def _store(connection: AsyncConnection, turns: Sequence[Turn], now: datetime) -> None:
    """Write what the turns come to."""
    await _close(connection, [turn.alert_id for turn in turns if turn.closes], now)
    await _store_courses(connection, [turn for turn in turns if not turn.closes])
    told = [(turn, receiver) for turn in turns for receiver in turn.tell]
    if told:
        await connection.execute(_NOTIFY, (now, now, *_columns(map(_notification, told))))
        await audience.tell(connection, {turn.alert_id for turn, _ in told}, now)
    entries: list[tuple[Any, ...]] = [
        (turn.alert_id, event, Jsonb(detail)) for turn in turns for event, detail in turn.entries
    ]
    if entries:
        await connection.execute(_ENTRIES, (now, *_columns(entries)))


async def _close(connection: AsyncConnection, alert_ids: Sequence[int], now: datetime) -> None:
    """End those that are normal again; nobody is told, the worklists and the log show it."""
    if not alert_ids:
        return
    await connection.execute(
        "update alert set state = 'closed', changed_at = %s where alert_id = any (%s::bigint[])",
        (now, alert_ids),
    )
    await connection.execute(
        "update alert_case set snoozed_until = null, acknowledged_until = null, told_at = %s, "
        "closed_at = %s, outcome = %s where alert_id = any (%s::bigint[])",
        (now, now, NORMAL, alert_ids),
    )
    await connection.execute(
        "delete from alert_course where alert_id = any (%s::bigint[])", (alert_ids,)
    )
    await audience.tell(connection, alert_ids, now)


async def _store_courses(connection: AsyncConnection, turns: Sequence[Turn]) -> None:
    changed = [
        (turn.alert_id, turn.warns, turn.begins, turn.ends_snooze)
        for turn in turns
        if turn.warns or turn.begins
    ]
    if changed:
        await connection.execute(_CASE, _columns(changed))
    opened = [turn.alert_id for turn in turns if turn.opens]
    if opened:
        await connection.execute(_OPEN, (opened,))
    courses = [
        (
            turn.alert_id,
            turn.began_at,
            turn.level,
            turn.because,
            turn.step,
            turn.next_at,
            turn.due_at,
            turn.routed_at,
            turn.warns,
        )
        for turn in turns
    ]
    if courses:
        await connection.execute(_COURSE, _columns(courses))


def _notification(told: tuple[Turn, Receiver]) -> tuple[Any, ...]:
    turn, receiver = told
    return (
        turn.alert_id,
        turn.began_at,
        turn.number,
        receiver.staff_id or None,
        receiver.unit_id or None,
        turn.why,
        turn.level,
    )


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return the columns of *rows*, as ``unnest`` takes them; there is one row at least."""
    return [list(column) for column in zip(*rows, strict=True)]
