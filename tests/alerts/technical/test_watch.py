"""What technicians are told, as time goes by: from what ingest stored to a row that ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from alerts.technical import watch
from alerts.technical.fault import CALM
from alerts.technical.policy import POLICIES, Tier
from devices.wire import Bond, Condition, ConditionCode, DeviceStatus, GatewayState
from tests.alerts.gateways import register, say
from tests.alerts.world import GATEWAY, World, device

CUFF = device("marta")
Connection = psycopg.AsyncConnection[Any]
NOW = datetime.now(UTC)


def listed(world: World) -> set[tuple[str, str]]:
    return set(world.rows("select kind, key from technical where closed_at is null"))


class Watch:
    """Looks at times counted from the beginning of the test."""

    def __init__(self, connection: Connection) -> None:
        self.began_at = datetime.now(UTC)
        self.connection = connection

    async def __call__(self, after: timedelta = timedelta()) -> tuple[int, int]:
        """Look; return how many faults were opened and closed."""
        looked = await watch.look(self.connection, self.began_at + after)
        assert looked is not None
        return looked.faults.opened, looked.faults.closed


@pytest.fixture
async def look(world: World) -> AsyncIterator[Watch]:
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as opened:
        yield Watch(opened)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


async def test_a_silent_gateway_is_told_once_and_ends_by_itself(world: World, look: Watch) -> None:
    await say(world, ago=minutes(16))
    assert await look() == (1, 0)
    assert await look(minutes(1)) == (0, 0)
    assert listed(world) == {("silent_gateway", GATEWAY)}
    await say(world, ago=minutes(-2))  # heard again
    assert await look(minutes(2)) == (0, 0)
    assert listed(world) == {("silent_gateway", GATEWAY)}  # it may come and go
    assert await look(minutes(2) + CALM) == (0, 1)
    assert listed(world) == set()
    assert world.one("select closed_by is null from technical")


async def test_a_gateway_that_comes_and_goes_is_one_row(world: World, look: Watch) -> None:
    await say(world, ago=minutes(16))
    await look()
    for minute in (5, 10, 15, 20):  # each look finds it well
        await say(world, ago=minutes(-minute) + minutes(17 if minute % 10 else 0))
        await look(minutes(minute))
    assert world.one("select count(*) from technical") == 1


async def test_each_kind_is_found_in_what_is_stored(world: World, look: Watch) -> None:
    register(world, "g-ny")
    await say(
        world,
        outbox=3,
        oldest_at=NOW - timedelta(hours=2),
        certificate_until=NOW + timedelta(days=3),
        conditions=(Condition(code=ConditionCode.STORAGE_FULL),),
        devices=(
            DeviceStatus(device_id=CUFF, battery_percent=3, bond=Bond.LOST, clock_offset_s=-400.0),
        ),
    )
    world.connection.execute(
        "insert into incident (kind, key, detail) values ('canary', '', 'not seen in 60 s')"
    )
    refuse(world, "unassigned")
    await look()
    assert listed(world) == {
        ("never_heard", "g-ny"),
        ("outbox_grows", GATEWAY),
        ("certificate_expires", GATEWAY),
        ("condition", f"{GATEWAY}:storage_full"),
        ("low_battery", f"{GATEWAY}:{CUFF}"),
        ("lost_bond", f"{GATEWAY}:{CUFF}"),
        ("clock_off", f"{GATEWAY}:{CUFF}"),
        ("incident", "canary:"),
        ("quarantine_grows", f"{GATEWAY}:unassigned"),
    }


WRONG: list[dict[str, Any]] = [
    {"outbox": 3, "oldest_at": NOW - timedelta(hours=2)},
    {"certificate_until": NOW + timedelta(days=13)},
    {"conditions": (Condition(code=ConditionCode.RADIO_LOST),)},
    {"devices": (DeviceStatus(device_id=CUFF, battery_percent=20),)},
    {"devices": (DeviceStatus(device_id=CUFF, bond=Bond.LOST),)},
    {"devices": (DeviceStatus(device_id=CUFF, clock_offset_s=301.0),)},
    {"devices": (DeviceStatus(device_id=CUFF, clock_offset_s=-301.0),)},
]


async def test_one_thing_alone_passes_the_sieve(world: World, look: Watch) -> None:
    names = [f"g-{number}" for number in range(len(WRONG))]
    register(world, *names)
    await say(world)
    for name, wrong in zip(names, WRONG, strict=True):
        await say(world, name, **wrong)
    await look()
    assert [name for (name,) in world.rows("select gateway_id from technical order by 1")] == names


async def test_a_well_gateway_is_not_told(world: World, look: Watch) -> None:
    await say(world, certificate_until=NOW + timedelta(days=60), version="2026.11.0")
    assert await look() == (0, 0)


async def test_a_gateway_that_stopped_and_is_retired_leaves_the_list(
    world: World, look: Watch
) -> None:
    await say(world, ago=minutes(60), state=GatewayState.STOPPED)
    assert await look() == (1, 0)
    world.connection.execute("update gateway set retired_at = now()")
    await look(minutes(1))
    assert await look(minutes(2) + CALM) == (0, 1)


def refuse(world: World, reason: str, gateway_id: str = GATEWAY, times: int = 1) -> None:
    for _ in range(times):
        world.connection.execute(
            "insert into quarantine (fingerprint, gateway_id, topic, reason, detail, content) "
            "values (decode(md5(random()::text), 'hex'), %s, %s, %s, '', '')",
            (gateway_id, f"egenmonitor/v1/{gateway_id}/readings", reason),
        )


async def test_a_gateway_nobody_knows_is_told(world: World, look: Watch) -> None:
    refuse(world, "unknown_gateway", "g-okx")
    await say(world)
    await look()
    assert listed(world) == {("quarantine_grows", "g-okx:unknown_gateway")}


async def test_refused_readings_are_off_the_list_when_they_are_settled(
    world: World, look: Watch
) -> None:
    await say(world)
    refuse(world, "unassigned")
    await look()
    world.connection.execute("update quarantine set settled_at = now()")
    assert await look(CALM + minutes(1)) == (0, 1)


async def test_the_canarys_gateway_is_none_of_theirs(world: World, look: Watch) -> None:
    await say(world, ago=minutes(60))
    refuse(world, "implausible", times=5)
    world.connection.execute("update gateway set is_canary = true")
    assert await look() == (0, 0)


async def test_when_most_fall_silent_it_is_one_fault(world: World, look: Watch) -> None:
    names = [f"g-{number}" for number in range(11)]
    register(world, *names)
    for name in names:
        await say(world, name, ago=minutes(20 if name == "g-0" else 1))
    await say(world, ago=minutes(1))
    await look()
    assert listed(world) == {("silent_gateway", "g-0")}
    # Then the server's own network is away: what was told stays, and one is added.
    await look(minutes(20))
    assert listed(world) == {("silent_gateway", "g-0"), ("incident", "all_silent")}
    for name in names[1:]:
        await say(world, name, ago=minutes(-21))
    await say(world, ago=minutes(-21))
    await look(minutes(21))
    assert await look(minutes(21) + CALM) == (0, 1)
    assert listed(world) == {("silent_gateway", "g-0")}


async def test_what_a_technician_closed_comes_back_if_it_lasts(world: World, look: Watch) -> None:
    """Of a home where nothing is expected each day: after a week."""
    await say(world, ago=minutes(16))
    await look()
    close(world, look.began_at)
    trust = POLICIES[Tier.ROUTINE].trust
    world.connection.execute("update technical set seen_at = %s", (look.began_at + trust - CALM,))
    assert await look(trust - minutes(1)) == (0, 0)
    assert await look(trust) == (1, 0)


async def test_what_was_gone_after_a_technician_closed_it_is_told_anew(
    world: World, look: Watch
) -> None:
    await say(world, ago=minutes(16))
    await look()
    close(world, look.began_at)
    await say(world, ago=minutes(-5))
    await look(minutes(5))
    assert await look(minutes(25)) == (1, 0)


def close(world: World, at: datetime) -> None:
    world.connection.execute(
        "update technical set closed_at = %s, closed_by = %s", (at, world.staff("tove"))
    )


async def test_two_that_look_at_once_make_one_row(world: World, look: Watch) -> None:
    await say(world, ago=minutes(16))
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as other:
        done = await asyncio.gather(*(watch.look(each) for each in (look.connection, other)))
    assert sum(one.faults.opened for one in done if one is not None) == 1
    assert world.one("select count(*) from technical") == 1


async def test_while_another_looks_nothing_is_done(world: World, look: Watch) -> None:
    await say(world, ago=minutes(16))
    with world.connection.transaction():
        world.connection.execute("select pg_advisory_xact_lock(hashtext('alerts.technical'))")
        assert await watch.look(look.connection) is None
    assert await look() == (1, 0)


async def test_a_list_that_nobody_reads_is_told_to_whoever_runs_this(
    world: World, look: Watch
) -> None:
    def open_incidents() -> list[tuple[Any, ...]]:
        return world.rows("select kind from incident where closed_at is null")

    await look()
    assert open_incidents() == []
    world.connection.execute("update staff_function set until_at = now()")
    await look()
    await look()
    assert open_incidents() == [("technicians",)]
    world.connection.execute(
        "insert into staff_function (staff_id, name) values (%s, 'technician')",
        (world.staff("anna"),),
    )
    await look()
    assert open_incidents() == []


async def test_no_row_names_a_patient(world: World, look: Watch) -> None:
    for number in range(6):
        await world.measure_soon("marta", ago=minutes(60 - number))
    await look(minutes(1))
    (row,) = world.rows("select detail from technical where kind = 'failed_measurements'")
    assert row[0].keys() == {"failures", "urgency"}
