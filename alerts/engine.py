"""Gives every alert a receiver, and another when the facts change; tells the worklists.

Any number of engines may run: rows are claimed with ``skip locked``. NOTIFY only wakes them;
polling makes them correct. Decisions are ``alerts.routing``'s. An alert is routed when it is new;
and since leaves, hours and rotas change by the clock alone, all that are not closed are looked at
again in turn.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts import audience
from alerts.alert import Event
from alerts.placement import ROUTABLE, Placed, placed
from alerts.pulse import Part, beat
from alerts.routing import Route
from alerts.signal import notify_worklists
from ingest import incident

# A claim holds row locks that ingest may wait for; five hundred take some 100 ms.
CLAIM_ROWS_MAX = 500
# How long an alert waits when its notification was lost.
POLL_S = 2.0
# All alerts that are not closed are looked at again so often: how late a leave or an opening is
# noticed, at most. Below the two minutes in which an alert is to reach somebody.
LOOK_AGAIN_S: Final = 30

UNKNOWN: Final = ("routing", "patient_unknown")  # the kind and key of its incident

_log = structlog.get_logger()

# Of those that may be claimed, as many are looked at as so many workers take at once.
_WORKERS: Final = 8
# Alerts that are new, and those that have changed since the worklists were told, of ``ROUTABLE``
# patients. By an index, and the rest row by row: whatever the planner knows.
_NEAR: Final = """
(select alert_id from alert a where is_untold and state <> 'closed'
    and (select true from person p where p.patient_id = a.patient_id)
    and (select not is_canary from patient p where p.patient_id = a.patient_id)
    and (select true from alert_case k where k.alert_id = a.alert_id) is null
 order by level desc, alert_id limit %(most)s)
union all
(select alert_id from alert a where is_untold and state <> 'closed'
    and (select true from person p where p.patient_id = a.patient_id)
    and (select not is_canary from patient p where p.patient_id = a.patient_id)
    and (select true from alert_case k where k.alert_id = a.alert_id)
 order by level desc, alert_id limit %(most)s)
"""
# The weaker lock: who only refers to an alert, as its log does, hides it from nobody.
_DUE: Final = """
select alert_id from alert a
where alert_id = any(%s::bigint[]) and is_untold and state <> 'closed'
order by (select true from alert_case k where k.alert_id = a.alert_id) is null desc,
    level desc, opened_at
limit %s
for no key update skip locked
"""
_GIVEN: Final = f"""
select a.alert_id {ROUTABLE} and a.alert_id = any(%s)
order by a.alert_id
for no key update of a skip locked
"""
_NEXT: Final = """
select alert_id from alert_case where closed_at is null and alert_id > %s
order by alert_id limit %s
"""

_WRITE: Final = """
insert into alert_case as k (alert_id, staff_id, team_id, unit_id, contact_staff_id, routed_why,
                             warning, told_at, routed_at)
select *, %s::timestamptz from unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
                                      %s::bigint[], %s::text[], %s::boolean[], %s::timestamptz[])
on conflict (alert_id) do update set staff_id = excluded.staff_id, team_id = excluded.team_id,
    unit_id = excluded.unit_id, contact_staff_id = excluded.contact_staff_id,
    routed_why = excluded.routed_why, warning = excluded.warning,
    routed_at = case when (k.staff_id, k.team_id, k.unit_id) is distinct from
                          (excluded.staff_id, excluded.team_id, excluded.unit_id)
                     then excluded.routed_at else k.routed_at end
"""
_LOG: Final = """
insert into alert_log (alert_id, at, event, detail)
select alert_id, %s, %s, detail from unnest(%s::bigint[], %s::jsonb[]) as routed (alert_id, detail)
"""
_TOLD: Final = """
update alert_case k set told_at = now.told_at
from unnest(%s::bigint[], %s::timestamptz[]) as now (alert_id, told_at)
where k.alert_id = now.alert_id and k.told_at < now.told_at
"""


# Of those that were placed. Who has got another receiver is looked at by its course.
_LOOKED_AT: Final = """
update alert set is_untold = false, is_unlooked = is_unlooked or alert_id = any(%(moved)s)
where alert_id = any(%(there)s) and (is_untold or alert_id = any(%(moved)s))
"""


# Of one that was routed and whose patient the care record knows no more: as if it were new.
_GONE: Final = """
update alert a set is_untold = true
where a.alert_id = any(%s) and a.state <> 'closed' and not a.is_untold
  and not exists (select from person p where p.patient_id = a.patient_id)
"""


async def run(pool: AsyncConnectionPool, alert: asyncio.Event) -> None:
    """Advance alerts for ever: when *alert* is set, and every ``POLL_S``."""
    while True:
        alert.clear()
        try:
            async with pool.connection() as connection:
                await _drain(connection)
                while await look_again(connection):
                    await _drain(connection)
                await _report_unknown(connection)
                await beat(connection, Part.ROUTING)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("alerts.database_away", problem=type(error).__name__)
        with suppress(TimeoutError):  # not wait_for: in Python 3.11 it can swallow a cancellation
            async with asyncio.timeout(POLL_S):
                await alert.wait()


async def _drain(connection: AsyncConnection) -> None:
    while await advance(connection) == CLAIM_ROWS_MAX:
        await beat(connection, Part.ROUTING)


async def advance(
    connection: AsyncConnection, only: int | None = None, now: datetime | None = None
) -> int:
    """Route what is new and tell of what has changed, at most ``CLAIM_ROWS_MAX`` alerts.

    Args:
        connection: Joins the transaction that may be open on it.
        only: The one alert to look at, for a caller that holds its lock.
        now: The moment; the database's if it is not given.

    Returns:
        How many alerts were looked at.
    """
    if only is not None:
        return len(await follow(connection, [only], now))
    async with connection.transaction():
        near = await connection.execute(_NEAR, {"most": _WORKERS * CLAIM_ROWS_MAX})
        alert_ids = [row[0] for row in await near.fetchall()]
        claimed = await connection.execute(_DUE, (alert_ids, CLAIM_ROWS_MAX))
        return len(await _settle(connection, [row[0] for row in await claimed.fetchall()], now))


async def follow(
    connection: AsyncConnection, alert_ids: Sequence[int], now: datetime | None = None
) -> list[int]:
    """Route these alerts as the facts are now; those locked by others are left to them.

    Returns:
        The alerts that were looked at.
    """
    async with connection.transaction():
        claimed = await connection.execute(_GIVEN, (sorted(alert_ids),))
        return await _settle(connection, [row[0] for row in await claimed.fetchall()], now)


async def look_again(connection: AsyncConnection, now: datetime | None = None) -> bool:
    """Look at the next ``CLAIM_ROWS_MAX`` alerts of this turn, if one is due and nobody else does.

    Returns:
        Whether there is more to look at.
    """
    async with connection.transaction():
        moment = await _moment(connection, now)
        held = await connection.execute(
            # One that began later than now began by a clock that was ahead.
            "select after, began_at <= %s or began_at > %s from route_turn for update skip locked",
            (moment - timedelta(seconds=LOOK_AGAIN_S), moment),
        )
        after, is_due = await held.fetchone() or (0, False)
        if after == 0 and not is_due:
            return False
        if after == 0:
            await connection.execute("update route_turn set began_at = %s", (moment,))
        after = await reroute(connection, after, now)
        await connection.execute("update route_turn set after = %s", (after,))
    return after > 0


async def reroute(connection: AsyncConnection, after: int = 0, now: datetime | None = None) -> int:
    """Give a new receiver to those of the next alerts that by now belong to somebody else.

    Only these are locked: most have not moved.

    Returns:
        The last alert that was looked at; 0: there are no more.
    """
    listed = await connection.execute(_NEXT, (after, CLAIM_ROWS_MAX))
    alert_ids = [alert_id for (alert_id,) in await listed.fetchall()]
    if not alert_ids:
        return 0
    looked_at = await placed(connection, alert_ids, await _moment(connection, now))
    if misplaced := [one.alert.alert_id for one in looked_at if one.is_news]:
        await follow(connection, misplaced, now)
    if gone := sorted(set(alert_ids) - {one.alert.alert_id for one in looked_at}):
        await connection.execute(_GONE, (gone,))
    return int(alert_ids[-1]) if len(alert_ids) == CLAIM_ROWS_MAX else 0


async def _report_unknown(connection: AsyncConnection) -> None:
    """Keep an incident while there are alerts of patients whom the care record does not know."""
    cursor = await connection.execute(
        "select count(*) from alert a join patient q using (patient_id) "
        "where a.is_untold and a.state <> 'closed' and not q.is_canary "
        "and not exists (select from person p where p.patient_id = a.patient_id)"
    )
    (unknown,) = await cursor.fetchone() or (0,)
    detail = f"{unknown} alerts reach nobody: the care record lacks their patients → add them"
    known = await connection.execute(
        "select detail from incident where kind = %s and key = %s and closed_at is null",
        UNKNOWN,
    )
    if await known.fetchone() == ((detail,) if unknown else None):
        return  # said before
    if unknown:
        await incident.open_(connection, *UNKNOWN, detail)
        _log.error("alerts.patient_unknown", alerts=unknown, cure="seed the patient's person")
    else:
        await incident.close(connection, *UNKNOWN)
        _log.info("alerts.patient_known")


async def _moment(connection: AsyncConnection, now: datetime | None) -> datetime:
    """Return *now*, or the database's: of this statement, and so later than locks we waited for.

    In UTC: in a zone with summer time, moments of one night add and compare by the wall.
    """
    if now is None:
        cursor = await connection.execute("select clock_timestamp()")
        (now,) = await cursor.fetchone() or (None,)
        assert now is not None
    return now.astimezone(UTC)


async def _settle(
    connection: AsyncConnection, alert_ids: Sequence[int], now: datetime | None
) -> list[int]:
    """Write receivers that are new, log them, and tell the worklists. The alerts are locked."""
    if not alert_ids:
        return []
    moment = await _moment(connection, now)
    there = await placed(connection, alert_ids, moment)
    moved = [one for one in there if one.is_moved]
    leaving = [one.alert.alert_id for one in moved if not one.alert.is_new]
    topics = await audience.topics(connection, leaving, moment)
    await _write(connection, [one for one in there if one.is_news], moment)
    await _log_routes(connection, moved, moment)
    changes = [one.alert.alert_id for one in there], [one.alert.changed_at for one in there]
    await connection.execute(_TOLD, changes)
    marks = {"there": changes[0], "moved": [one.alert.alert_id for one in moved]}
    await connection.execute(_LOOKED_AT, marks)
    topics |= await audience.topics(connection, alert_ids, moment)
    await notify_worklists(connection, topics)
    return list(alert_ids)


async def _write(connection: AsyncConnection, news: Sequence[Placed], moment: datetime) -> None:
    await connection.execute(
        _WRITE,
        (
            moment,
            [one.alert.alert_id for one in news],
            [one.to.staff_id for one in news],
            [one.to.team_id for one in news],
            [one.to.unit_id for one in news],
            [one.contact_id for one in news],
            [one.to.why for one in news],
            [one.warning for one in news],
            [one.alert.changed_at for one in news],
        ),
    )


async def _log_routes(
    connection: AsyncConnection, moved: Sequence[Placed], moment: datetime
) -> None:
    alert_ids = [one.alert.alert_id for one in moved]
    details = [Jsonb(_detail(one.to)) for one in moved]
    await connection.execute(_LOG, (moment, Event.ROUTED, alert_ids, details))


def _detail(to: Route) -> dict[str, object]:
    return {
        "to": to.staff_id,
        "team": to.team_id,
        "unit": to.unit_id,
        "why": to.why,
        "sentence": to.sentence,
        "told": to.told,
        "warning": bool(to.warnings),
        "warnings": to.warnings,
    }
