"""Who works for another huvudman stands in where the patient has consented, and as long."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection

from alerts.access import Scope
from alerts.care import block, consent, substitutes
from alerts.care.consent import Answer, Holder, How
from alerts.care.file import read
from alerts.care.seed import seed
from alerts.care.substitutes import Refusal
from tests.alerts.care.huvudmen import one_each, one_for_all
from tests.alerts.conftest import Pool
from tests.alerts.world import World, care_record, encoded

DAY = timedelta(days=1)
CARE = frozenset({Scope.VALUES, Scope.ALERTS, Scope.PLAN})


async def let_in(
    connection: AsyncConnection,
    world: World,
    scopes: frozenset[Scope] = CARE,
    until_at: datetime | None = None,
) -> None:
    """Let Märta say that Lisa's unit may see *scopes* of hers."""
    given = await consent.give(
        connection,
        world.viewer("marta"),
        world.patient("marta"),
        Holder(unit_id=world.viewer("lisa").unit_id),
        scopes,
        how=How.SELF,
        until_at=until_at,
    )
    assert given is Answer.DONE


async def for_marta(connection: AsyncConnection, world: World) -> Refusal | None:
    """Let Lisa, and then Eva, stand in for Märta's contact."""
    now = datetime.now(UTC)
    return await substitutes.of_patient(
        connection,
        world.patient("marta"),
        [world.staff("lisa"), world.staff("eva")],
        from_at=now,
        noted_by=world.staff("anna"),
        now=now,
    )


async def for_anna(connection: AsyncConnection, world: World) -> Refusal | None:
    """Let Lisa stand in for Anna with all her patients."""
    now = datetime.now(UTC)
    anna, lisa = world.staff("anna"), world.staff("lisa")
    return await substitutes.of_colleague(
        connection, anna, [lisa], from_at=now, noted_by=anna, now=now
    )


def blocks(world: World) -> None:
    """Let Märta block Lisa's unit."""
    world.connection.execute(
        "insert into block (patient_id, unit_id) values (%s, %s)",
        [world.patient("marta"), world.viewer("lisa").unit_id],
    )


def stand_in(world: World) -> list[int]:
    """Return who stands in for Märta's contact now."""
    rows = world.rows(
        "select staff_id from substitute where patient_id = %s and from_at <= clock_timestamp() "
        "and (until_at is null or until_at > clock_timestamp()) order by place",
        world.patient("marta"),
    )
    return [staff_id for (staff_id,) in rows]


@pytest.mark.parametrize("scopes", [None, CARE - {Scope.PLAN}, CARE])
async def test_a_patients_substitute_of_another_huvudman_needs_her_consent(
    world: World, pool: Pool, scopes: frozenset[Scope] | None
) -> None:
    one_each(world)
    async with pool.connection() as connection:
        if scopes is not None:
            await let_in(connection, world, scopes)
        expected = None if scopes == CARE else Refusal.NO_CONSENT
        assert await for_marta(connection, world) is expected
        again = await for_marta(connection, world)  # the same list
        assert again is expected
    lisa, eva = world.staff("lisa"), world.staff("eva")
    assert stand_in(world) == ([lisa, eva] if scopes == CARE else [])


async def test_units_of_which_no_huvudman_is_known_are_not_of_the_same(
    world: World, pool: Pool
) -> None:
    async with pool.connection() as connection:
        assert await for_marta(connection, world) is Refusal.NO_CONSENT
        assert await for_anna(connection, world) is Refusal.OTHER_HUVUDMAN
        one_for_all(world)
        assert await for_marta(connection, world) is None
        assert await for_anna(connection, world) is None


async def test_a_colleagues_patients_were_not_asked(world: World, pool: Pool) -> None:
    one_each(world)
    async with pool.connection() as connection:
        await let_in(connection, world)  # one of them
        assert await for_anna(connection, world) is Refusal.OTHER_HUVUDMAN


async def test_a_unit_that_the_patient_has_blocked_stands_in_for_nobody_of_hers(
    world: World, pool: Pool
) -> None:
    one_for_all(world)
    blocks(world)
    async with pool.connection() as connection:
        assert await for_marta(connection, world) is Refusal.BLOCKED
        assert await for_anna(connection, world) is Refusal.BLOCKED_BY_ONE
        world.connection.execute("update block set lifted_at = clock_timestamp()")
        assert await for_anna(connection, world) is None


@pytest.mark.parametrize("left", [None, frozenset({Scope.VALUES})])
async def test_what_the_patient_takes_back_ends_what_stood_on_it(
    world: World, pool: Pool, left: frozenset[Scope] | None
) -> None:
    one_each(world)
    holder = Holder(unit_id=world.viewer("lisa").unit_id)
    marta = world.viewer("marta")
    async with pool.connection() as connection:
        await let_in(connection, world)
        assert await for_marta(connection, world) is None
        await let_in(connection, world)  # once more: nothing ends
        assert stand_in(world) == [world.staff("lisa"), world.staff("eva")]
        if left is None:
            await consent.revoke(connection, marta, world.patient("marta"), holder)
        else:
            await let_in(connection, world, left)
    assert stand_in(world) == [world.staff("eva")]


async def test_a_block_ends_what_stood_on_a_consent(world: World, pool: Pool) -> None:
    one_each(world)
    marta, unit_id = world.patient("marta"), world.viewer("lisa").unit_id
    assert unit_id is not None
    async with pool.connection() as connection:
        await let_in(connection, world)
        assert await for_marta(connection, world) is None
        done = await block.block(connection, world.viewer("marta"), marta, unit_id, how=How.SELF)
        assert done is block.Answer.DONE
        assert stand_in(world) == [world.staff("eva")]
        await let_in(connection, world)  # the block is still there
        assert await for_marta(connection, world) is Refusal.BLOCKED


async def test_a_block_ends_who_stood_in_from_a_unit_of_the_same_huvudman(
    world: World, pool: Pool
) -> None:
    one_for_all(world)
    lisa, eva, unit_id = world.staff("lisa"), world.staff("eva"), world.viewer("lisa").unit_id
    marta = world.viewer("marta")
    assert unit_id is not None
    async with pool.connection() as connection:
        assert await for_marta(connection, world) is None
        assert stand_in(world) == [lisa, eva]
        await block.block(connection, marta, world.patient("marta"), unit_id, how=How.SELF)
        assert stand_in(world) == [eva]
        assert await for_marta(connection, world) is Refusal.BLOCKED
        await block.lift(connection, marta, world.patient("marta"), unit_id, how=How.SELF)
        assert stand_in(world) == [eva]  # who was ended is named anew


async def test_a_block_leaves_those_of_other_units_and_of_other_patients(
    world: World, pool: Pool
) -> None:
    one_for_all(world)
    unit_id = world.viewer("lisa").unit_id
    assert unit_id is not None
    async with pool.connection() as connection:
        assert await for_marta(connection, world) is None
        kalle = world.patient("kalle")
        await block.block(connection, world.viewer("kalle"), kalle, unit_id, how=How.SELF)
    assert world.one("select count(*) from block") == 1
    assert stand_in(world) == [world.staff("lisa"), world.staff("eva")]


@pytest.mark.parametrize("longer", [None, 20 * DAY])
async def test_she_stands_in_as_long_as_a_consent_that_is_lengthened(
    world: World, pool: Pool, longer: timedelta | None
) -> None:
    one_each(world)
    ends = datetime.now(UTC) + DAY
    until_at = None if longer is None else ends + longer
    async with pool.connection() as connection:
        await let_in(connection, world, until_at=ends)
        assert await for_marta(connection, world) is None
        await let_in(connection, world, until_at=ends + DAY)
        await let_in(connection, world, until_at=ends)  # shorter, and longer again
        await let_in(connection, world, until_at=until_at)
    query = "select until_at, ended_by, is_revoked from substitute where staff_id = %s"
    assert (until_at, None, False) in world.rows(query, world.staff("lisa"))


async def test_a_longer_consent_ends_no_list_that_follows_and_brings_back_nobody(
    world: World, pool: Pool
) -> None:
    one_each(world)
    marta, lisa, eva = world.patient("marta"), world.staff("lisa"), world.staff("eva")
    ends = datetime.now(UTC) + DAY
    async with pool.connection() as connection:
        await let_in(connection, world, until_at=ends)
        now = datetime.now(UTC)
        for staff_id, from_at in ((lisa, now), (eva, ends + DAY)):
            refusal = await substitutes.of_patient(
                connection, marta, [staff_id], from_at=from_at, noted_by=None, now=now
            )
            assert refusal is None
        await let_in(connection, world)
        query = "select until_at from substitute where staff_id = %s and patient_id = %s"
        assert world.rows(query, lisa, marta) == [(ends + DAY,)]
        await let_in(connection, world, frozenset({Scope.VALUES}))
        assert stand_in(world) == []
        await let_in(connection, world)  # whom she took off is named anew
        assert stand_in(world) == []


async def test_she_stands_in_until_the_consent_ends(world: World, pool: Pool) -> None:
    one_each(world)
    ends = datetime.now(UTC) + 9 * DAY
    query = "select until_at from substitute where staff_id = %s and until_at > now()"
    async with pool.connection() as connection:
        await let_in(connection, world, until_at=ends)
        assert await for_marta(connection, world) is None
        before = world.rows("select * from substitute order by 1")
        assert await for_marta(connection, world) is None
        assert world.rows("select * from substitute order by 1") == before
        assert world.one(query, world.staff("lisa")) == ends
        await let_in(connection, world, until_at=ends - 2 * DAY)
        assert world.one(query, world.staff("lisa")) == ends - 2 * DAY


async def test_the_file_does_not_bring_back_whom_the_patient_let_in_no_more(
    world: World, pool: Pool
) -> None:
    record = care_record()
    record["patients"][0]["substitutes"] = ["lisa"]
    seed(world.connection, read(encoded(record)))
    one_each(world)
    async with pool.connection() as connection:
        await let_in(connection, world)
        assert stand_in(world) == [world.staff("lisa")]
        await let_in(connection, world, frozenset({Scope.VALUES}))
        assert stand_in(world) == []
    seed(world.connection, read(encoded(record)))
    assert stand_in(world) == []
