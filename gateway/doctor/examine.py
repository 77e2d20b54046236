"""Examine: every look in its order, from the box itself outwards."""

from collections.abc import AsyncIterator
from pathlib import Path

from gateway.config import Config
from gateway.doctor import home, place
from gateway.doctor.adapter import adapter
from gateway.doctor.finding import Finding
from gateway.doctor.server import broker, certificate
from gateway.timekeeper import Clocks, MachineClocks


async def examine(
    path: Path, config: Config, clocks: Clocks | None = None
) -> AsyncIterator[Finding]:
    """Yield what is found, as it is found; changes nothing.

    Args:
        path: The configuration's file.
        config: What stands in it.
        clocks: The machine's, unless a test has others.
    """
    clocks = clocks or MachineClocks()
    looks = (
        place.gateway(config),
        place.config_file(path),
        place.directory(config),
        place.disk(config),
        place.store(config),
        home.clock(config, clocks),
        certificate(config, clocks.wall()),
    )
    for look in looks:
        for finding in look:
            yield finding
    for outward in (adapter(config), broker(config)):
        async for finding in outward:
            yield finding
    for look in (home.lending(config), home.packages(), home.feedback(config)):
        for finding in look:
            yield finding
