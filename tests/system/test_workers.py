"""R1, R8: two workers on one shared subscription; kill them and the database, lose nothing.

EGENMONITOR_KILLS changes how many kills, EGENMONITOR_SEED repeats a run's.
"""

import asyncio
import os
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import psycopg
import pytest

from ingest import recheck
from simulator.embedded.broker import Mosquitto
from simulator.embedded.postgres import Postgres
from tests.conftest import missing
from tests.ingest.process import Ingest, until
from tests.system.load import Home, People, populate, rows

KILLS = int(os.environ.get("EGENMONITOR_KILLS", "60"))
PEOPLE = 200
GATEWAYS = 4
# Four gateways at some six readings every 0.25 s: 100 a second, for four minutes if need be.
PACE_S = 0.25
DATABASE = 2  # whose turn it is: worker 0, worker 1, or the postmaster
# A killed process loses nothing by it, only a power cut would; recovery is seconds faster.
THROW_AWAY = {"fsync": "off", "full_page_writes": "off"}
# R8: from the database being back to the first commit.
GAP_S_MAX = 30.0


class Workers:
    """Two of them, with the database whose postmaster dies under them."""

    def __init__(self, directory: Path, postgres: Postgres, port: int, seed: int) -> None:
        self._postgres = postgres
        self._random = Random(seed)
        self.gaps_s: list[float] = []
        self.workers: list[Ingest] = []
        for name in ("a", "b"):
            (directory / name).mkdir()
            worker = Ingest(
                directory / name,
                postgres.dsn(),
                port,
                EGENMONITOR_INGEST__BROKER__SHARED_GROUP="workers",
                EGENMONITOR_INGEST__BROKER__CLIENT_ID=f"worker-{name}",
            )
            self.workers.append(worker)

    def wait_until_ready(self) -> None:
        """Wait until each has subscribed since it was started last."""
        for worker in self.workers:
            worker.wait_for("broker.subscribed")

    def kill(self, victim: int) -> None:
        """Kill a worker, or the postmaster, and start it again, as a supervisor does."""
        self.assert_nobody_ended()
        if victim != DATABASE:
            self.workers[victim].kill()
            self.workers[victim].start()
            return
        self._postgres.kill()
        self._pause(0.0, 0.5)
        self._postgres.start()
        back_s, back_at = time.monotonic(), datetime.now(UTC)
        newer = "select exists (select from reading where stored_at > %s)"
        until(
            lambda: bool(rows(self._postgres.dsn(), newer, back_at)[0][0]),
            lambda: f"a commit after the database was back: {self.log()}",
        )
        self.gaps_s.append(time.monotonic() - back_s)

    def kill_all(self, victims: list[int]) -> None:
        """Kill *victims* one after the other, at random moments."""
        for victim in victims:
            self._pause(0.05, 0.9)
            self.kill(victim)
        self.assert_nobody_ended()

    def assert_nobody_ended(self) -> None:
        """No worker has ended by itself, whatever was done to the database."""
        ended = [worker.process.poll() for worker in self.workers]
        assert ended == [None] * len(ended), self.log()

    def log(self) -> str:
        return "\n".join(worker.log()[-3000:] for worker in self.workers)

    def end(self) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()

    def _pause(self, least_s: float, most_s: float) -> None:
        time.sleep(self._random.uniform(least_s, most_s))  # the moment is the point


def assert_exactly(dsn: str, people: People) -> None:
    """What was sent is stored once, and what had to be found is found and alerted once."""
    stored = rows(dsn, "select reading_id from reading")
    assert Counter(reading_id for (reading_id,) in stored) == Counter(list(people.sent))
    assert rows(dsn, "select quantity_id, count(*) from sample group by 1 order by 1") == [
        (1, len(people.sent)),
        (2, len(people.sent)),
    ]
    assert rows(dsn, "select reason, detail from quarantine limit 3") == []
    found = rows(dsn, "select reading_id, level from breach where rule_key = ''")
    assert Counter(found) == people.expected_breaches()
    runs = [one for (one,) in rows(dsn, "select reading_id from breach where rule_key <> ''")]
    assert people.expected_runs() <= set(runs)
    assert len(runs) == len(set(runs))
    alerts = rows(dsn, "select patient_id, rule, level from alert where state <> 'closed'")
    assert Counter(alerts) == people.expected_alerts()
    opened = "select alert_id, count(*) from alert_log where event = 'opened' group by 1"
    assert {times for _, times in rows(dsn, opened)} == {1}
    # Every breach is in its own patient's alert.
    assert rows(
        dsn,
        "select count(*) from breach b left join alert a using (alert_id)"
        " where a.patient_id is distinct from b.patient_id",
    ) == [(0,)]


async def differences(dsn: str) -> int:
    """Let plain SQL look again at everything; return how many differences it finds."""
    until_at = datetime.now(UTC) + timedelta(hours=1)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        report = await recheck.run(connection, until_at - timedelta(hours=4), until_at)
    assert report.readings > 0
    return report.differences


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_kills_of_two_workers_and_the_database_lose_and_double_nothing(tmp_path: Path) -> None:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    seed = int(os.environ.get("EGENMONITOR_SEED") or Random().randrange(2**32))
    print(f"EGENMONITOR_SEED={seed}")  # noqa: T201 - shown when it fails
    random = Random(seed)
    victims = [0, 1, DATABASE, 0, 1] * (KILLS // 5) + [0] * (KILLS % 5)
    random.shuffle(victims)
    with ExitStack() as servers:
        postgres = servers.enter_context(Postgres(tmp_path / "postgres", settings=THROW_AWAY))
        broker = servers.enter_context(Mosquitto(tmp_path / "broker"))
        people, names = populate(postgres.dsn(), PEOPLE, GATEWAYS)
        workers = Workers(tmp_path, postgres, broker.port, random.randrange(2**32))
        servers.callback(workers.end)
        workers.wait_until_ready()
        cuffs = list(people.patients)
        homes = [
            Home(
                broker.port,
                name,
                people,
                cuffs[number::GATEWAYS],
                pace_s=PACE_S,
                random=Random(random.randrange(2**32)),
            )
            for number, name in enumerate(names)
        ]
        for home in homes:
            home.start()
        try:
            workers.kill_all(victims)
        finally:
            for home in homes:
                home.stop()
        until(
            lambda: not any(home.waiting for home in homes),
            lambda: (
                f"{[home.waiting for home in homes]} receipts; "
                f"{[home.refused[:1] for home in homes]}; {workers.log()}"
            ),
        )
        for home in homes:
            home.join(10)
            assert home.refused == []
        print(  # noqa: T201 - shown when it fails, and with -s
            f"{len(victims)} kills, {len(people.sent)} readings, "
            f"{sum(home.resent for home in homes)} sent again, "
            f"{len(people.expected_breaches())} breaches, "
            f"longest gap after the database {max(workers.gaps_s, default=0):.1f} s"
        )
        assert max(workers.gaps_s, default=0) < GAP_S_MAX
        assert_exactly(postgres.dsn(), people)
        assert asyncio.run(differences(postgres.dsn())) == 0
        workers.wait_until_ready()  # the last victim may just have begun
        assert [worker.stop() for worker in workers.workers] == [0, 0]
