"""An alert to begin with."""

import pytest

from tests.alerts.web.api.program import RED
from tests.alerts.world import World


@pytest.fixture
async def alert(world: World) -> int:
    """Return Märta's red alert."""
    await world.measure_soon("marta", RED)
    return world.alert("marta")
