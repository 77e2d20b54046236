"""An alert of a patient whom the care record does not know: somebody must see to it."""

import pytest

from alerts import engine
from tests.alerts.conftest import Pool
from tests.alerts.world import D, S, World

OPEN = "select kind, key, times from incident where closed_at is null"


async def test_it_is_an_incident_until_the_care_record_knows_her(
    world: World, pool: Pool, capfd: pytest.CaptureFixture[str]
) -> None:
    patient_id = world.one("insert into patient default values returning patient_id")
    world.connection.execute(
        "insert into alert (patient_id, rule, level, measured_at) "
        "values (%s, 'limit:blood_pressure', 2, now())",
        (patient_id,),
    )
    async with pool.connection() as connection:
        for _ in range(3):
            await engine.advance(connection)
            await engine._report_unknown(connection)
        assert world.rows(OPEN) == [("routing", "patient_unknown", 1)]
        assert "".join(capfd.readouterr()).count("alerts.patient_unknown") == 1
        world.connection.execute("update alert set state = 'closed'")
        await engine._report_unknown(connection)
        assert world.rows(OPEN) == []


async def test_who_was_known_and_is_no_more_is_one_too(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with pool.connection() as connection:
        await engine.advance(connection)
        await engine._report_unknown(connection)
        assert world.rows(OPEN) == []
        world.connection.execute("set session_replication_role = replica")
        world.connection.execute(
            "delete from person where patient_id = %s", (world.patient("marta"),)
        )
        world.connection.execute("set session_replication_role = origin")
        await engine.reroute(connection)
        await engine._report_unknown(connection)
        assert world.rows(OPEN) == [("routing", "patient_unknown", 1)]
