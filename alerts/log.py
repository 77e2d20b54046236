"""The append-only alert log: what happened to an alert, when, and who did it.

The database refuses to change or delete an entry; there is no function here that tries.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from alerts.alert import Event

# A case page shows this many of the newest; an episode has a handful.
ENTRIES_MAX = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    alert_id: int
    rule: str
    at: datetime
    event: str
    staff_id: int | None
    staff_name: str | None
    detail: Mapping[str, Any]


async def append(
    connection: AsyncConnection,
    alert_id: int,
    event: Event,
    *,
    staff_id: int | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write one entry, in the caller's transaction."""
    await connection.execute(
        "insert into alert_log (alert_id, event, staff_id, detail) values (%s, %s, %s, %s)",
        (alert_id, event, staff_id, Jsonb(dict(detail or {}))),
    )


async def append_shown(
    connection: AsyncConnection, staff_id: int, alert_ids: Collection[int]
) -> None:
    """Write that *staff_id* has these alerts before her; the first time counts."""
    await connection.execute(
        "insert into alert_log (alert_id, event, staff_id) "
        "select alert_id, %s, %s from unnest(%s::bigint[]) as alert_id "
        "on conflict (alert_id, staff_id) where event = 'shown' do nothing",
        (Event.SHOWN, staff_id, sorted(alert_ids)),
    )


async def entries(connection: AsyncConnection, patient_id: int) -> list[Entry]:
    """Return the newest entries of all the patient's alerts, newest first."""
    cursor = connection.cursor(row_factory=class_row(Entry))
    await cursor.execute(
        "select l.alert_id, a.rule, l.at, l.event, l.staff_id, s.name as staff_name, l.detail "
        "from alert_log l join alert a using (alert_id) left join staff s using (staff_id) "
        "where a.patient_id = %s order by l.entry_id desc limit %s",
        (patient_id, ENTRIES_MAX),
    )
    return await cursor.fetchall()
