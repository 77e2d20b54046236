"""Gives every alert a receiver and tells the worklists of every change.

Any number of engines may run: rows are claimed with ``skip locked``. NOTIFY only wakes them;
polling makes them correct. Decisions are ``alerts.routing``'s.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from alerts.alert import Event, Level
from alerts.care.availability import Around, Person, UnitNow
from alerts.routing import Route, route
from alerts.signal import notify_worklists, topic

# A claim holds row locks that ingest may wait for; five hundred take some 50 ms.
CLAIM_ROWS_MAX = 500
# How long an alert waits when its notification was lost.
POLL_S = 2.0

_log = structlog.get_logger()

# Alerts that have no case yet, whose receiver is no longer the contact, or that have changed
# since the worklists were told. Never the canary's: she is nobody, and ingest ends hers itself.
_DUE: Final = """
select a.alert_id, a.changed_at, p.unit_id, u.name as unit_name, c.staff_id as contact_id,
       s.name as contact_name, k.staff_id as before_staff_id, k.unit_id as before_unit_id
from alert a
join person p on p.patient_id = a.patient_id
join patient on patient.patient_id = a.patient_id and not patient.is_canary
join unit u on u.unit_id = p.unit_id
left join care_contact c on c.patient_id = a.patient_id and c.until_at is null
left join staff s on s.staff_id = c.staff_id
left join alert_case k on k.alert_id = a.alert_id
where a.state <> 'closed' and (
    k.alert_id is null
    or k.told_at < a.changed_at
    or k.staff_id is distinct from c.staff_id
    or (c.staff_id is null and k.unit_id <> p.unit_id)
) and (%(only)s::bigint is null or a.alert_id = %(only)s)
order by a.level desc, a.opened_at
limit %(most)s
for update of a skip locked
"""

# The row lock alone does not tell whether another engine was here between our snapshot and it:
# so only a receiver that differs is written, and only what was written is logged.
_ROUTE: Final = """
insert into alert_case as k (alert_id, staff_id, unit_id, routed_why, told_at)
select * from unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[])
on conflict (alert_id) do update set staff_id = excluded.staff_id, unit_id = excluded.unit_id,
    routed_why = excluded.routed_why, routed_at = clock_timestamp()
where k.staff_id is distinct from excluded.staff_id
   or (excluded.staff_id is null and k.unit_id <> excluded.unit_id)
returning alert_id
"""
_LOG: Final = """
insert into alert_log (alert_id, event, detail)
select * from unnest(%s::bigint[], %s::text[], %s::jsonb[])
"""
_TOLD: Final = """
update alert_case k set told_at = now.told_at
from unnest(%s::bigint[], %s::timestamptz[]) as now (alert_id, told_at)
where k.alert_id = now.alert_id and k.told_at < now.told_at
"""


@dataclass(frozen=True, slots=True)
class _Due:
    alert_id: int
    changed_at: datetime
    unit_id: int
    unit_name: str
    contact_id: int | None
    contact_name: str | None
    before_staff_id: int | None
    before_unit_id: int | None  # none: it had no case

    def topics(self, where: Route) -> set[str]:
        """Return whose worklists look different: the receiver's, and the one before her."""
        topics = {topic(where.staff_id, where.unit_id)}
        if self.before_unit_id is not None:
            topics.add(topic(self.before_staff_id, self.before_unit_id))
        return topics


async def run(pool: AsyncConnectionPool, alert: asyncio.Event) -> None:
    """Advance alerts for ever: when *alert* is set, and every ``POLL_S``."""
    while True:
        alert.clear()
        try:
            async with pool.connection() as connection:
                while await advance(connection) == CLAIM_ROWS_MAX:
                    pass
                await _report_unknown(connection)
        except (psycopg.OperationalError, PoolTimeout) as error:
            _log.warning("alerts.database_away", problem=type(error).__name__)
        with suppress(TimeoutError):  # not wait_for: in Python 3.11 it can swallow a cancellation
            async with asyncio.timeout(POLL_S):
                await alert.wait()


async def advance(connection: AsyncConnection, only: int | None = None) -> int:
    """Route what is due, at most ``CLAIM_ROWS_MAX`` alerts, in one transaction.

    Args:
        connection: Joins the transaction that may be open on it.
        only: The one alert to look at, for a caller that holds its lock.

    Returns:
        How many alerts were looked at.
    """
    async with connection.transaction():
        claimed = await _claim(connection, only)
        if claimed:
            routes = [(due, _route(due)) for due in claimed]
            await _store(connection, routes)
            topics = set[str]().union(*(due.topics(where) for due, where in routes))
            await notify_worklists(connection, topics)
    return len(claimed)


async def _report_unknown(connection: AsyncConnection) -> None:
    """Say that a loan was given to a patient whom the care record does not know."""
    cursor = await connection.execute(
        "select count(*) from alert a join patient q using (patient_id) "
        "where a.state <> 'closed' and not q.is_canary "
        "and not exists (select from person p where p.patient_id = a.patient_id)"
    )
    (unknown,) = await cursor.fetchone() or (0,)
    if unknown:
        _log.error("alerts.patient_unknown", alerts=unknown, cure="seed the patient's person")


async def _claim(connection: AsyncConnection, only: int | None) -> list[_Due]:
    cursor = connection.cursor(row_factory=class_row(_Due))
    await cursor.execute(_DUE, {"most": CLAIM_ROWS_MAX, "only": only})
    return await cursor.fetchall()


def _route(due: _Due) -> Route:
    contact = Person(
        staff_id=due.contact_id or 0,
        name=due.contact_name or "",
        is_absent=False,
        absent_until=None,
        is_working=True,
        has_channel=True,
    )
    unit = UnitNow(
        unit_id=due.unit_id,
        name=due.unit_name,
        is_open=True,
        opens_at=due.changed_at,
        has_channel=True,
    )
    return route(
        Around(
            patient_id=0,
            unit=unit,
            contact=None if due.contact_id is None else contact,
            team_id=None,
            team_name="",
            team=(),
            substitutes=(),
            duty=(),
        ),
        Level.RED,
    )


async def _store(connection: AsyncConnection, routes: Sequence[tuple[_Due, Route]]) -> None:
    """Store receivers that are new, log them, and note that worklists are told."""
    alert_ids = [due.alert_id for due, _ in routes]
    changes = [due.changed_at for due, _ in routes]
    written = await connection.execute(
        _ROUTE,
        (
            alert_ids,
            [where.staff_id for _, where in routes],
            [where.unit_id for _, where in routes],
            [where.why for _, where in routes],
            changes,
        ),
    )
    new = {alert_id for (alert_id,) in await written.fetchall()}
    logged = [(due.alert_id, where) for due, where in routes if due.alert_id in new]
    await connection.execute(
        _LOG,
        (
            [alert_id for alert_id, _ in logged],
            [Event.ROUTED] * len(logged),
            [Jsonb(_detail(where)) for _, where in logged],
        ),
    )
    await connection.execute(_TOLD, (alert_ids, changes))


def _detail(where: Route) -> dict[str, object]:
    return {
        "to": where.staff_id,
        "unit": where.unit_id,
        "why": where.why,
        "sentence": where.sentence,
        "warning": bool(where.warnings),
    }
