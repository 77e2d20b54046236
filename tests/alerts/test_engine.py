"""Every alert gets a receiver, once, whoever is running; and worklists hear of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import audience, engine
from alerts.ending import end
from alerts.signal import topic
from alerts.words import ZONE
from tests.alerts import rota
from tests.alerts.conftest import Pool
from tests.alerts.rota import HOUR
from tests.alerts.world import D, P, S, W, World

RED = {S: 192.0, D: 112.0}
# No holiday that week; midnight. Later than any run of the tests, as in timeline/story.py.
MONDAY = datetime(2038, 3, 1, tzinfo=ZONE)


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
        rota.contact(world, "marta", None)
        await engine.reroute(connection)
        assert [row[1] for row in routed(world)] == [None]
        rota.contact(world, "marta", "eva")
        await engine.reroute(connection)
        assert [row[1] for row in routed(world)] == [world.staff("eva")]
        await engine.reroute(connection)
        assert await engine.advance(connection) == 0
    assert world.one("select count(*) from alert_log where event = 'routed'") == 3


async def receiver(connection: AsyncConnection, world: World, now: datetime) -> object:
    """Look again at *now*; return who has Märta's alert."""
    while await engine.look_again(connection, now):
        pass
    (row,) = routed(world)
    names = {world.staff(key): key for key in ("anna", "eva", "lisa")}
    return names.get(row[1], row[2]) if isinstance(row[1], int) else row[2]


async def test_the_receiver_follows_hours_leave_and_rota_by_the_clock_alone(
    world: World, pool: Pool
) -> None:
    """All is written before; then nothing is but the time goes on."""
    rota.usual_hours(world)
    rota.away(world, "anna", MONDAY + 24 * HOUR, MONDAY + 48 * HOUR)
    rota.stands_in(world, "eva", colleague="anna")
    rota.on_duty(world, "lisa", MONDAY + 16 * HOUR, MONDAY + 20 * HOUR, unit="anna")
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection, now=MONDAY + 9 * HOUR)
        assert routed(world)[0][1:] == (world.staff("anna"), "fixed_contact")
        seen = [
            await receiver(connection, world, MONDAY + hours * HOUR)
            for hours in (15, 16, 19, 20, 31, 32, 39, 40, 55, 56)
        ]
    assert seen == [
        "anna",
        "lisa",  # on duty when the unit closes
        "lisa",
        "unit_queue",  # nobody has the night
        "unit_queue",
        "eva",  # Tuesday at eight: Anna is away
        "eva",
        "unit_queue",
        "unit_queue",
        "anna",  # Wednesday at eight: Anna is back
    ]
    whys = world.rows("select detail ->> 'why', at from alert_log where event = 'routed'")
    assert [why for why, _ in whys] == [
        "fixed_contact",
        "duty",
        "unit_queue",
        "substitute",
        "unit_queue",
        "fixed_contact",
    ]
    assert world.one("select routed_at from alert_case") == MONDAY + 56 * HOUR
    assert whys[1][1] == MONDAY + 16 * HOUR


async def test_yellow_keeps_its_receiver_over_night_and_is_written_once(
    world: World, pool: Pool
) -> None:
    rota.usual_hours(world)
    rota.on_duty(world, "lisa", MONDAY, MONDAY + 24 * HOUR, unit="anna")
    await world.measure_soon("marta", {S: 165.0, D: 80.0})
    async with pool.connection() as connection:
        await engine.advance(connection, now=MONDAY + 20 * HOUR)
        assert routed(world)[0][1:] == (world.staff("anna"), "waits_for_opening")
        for hours in (25, 32, 41):
            assert await receiver(connection, world, MONDAY + hours * HOUR) == "anna"
        await world.measure_soon("marta", {S: 190.0, D: 80.0})  # red is not for the morning
        await engine.advance(connection, now=MONDAY + 21 * HOUR)
    assert routed(world)[0][1:] == (world.staff("lisa"), "duty")
    assert world.one("select count(*) from alert_log where event = 'routed'") == 2


async def test_what_somebody_has_taken_stays_when_the_clock_strikes_and_goes_with_the_contact(
    world: World, pool: Pool
) -> None:
    rota.usual_hours(world)
    rota.on_duty(world, "lisa", MONDAY + 16 * HOUR, MONDAY + 32 * HOUR, unit="anna")
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection, now=MONDAY + 9 * HOUR)
        world.connection.execute("update alert set state = 'acknowledged'")
        assert await receiver(connection, world, MONDAY + 17 * HOUR) == "anna"
        world.connection.execute("update alert set state = 'open'")  # it expired
        assert await receiver(connection, world, MONDAY + 18 * HOUR) == "lisa"
        world.connection.execute("update alert set state = 'acknowledged'")
        rota.contact(world, "marta", "eva")
        assert await receiver(connection, world, MONDAY + 34 * HOUR) == "eva"


async def test_another_contact_is_noted_although_the_receiver_stays(
    world: World, pool: Pool
) -> None:
    """Whether her own contact handled it is known afterwards; nobody is told twice."""
    rota.stands_in(world, "eva", colleague="anna")
    rota.away(world, "anna", MONDAY, MONDAY + 24 * HOUR)
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection, now=MONDAY + 9 * HOUR)
        before = world.rows("select staff_id, contact_staff_id, routed_at from alert_case")
        rota.contact(world, "marta", "eva")
        assert await receiver(connection, world, MONDAY + 10 * HOUR) == "eva"
    after = world.rows("select staff_id, contact_staff_id, routed_at from alert_case")
    assert [row[1] for row in before + after] == [world.staff("anna"), world.staff("eva")]
    assert before[0][2] == after[0][2]
    assert world.one("select count(*) from alert_log where event = 'routed'") == 1


async def test_an_alert_for_a_team_has_the_team_which_is_woken_when_it_goes_elsewhere(
    world: World, pool: Pool
) -> None:
    team_id = rota.team(world, "anna", "eva", "lisa")
    rota.contact(world, "marta", team_id=team_id)
    await world.measure_soon("marta", RED)
    async with (
        pool.connection() as connection,
        await AsyncConnection.connect(world.dsn, autocommit=True) as ear,
    ):
        await engine.advance(connection)
        assert world.rows("select staff_id, team_id, routed_why from alert_case") == [
            (None, team_id, "contact_team")
        ]
        assert world.one("select detail -> 'told' from alert_log where event = 'routed'") == [
            world.staff("eva"),
            world.staff("lisa"),
        ]
        rota.contact(world, "marta", "anna")
        await ear.execute("listen worklist")
        await engine.reroute(connection)
        (heard,) = [said.payload.split() async for said in ear.notifies(timeout=5, stop_after=1)]
    assert set(heard) == {topic(world.staff(key), 0) for key in ("anna", "eva", "lisa")}


async def test_everybody_whose_list_it_is_on_is_woken(world: World, pool: Pool) -> None:
    now = datetime.now(UTC)
    rota.away(world, "anna", now - HOUR, now + HOUR)
    rota.stands_in(world, "eva", colleague="anna")
    rota.on_duty(world, "tove", now - HOUR, now + HOUR, unit="anna")
    await world.measure_soon("marta", {S: 165.0, D: 80.0})
    async with pool.connection() as connection:
        await engine.advance(connection)
        alert = world.alert("marta")
        rota.told(world, alert, who="lisa")
        found = await audience.topics(connection, [alert])
        assert found == {topic(world.staff(key), 0) for key in ("anna", "eva", "tove", "lisa")}
        rota.told(world, alert, unit="lisa")
        unit = world.one("select unit_id from staff where staff_id = %s", world.staff("lisa"))
        assert await audience.topics(connection, [alert]) == found | {topic(None, unit)}


async def test_all_are_looked_at_again_a_part_at_a_time_and_then_not_for_a_while(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("marta", "kalle", "ingrid", "sven", "olga"):
        await world.measure_soon(key, RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        rota.away(world, "anna", MONDAY, MONDAY + 24 * HOUR)
        monkeypatch.setattr(engine, "CLAIM_ROWS_MAX", 2)
        assert [await engine.look_again(connection, MONDAY) for _ in range(4)] == [
            True,
            True,
            False,  # the last one alone
            False,
        ]
        queued = "select count(*) from alert_case where staff_id is null"
        assert world.one(queued) == 4
        rota.contact(world, "ingrid", None)
        seconds = timedelta(seconds=engine.LOOK_AGAIN_S)
        assert not await engine.look_again(connection, MONDAY + seconds / 2)
        assert world.one(queued) == 4
        while await engine.look_again(connection, MONDAY + seconds):
            pass
        assert world.one(queued) == 5


async def test_the_hour_that_comes_twice_stops_nobody_from_looking_again(
    world: World, pool: Pool
) -> None:
    before = datetime(2038, 10, 31, 2, 59, 50, tzinfo=ZONE)  # summer time
    after = datetime(2038, 10, 31, 2, 0, 25, tzinfo=ZONE, fold=1)  # 35 seconds later
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection, now=before)
        await engine.look_again(connection, before)
        rota.contact(world, "marta", "eva")
        await engine.look_again(connection, after)
    assert routed(world)[0][1] == world.staff("eva")


async def test_one_looks_again_at_a_time(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection, pool.connection() as other:
        await engine.advance(connection)
        rota.contact(world, "marta", "eva")
        async with other.transaction():
            await other.execute("select from route_turn for update")
            assert not await engine.look_again(connection)
            assert routed(world)[0][1] == world.staff("anna")
        await engine.look_again(connection)
    assert routed(world)[0][1] == world.staff("eva")


async def test_engines_that_route_while_the_facts_change_agree_in_the_end(
    world: World, pool: Pool
) -> None:
    """Many hands on one alert, the contact changing under them: the log tells one story."""
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
    alert = world.alert("marta")

    async def follow() -> None:
        for _ in range(10):
            async with pool.connection() as connection:
                await engine.follow(connection, [alert])

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(follow())
        for number in range(10):
            rota.contact(world, "marta", ("anna", "eva")[number % 2])
            await asyncio.sleep(0)
    async with pool.connection() as connection:
        await engine.follow(connection, [alert])
    story = [
        to
        for (to,) in world.rows(
            "select (detail ->> 'to')::bigint from alert_log where event = 'routed' "
            "order by entry_id"
        )
    ]
    assert all(one != next_one for one, next_one in pairwise(story))
    assert routed(world)[0][1] == story[-1] == world.staff("eva")


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


async def test_an_alert_that_somebody_writes_a_log_of_is_routed_all_the_same(
    world: World, pool: Pool
) -> None:
    """A row that refers to it locks it weakly; who acts on it meanwhile needs its case."""
    await world.measure_soon("marta", RED)
    with psycopg.connect(world.dsn) as other:
        other.execute(
            "insert into alert_log (alert_id, event, staff_id) values (%s, 'shown', %s)",
            (world.alert("marta"), world.staff("anna")),
        )
        async with pool.connection() as connection:
            assert await engine.advance(connection, world.alert("marta")) == 1
            await world.measure_soon("marta", {S: 195.0, D: 115.0})
            assert await engine.advance(connection) == 1
    assert routed(world) == [(world.alert("marta"), world.staff("anna"), "fixed_contact")]


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


async def test_a_new_alert_does_not_wait_behind_those_that_only_changed(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red ones that change all the time fill no claim that a new yellow one needs."""
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with pool.connection() as connection:
        await engine.advance(connection)
        world.connection.execute("update alert set changed_at = clock_timestamp()")
        await world.measure_soon("kalle", {S: 165.0, D: 80.0})
        monkeypatch.setattr(engine, "CLAIM_ROWS_MAX", 1)
        await engine.advance(connection)
    assert (
        world.one("select count(*) from alert_case where alert_id = %s", world.alert("kalle")) == 1
    )
