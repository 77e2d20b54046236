"""A story for each test; whatever is heard in the end and was not expected fails it."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, time

import pytest

from simulator.embedded.postgres import Postgres
from tests.alerts.conftest import Pool
from tests.alerts.shared import Shared, shared_by_all
from tests.alerts.timeline.story import MONDAY, STOCKHOLM, Story, settle_in
from tests.alerts.timeline.technicians import Technicians
from tests.alerts.world import World


@pytest.fixture(scope="session")
def settled(plain_postgres: Postgres, template: str) -> Iterator[Shared]:
    """The database behind the worlds in which people have telephones."""
    with shared_by_all(plain_postgres, template, settle_in) as shared:
        yield shared


@pytest.fixture
def world(settled: Shared) -> Iterator[World]:
    """The world as it was, for each test."""
    with settled.lend() as world:
        yield world


@pytest.fixture
async def story(world: World, pool: Pool) -> AsyncIterator[Story]:
    """A Monday morning at seven; the units open at eight."""
    morning = datetime.combine(MONDAY, time(7), STOCKHOLM)
    async with pool.connection() as connection:
        told = Story(world, pool, connection, morning)
        yield told
        told.expects()


@pytest.fixture
def technicians(story: Story) -> Technicians:
    """Those who look after the fleet, and the look for faults."""
    return Technicians(story)
