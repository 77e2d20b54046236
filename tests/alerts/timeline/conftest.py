"""A story for each test; whatever is heard in the end and was not expected fails it."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, time

import pytest

from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Pool
from tests.alerts.sending.conftest import world_of_its_own
from tests.alerts.timeline.story import MONDAY, STOCKHOLM, Story, settle_in
from tests.alerts.world import World

_KEEP = """
do $$ declare name text; begin
    create schema kept;
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('create table kept.%I as table public.%I', name, name);
    end loop;
end $$
"""
# The guards of what is append-only, and foreign keys, sleep meanwhile.
_PUT_BACK = """
do $$ declare name text; begin
    set local session_replication_role = replica;
    for name in select tablename from pg_tables where schemaname = 'public' loop
        execute format('delete from public.%I', name);
        execute format('insert into public.%I overriding system value table kept.%I', name, name);
    end loop;
end $$
"""


@pytest.fixture(scope="module")
def settled(plain_postgres: Postgres, template: str) -> Iterator[World]:
    """One world for the tests of a module: people with telephones."""
    with world_of_its_own(plain_postgres, template) as world:
        settle_in(world)
        world.connection.execute(_KEEP)
        yield world


@pytest.fixture
def world(settled: World) -> Iterator[World]:
    """The world as it was, for each test."""
    yield settled
    settled.connection.execute(_PUT_BACK)


@pytest.fixture
async def story(world: World, pool: Pool) -> AsyncIterator[Story]:
    """A Monday morning at seven; the units open at eight."""
    morning = datetime.combine(MONDAY, time(7), STOCKHOLM)
    async with pool.connection() as connection:
        told = Story(world, pool, connection, morning)
        yield told
        told.expects()
