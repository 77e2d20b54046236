"""Lists of who stands in: dated, in order, and never naming whom it cannot be."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from alerts.care import substitutes
from alerts.care.availability import around
from alerts.care.substitutes import Refusal
from tests.alerts.care.conftest import Town
from tests.alerts.care.huvudmen import one_for_all
from tests.alerts.conftest import Pool
from tests.alerts.world import World

NOW = datetime(2038, 2, 1, 9, 12, tzinfo=UTC)  # later than any run of the tests
DAY = timedelta(days=1)


async def of_patient(
    town: Town, keys: list[str], *, at: datetime = NOW, now: datetime = NOW
) -> Refusal | None:
    return await substitutes.of_patient(
        town.connection,
        town.patient["marta"],
        [town.staff[key] for key in keys],
        from_at=at,
        noted_by=None,
        now=now,
    )


async def of_anna(town: Town, keys: list[str], *, at: datetime = NOW) -> Refusal | None:
    return await substitutes.of_colleague(
        town.connection,
        town.staff["anna"],
        [town.staff[key] for key in keys],
        from_at=at,
        noted_by=None,
        now=NOW,
    )


async def seen(town: Town, at: datetime = NOW) -> list[str]:
    marta = town.patient["marta"]
    found = await around(town.connection, [marta], at)
    return [person.name.split()[0] for person in found[marta].substitutes]


async def test_a_list_holds_in_its_order_from_its_day_on(town: Town) -> None:
    assert await of_patient(town, ["lisa", "eva"]) is None
    assert await of_patient(town, ["eva", "lisa"], at=NOW + DAY) is None
    assert await seen(town, NOW - DAY) == []
    assert await seen(town) == ["Lisa", "Eva"]
    assert await seen(town, NOW + DAY) == ["Eva", "Lisa"]


async def test_a_later_list_is_gone_when_an_earlier_one_is_named(town: Town) -> None:
    await of_patient(town, ["lisa"], at=NOW + 5 * DAY)
    await of_patient(town, ["eva"], at=NOW + DAY)
    assert await seen(town, NOW + 6 * DAY) == ["Eva"]
    await of_patient(town, [], at=NOW + 2 * DAY)
    assert await seen(town, NOW + DAY) == ["Eva"]
    assert await seen(town, NOW + 2 * DAY) == []


async def test_the_same_list_again_writes_nothing(town: Town) -> None:
    every = "select * from substitute order by substitute_id"
    await of_patient(town, ["lisa", "eva"])
    before = await town.rows(every)
    await of_patient(town, ["lisa", "eva"], at=NOW + DAY, now=NOW + DAY)
    assert await town.rows(every) == before


@pytest.mark.parametrize(
    ("keys", "refusal"),
    [
        (["eva", "eva"], Refusal.TWICE),
        (["tove"], Refusal.GIVES_NO_CARE),
        (["lisa"], Refusal.UNKNOWN),
        (["anna"], Refusal.HERSELF),
    ],
)
async def test_whom_it_cannot_be_is_refused(town: Town, keys: list[str], refusal: Refusal) -> None:
    await town.run("update staff set ended_at = %s where staff_id = %s", NOW, town.staff["lisa"])
    assert await of_patient(town, keys) is refusal
    assert await of_anna(town, keys) is refusal
    assert await town.rows("select from substitute") == []


async def test_too_many_the_past_and_nobodys_are_refused(town: Town) -> None:
    async def of(patient_id: int | None, staff_id: int, keys: Sequence[int]) -> Refusal | None:
        if patient_id is not None:
            return await substitutes.of_patient(
                town.connection, patient_id, keys, from_at=NOW, noted_by=None, now=NOW
            )
        return await substitutes.of_colleague(
            town.connection, staff_id, keys, from_at=NOW, noted_by=None, now=NOW
        )

    assert await of_patient(town, ["eva"], at=NOW - DAY) is Refusal.IN_THE_PAST
    assert await of(None, town.staff["anna"], range(10_000, 10_006)) is Refusal.TOO_MANY
    assert await of(999_999, 0, []) is Refusal.NO_PATIENT
    assert await of(None, 999_999, []) is Refusal.UNKNOWN


async def test_many_lists_at_once_leave_one_and_nobody_waits_for_ever(
    world: World, pool: Pool
) -> None:
    one_for_all(world)

    async def name(key: str, keys: list[str]) -> Refusal | None:
        async with pool.connection() as connection:
            return await substitutes.of_colleague(
                connection,
                world.staff(key),
                [world.staff(one) for one in keys],
                from_at=NOW,
                noted_by=None,
                now=NOW,
            )

    lists = [
        ("anna", ["eva", "lisa"]),
        ("eva", ["lisa", "anna"]),
        ("lisa", ["anna", "eva"]),
        ("anna", ["lisa"]),
    ]
    answers = await asyncio.gather(*(name(*one) for one in lists * 3))
    assert set(answers) == {None}
    left = world.rows(
        "select for_staff_id, array_agg(staff_id order by place) from substitute "
        "where until_at is null group by for_staff_id"
    )
    allowed = [(world.staff(key), [world.staff(one) for one in keys]) for key, keys in lists]
    assert len(left) == 3
    assert all(one in allowed for one in left)
