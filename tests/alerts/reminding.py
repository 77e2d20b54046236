"""A home whose measurement is expected and not there, and a post that carries nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from psycopg import AsyncConnection

from alerts import reminders
from alerts.channels.channel import Carrier, Carriers
from alerts.channels.message import Kind, Message
from alerts.channels.outcome import Fault, Outcome, State, failed
from tests.alerts.conftest import Pool
from tests.alerts.world import World

NOON = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)  # 12:00 in Sweden
NIGHT = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
KEY = "missing:body_weight"
ACCEPTED = Outcome(state=State.ACCEPTED, provider_key="k1", reply="ok")
FAILED = failed(Fault.PROVIDER, "away")


@dataclass
class Clock:
    """Tells what it is told; how long a message takes is the test's to say."""

    now: datetime

    async def read(self, _: AsyncConnection[Any]) -> datetime:
        return self.now


class Post:
    """Carries nothing anywhere, and answers as it is told."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.sent: list[tuple[str, Message]] = []

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        assert attempt_id is None
        self.sent.append((address, message))
        return self.outcome


class Home:
    """Märta, whose weight is expected and not there."""

    def __init__(self, world: World, pool: Pool) -> None:
        self.world = world
        self.pool = pool
        self.patient_id = world.patient("marta")
        self.mail, self.sms = Post(ACCEPTED), Post(ACCEPTED)
        version = world.one(
            "select plan_version_id from plan_version where patient_id = %s", self.patient_id
        )
        self.version = version
        self.missing()

    def missing(self, key: str = KEY, quantity: str = "body_weight") -> None:
        """Let the clock have reminded of a measurement that was expected a day ago."""
        spec = f'{{"quantity": "{quantity}", "interval_h": 24.0}}'
        run = self.world.connection.execute
        run("insert into plan_rule values (%s, %s, 'missing', 1, %s)", (self.version, key, spec))
        run(
            "insert into rule_due (patient_id, rule_key, plan_version_id, due_at, step, kind, "
            "expected_at) values (%s, %s, %s, %s, 1, 'missing', %s)",
            (self.patient_id, key, self.version, NOON, NOON - timedelta(hours=24)),
        )
        run(
            "insert into reminder (patient_id, rule_key, expected_at, step, made_at) "
            "values (%s, %s, %s, 1, %s)",
            (self.patient_id, key, NOON - timedelta(hours=24), NOON - timedelta(hours=1)),
        )

    def has(self, *channels: tuple[str, str]) -> None:
        for place, (kind, address) in enumerate(channels, start=1):
            self.world.connection.execute(
                "insert into patient_channel (patient_id, kind, address, place) "
                "values (%s, %s, %s, %s)",
                (self.patient_id, kind, address, place),
            )

    def everybody(self) -> int:
        """Let all miss a measurement, and be told by SMS; return how many they are."""
        run = self.world.connection.execute
        run(
            "insert into rule_due (patient_id, rule_key, plan_version_id, due_at, step, kind, "
            "expected_at) select p.patient_id, d.rule_key, d.plan_version_id, d.due_at, d.step, "
            "d.kind, d.expected_at from person p, rule_due d where p.patient_id <> d.patient_id"
        )
        run(
            "insert into reminder (patient_id, rule_key, expected_at, step, made_at) "
            "select p.patient_id, m.rule_key, m.expected_at, m.step, m.made_at "
            "from person p, reminder m where p.patient_id <> m.patient_id"
        )
        run(
            "insert into patient_channel (patient_id, kind, address) "
            "select patient_id, 'sms', '+4670174060' || patient_id from person"
        )
        return int(self.world.one("select count(*) from reminder"))

    async def look(self, now: datetime = NOON) -> int:
        return await self.look_by(Clock(now))

    async def look_by(self, clock: "Clock") -> int:
        by_kind: Mapping[Kind, Carrier] = {Kind.EMAIL: self.mail, Kind.SMS: self.sms}
        carriers = Carriers(MappingProxyType(dict(by_kind)), "https://egen.example")
        return await reminders.look(self.pool, carriers, clock.read)

    def incidents(self) -> list[tuple[str, str]]:
        rows = self.world.rows("select kind, key from incident where closed_at is null")
        return [(kind, key) for kind, key in rows]

    def is_done(self) -> bool:
        return bool(self.world.one("select bool_and(done_at is not null) from reminder"))

    def attempts(self) -> list[tuple[int, str, str]]:
        rows = self.world.rows("select number, kind, state from reminder_attempt order by number")
        return [(number, kind, state) for number, kind, state in rows]
