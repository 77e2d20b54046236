"""Takes faults through their steps: who is told now, of all that is due, in one message.

Called by whoever looks for faults, in the same transaction: one worker at a time, and a worker that
dies has told nobody. ``alerts.sending.notices`` sends what is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.care.hours import local_day
from alerts.technical import standing
from alerts.technical.crew import Crew, crew
from alerts.technical.home import IS_DAILY
from alerts.technical.policy import Tier
from alerts.technical.standing import Standing, Step
from ingest import incident
from ingest.rules.day import ZONE

Connection = AsyncConnection[Any]

NOBODY: Final = "technicians"
UNREACHED: Final = "unreached"
# The new and the severe first; more than technicians see to in a year.
FAULTS_MAX: Final = 5_000

_OPEN: Final = f"""
select t.technical_id, t.kind, t.detail, t.opened_at, t.taken_by, t.taken_at, t.tier, t.told_from,
    t.step, t.due_at, {IS_DAILY} as is_daily
from technical t
where t.closed_at is null
order by t.taken_by is not null, t.tier is not distinct from 'routine', t.opened_at, t.technical_id
limit %(most)s
for update of t
"""  # noqa: S608 - our own text
# A message that reached nobody has disturbed nobody.
_LAST: Final = """
select max(made_at) from technical_notice where state in ('waiting', 'sent', 'delivered')
"""
_NOTICE: Final = """
insert into technical_notice (staff_id, unit_id, is_urgent, made_at, due_at)
values (%s, %s, %s, %s, %s) returning notice_id
"""
_TOLD: Final = """
insert into technical_told (notice_id, technical_id, step)
select %s, * from unnest(%s::bigint[], %s::integer[])
"""
# Rows are ours since they were read; one that is nobody's now may have been somebody's then.
_KEEP: Final = """
update technical t set tier = g.tier, told_from = g.told_from, step = g.step, due_at = g.due_at,
    taken_by = g.taken_by, taken_at = case when g.taken_by is not null then t.taken_at end
from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::integer[],
    %s::timestamptz[]) as g (technical_id, taken_by, tier, told_from, step, due_at)
where t.technical_id = g.technical_id
    and (t.taken_by, t.tier, t.told_from, t.step, t.due_at)
        is distinct from (g.taken_by, g.tier, g.told_from, g.step, g.due_at)
"""
# Of the server every step must reach somebody. Of a home it is enough that one who is there knows,
# also by a message of when it was routine: that a repetition, or that it has waited for so long,
# finds her at home in the evening is no news.
_UNREACHED: Final = """
with told as (
    select d.technical_id, d.step = t.step - 1 as is_newest
    from technical t join technical_told d using (technical_id) join technical_notice n
        using (notice_id)
    where t.closed_at is null and t.taken_by is null
        and (t.tier <> 'server' or n.made_at >= t.told_from)
        and n.state in ('waiting', 'sent', 'delivered')
        and (n.staff_id = any(%(staff)s) or n.unit_id = any(%(units)s))
)
select count(*)::int from technical t
where t.closed_at is null and t.taken_by is null and case t.tier
    when 'server' then t.technical_id = any(%(nobody)s)
        or t.step > 0 and not exists (
            select from told where told.technical_id = t.technical_id and told.is_newest)
    when 'severe' then (t.technical_id = any(%(nobody)s) or t.step > 0)
        and not exists (select from told where told.technical_id = t.technical_id)
    else false end
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What one look told: messages made, and severe faults that reach nobody."""

    notices: int
    unreached: int


async def advance(connection: Connection, now: datetime) -> Told:
    """Tell what is due at *now*, the database's time; in a transaction of the caller's."""
    now = now.astimezone(UTC)  # in a zone with summer time, moments add and compare by the wall
    cursor = connection.cursor(row_factory=class_row(Standing))
    await cursor.execute(_OPEN, {"now": now, "most": FAULTS_MAX})
    was = await cursor.fetchall()
    if not was:
        await _say_if_unreached(connection, 0)
        return Told(0, 0)
    there = await crew(connection, now, _tomorrow(now))
    stand = [standing.judged(one, there, now) for one in was]
    due = [one for one in stand if one.taken_by is None and standing.is_due(one, there, now)]
    steps = [standing.step(one, there) for one in due]
    told = [one for one in steps if one.receivers]
    notices = 0
    if await _may_speak(connection, told, now):
        notices = await _write(connection, told, now)
        told_now = {one.fault.technical_id: standing.after(one, there, now) for one in told}
        stand = [told_now.get(one.technical_id, one) for one in stand]
    await _keep(connection, stand)
    nobody = [one.fault.technical_id for one in steps if not one.receivers]
    unreached = await _unreached(connection, there, nobody)
    await _say_if_unreached(connection, unreached)
    return Told(notices, unreached)


async def _may_speak(connection: Connection, told: Sequence[Step], now: datetime) -> bool:
    """Whether one of them may be told so soon after the last message; the others go with it."""
    if not told:
        return False
    (last,) = await (await connection.execute(_LAST)).fetchone() or (None,)
    pause = min(one.fault.policy.pause for one in told)
    return last is None or now - last >= pause


async def _write(connection: Connection, told: Sequence[Step], now: datetime) -> int:
    """Write a message for each who is told of something; return how many."""
    receivers = dict.fromkeys(each for one in told for each in one.receivers)
    for receiver in receivers:
        theirs = [one for one in told if receiver in one.receivers]
        is_urgent = any(one.fault.tier != Tier.ROUTINE for one in theirs)
        row = (receiver.staff_id, receiver.unit_id, is_urgent, now, now)
        cursor = await connection.execute(_NOTICE, row)
        (notice_id,) = await cursor.fetchone() or (0,)
        ids = [one.fault.technical_id for one in theirs]
        await connection.execute(_TOLD, (notice_id, ids, [one.number for one in theirs]))
    return len(receivers)


async def _keep(connection: Connection, stand: Sequence[Standing]) -> None:
    columns = (
        [one.technical_id for one in stand],
        [one.taken_by for one in stand],
        [one.tier for one in stand],
        [one.told_from for one in stand],
        [one.step for one in stand],
        [one.due_at for one in stand],
    )
    await connection.execute(_KEEP, columns)


async def _unreached(connection: Connection, there: Crew, nobody: Sequence[int]) -> int:
    """Return of how many faults no technician knows who is there; *nobody*: none was to be told."""
    values = {
        "staff": [one.staff_id for one in there.present],
        "units": [one.unit_id for one in there.units],
        "nobody": list(nobody),
    }
    (number,) = await (await connection.execute(_UNREACHED, values)).fetchone() or (0,)
    return int(number)


async def _say_if_unreached(connection: Connection, unreached: int) -> None:
    """Whoever runs this, and everybody who looks at a page, is told instead."""
    if not unreached:
        await incident.close(connection, NOBODY, UNREACHED)
        return
    detail = f"{unreached} severe faults reach no technician → give technicians channels and duty"
    await incident.open_(connection, NOBODY, UNREACHED, detail)


def _tomorrow(now: datetime) -> datetime:
    return datetime.combine(local_day(now) + timedelta(days=1), time(), ZONE).astimezone(now.tzinfo)
