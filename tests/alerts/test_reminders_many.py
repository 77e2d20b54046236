"""What a look costs does not grow with the square of who waits."""

import pytest
from psycopg_pool import AsyncConnectionPool

from tests.alerts.conftest import Pool
from tests.alerts.reminding import Home
from tests.alerts.world import World


@pytest.fixture
def home(world: World, pool: Pool) -> Home:
    return Home(world, pool)


async def rows_read(pool: Pool, world: World, table: str) -> int:
    """Return how many rows of a table the pool's one connection and others have read."""
    async with pool.connection() as connection:
        await connection.execute("select pg_stat_force_next_flush()")
    query = "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = %s"
    return int(world.one(query, table))


async def test_a_morning_of_many_looks_at_each_a_few_times(home: Home) -> None:
    """Not at all who are left before each few that are sent: 1,000 wait at nine."""
    world = home.world
    world.connection.execute("insert into patient (patient_id) select generate_series(1001, 1200)")
    world.connection.execute(
        "insert into person (patient_id, given_name, family_name, personal_number, born_on, phone, "
        "diagnosis, unit_id) "
        "select n, 'Prov', 'Provsson', lpad(n::text, 12, '0'), '1950-01-01', '', '', unit_id "
        "from generate_series(1001, 1200) n, (select min(unit_id) as unit_id from unit) u"
    )
    everybody = home.everybody()
    world.connection.execute("analyze")
    async with AsyncConnectionPool(
        world.dsn, min_size=1, max_size=1, kwargs={"autocommit": True}
    ) as one:
        home.pool = one
        before = await rows_read(one, world, "rule_due")
        assert await home.look() == everybody > 200
        # All of them once or twice, whatever way is taken, and not once for each few.
        assert await rows_read(one, world, "rule_due") - before < 4 * everybody**2
