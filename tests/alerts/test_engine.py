"""Every alert gets a receiver, once, whoever is running; and worklists hear of it."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import engine
from alerts.ending import end
from alerts.signal import Hub, listen, topic
from tests.alerts.conftest import Pool
from tests.alerts.world import D, P, S, W, World

RED = {S: 192.0, D: 112.0}


async def routed_as_many_as(world: World, number: int) -> None:
    while len(routed(world)) < number:  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(0.01)


def routed(world: World) -> list[tuple[object, ...]]:
    return world.rows("select alert_id, staff_id, routed_why from alert_case order by alert_id")


async def test_an_alert_goes_to_the_fixed_contact_and_the_log_says_why(
    world: World, pool: Pool
) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        assert await engine.advance(connection) == 1
        assert await engine.advance(connection) == 0
    alert = world.alert("marta")
    assert routed(world) == [(alert, world.staff("anna"), "fixed_contact")]
    events = world.rows("select event, detail from alert_log where alert_id = %s", alert)
    assert [event for event, _ in events] == ["opened", "routed"]
    assert events[1][1]["sentence"] == "Till Anna Provberg: fast vårdkontakt."


async def test_an_alert_of_the_canary_goes_to_nobody(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    world.connection.execute(
        "update patient set is_canary = true where patient_id = %s", [world.patient("marta")]
    )
    async with pool.connection() as connection:
        assert await engine.advance(connection) == 0
    assert routed(world) == []


async def test_without_a_contact_it_goes_to_the_units_queue_with_a_warning(
    world: World, pool: Pool
) -> None:
    await world.measure_soon("sven", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
    alert = world.alert("sven")
    assert routed(world) == [(alert, None, "no_contact")]
    assert (
        world.one(
            "select detail ->> 'warning' from alert_log where alert_id = %s and event = 'routed'",
            alert,
        )
        == "true"
    )


async def test_routing_follows_the_contact(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        world.connection.execute(
            "update care_contact set until_at = now() where patient_id = %s",
            [world.patient("marta")],
        )
        await engine.advance(connection)
        assert [row[1] for row in routed(world)] == [None]
        world.connection.execute(
            "insert into care_contact values (%s, %s, now())",
            [world.patient("marta"), world.staff("eva")],
        )
        await engine.advance(connection)
        assert [row[1] for row in routed(world)] == [world.staff("eva")]
        assert await engine.advance(connection) == 0
    assert world.one("select count(*) from alert_log where event = 'routed'") == 3


async def test_a_joined_or_raised_alert_is_told_and_not_routed_again(
    world: World, pool: Pool
) -> None:
    async with (
        pool.connection() as connection,
        await AsyncConnection.connect(world.dsn, autocommit=True) as ear,
    ):
        await ear.execute("listen worklist")
        for values in ({S: 165.0, D: 80.0}, {S: 167.0, D: 80.0}, {S: 190.0, D: 80.0}):
            await world.measure_soon("marta", values)
            assert await engine.advance(connection) == 1
        heard = [said.payload async for said in ear.notifies(timeout=5, stop_after=3)]
    assert heard == [topic(world.staff("anna"), 0)] * 3
    assert world.one("select count(*) from alert_log where event = 'routed'") == 1
    assert world.one("select level from alert") == 2


async def test_two_engines_route_each_alert_once(world: World, pool: Pool) -> None:
    for number in range(3):
        for key in ("marta", "kalle", "ingrid", "sven", "olga"):
            ago = timedelta(minutes=1 + number)
            await world.measure_soon(key, {**RED, P: 130.0, W: 90.0}, ago=ago)
    assert world.one("select count(*) from alert") == 15
    alert = asyncio.Event()
    async with asyncio.timeout(20):
        tasks = [asyncio.create_task(engine.run(pool, alert)) for _ in range(4)]
        while world.one("select count(*) from alert_case") < 15:
            alert.set()
            await asyncio.sleep(0.01)
        await end(tasks)
    counts = world.rows(
        "select alert_id, count(*) from alert_log where event = 'routed' group by alert_id"
    )
    assert sorted(count for _, count in counts) == [1] * 15


async def test_a_locked_alert_is_left_to_who_holds_it(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    await world.measure_soon("kalle", RED)
    with psycopg.connect(world.dsn) as other:
        other.execute("select 1 from alert where alert_id = %s for update", [world.alert("marta")])
        async with pool.connection() as connection:
            assert await engine.advance(connection) == 1
    assert [row[0] for row in routed(world)] == [world.alert("kalle")]


async def test_a_lost_notification_is_made_good_by_polling(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "POLL_S", 0.05)
    await world.measure_soon("marta", RED)
    task = asyncio.create_task(engine.run(pool, asyncio.Event()))
    async with asyncio.timeout(10):
        for number, key in enumerate(("kalle", "sven"), start=1):
            await routed_as_many_as(world, number)
            await world.measure_soon(key, RED)  # after the engine has looked and seen the other
        await routed_as_many_as(world, 3)
    await end([task])


async def test_one_listener_wakes_the_engine_and_the_lists_concerned(world: World) -> None:
    hub, alert = Hub(), asyncio.Event()
    task = asyncio.create_task(listen(world.dsn, hub, alert))
    async with asyncio.timeout(10):
        with hub.listen(["s1"]) as mine, hub.listen(["s2"]) as other:
            await alert.wait()  # at the start everybody is woken
            for event in (alert, mine, other):
                await event.wait()
                event.clear()
            world.connection.execute("select pg_notify('worklist', 's1 u7')")
            await mine.wait()
            assert not other.is_set()
            world.connection.execute("select pg_notify('alert', '')")
            await alert.wait()
            mine.clear()
            world.connection.execute("select pg_notify('worklist', '')")
            await mine.wait()
            await other.wait()
    await end([task])


async def test_a_listener_that_lost_its_connection_comes_back_and_wakes_everybody(
    world: World,
) -> None:
    hub, alert = Hub(), asyncio.Event()
    task = asyncio.create_task(listen(world.dsn, hub, alert))
    async with asyncio.timeout(10):
        await alert.wait()
        alert.clear()
        world.connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
        await alert.wait()
    await end([task])


def test_a_listener_that_went_away_is_forgotten() -> None:
    hub = Hub()
    with hub.listen(["a", "b"]), hub.listen(["a"]):
        pass
    assert hub._waiting == {}
    assert hub._count == 0


async def test_a_task_that_loses_a_cancellation_is_asked_again() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await end([task])
    assert task.cancelled()
