"""The chores of ingest's clock, in the order in which a lane does them."""

from datetime import datetime, time
from typing import Final

from ingest import asked, days, recheck, rejudge, repeat, replay, retention
from ingest.clock import composite, due, means, missing, trim
from ingest.clock.chore import Chore, Connection, Lane, Run
from ingest.registry import Registry

# When the least is measured, and before anybody's day begins.
NIGHT: Final = time(3, 30)


def chores(keep_days: int) -> tuple[Chore, ...]:
    """Return every chore.

    Args:
        keep_days: How long readings are kept, for the retention.
    """
    people, back, house = Lane.PEOPLE, Lane.BACK, Lane.HOUSE
    return (
        Chore(name=due.DUE, run=due.make, lane=people, every_s=5),
        Chore(name=missing.MISSING, run=missing.look, lane=people, every_s=10),
        Chore(name="rolling_mean", run=means.weekly, lane=people, every_s=15, most=2_000),
        # Five weeks of a step counter that is read some times a day are some hundred samples.
        Chore(name="baseline", run=means.daily, lane=people, every_s=15, most=1_000),
        Chore(name=composite.COMPOSITE, run=composite.look, lane=people, every_s=15, most=1_000),
        Chore(name="repeat", run=repeat.settle_due, lane=back, every_s=5, most=1_000),
        Chore(name="asked", run=_asked, lane=back, every_s=2, most=100),
        Chore(name="rejudge", run=_rejudge, lane=back, every_s=2, most=1_000),
        Chore(name="loans", run=replay.after_loans, lane=back, every_s=15, most=1_000),
        Chore(name="days", run=_days, lane=house, every_s=60),
        Chore(name=trim.TRIM, run=trim.forget, lane=house, every_s=600),
        Chore(name="retention", run=_retention(keep_days), lane=house, every_s=60),
        Chore(name="recheck", run=_recheck, lane=house, every_s=60, at=NIGHT),
    )


async def _asked(connection: Connection, _registry: Registry, _now: datetime, most: int) -> int:
    return await asked.settle(connection, most)


async def _rejudge(connection: Connection, registry: Registry, _now: datetime, most: int) -> int:
    return await rejudge.run(connection, registry, most)


async def _days(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
    return await days.roll(connection, now, most)


def _retention(keep_days: int) -> Run:
    async def run(connection: Connection, _registry: Registry, now: datetime, most: int) -> int:
        return await retention.run(connection, now, keep_days, most)

    return run


async def _recheck(connection: Connection, _registry: Registry, now: datetime, _most: int) -> int:
    """Look again; once is enough, however many differences there are."""
    await recheck.nightly(connection, now)
    return 0
