"""A wave of alerts costs each no more than a few do, and red ones do not wait behind it."""

from datetime import UTC, datetime

import pytest

from alerts import claim, course, engine
from tests.alerts.conftest import Pool
from tests.alerts.world import World

NOW = datetime(2027, 2, 1, 9, tzinfo=UTC)
PEOPLE = 8  # the last one's alert is red


@pytest.fixture
def wave(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Alerts of new patients, of which one is claimed at a time, of the nearest two."""
    for module in (engine, course):
        monkeypatch.setattr(module, "CLAIM_ROWS_MAX", 1)
    for module in (engine, claim):
        monkeypatch.setattr(module, "_WORKERS", 2)
    world.connection.execute(
        "with made as ("
        "    insert into patient select from generate_series(1, %s) returning patient_id),"
        " known as ("
        "    insert into person (patient_id, unit_id, given_name, family_name, personal_number,"
        "        born_on, phone, diagnosis)"
        "    select patient_id, %s, 'Test', 'Våg', 'wave-' || patient_id, '1944-01-01', '', ''"
        "    from made)"
        " insert into alert (patient_id, rule, level, measured_at, opened_at, level_since)"
        " select patient_id, 'limit:blood_pressure',"
        "    case when patient_id = max(patient_id) over () then 2 else 1 end, %s, %s, %s"
        " from made order by patient_id",
        [PEOPLE, world.viewer("anna").unit_id, NOW, NOW, NOW],
    )
    return world


async def test_red_is_routed_and_told_before_the_many_that_were_there_first(
    wave: World, pool: Pool
) -> None:
    red = wave.one("select alert_id from alert where level = 2")
    async with pool.connection() as connection:
        assert await engine.advance(connection, now=NOW) == 1
        assert wave.rows("select alert_id from alert_case") == [(red,)]
        while await engine.advance(connection, now=NOW):
            pass
        assert await course.advance(connection, now=NOW) == 1
        assert wave.rows("select alert_id from alert_course") == [(red,)]
        while await course.advance(connection, now=NOW):
            pass
        assert wave.one("select count(*) from alert_course") == PEOPLE
        wave.connection.execute("update alert_course set due_at = %s", [NOW])
        assert await course.advance(connection, now=NOW) == 1
        due = "select alert_id from alert_course where due_at is distinct from %s"
        assert wave.rows(due, NOW) == [(red,)]


async def test_patients_nobody_knows_hold_up_nobody(wave: World, pool: Pool) -> None:
    known = wave.one("select max(patient_id) from person")
    wave.connection.execute(
        "delete from person where family_name = 'Våg' and patient_id <> %s", [known]
    )
    wave.connection.execute("update alert set level = 3 - level")  # the unknown ones are red
    async with pool.connection() as connection:
        assert await engine.advance(connection, now=NOW) == 1
        assert await course.advance(connection, now=NOW) == 1
    assert wave.rows("select patient_id from alert join alert_course using (alert_id)") == [
        (known,)
    ]


async def test_a_new_red_one_is_before_those_that_are_told_again(wave: World, pool: Pool) -> None:
    wave.connection.execute("update alert set level = 2")
    async with pool.connection() as connection:
        newest = wave.one("select max(alert_id) from alert")
        known = [one for (one,) in wave.rows("select alert_id from alert") if one != newest]
        await engine.follow(connection, known, NOW)
        while await course.advance(connection, now=NOW):
            pass
        # All others have changed, and are due again; the last is new.
        wave.connection.execute("update alert set is_untold = true")
        wave.connection.execute("update alert_course set due_at = %s", [NOW])
        assert wave.one("select count(*) from alert_case") == PEOPLE - 1
        await engine.advance(connection, now=NOW)
        assert wave.one("select max(alert_id) from alert_case") == newest
        await course.advance(connection, now=NOW)
        assert wave.one("select max(alert_id) from notification") == newest


async def test_no_plan_is_kept_from_a_quiet_night(wave: World, pool: Pool) -> None:
    """One for a table of a page would look through all alerts for each in a wave."""
    async with pool.connection() as connection:
        for _ in range(2 * PEOPLE):  # a statement is prepared when it comes the sixth time
            await engine.advance(connection, now=NOW)
            await course.advance(connection, now=NOW)
        asked = await connection.execute(
            "select count(*), sum(generic_plans) from pg_prepared_statements"
            " where not from_sql and cardinality(parameter_types) > 0"
        )
        prepared, kept = await asked.fetchone() or (0, 0)
    assert prepared > 4
    assert kept == 0


@pytest.mark.parametrize("module", [engine, claim])
async def test_what_is_near_is_asked_for_in_the_order_of_an_index(
    wave: World, pool: Pool, module: object
) -> None:
    """None is sorted, and no table read whole."""
    query = module._NEAR  # type: ignore[attr-defined]
    asked = {"now": NOW, "most": 200}
    with wave.connection.transaction(force_rollback=True):
        wave.connection.execute("set local enable_seqscan = off")  # it has a few rows here
        wave.connection.execute("set local enable_bitmapscan = off")
        explained = wave.connection.execute("explain " + query, asked).fetchall()
    plan = "\n".join(line for (line,) in explained)
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
    assert "Hash" not in plan
