"""A town that all these tests share: what one of them writes is rolled back."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, sql

from simulator.embedded.postgres import Postgres
from tests.alerts.care.huvudmen import one_for_all
from tests.alerts.world import World


@dataclass(frozen=True, slots=True)
class Town:
    """Who is who in a world of one huvudman and the usual hours; and one transaction in it."""

    connection: AsyncConnection[Any]
    staff: dict[str, int]
    patient: dict[str, int]
    unit: dict[str, int]  # by the unit's name

    async def run(self, query: str, *values: object) -> None:
        await self.connection.execute(query.encode(), values)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        cursor = await self.connection.execute(query.encode(), values)
        return await cursor.fetchall()


def copy(postgres: Postgres, template: str) -> str:
    """Return the address of a new database like the template."""
    name = f"town_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return postgres.dsn(name)


@pytest.fixture(scope="session")
def quiet(plain_postgres: Postgres, template: str) -> Iterator[World]:
    """A world that nobody changes."""
    dsn = copy(plain_postgres, template)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("delete from unit_hours")
        world = World(dsn, connection)
        one_for_all(world)
        yield world


@pytest.fixture
async def town(quiet: World) -> AsyncIterator[Town]:
    staff = quiet.rows("select username, staff_id from account where staff_id is not null")
    unit = quiet.rows("select name, unit_id from unit")
    patient = {key: quiet.patient(key) for key in ("marta", "kalle", "ingrid", "sven", "olga")}
    connecting = AsyncConnection.connect(quiet.dsn, autocommit=True)
    async with await connecting as connection, connection.transaction(force_rollback=True):
        yield Town(connection, dict(staff), patient, dict(unit))
