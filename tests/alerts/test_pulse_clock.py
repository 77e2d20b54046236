"""A clock that was wrong, or that is put forward, neither hides a silence nor makes one."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from psycopg_pool import AsyncConnectionPool

from alerts import pulse
from alerts.pulse import Part
from tests.alerts.conftest import Pool
from tests.alerts.world import World


async def test_after_a_clock_that_was_ahead_a_silence_is_seen_and_a_beat_counts(
    world: World, pool: Pool
) -> None:
    world.connection.execute("insert into pulse values ('course', now() + interval '30 days')")
    async with pool.connection() as connection:
        assert [one.part for one in await pulse.silent(connection)] == [Part.COURSE]
        await pulse.beat(connection, Part.COURSE)
        assert await pulse.silent(connection) == ()
    assert world.one("select at <= now() from pulse")


async def test_two_moments_of_a_spring_night_are_as_far_apart_as_they_are(world: World) -> None:
    """A connection's zone decides how moments come, and not how far apart they are."""
    shown = datetime(2027, 3, 28, 0, 59, 58, tzinfo=UTC), datetime(2027, 3, 28, 1, 0, 1, tzinfo=UTC)
    local = [at.astimezone(ZoneInfo("Europe/Stockholm")) for at in shown]
    assert local[1] - local[0] > timedelta(hours=1)  # by the wall
    world.connection.execute("create table now_was as select %s::timestamptz as at", (shown[1],))
    world.connection.execute(
        "create function public.now() returns timestamptz language sql stable "
        "as 'select at from now_was'"
    )
    world.connection.execute("insert into pulse values ('course', %s)", (shown[0],))
    kwargs = {
        "autocommit": True,
        "options": "-c timezone=Europe/Stockholm -c search_path=public,pg_catalog",
    }
    async with (
        AsyncConnectionPool(world.dsn, min_size=1, open=False, kwargs=kwargs) as pool,
        pool.connection() as connection,
    ):
        assert await pulse.silent(connection) == ()
