"""What somebody decided in the system since is not undone when the care record is written again."""

from datetime import UTC, datetime

import pytest
from psycopg import AsyncConnection

from alerts.access import Access, Denied, Ground, Why, decide
from alerts.care import handover, substitutes
from alerts.care.facts import facts
from alerts.care.file import read
from alerts.care.move import Contact
from alerts.care.seed import seed
from tests.alerts.care.huvudmen import one_for_all
from tests.alerts.conftest import Pool
from tests.alerts.rota import HOUR, away
from tests.alerts.world import World, care_record, encoded


def write(world: World) -> None:
    """Seed the world's care record, with Eva as who stands in for Märta's and Anna's patients."""
    record = care_record()
    record["patients"][0] |= {"unit": "a", "substitutes": ["eva"]}
    record["staff"][0]["substitutes"] = ["eva"]
    seed(world.connection, read(encoded(record)))


async def sees(connection: AsyncConnection, world: World, key: str) -> Access | Denied:
    marta, viewer = world.patient("marta"), world.viewer(key)
    return decide(viewer, (await facts(connection, viewer, [marta]))[marta])


async def test_who_stood_in_at_the_old_unit_sees_nothing_after_a_handover(
    world: World, pool: Pool
) -> None:
    one_for_all(world)
    write(world)
    anna, lisa = world.viewer("anna"), world.viewer("lisa")
    async with pool.connection() as connection:
        now = datetime.now(UTC)
        made = await handover.offer(
            connection, anna, world.patient("marta"), lisa.unit_id or 0, now=now
        )
        assert isinstance(made, int)
        contact = Contact(staff_id=lisa.staff_id)
        now = datetime.now(UTC)
        assert await handover.accept(connection, lisa, made, contact, now=now) is None
        away(world, "lisa", now - HOUR, now + HOUR)
        write(world)
        assert await sees(connection, world, "eva") == Denied(Why.NO_RELATION)


async def test_the_file_names_whom_it_told_of_as_long_as_nobody_decides(
    world: World, pool: Pool
) -> None:
    write(world)
    write(world)
    now = datetime.now(UTC)
    away(world, "anna", now - HOUR, now + HOUR)
    async with pool.connection() as connection:
        assert await sees(connection, world, "eva") == Access(Ground.SUBSTITUTE)
    assert world.one("select count(*) from substitute where patient_id is not null") == 1


@pytest.mark.parametrize("of", ["patient", "colleague"])
async def test_that_nobody_is_to_stand_in_is_decided_too(world: World, pool: Pool, of: str) -> None:
    write(world)
    anna = world.staff("anna")
    async with pool.connection() as connection:
        now = datetime.now(UTC)
        refused = (
            await substitutes.of_patient(
                connection, world.patient("marta"), [], from_at=now, noted_by=anna, now=now
            )
            if of == "patient"
            else await substitutes.of_colleague(
                connection, anna, [], from_at=now, noted_by=anna, now=now
            )
        )
        assert refused is None
    write(world)
    left = world.rows("select for_staff_id from substitute where until_at is null")
    assert left == [(anna if of == "patient" else None,)]
