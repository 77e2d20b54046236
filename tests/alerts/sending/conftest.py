"""Real servers on loopback, the ways to them, and people who can be reached by them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from alerts.channels.channel import Carriers, open_carriers
from alerts.channels.settings import MailSettings, SmsSettings
from alerts.sending import loop
from alerts.sending.store import Connection
from tests.alerts.conftest import Pool
from tests.alerts.sending.post import (
    ELKS_PASSWORD,
    ELKS_USER,
    Elks,
    Postbox,
    mail_server,
    sms_provider,
)
from tests.alerts.world import World

PUBLIC_URL = "https://egenmonitor.example"
RECEIPT_SECRET = "kvitton-bevisas-med-detta"


@pytest.fixture
async def pool(world: World) -> AsyncIterator[Pool]:
    """Whose zone has summer time: who adds and compares moments as they come is found out."""
    async with AsyncConnectionPool(
        world.dsn,
        min_size=1,
        max_size=8,
        open=False,
        kwargs={"autocommit": True, "options": "-c timezone=Europe/Stockholm"},
    ) as opened:
        yield opened


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def elks() -> AsyncIterator[Elks]:
    async with sms_provider() as provider:
        yield provider


@pytest.fixture
def mail_settings(postbox: Postbox) -> MailSettings:
    return MailSettings(
        host="127.0.0.1", port=postbox.port, tls="none", sender="larm@egenmonitor.example"
    )


@pytest.fixture
def sms_settings(elks: Elks, tmp_path: Path) -> SmsSettings:
    password, secret = tmp_path / "elks", tmp_path / "receipts"
    password.write_text(ELKS_PASSWORD)
    secret.write_text(RECEIPT_SECRET)
    return SmsSettings(
        url=elks.url,
        username=ELKS_USER,
        password_file=password,
        sender="Egenmonitor",
        callback_secret_file=secret,
    )


@pytest.fixture
async def carriers(
    mail_settings: MailSettings, sms_settings: SmsSettings
) -> AsyncIterator[Carriers]:
    async with open_carriers(mail_settings, sms_settings, PUBLIC_URL) as opened:
        yield opened


@dataclass
class Told:
    """An alert of Märta's, people with channels, and a sender whose clock we set."""

    world: World
    pool: Pool
    carriers: Carriers
    now: datetime
    alert_id: int
    steps: int = 0

    def channel(self, kind: str, address: str, *, who: str = "anna", **more: object) -> int:
        """Give somebody a verified channel, after those she has."""
        place = self.world.one("select count(*) from channel")
        row = {
            "staff_id": self.world.staff(who),
            "kind": kind,
            "address": address,
            "place": place,
            "verified_at": self.now,
            **more,
        }
        return int(
            self.world.one(
                f"insert into channel ({', '.join(row)}) values ({', '.join(['%s'] * len(row))}) "
                "returning channel_id",
                *row.values(),
            )
        )

    def notify(self, *, who: str = "anna", level: int = 2, **more: object) -> int:
        """Let somebody be told, as escalation does; a step each if none is given."""
        row = {
            "alert_id": self.alert_id,
            "began_at": self.began_at,
            "step": self.steps,
            "staff_id": self.world.staff(who),
            "why": "opened",
            "level": level,
            "due_at": self.now,
            **more,
        }
        self.steps += 1
        return int(
            self.world.one(
                f"insert into notification ({', '.join(row)}) "
                f"values ({', '.join(['%s'] * len(row))}) returning notification_id",
                *row.values(),
            )
        )

    @property
    def began_at(self) -> datetime:
        return self.now.replace(hour=0, minute=0, second=0, microsecond=0)

    def course(self, due_in: timedelta = timedelta(minutes=10)) -> None:
        """Let the alert be on its course, its next step due later."""
        self.world.connection.execute(
            "insert into alert_course (alert_id, began_at, level, step, due_at) "
            "values (%s, %s, 2, 1, %s) "
            "on conflict (alert_id) do update set began_at = excluded.began_at, "
            "due_at = excluded.due_at",
            (self.alert_id, self.began_at, self.now + due_in),
        )

    def course_due(self) -> datetime:
        at = self.world.one("select due_at from alert_course where alert_id = %s", self.alert_id)
        assert isinstance(at, datetime)
        return at

    async def turn(self, later: timedelta = timedelta()) -> int:
        """Let time pass, and one sender do all it has to do; return how often it had something."""
        self.now += later
        turns = 0
        while True:
            async with asyncio.TaskGroup() as tasks:
                seen = await loop.start(self.pool, self.carriers, tasks, set(), self.clock)
            if seen == 0:
                return turns
            turns += 1
            assert turns < 20, "a sender that is never done"

    async def clock(self, connection: Connection) -> datetime:
        return self.now

    def states(self) -> list[str]:
        return [
            state
            for (state,) in self.world.rows(
                "select state from notification order by notification_id"
            )
        ]

    def attempts(self) -> list[tuple[Any, ...]]:
        """Kind and state of each attempt, in order."""
        return self.world.rows(
            "select c.kind, t.state from attempt t join channel c using (channel_id) "
            "order by t.attempt_id"
        )

    def events(self) -> list[str]:
        """What the log says of messages."""
        return [
            event
            for (event,) in self.world.rows(
                "select event from alert_log where event like %s order by entry_id", "%delivered"
            )
        ]


def alert_of(world: World, key: str, now: datetime, rule: str = "limit:blood_pressure") -> int:
    """Open an alert of a patient's, whose level is of no consequence here."""
    return int(
        world.one(
            "insert into alert (patient_id, rule, level, measured_at, opened_at, changed_at) "
            "values (%s, %s, 2, %s, %s, %s) returning alert_id",
            world.patient(key),
            rule,
            now,
            now,
            now,
        )
    )


@pytest.fixture
async def told(world: World, pool: Pool, carriers: Carriers) -> Told:
    now = datetime.fromisoformat("2026-11-22T08:12:00+01:00")
    return Told(world, pool, carriers, now, alert_of(world, "marta", now))
