"""The worklist holds one's own alerts, all of them, most urgent first."""

from datetime import timedelta

import pytest

from alerts import engine
from alerts import worklist as module
from alerts.worklist import Worklist, worklist
from tests.alerts.conftest import Pool
from tests.alerts.world import D, P, S, World


async def seen_by(world: World, pool: Pool, who: str) -> Worklist:
    async with pool.connection() as connection:
        await engine.advance(connection)
        return await worklist(connection, world.viewer(who))


async def test_each_sees_her_own_patients_and_her_units_queue(world: World, pool: Pool) -> None:
    for key in ("marta", "kalle", "ingrid", "sven", "olga"):
        await world.measure_soon(key, {S: 192.0, D: 112.0})
    names = {
        who: sorted(row.given_name for row in (await seen_by(world, pool, who)).rows)
        for who in ("anna", "eva", "lisa", "marta")
    }
    assert names == {
        "anna": ["Kalle", "Märta", "Sven"],
        "eva": ["Sven"],
        "lisa": ["Ingrid", "Olga"],
        "marta": [],
    }


async def test_red_comes_first_then_what_nobody_took_then_what_waited_longest(
    world: World, pool: Pool
) -> None:
    await world.measure_soon("sven", {S: 165.0, D: 80.0})
    await world.measure_soon("kalle", {S: 192.0, D: 80.0})
    await world.measure_soon("marta", {S: 192.0, D: 80.0})
    await world.measure_soon("marta", {P: 105.0})
    world.connection.execute(
        "update alert set state = 'acknowledged' where alert_id = %s", [world.alert("kalle")]
    )
    rows = (await seen_by(world, pool, "anna")).rows
    assert [(row.given_name, row.level) for row in rows] == [
        ("Märta", 2),
        ("Kalle", 2),
        ("Sven", 1),
        ("Märta", 1),
    ]


async def test_a_row_says_why_by_its_newest_worst_value(world: World, pool: Pool) -> None:
    for hours, systolic in ((3, 192.0), (2, 199.0), (1, 165.0)):
        await world.measure_soon("marta", {S: systolic, D: 80.0}, ago=timedelta(hours=hours))
    (row,) = (await seen_by(world, pool, "anna")).rows
    assert row.why() == "Blodtryck 199/80 (systolisk gräns 180)"
    assert row.readings == 3


async def test_a_closed_alert_is_gone(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 80.0})
    assert len((await seen_by(world, pool, "anna")).rows) == 1
    world.connection.execute("update alert set state = 'closed'")
    assert not (await seen_by(world, pool, "anna")).rows


async def test_what_there_is_no_room_for_is_counted(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    for key in ("marta", "kalle", "sven"):
        await world.measure_soon(key, {S: 192.0, D: 80.0, P: 105.0})
    listed = await seen_by(world, pool, "anna")
    assert (len(listed.rows), listed.red, listed.yellow, listed.left_out) == (2, 3, 3, 4)


async def test_an_alert_without_a_breach_is_seen_all_the_same(world: World, pool: Pool) -> None:
    world.connection.execute(
        "insert into alert (patient_id, rule, level, measured_at) "
        "values (%s, 'new:rule', 2, now())",
        [world.patient("marta")],
    )
    (row,) = (await seen_by(world, pool, "anna")).rows
    assert row.why() == "Larm av okänt slag (new:rule)"
