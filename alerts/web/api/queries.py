"""What the API pages through: newest first, each page where the last one ended. Queries only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from alerts import log
from alerts.case import Case, cases
from alerts.measurements import Measured

# No position: the first page.
FIRST: Final = 2**63 - 1

_READINGS: Final = """
select r.reading_id::text, r.device_id, r.measured_at, r.arrived_at, r.outcome = 'failed' as failed,
       not sample_counts(r.suspicion) as suspect,
       coalesce((select max(b.level) from breach b
                 where b.reading_id = r.reading_id and b.alert_id is not null), 0) as level,
       exists (select from repeat_wait w
               where w.reading_id = r.reading_id and w.decided_at is null) as repeat_asked,
       coalesce((select jsonb_object_agg(s.quantity_id, s.value) from sample s
                 where s.patient_id = r.patient_id and s.measured_at = r.measured_at
                   and s.reading_id = r.reading_id), '{}') as by_id
from reading r
where r.patient_id = %(patient_id)s and (%(before)s::timestamptz is null
    or (r.measured_at <= %(before)s
        and (r.measured_at, r.reading_id) < (%(before)s, %(reading_id)s::uuid)))
order by r.measured_at desc, r.reading_id desc
limit %(most)s
"""
_ENTRIES: Final = """
select l.entry_id, l.alert_id, a.rule, l.at, l.event, l.staff_id, s.name as staff_name, l.detail
from alert_log l join alert a using (alert_id) left join staff s using (staff_id)
where l.alert_id = %s and l.entry_id < %s
order by l.entry_id desc limit %s
"""
_CHANGES: Final = """
select l.entry_id, l.alert_id, a.rule, l.at, l.event, l.staff_id, s.name as staff_name, l.detail
from alert_log l join alert a using (alert_id) left join staff s using (staff_id)
where l.alert_id = %s and l.entry_id > %s and l.event = any(%s)
order by l.entry_id desc limit %s
"""


@dataclass(frozen=True, slots=True)
class Numbered(log.Entry):
    """An entry of the log and its number."""

    entry_id: int


async def readings(
    connection: AsyncConnection,
    patient_id: int,
    before: tuple[datetime, str] | None,
    *,
    most: int,
) -> list[Measured]:
    """Return acts of measuring, newest first, that come after (time, id) in that order."""
    at, reading_id = before or (None, None)
    cursor = connection.cursor(row_factory=class_row(Measured))
    asked = {"patient_id": patient_id, "before": at, "reading_id": reading_id, "most": most}
    await cursor.execute(_READINGS, asked)
    return await cursor.fetchall()


async def alert(connection: AsyncConnection, alert_id: int) -> Case | None:
    """Return one alert."""
    query = sql.SQL("select * from alert where alert_id = %(alert_id)s")
    only = sql.SQL("a.alert_id")
    found = await cases(connection, query, {"alert_id": alert_id}, order=only, most=1)
    return found[0] if found else None


async def alerts(
    connection: AsyncConnection, patient_id: int, *, before: int, most: int
) -> list[Case]:
    """Return a patient's alerts with numbers below *before*, newest first."""
    query = sql.SQL(
        "select * from alert where patient_id = %(patient_id)s and alert_id < %(before)s "
        "order by alert_id desc limit %(most)s"
    )
    newest = sql.SQL("a.alert_id desc")
    asked = {"patient_id": patient_id, "before": before}
    return await cases(connection, query, asked, order=newest, most=most)


async def entries(
    connection: AsyncConnection, alert_id: int, *, before: int, most: int
) -> list[Numbered]:
    """Return what happened to an alert, with numbers below *before*, newest first."""
    cursor = connection.cursor(row_factory=class_row(Numbered))
    await cursor.execute(_ENTRIES, (alert_id, before, most))
    return await cursor.fetchall()


async def changes(
    connection: AsyncConnection, alert_id: int, events: list[str], *, after: int, most: int
) -> list[Numbered]:
    """Return those of the *events* of an alert with numbers above *after*, newest first."""
    cursor = connection.cursor(row_factory=class_row(Numbered))
    await cursor.execute(_CHANGES, (alert_id, after, events, most))
    return await cursor.fetchall()
