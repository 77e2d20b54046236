"""A county in small: on both editions, or on one of them.

Every test has a database of its own, a copy of one that was migrated once.
"""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ingest.schema.migrate import migrate
from simulator.embedded.postgres import Postgres
from tests.conftest import fresh_database
from tests.ingest.county import County, furnish

_END_WORKERS_MS = 10_000


@pytest.fixture
def county(
    edition: str, postgres_server: Postgres, request: pytest.FixtureRequest
) -> Iterator[County]:
    """On both editions."""
    kind = "plain" if edition == "plain" else "timescale"
    yield from _county(postgres_server, request.getfixturevalue(f"{kind}_template"))


@pytest.fixture
def plain_county(plain_postgres: Postgres, plain_template: str) -> Iterator[County]:
    """On plain PostgreSQL only: for what does not depend on the edition."""
    yield from _county(plain_postgres, plain_template)


@pytest.fixture
def timescale_county(timescale_postgres: Postgres, timescale_template: str) -> Iterator[County]:
    """On TimescaleDB only."""
    yield from _county(timescale_postgres, timescale_template)


@pytest.fixture(scope="session")
def plain_template(plain_postgres: Postgres) -> Iterator[str]:
    """The name of a migrated database, to be copied."""
    yield from _template(plain_postgres)


@pytest.fixture(scope="session")
def timescale_template(timescale_postgres: Postgres) -> Iterator[str]:
    """The same on TimescaleDB."""
    yield from _template(timescale_postgres)


def _template(server: Postgres) -> Iterator[str]:
    for dsn in fresh_database(server):
        migrate(dsn)
        name = str(conninfo_to_dict(dsn)["dbname"])
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            # Only what nobody is in can be copied, and TimescaleDB's workers come of themselves.
            admin.execute(
                sql.SQL("alter database {} allow_connections false").format(sql.Identifier(name))
            )
            admin.execute(
                "select pg_terminate_backend(pid, %s) from pg_stat_activity where datname = %s",
                [_END_WORKERS_MS, name],
            )
        yield name


def _county(server: Postgres, template: str) -> Iterator[County]:
    for dsn in fresh_database(server, template):
        yield from furnish(dsn)
