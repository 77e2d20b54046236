"""One database for the tests of this folder that make their own people."""

from collections.abc import AsyncIterator, Iterator

import pytest
from psycopg import AsyncConnection

from simulator.embedded.postgres import Postgres
from tests.alerts.audit.people import People, people_of


@pytest.fixture(scope="session")
def people(plain_postgres: Postgres, template: str) -> Iterator[People]:
    with people_of(plain_postgres, template) as made:
        yield made


@pytest.fixture
async def connection(people: People) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(people.dsn, autocommit=True) as opened:
        yield opened
