"""What ingest tells of itself: that it lives, that it is of use, and what it has counted."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from ingest.config import Config
from ingest.schema.edition import Edition
from ingest.watch import alarm, watcher
from ingest.watch.alarm import LAG_S_MAX
from ingest.watch.health import Health
from ingest.watch.metrics import Metrics
from ingest.watch.watcher import GONE_S, LAG, Watcher
from simulator.embedded.broker import EmbeddedBroker
from simulator.embedded.child import free_port
from simulator.embedded.postgres import Postgres
from tests.ingest.county import CUFF, GATEWAY, NOW, County, fill, message, pressure
from tests.ingest.process import Ingest, connected, running, until

# The loop that never turns again: what a library that waits inside it would do.
WEDGES_AT_USR1 = """
import asyncio, signal, threading
import ingest.__main__ as ingest, ingest.commands.run as command
from ingest.watch import health
health.BEAT_S_MAX = 1.0
run = command.run
async def wedged(config):
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, threading.Event().wait)
    await run(config)
ingest.run = wedged
ingest.app(["run"])
"""


class Watched:
    """A worker that can be asked."""

    def __init__(self, ingest: Ingest, port: int) -> None:
        self.ingest = ingest
        self._port = port

    def ask(self, path: str, wait_s: float = 5.0) -> tuple[int, str]:
        """Return the status and the text of a page."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}{path}", timeout=wait_s
            ) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def number(self, name: str, **labels: str) -> float:
        """Return a metric's value; 0 where it is not told yet."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.ask("/metrics")[1])
            for sample in family.samples
            if sample.name == f"egenmonitor_ingest_{name}" and sample.labels == labels
        ]
        assert len(found) <= 1
        return found[0] if found else 0.0

    def until_ready(self) -> None:
        until(lambda: self.ask("/readyz")[0] == 200, lambda: self.ask("/readyz")[1])

    def until_not_ready(self, word: str) -> None:
        """Wait until it is not ready for one reason, and see that it lives all the same."""
        until(lambda: f"{word}:" in self.ask("/readyz")[1], lambda: self.ask("/readyz")[1])
        assert self.ask("/readyz")[0] == 503
        assert self.ask("/livez") == (200, "ok\n")


@contextmanager
def watched(directory: Path, dsn: str, broker_port: int, **environment: str) -> Iterator[Watched]:
    port = free_port()
    told = environment | {"EGENMONITOR_INGEST__WATCH__PORT": str(port)}
    with running(directory, dsn, broker_port, **told) as ingest:
        worker = Watched(ingest, port)
        worker.until_ready()
        yield worker


def test_a_known_load_is_counted(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    old = pressure(120, 80, measured_at=NOW - timedelta(hours=2))
    load = [old, pressure(192, 112), pressure(121, 80, device_id="D-nobody")]
    with (
        watched(tmp_path, plain_county.dsn, embedded_broker.port) as worker,
        connected(embedded_broker.port) as gateway,
    ):
        gateway.receipt(gateway.send(message(load)))
        gateway.receipt(gateway.send(message([old])))
        until(lambda: worker.number("messages_total") == 2, lambda: worker.ask("/metrics")[1])
        assert [
            worker.number("readings_total", outcome=o) for o in ("new", "repeated", "refused")
        ] == [2, 1, 1]
        assert worker.number("quarantine_total", reason="unassigned") == 1
        assert worker.number("lag_seconds_count", since="measured") == 3
        assert worker.number("lag_seconds_bucket", since="arrived", le="60.0") == 3
        # The old one, twice, is the one that lay for two hours.
        assert worker.number("lag_seconds_bucket", since="measured", le="3600.0") == 1
        assert worker.number("lag_seconds_sum", since="measured") > 2 * 7200
        assert worker.number("batch_readings_sum") == 4
        assert worker.number("commit_seconds_count") == worker.number("batch_readings_count")
        assert worker.number("broker_connected") == 1
        # What has not happened yet is at zero: Prometheus sees no rise from nothing to one.
        assert worker.number("canary_failures_total", leg="broker") == 0
        assert worker.number("chore_rows_total", chore="retention") == 0
        until(lambda: worker.number("backlog") == 0, lambda: "nothing in hand")
        page = worker.ask("/metrics")[1]
        for identity in (GATEWAY, CUFF, "D-nobody", str(old.reading_id)):
            assert identity not in page
        assert worker.ask("/") == (404, "")


def test_a_broker_that_is_away_makes_it_unready_until_it_is_back(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with watched(tmp_path, plain_county.dsn, embedded_broker.port) as worker:
        embedded_broker.kill()
        worker.until_not_ready("broker")
        assert worker.number("broker_connected") == 0
        embedded_broker.start()
        worker.until_ready()


@pytest.mark.timeout(120)
def test_a_database_that_is_away_makes_it_unready_until_it_is_back(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with Postgres(tmp_path / "postgres") as server:
        filling = fill(server.dsn())
        next(filling)
        filling.close()
        with (
            watched(tmp_path, server.dsn(), embedded_broker.port) as worker,
            connected(embedded_broker.port) as gateway,
        ):
            server.kill()
            sent = gateway.send(message([pressure(120, 80)]))
            worker.until_not_ready("database")
            until(lambda: worker.number("database_retries_total") > 0, lambda: "a retry")
            server.start()
            gateway.receipt(sent)
            worker.until_ready()


def test_a_newer_schema_and_an_open_incident_are_seen(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with watched(tmp_path, plain_county.dsn, embedded_broker.port) as worker:
        insert = "insert into incident (kind, key, detail) values (%s, 'a', 'x')"
        plain_county.connection.execute(insert, [LAG])
        until(lambda: worker.number("incident_open", kind=LAG) == 1, lambda: "the incident")
        plain_county.connection.execute("update incident set closed_at = now()")
        until(lambda: worker.number("incident_open", kind=LAG) == 0, lambda: "its end")
        plain_county.connection.execute(
            "insert into schema_migration (source, name, sha256, edition)"
            " values ('ingest', '9999_later.sql', '', 'plain')"
        )
        worker.until_not_ready("schema")
        assert "9999_later.sql" in worker.ask("/readyz")[1]


def config_of(dsn: str) -> Config:
    broker = {"host": "nowhere.invalid", "client_id": "ingest-1"}
    return Config.model_validate({"database": {"dsn": dsn}, "broker": broker})


async def test_a_database_that_does_not_answer_is_known_at_once_and_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watcher, "LOOK_EVERY_S", 0.02)
    health = Health(beat_s=0.0)
    config = config_of(f"host=127.0.0.1 port={free_port()}")
    with capture_logs() as logs:
        looking = asyncio.create_task(
            Watcher(config, health, Metrics(health)).look(edition=Edition.PLAIN)
        )
        for _ in range(3):
            health.answered_s = 1.0
            async with asyncio.timeout(10):
                while health.answered_s is not None:  # noqa: ASYNC110 - a field tells nobody
                    await asyncio.sleep(0.01)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
    assert [line["event"] for line in logs] == ["watch.database_away"]


@pytest.fixture
def log_lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as logs:
        yield logs


async def test_a_worker_that_falls_behind_is_an_incident_until_it_has_caught_up(
    plain_county: County,
    monkeypatch: pytest.MonkeyPatch,
    log_lines: list[MutableMapping[str, Any]],
) -> None:
    monkeypatch.setattr(watcher, "LOOK_EVERY_S", 0.02)
    config = config_of(plain_county.dsn)
    health = Health(beat_s=0.0)
    looking = asyncio.create_task(
        Watcher(config, health, Metrics(health)).look(edition=Edition.PLAIN)
    )

    async def is_open(key: str) -> bool:
        found = "select count(*) from incident where kind = %s and key = %s and closed_at is null"
        return bool(await asyncio.to_thread(plain_county.one, found, LAG, key))

    async def until_open(key: str = "ingest-1", *, expected: bool) -> None:
        async with asyncio.timeout(10):
            while await is_open(key) != expected:  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.01)

    insert = "insert into incident (kind, key, detail) values (%s, %s, 'of an earlier run')"
    for key in ("ingest-1", "ingest-2", "gone"):
        plain_county.connection.execute(insert, [LAG, key])
    plain_county.connection.execute(
        "update incident set seen_at = now() - make_interval(secs => %s) where key = 'gone'",
        [GONE_S + 1],
    )
    await until_open(expected=False)
    health.worst_lag_s = LAG_S_MAX + 1
    await until_open(expected=True)
    # Its worker has said nothing for long, and never will.
    await until_open("gone", expected=False)
    said = "select times from incident where key = 'ingest-1' and closed_at is null"
    looks = [health.answered_s]
    async with asyncio.timeout(10):
        while len(set(looks)) < 5:
            await asyncio.sleep(0.01)
            looks.append(health.answered_s)
    assert await asyncio.to_thread(plain_county.one, said) == 1  # and not at every look
    # What it closes since an earlier run may have left it is open again at once.
    gone = await asyncio.to_thread(
        plain_county.one,
        "select count(pg_terminate_backend(pid)) from pg_stat_activity"
        " where application_name = 'egenmonitor-ingest-watch' and datname = current_database()",
    )
    assert gone == 1
    again = "select count(*) from incident where key = 'ingest-1' and detail like 'a reading%%'"
    async with asyncio.timeout(10):
        while await asyncio.to_thread(plain_county.one, again) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    monkeypatch.setattr(watcher, "AGAIN_S", 0.0)
    async with asyncio.timeout(10):
        # It says so while it lasts.
        while await asyncio.to_thread(plain_county.one, said) < 3:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    monkeypatch.setattr(alarm, "CALM_S", 0.0)
    await until_open(expected=False)
    assert await is_open("ingest-2")  # another worker's is its own
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    # Said when it begins, and not at every look; and again since the database was away.
    events = [line["event"] for line in log_lines]
    told = ("watch.lag", "watch.database_away", "watch.lag_over")
    assert [events.count(event) for event in told] == [2, 1, 1]


def test_a_wedged_loop_is_dead_to_who_asks_and_a_stopped_process_does_not_answer(
    plain_county: County, embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    port = free_port()
    environment = {
        "EGENMONITOR_INGEST__WATCH__PORT": str(port),
        "EGENMONITOR_INGEST__DATABASE__DSN": plain_county.dsn,
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__BROKER__PORT": str(embedded_broker.port),
    }
    log = tmp_path / "ingest.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WEDGES_AT_USR1], env=os.environ | environment, stderr=output
        )
    try:
        until(lambda: "broker.subscribed" in log.read_text(), log.read_text)
        worker = Watched.__new__(Watched)
        worker._port = port
        worker.until_ready()
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            worker.ask("/livez", wait_s=0.5)
        process.send_signal(signal.SIGCONT)
        until(lambda: worker.ask("/livez")[0] == 200, lambda: "alive")
        process.send_signal(signal.SIGUSR1)
        until(lambda: worker.ask("/livez")[0] == 503, lambda: "seen dead")
        assert re.match(r"loop: it has not turned for \d s\n", worker.ask("/livez")[1])
        assert worker.ask("/readyz")[0] == 503
        assert worker.ask("/metrics")[0] == 200
    finally:
        process.kill()
        process.wait()


def test_a_port_that_is_taken_is_named(tmp_path: Path, embedded_broker: EmbeddedBroker) -> None:
    taken = str(embedded_broker.port)
    environment = {
        "EGENMONITOR_INGEST__WATCH__PORT": taken,
        "EGENMONITOR_INGEST__DATABASE__DSN": "host=nowhere.invalid",
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "run"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"watch.port: 127.0.0.1:{taken} cannot be used")


def test_a_schema_that_cannot_be_brought_up_to_date_is_said_in_a_line(
    plain_county: County, embedded_broker: EmbeddedBroker
) -> None:
    plain_county.connection.execute(
        "update schema_migration set sha256 = 'x' where name = '0001_chain.sql'"
    )
    environment = {
        "EGENMONITOR_INGEST__DATABASE__DSN": plain_county.dsn,
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__BROKER__PORT": str(embedded_broker.port),
    }
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "run"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("schema: ingest: 0001_chain.sql was edited")
    assert "Traceback" not in done.stderr
