"""What a patient has measured: the points of her trend, and her last values. Queries only."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.case import values_of, why_of
from alerts.trend import Point
from devices.quantity import BY_ID, Panel, Quantity

# A year of four quantities twice a day is 3,000; a page with more is no page.
POINTS_MAX = 6_000
# Rows of the table behind a trend.
READINGS_MAX = 400

# A running total of the day: what counts is where the day ended.
_OF_A_DAY = [quantity.facts.id for quantity in Quantity if quantity.facts.panel is Panel.STEPS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One act of measuring, with all its values; none if it failed."""

    reading_id: str
    device_id: str
    measured_at: datetime
    arrived_at: datetime
    failed: bool
    suspect: bool  # of what was measured; a doubt of the clock alone is none
    level: int  # of the worst breach it made that alerted somebody; 0: none
    by_id: dict[str, float]
    repeat_asked: bool = False  # red, and a second measurement is to confirm or calm it

    @property
    def values(self) -> dict[Quantity, float]:
        """The values by quantity."""
        return values_of(self.by_id)


_POINTS: Final = """
select s.quantity_id, s.measured_at, s.value, not sample_counts(s.suspicion),
       coalesce((select max(b.level) from breach b
                 where b.reading_id = s.reading_id and b.quantity_id = s.quantity_id), 0)
from sample s
where s.patient_id = %(patient_id)s and s.measured_at >= %(from_at)s
  and s.measured_at < %(until_at)s and not s.quantity_id = any(%(of_a_day)s)
order by s.measured_at desc
limit %(most)s
"""

_DAYS: Final = """
select distinct on (quantity_id, (measured_at at time zone 'Europe/Stockholm')::date)
       quantity_id, measured_at, value, not sample_counts(suspicion),
       coalesce((select max(b.level) from breach b
                 where b.reading_id = s.reading_id and b.quantity_id = s.quantity_id), 0)
from sample s
where patient_id = %(patient_id)s and measured_at >= %(from_at)s and measured_at < %(until_at)s
  and quantity_id = any(%(of_a_day)s)
order by quantity_id, (measured_at at time zone 'Europe/Stockholm')::date, value desc
"""

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
where r.patient_id = %(patient_id)s and r.measured_at >= %(from_at)s
order by r.measured_at desc, r.arrived_at desc
limit %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A reading that is part of an alert, or what the clock found for it."""

    alert_id: int
    measured_at: datetime
    level: int
    late: bool
    findings: list[dict[str, Any]]
    by_id: dict[str, float]

    def why(self) -> str:
        """Return what it breached, in words and numbers."""
        return why_of(self.findings, self.by_id)


_FIRED: Final = """
select b.alert_id, b.measured_at, max(b.level) as level, bool_or(b.late) as late,
       jsonb_agg(jsonb_build_object('quantity_id', b.quantity_id, 'side', b.side,
                                    'value', b.value, 'bound', b.bound,
                                    'detail', b.detail) order by b.breach_id) as findings,
       coalesce((select jsonb_object_agg(s.quantity_id, s.value) from sample s
                 where s.patient_id = b.patient_id and s.measured_at = b.measured_at
                   and s.reading_id = b.reading_id), '{}') as by_id
from breach b where b.alert_id = any(%s)
group by b.alert_id, b.reading_id, b.patient_id, b.measured_at
order by b.measured_at desc
limit %s
"""


async def fired(connection: AsyncConnection, alert_ids: list[int]) -> list[Fired]:
    """Return the readings that are part of these alerts, newest first."""
    cursor = connection.cursor(row_factory=class_row(Fired))
    await cursor.execute(_FIRED, (alert_ids, READINGS_MAX))
    return await cursor.fetchall()


async def points(
    connection: AsyncConnection, patient_id: int, from_at: datetime, until_at: datetime
) -> dict[Quantity, list[Point]]:
    """Return the points of each quantity that has any, oldest first; steps one a day."""
    asked = {
        "patient_id": patient_id,
        "from_at": from_at,
        "until_at": until_at,
        "of_a_day": _OF_A_DAY,
        "most": POINTS_MAX,
    }
    single = await (await connection.execute(_POINTS, asked)).fetchall()
    daily = await (await connection.execute(_DAYS, asked)).fetchall()
    rows = sorted([*single, *daily], key=lambda row: (row[0], row[1]))
    return {
        BY_ID[quantity_id]: [Point(*rest) for _, *rest in group]
        for quantity_id, group in groupby(rows, key=lambda row: row[0])
        if quantity_id in BY_ID
    }


async def readings(
    connection: AsyncConnection, patient_id: int, from_at: datetime
) -> list[Measured]:
    """Return acts of measuring since *from_at*, newest first, at most ``READINGS_MAX``."""
    cursor = connection.cursor(row_factory=class_row(Measured))
    await cursor.execute(
        _READINGS,
        {
            "patient_id": patient_id,
            "from_at": from_at,
            "most": READINGS_MAX,
        },
    )
    return await cursor.fetchall()


def latest(measured: Iterable[Measured]) -> dict[Panel, tuple[Measured, dict[Quantity, float]]]:
    """Return each panel's newest values, from readings that come newest first."""
    found: dict[Panel, tuple[Measured, dict[Quantity, float]]] = {}
    for reading in measured:
        for quantity, value in reading.values.items():
            panel = quantity.facts.panel
            if panel not in found:
                found[panel] = (reading, {})
            if found[panel][0] is reading:
                found[panel][1][quantity] = value
    return found
