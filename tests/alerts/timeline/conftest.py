"""A story for each test; whatever is heard in the end and was not expected fails it."""

from collections.abc import AsyncIterator
from datetime import datetime, time

import pytest

from tests.alerts.conftest import Pool
from tests.alerts.timeline.story import MONDAY, STOCKHOLM, Story, settle_in
from tests.alerts.world import World


@pytest.fixture
async def story(world: World, pool: Pool) -> AsyncIterator[Story]:
    """A Monday morning at seven; the units open at eight."""
    settle_in(world)
    morning = datetime.combine(MONDAY, time(7), STOCKHOLM)
    async with pool.connection() as connection:
        told = Story(world, pool, connection, morning)
        yield told
        told.expects()
