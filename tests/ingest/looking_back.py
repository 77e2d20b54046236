"""Rows put straight into the tables, and what looks back over them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg

from devices.quantity import Quantity
from ingest import pg_binary
from tests.ingest.county import CUFF, GATEWAY, County

STOCKHOLM = ZoneInfo("Europe/Stockholm")
T = TypeVar("T")

_READING = """
insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, outcome, measured_at,
    received_at, sent_at, arrived_at, stored_at, clock, suspicion, source, payload, revision)
values (%s, %s, 0, %s, %s, 'measured', %s, %s, %s, %s, %s, 'ok', %s, '2a35', '', %s)
"""


@dataclass
class Row:
    """A reading of one value."""

    patient_id: int
    measured_at: datetime
    value: float
    quantity: Quantity = Quantity.SYSTOLIC
    suspicion: int = 0
    revision: int = 0
    stored_at: datetime | None = None  # none: now
    reading_id: UUID = field(default_factory=uuid4)


def put(county: County, *rows: Row) -> None:
    """Store *rows*, without judging."""
    with county.connection.transaction(), county.connection.cursor() as cursor:
        cursor.executemany(
            _READING,
            [
                (
                    row.reading_id,
                    row.patient_id,
                    GATEWAY,
                    CUFF,
                    *[row.measured_at] * 4,
                    row.stored_at or datetime.now(UTC),
                    row.suspicion,
                    row.revision,
                )
                for row in rows
            ],
        )
        cursor.executemany(
            "insert into sample (patient_id, quantity_id, measured_at, reading_id, value,"
            " suspicion) values (%s, %s, %s, %s, %s, %s)",
            [
                (
                    row.patient_id,
                    row.quantity.facts.id,
                    row.measured_at,
                    row.reading_id,
                    row.value,
                    row.suspicion,
                )
                for row in rows
            ],
        )


def call(county: County, what: Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]) -> T:
    """Call *what* with a connection in autocommit, as the clock does."""

    async def run() -> T:
        connection = await psycopg.AsyncConnection.connect(county.dsn, autocommit=True)
        async with connection:
            pg_binary.register(connection)
            return await what(connection)

    return asyncio.run(run())


def noon(day: int, hour: float = 12.0) -> datetime:
    """Return a time so many days ago (negative: ahead), at an hour of Stockholm's day."""
    today = datetime.now(STOCKHOLM).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today - timedelta(days=day) + timedelta(hours=hour)).astimezone(UTC)
