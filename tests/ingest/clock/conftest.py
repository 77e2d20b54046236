"""A county whose time the test moves; one database an edition, emptied for each test."""

from collections.abc import Iterator

import psycopg
import pytest

from ingest.schema.migrate import migrate
from simulator.embedded.postgres import Postgres
from tests.conftest import fresh_database
from tests.ingest.clock.timeline import Timeline
from tests.ingest.county import GATEWAY, County

_KEPT = ("schema_migration", "quantity", "sample_day_state", "retention_state", "replay_state")


@pytest.fixture(scope="package")
def emptied(edition: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A migrated database on each edition."""
    if edition == "plain":
        yield request.getfixturevalue("plain_emptied")
    else:
        yield from _migrated(request.getfixturevalue("timescale_postgres"))


@pytest.fixture(scope="package")
def plain_emptied(plain_postgres: Postgres) -> Iterator[str]:
    """A migrated database on plain PostgreSQL."""
    yield from _migrated(plain_postgres)


@pytest.fixture
def timeline(emptied: str) -> Iterator[Timeline]:
    """On both editions."""
    yield from _timeline(emptied)


@pytest.fixture
def plain_timeline(plain_emptied: str) -> Iterator[Timeline]:
    """On plain PostgreSQL only."""
    yield from _timeline(plain_emptied)


def _migrated(server: Postgres) -> Iterator[str]:
    for dsn in fresh_database(server):
        migrate(dsn)
        yield dsn


def _timeline(dsn: str) -> Iterator[Timeline]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public'"
            " and table_type = 'BASE TABLE'"
        ).fetchall()
        # Emptying what is empty would cost a file each.
        filled = connection.execute(
            " union all ".join(
                f"select '{name}' where exists (select from {name})"
                for (name,) in tables
                if name not in _KEPT
            )
        ).fetchall()
        with connection.transaction():
            connection.execute("set local session_replication_role = replica")
            names = ", ".join(name for (name,) in filled)
            connection.execute(f"truncate {names} restart identity cascade")
        connection.execute("insert into registry default values")
        connection.execute("insert into gateway (gateway_id) values (%s)", [GATEWAY])
        yield Timeline(County(dsn, connection))
