"""R10, R11: workers of alerts are killed at random while episodes run their course.

Every breach belongs to exactly one episode, and every episode has reached somebody. Kills, episodes
and seed: EGENMONITOR_KILLS, EGENMONITOR_EPISODES, EGENMONITOR_SEED.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import actions
from alerts.actions import Answer
from alerts.alert import Level, Outcome
from alerts.care.people import Viewer
from alerts.policy import Counting, Group, Policy, Step, store
from alerts.schema import SOURCES
from devices import wire
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Reading, Value
from devices.reading import Outcome as Measured
from ingest.batch import from_incoming
from ingest.decode import decode
from ingest.delivery import Delivery
from ingest.schema.migrate import migrate
from ingest.settle import Settler
from tests.alerts.sending.post import Postbox, mail_server

ROOT = Path(__file__).parents[2]
# A part of what is run before a release: 100 kills while 2,000 episodes run their course.
KILLS = int(os.environ.get("EGENMONITOR_KILLS", "20"))
EPISODES = int(os.environ.get("EGENMONITOR_EPISODES", "200"))
WORKERS = 3
BATCH = 50
NURSES = 20
# Of the episodes, one in so many is never taken, one is taken and left, the others are ended.
FATES = 4
END_S_MAX = 100.0

# Everybody is told at once, one group after the other: a course of minutes in seconds.
HASTY = Policy(
    counting=Counting.CLOCK,
    steps=(
        Step(tell=(Group.RECEIVER,)),
        Step(tell=(Group.SUBSTITUTES,)),
        Step(tell=(Group.RECEIVER, Group.SUBSTITUTES, Group.UNIT)),
    ),
    again_min=10,
    acknowledged_min=240,
)

_FILL = """
insert into unit (unit_id, name, phone, hours) overriding system value values (1, 'Enhet', '', '');
insert into unit_hours (unit_id, weekday, opens, closes, on_holidays)
select 1, d, '00:00', '24:00', true from generate_series(1, 7) d;
insert into staff (staff_id, unit_id, name, role, phone) overriding system value
select s, 1, 'Sköterska ' || s, 'sjuksköterska', '' from generate_series(1, %(nurses)s) s;
insert into staff_function (staff_id, name) select staff_id, 'care' from staff;
insert into channel (staff_id, kind, address, verified_at)
select staff_id, 'email', 's' || staff_id || '@egenmonitor.example', now() from staff;
insert into channel (unit_id, kind, address, verified_at)
values (1, 'email', 'u1@egenmonitor.example', now());
insert into substitute (for_staff_id, place, staff_id)
select staff_id, 1, 1 + staff_id %% %(nurses)s from staff;
insert into gateway (gateway_id) values ('g-1');
insert into patient (patient_id) overriding system value
select p from generate_series(1, %(people)s) p;
insert into device_loan (patient_id, device_id, lent_from)
select p, 'C4:00:' || p, now() - interval '1 year' from generate_series(1, %(people)s) p;
insert into plan_version (plan_version_id, patient_id, in_force_from) overriding system value
select p, p, now() - interval '1 year' from generate_series(1, %(people)s) p;
insert into plan_limit (plan_version_id, quantity_id, red_high)
select p, %(systolic)s, 180 from generate_series(1, %(people)s) p;
insert into person (patient_id, unit_id, given_name, family_name, personal_number, born_on, phone,
                    diagnosis)
select p, 1, 'Test', 'Person', 'p' || p, '1944-01-01', '', ''
from generate_series(1, %(people)s) p;
insert into care_contact (patient_id, staff_id, from_at)
select p, 1 + p %% %(nurses)s, '2020-01-01' from generate_series(1, %(people)s) p
"""


def fill(dsn: str) -> None:
    numbers = {"nurses": NURSES, "people": EPISODES, "systolic": Quantity.SYSTOLIC.facts.id}
    migrate(dsn, SOURCES)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in _FILL.split(";"):
            psycopg.ClientCursor(connection).execute(statement, numbers)


def too_high(patient: int) -> Delivery:
    now = datetime.now(UTC)
    reading = Reading(
        reading_id=uuid4(),
        device_id=f"C4:00:{patient}",
        source="2a35",
        payload="1e80005100",
        outcome=Measured.MEASURED,
        measured_at=now,
        received_at=now,
        clock=ClockVerdict.OK,
        values=tuple(
            Value(quantity=q.value, value=v, unit=q.facts.unit)
            for q, v in ((Quantity.SYSTOLIC, 190.0), (Quantity.DIASTOLIC, 90.0))
        ),
    )
    topic = wire.topic("g-1", wire.TopicKind.READINGS)
    return Delivery(topic, wire.encode_message("g-1", now, [reading]), None, now)


@dataclass
class Nursery:
    """Running workers."""

    process: subprocess.Popen[str]
    random: Random
    workers: list[int]

    def one_more(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        print(file=self.process.stdin, flush=True)
        self.workers.append(int(self.process.stdout.readline()))

    def kill_one(self) -> None:
        """Kill a worker, and start the next one, as a supervisor does."""
        os.kill(self.workers.pop(self.random.randrange(len(self.workers))), signal.SIGKILL)
        self.one_more()


@contextmanager
def nursery(dsn: str, box: Postbox, directory: Path, seed: int) -> Iterator[Nursery]:
    config = directory / "alerts.toml"
    config.write_text(
        f'[database]\ndsn = "{dsn}"\n[web]\npublic_url = "https://egenmonitor.example"\n'
        f'[mail]\nhost = "127.0.0.1"\nport = {box.port}\ntls = "none"\n'
        'sender = "larm@egenmonitor.example"\n'
    )
    with (directory / "workers.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.alert_nursery", str(config)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    found = Nursery(process, Random(seed), [])
    try:
        for _ in range(WORKERS):
            found.one_more()
        yield found
    finally:
        for pid in found.workers:
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.communicate()


@pytest.fixture
def under() -> Iterator[ExitStack]:
    """Ends what was begun under a test."""
    with ExitStack() as stack:
        yield stack


async def measure(dsn: str, random: Random) -> int:
    """Let each patient measure too high, some of them twice; return how many readings."""
    patients = [*range(1, EPISODES + 1), *random.sample(range(1, EPISODES + 1), EPISODES // 5)]
    async with Settler(lambda: dsn, "test") as settler:
        for first in range(0, len(patients), BATCH):
            some = patients[first : first + BATCH]
            settled = await settler.settle(from_incoming([decode(too_high(p)) for p in some]), [])
            assert settled.new == len(some), settled.refused
            await asyncio.sleep(0)
    return len(patients)


async def nurse(dsn: str, done: asyncio.Event) -> None:
    """Take what has been told of, and end some of it."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        while not done.is_set():
            cursor = await connection.execute(
                "select a.alert_id, k.staff_id, a.state, max(b.breach_id) from alert a "
                "join alert_case k using (alert_id) join breach b using (alert_id) "
                "where a.state <> 'closed' and a.alert_id %% %s > 0 and exists (select from "
                "notification n where n.alert_id = a.alert_id and n.state = 'delivered' or "
                "n.alert_id = a.alert_id and n.state = 'sent') "
                "group by a.alert_id, k.staff_id, a.state limit 20",
                (FATES,),
            )
            for alert_id, staff_id, state, breach_id in await cursor.fetchall():
                viewer = Viewer(name="", staff_id=staff_id, unit_id=1)
                if state == "open":
                    await actions.acknowledge(
                        connection, viewer, alert_id, seen_breach_id=breach_id
                    )
                if alert_id % FATES > 1:
                    done_ = await actions.close(
                        connection,
                        viewer,
                        alert_id,
                        outcome=Outcome.CONTACTED,
                        seen_breach_id=breach_id,
                    )
                    assert done_.answer in {Answer.DONE, Answer.NEW_VALUE, Answer.CLOSED}
            await asyncio.sleep(0.01)


_WAITING = """
select a.alert_id, a.state from alert a where not exists (
    select from notification n join attempt t using (notification_id)
    where n.alert_id = a.alert_id and t.state in ('accepted', 'handed_over', 'delivered'))
  and not exists (select from alert_log l where l.alert_id = a.alert_id
                  and l.event in ('nobody_to_notify', 'not_delivered'))
"""
_STUCK = """
select n.notification_id, n.alert_id, n.state, n.due_at - now() as due, t.state, t.began_at - now()
from notification n left join attempt t using (notification_id)
where n.state = 'waiting'
"""


@pytest.mark.timeout(600)
async def test_killed_workers_leave_nobody_untold(
    plain_database: str, tmp_path: Path, under: ExitStack
) -> None:
    """Each breach is in one episode; each episode was told of, once or twice a step, never not."""
    seed = int(os.environ.get("EGENMONITOR_SEED", "0")) or Random().randrange(1, 2**31)
    sys.stdout.write(f"EGENMONITOR_SEED={seed} KILLS={KILLS} EPISODES={EPISODES}\n")
    random = Random(seed)
    fill(plain_database)
    async with await AsyncConnection.connect(plain_database, autocommit=True) as connection:
        await store(
            connection, 1, Level.RED, HASTY, staff_id=None, now=datetime.now(UTC) - timedelta(1)
        )
    done = asyncio.Event()
    async with mail_server() as box, asyncio.TaskGroup() as tasks:
        workers = under.enter_context(nursery(plain_database, box, tmp_path, seed))
        measured = tasks.create_task(measure(plain_database, random))
        tasks.create_task(nurse(plain_database, done))
        for _ in range(KILLS):
            await asyncio.sleep(random.uniform(0.05, 0.5))
            workers.kill_one()
        readings = await measured
        await settled(plain_database)
        done.set()
    check(plain_database, readings, box)


async def settled(dsn: str) -> None:
    """Wait until every episode was told of, and nothing is on its way any more."""
    deadline = time.monotonic() + END_S_MAX
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        while True:
            waiting = await (await connection.execute(_WAITING)).fetchall()
            stuck = await (await connection.execute(_STUCK)).fetchall()
            if not waiting and not stuck:
                return
            assert time.monotonic() < deadline, (waiting[:5], stuck[:5])
            await asyncio.sleep(0.1)


def check(dsn: str, readings: int, box: Postbox) -> None:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute
        (breaches, outside) = rows(
            "select count(*), count(*) filter (where alert_id is null) from breach"
        ).fetchone() or (0, 0)
        assert (breaches, outside) == (readings, 0)
        assert rows(
            "select max(n) from (select count(*) as n from alert where state <> 'closed' "
            "group by patient_id, rule) open"
        ).fetchone() == (1,)
        assert rows(_WAITING).fetchall() == []
        unsaid = rows(
            "select alert_id from alert a where not exists (select from alert_log l "
            "where l.alert_id = a.alert_id and l.event = 'notified')"
        ).fetchall()
        assert unsaid == []
        # A step is one row for each whom it tells, whoever took it and however often.
        told = rows(
            "select staff_id, unit_id, count(distinct notification_id) from notification n "
            "join attempt t using (notification_id) where t.state = 'handed_over' group by 1, 2"
        ).fetchall()
        letters = Counter(address for one in box.recipients for address in one)
        for staff_id, unit_id, count in told:
            name = f"s{staff_id}" if staff_id else f"u{unit_id}"
            assert letters[f"{name}@egenmonitor.example"] >= count, name
        attempts = rows("select count(*) from attempt").fetchone() or (0,)
        assert sum(letters.values()) <= attempts[0]
