"""Real servers for the tests: PostgreSQL (plain and TimescaleDB) and MQTT brokers.

EGENMONITOR_TIMESCALE_TREE names a chroot tree with PostgreSQL 17 and TimescaleDB (root only).
EGENMONITOR_OIDC_PROVIDER names a directory into which npm has installed oidc-provider.
EGENMONITOR_REQUIRE lists components (mosquitto, timescaledb, chromium) whose absence is a
failure instead of a skip.
"""

import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import settings
from psycopg import sql

from simulator.embedded.broker import Broker, EmbeddedBroker, Mosquitto
from simulator.embedded.postgres import Postgres

# Machines differ; a slow example is no failure. The seed is printed when one fails.
settings.register_profile("tests", deadline=None, print_blob=True)
settings.load_profile("tests")

# Throw-away clusters: a killed process loses nothing by it, only a power cut would.
_THROW_AWAY = {"fsync": "off", "synchronous_commit": "on", "full_page_writes": "off"}


# Started in the background of a script, this process ignores Ctrl-C, and would hand that down to
# the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """After the order was drawn: half of the workers begin with the slow ones.

    These mostly wait, and the other workers' tests use the processors meanwhile; and none of them
    is the last one that runs alone. Each worker is given its part of the list as it stands.
    """
    yield
    slow = [item for item in items if item.get_closest_marker("slow")]
    others = [item for item in items if not item.get_closest_marker("slow")]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    lanes = (workers + 1) // 2
    items.clear()
    for worker in range(workers):
        begins_with = slow[worker::lanes] if worker < lanes else []
        left = len(slow) + len(others) - len(items)
        rest = max(0, left // (workers - worker) - len(begins_with))
        taken, others = others[:rest], others[rest:]
        items += [*begins_with, *taken]
    items += others


@pytest.fixture(autouse=True)
def _logging_of_its_own() -> Iterator[None]:
    """Undo what a command that ran inside a test has set up for its process."""
    yield
    structlog.reset_defaults()


def missing(component: str, why: str) -> None:
    """Skip the test, or fail it where the component is required."""
    if component in os.environ.get("EGENMONITOR_REQUIRE", "").split(","):
        pytest.fail(f"{component} is required here: {why}")
    pytest.skip(f"{component}: {why}")


@pytest.fixture(scope="session")
def plain_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL 18 without extensions, from the wheel."""
    with Postgres(tmp_path_factory.mktemp("postgres"), settings=_THROW_AWAY) as server:
        yield server


@pytest.fixture(scope="session")
def timescale_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """PostgreSQL 17 with TimescaleDB, from a Debian tree."""
    named = os.environ.get("EGENMONITOR_TIMESCALE_TREE")
    if not named:
        missing("timescaledb", "EGENMONITOR_TIMESCALE_TREE is not set")
    tree = Path(named or "")
    if not (tree / "usr/lib/postgresql/17/bin/postgres").exists() or os.geteuid() != 0:
        missing("timescaledb", f"no PostgreSQL 17 in {tree}, or not root")
    directory = tmp_path_factory.mktemp("timescale")
    with Postgres(directory, tree=tree, settings=_THROW_AWAY) as server:
        yield server
    shutil.rmtree(server.outside_data_directory(), ignore_errors=True)


@pytest.fixture(scope="session", params=["plain", "timescaledb"])
def edition(request: pytest.FixtureRequest) -> str:
    """Which PostgreSQL: tests that take it (or ``database``) run on both."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_server(edition: str, request: pytest.FixtureRequest) -> Postgres:
    """A running server of this edition, shared by the tests of the session."""
    name = "plain_postgres" if edition == "plain" else "timescale_postgres"
    server: Postgres = request.getfixturevalue(name)
    return server


@pytest.fixture
def database(postgres_server: Postgres) -> Iterator[str]:
    """The DSN of an empty database of its own; on both editions."""
    yield from fresh_database(postgres_server)


@pytest.fixture
def plain_database(plain_postgres: Postgres) -> Iterator[str]:
    """The DSN of an empty database of its own, on plain PostgreSQL only."""
    yield from fresh_database(plain_postgres)


def fresh_database(server: Postgres, template: str = "template0") -> Iterator[str]:
    """Yield the DSN of a copy of *template*; it is dropped afterwards."""
    name = sql.Identifier(f"test_{uuid.uuid4().hex}")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        # Files are copied in a third of the time that the log of their pages takes.
        create = sql.SQL("create database {} template {} strategy file_copy")
        admin.execute(create.format(name, sql.Identifier(template)))
        yield server.dsn(name.as_string().strip('"'))
        admin.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture(params=["embedded", "mosquitto"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A fresh, running MQTT 5 broker; tests that take it run on both kinds."""
    if request.param == "mosquitto" and Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    kind = EmbeddedBroker if request.param == "embedded" else Mosquitto
    with kind(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[Broker]:
    """A fresh, running embedded broker only."""
    with EmbeddedBroker(tmp_path / "broker") as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Chromium."""
    path = os.environ.get("EGENMONITOR_CHROMIUM") or shutil.which("chromium") or ""
    if not path:
        missing("chromium", "the program is not installed")
    return path
