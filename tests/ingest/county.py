"""A county in small: a migrated database, a patient, her loans, limits and gateway; readings."""

import asyncio
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from devices import wire
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value
from ingest.batch import Batch, from_incoming
from ingest.decode import Incoming, decode
from ingest.delivery import Delivery
from ingest.schema.migrate import migrate
from ingest.settle import Settled, Settler

GATEWAY = "g-test"
CUFF = "C4:00:00:00:00:01"
SCALE = "C4:00:00:00:00:02"
# When the tests were collected. Minutes may have passed until one runs: whatever is held against
# the time of the database or of a process begins with that test's own present.
NOW = datetime.now(UTC).replace(microsecond=0)


def reading(
    values: dict[Quantity, float] | None = None,
    *,
    device_id: str = CUFF,
    measured_at: datetime = NOW,
    outcome: Outcome = Outcome.MEASURED,
    reading_id: UUID | None = None,
    slot: int | None = None,
    clock: ClockVerdict = ClockVerdict.OK,
    **more: Any,
) -> Reading:
    """Return a reading of *values*, 128/81 if none are named."""
    if values is None:
        values = {Quantity.SYSTOLIC: 128.0, Quantity.DIASTOLIC: 81.0}
    return Reading(
        reading_id=reading_id or uuid4(),
        device_id=device_id,
        source="2a35",
        payload="1e80005100",
        outcome=outcome,
        measured_at=measured_at,
        received_at=measured_at,
        clock=clock,
        slot=slot,
        values=tuple(
            Value(quantity=q.value, value=v, unit=q.facts.unit) for q, v in values.items()
        ),
        **more,
    )


def pressure(systolic: float, diastolic: float, **more: Any) -> Reading:
    return reading({Quantity.SYSTOLIC: systolic, Quantity.DIASTOLIC: diastolic}, **more)


def weight(kg: float, **more: Any) -> Reading:
    return reading({Quantity.BODY_WEIGHT: kg}, device_id=SCALE, **more)


def message(readings: Sequence[Reading], gateway_id: str = GATEWAY, at: datetime = NOW) -> bytes:
    return wire.encode_message(gateway_id, at, list(readings))


def incoming(payload: bytes, gateway_id: str = GATEWAY, at: datetime = NOW) -> Incoming:
    """Return what is read of *payload*, arriving at that moment."""
    topic = wire.topic(gateway_id, wire.TopicKind.READINGS)
    return decode(Delivery(topic, payload, None, at))


def batch_of(*messages: Sequence[Reading], gateway_id: str = GATEWAY, at: datetime = NOW) -> Batch:
    """Return the batch of *messages* that all arrive at that moment."""
    return from_incoming(
        [incoming(message(some, gateway_id, at), gateway_id, at) for some in messages]
    )


@dataclass
class County:
    """The database, and a few words to fill and read it."""

    dsn: str
    connection: psycopg.Connection[Any]
    patient_id: int = 0
    plan_version_ids: list[int] = field(default_factory=list)

    def add_patient(self) -> int:
        return int(self.one("insert into patient default values returning patient_id"))

    def lend(
        self,
        device_id: str,
        patient_id: int,
        *,
        slot: int | None = None,
        lent_from: datetime = NOW - timedelta(days=365),
        returned_at: datetime | None = None,
    ) -> int:
        loan_id: int = self.one(
            "insert into device_loan (patient_id, device_id, slot, lent_from, returned_at)"
            " values (%s, %s, %s, %s, %s) returning loan_id",
            patient_id,
            device_id,
            slot,
            lent_from,
            returned_at,
        )
        return loan_id

    def plan(
        self, patient_id: int, in_force_from: datetime, limits: dict[Quantity, dict[str, float]]
    ) -> int:
        version = self.one(
            "insert into plan_version (patient_id, in_force_from) values (%s, %s)"
            " returning plan_version_id",
            patient_id,
            in_force_from,
        )
        for quantity, bounds in limits.items():
            self.connection.execute(
                "insert into plan_limit values (%s, %s, %s, %s, %s, %s)",
                [
                    version,
                    quantity.facts.id,
                    *map(bounds.get, ("yellow_low", "yellow_high", "red_low", "red_high")),
                ],
            )
        return int(version)

    def one(self, query: str, *parameters: object) -> Any:
        row = self.connection.execute(query, parameters).fetchone()
        return row[0] if row else None

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters).fetchall()

    def count(self, table: str) -> int:
        return int(self.one(f"select count(*) from {table}"))

    def settle(self, *messages: Sequence[Reading], at: datetime = NOW) -> Settled:
        """Settle one batch that arrives at that moment, by a settler of its own."""
        return asyncio.run(self._settle(batch_of(*messages, at=at)))

    async def _settle(self, batch: Batch) -> Settled:
        async with Settler(lambda: self.dsn, "test") as settler:
            return await settler.settle(batch, [])


LIMITS: dict[Quantity, dict[str, float]] = {
    Quantity.SYSTOLIC: {
        "red_low": 90,
        "yellow_low": 100,
        "yellow_high": 160,
        "red_high": 180,
    },
    Quantity.DIASTOLIC: {"yellow_high": 95, "red_high": 110},
    Quantity.PULSE: {"red_low": 40, "yellow_low": 50, "yellow_high": 100, "red_high": 120},
}


def fill(dsn: str) -> Generator[County, None, None]:
    """Make a county of an empty database."""
    migrate(dsn)
    yield from furnish(dsn)


def furnish(dsn: str) -> Generator[County, None, None]:
    """Put a gateway and a patient with her loans and limits into a migrated database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        county = County(dsn, connection)
        connection.execute("insert into gateway (gateway_id) values (%s)", [GATEWAY])
        county.patient_id = county.add_patient()
        county.lend(CUFF, county.patient_id)
        county.lend(SCALE, county.patient_id)
        county.plan(county.patient_id, NOW - timedelta(days=365), LIMITS)
        yield county
