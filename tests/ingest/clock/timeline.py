"""A patient, rules, samples and the clock's chores at any time of the tests' choosing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from devices.quantity import Quantity
from ingest import pg_binary
from ingest.clock.chore import Run
from ingest.clock.turn import LOCAL
from ingest.registry import Registry
from ingest.rules.model import BaseRule
from tests.ingest.county import County

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def local(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """Return when clocks in Sweden showed this."""
    return datetime(year, month, day, hour, minute, tzinfo=LOCAL).astimezone(UTC)


@dataclass
class Timeline:
    """Words to fill the county, and to let the clock look at it."""

    county: County
    most: int = 5_000

    def plan(self, patient_id: int, at: datetime, *rules: BaseRule) -> int:
        """Begin a plan version of these rules."""
        with self.county.connection.transaction():
            version = self.county.plan(patient_id, at, {})
            for rule in rules:
                self.county.connection.execute(
                    "insert into plan_rule (plan_version_id, rule_key, kind, level, spec)"
                    " values (%s, %s, %s, %s, %s)",
                    [version, rule.key, rule.kind, rule.level, Jsonb(rule.params())],  # type: ignore[attr-defined]
                )
        return version

    def patient(self, at: datetime, *rules: BaseRule) -> int:
        """Add a patient with such a plan from *at* on."""
        patient_id = self.county.add_patient()
        self.plan(patient_id, at, *rules)
        return patient_id

    def measure(
        self,
        patient_id: int,
        at: datetime,
        value: float = 128.0,
        quantity: Quantity = Quantity.SYSTOLIC,
        suspicion: int = 0,
    ) -> UUID:
        """Store a sample."""
        reading_id = uuid4()
        self.county.connection.execute(
            "insert into sample (patient_id, quantity_id, measured_at, reading_id, value,"
            " suspicion) values (%s, %s, %s, %s, %s, %s)",
            [patient_id, quantity.facts.id, at, reading_id, value, suspicion],
        )
        return reading_id

    def pause(self, patient_id: int, from_at: datetime, until_at: datetime) -> None:
        self.county.connection.execute(
            "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
            [patient_id, from_at, until_at],
        )

    def gateway(self, patient_id: int, heard_at: datetime) -> str:
        """Let a gateway stand at the patient's home, heard last then."""
        gateway_id = f"g-{patient_id}"
        self.county.connection.execute("insert into gateway (gateway_id) values (%s)", [gateway_id])
        self.county.connection.execute(
            "insert into gateway_home (gateway_id, patient_id, from_at) values (%s, %s, %s)",
            [gateway_id, patient_id, heard_at],
        )
        self.hear(gateway_id, heard_at)
        return gateway_id

    def hear(self, gateway_id: str, at: datetime) -> None:
        self.county.connection.execute(
            "insert into gateway_status (gateway_id, received_at, said_at, state, state_at)"
            " values (%s, %s, %s, 'online', %s)"
            " on conflict (gateway_id) do update set received_at = excluded.received_at",
            [gateway_id, at, at, at],
        )

    def at(self, now: datetime, *chores: Run) -> list[int]:
        """Run *chores* as if it were *now*; returns how many rows each did."""
        return asyncio.run(self._at(now, chores))

    async def _at(self, now: datetime, chores: Sequence[Run]) -> list[int]:
        async with await psycopg.AsyncConnection.connect(
            self.county.dsn, autocommit=True
        ) as connection:
            pg_binary.register(connection)
            return [await chore(connection, Registry(), now, self.most) for chore in chores]

    def reminders(self) -> list[tuple[Any, ...]]:
        return self.county.rows(
            "select patient_id, expected_at, step from reminder order by reminder_id"
        )

    def breaches(self) -> list[tuple[Any, ...]]:
        return self.county.rows(
            "select patient_id, rule_key, measured_at from breach order by breach_id"
        )

    def alerts(self) -> list[tuple[Any, ...]]:
        return self.county.rows("select patient_id, rule, level from alert order by alert_id")
