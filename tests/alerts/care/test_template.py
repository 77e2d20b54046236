"""A template is in use at its huvudman's once a coordinator approved it, and only its latest."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import template
from alerts.care.merge import Merged, Named, merge
from alerts.care.people import Viewer
from alerts.care.plan_spec import PlanSpec
from alerts.care.template import DRAFTS, NoTemplateError, Refusal
from devices.quantity import Quantity
from tests.alerts.care.huvudmen import one_each, one_for_all
from tests.alerts.rota import coordinates
from tests.alerts.world import World

Connection = AsyncConnection[Any]
NOW = datetime(2038, 2, 1, 9, 12, tzinfo=UTC)  # later than any run of the tests
PRESSURE = DRAFTS["blood_pressure"]
LOWER = Named(
    "Lägre blodtryck",
    PlanSpec.model_validate({"limits": [{"quantity": "systolic", "yellow_high": 150}]}),
)


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


def test_drafts_are_what_a_clinician_can_begin_with() -> None:
    both = merge(list(DRAFTS.values())).spec
    asked = {one.quantity for one in both.schedule}
    assert asked == {Quantity.SYSTOLIC, Quantity.BODY_WEIGHT}


async def approve(
    db: Connection, who: Viewer, key: str, plan: Named, seen: int | None = None
) -> int | Refusal:
    return await template.approve(db, who, key, plan, seen_version=seen, now=NOW)


def coordinator(world: World, key: str) -> Viewer:
    coordinates(world, key)
    return world.viewer(key)


async def test_only_what_somebody_approved_is_used(db: Connection, world: World) -> None:
    anna = coordinator(world, "anna")
    assert await template.in_use(db, anna) == []
    for keys in (["blood_pressure"], []):
        with pytest.raises(NoTemplateError):
            await template.combine(db, anna, keys)
    assert await approve(db, anna, "blood_pressure", PRESSURE) == 1
    made = await template.combine(db, anna, ["blood_pressure", "blood_pressure"])
    assert (made.merged, made.origins) == (Merged(PRESSURE.spec, ()), ("blood_pressure:1",))
    assert await approve(db, anna, "low", LOWER) == 1
    assert await approve(db, anna, "blood_pressure", PRESSURE, seen=1) == 2
    both = await template.combine(db, anna, ["blood_pressure", "low"])
    assert both.origins == ("blood_pressure:2", "low:1")
    assert "gul från 150 (Lägre blodtryck)" in both.merged.notes[0]
    assert [one.approved_by for one in await template.in_use(db, anna)] == 2 * [
        "Anna Provberg, distriktssköterska"
    ]
    assert await template.retire(db, anna, "low", seen_version=1, now=NOW) is None
    for seen in (1, 2):
        gone = await template.retire(db, anna, "low", seen_version=seen, now=NOW)
        assert gone is Refusal.NOT_YOURS
    with pytest.raises(NoTemplateError, match="low"):
        await template.combine(db, anna, ["blood_pressure", "low"])


async def test_a_coordinator_who_gives_care_approves_and_it_is_known_who(
    db: Connection, world: World
) -> None:
    coordinator(world, "tove")
    for key in ("anna", "tove", "marta"):
        viewer = world.viewer(key)
        assert await approve(db, viewer, "low", LOWER) is Refusal.NOT_YOURS
        refused = await template.retire(db, viewer, "low", seen_version=1, now=NOW)
        assert refused is Refusal.NOT_YOURS
    anna, eva = coordinator(world, "anna"), coordinator(world, "eva")
    await approve(db, anna, "low", LOWER)
    await approve(db, anna, "low", PRESSURE, seen=1)
    await template.retire(db, eva, "low", seen_version=2, now=NOW)
    ended = world.rows("select version, ended_by from plan_template order by version")
    assert ended == [(1, anna.staff_id), (2, eva.staff_id)]
    logged = world.rows(
        "select staff_id, action, ground, detail ->> 'template', (detail -> 'version')::int"
        " from access_log order by at"
    )
    assert logged == [
        (anna.staff_id, "template_approved", "coordinator", "low", 1),
        (anna.staff_id, "template_approved", "coordinator", "low", 2),
        (eva.staff_id, "template_retired", "coordinator", "low", 2),
    ]


@pytest.mark.parametrize("are_told", [True, False])
async def test_a_template_is_its_huvudmans(db: Connection, world: World, are_told: bool) -> None:
    if are_told:
        one_each(world)
    anna, eva, lisa = (coordinator(world, key) for key in ("anna", "eva", "lisa"))
    assert await approve(db, anna, "low", LOWER) == 1
    assert await template.in_use(db, lisa) == []
    with pytest.raises(NoTemplateError):
        await template.combine(db, lisa, ["low"])
    refused = await template.retire(db, lisa, "low", seen_version=1, now=NOW)
    assert refused is Refusal.NOT_YOURS
    assert await approve(db, lisa, "low", PRESSURE) == 2  # names it in proposals, beside the first
    assert await approve(db, lisa, "low", PRESSURE, seen=2) == 3
    assert [one.version for one in await template.in_use(db, eva)] == [1]
    assert await template.retire(db, lisa, "low", seen_version=3, now=NOW) is None
    assert [one.version for one in await template.in_use(db, eva)] == [1]


async def test_units_of_one_huvudman_have_the_same(db: Connection, world: World) -> None:
    anna, lisa = coordinator(world, "anna"), coordinator(world, "lisa")
    await approve(db, anna, "low", LOWER)
    one_for_all(world)  # what the unit had before is still its own
    assert [one.version for one in await template.in_use(db, anna)] == [1]
    assert await template.in_use(db, lisa) == []
    assert await approve(db, anna, "low", LOWER, seen=1) == 2
    assert [one.version for one in await template.in_use(db, lisa)] == [2]


async def test_of_many_who_saw_the_same_version_one_replaces_it(
    db: Connection, world: World
) -> None:
    anna = coordinator(world, "anna")
    await approve(db, anna, "low", LOWER)

    async def one() -> int | Refusal:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            return await approve(mine, anna, "low", LOWER, seen=1)

    answers = await asyncio.gather(*(one() for _ in range(6)))
    assert Counter(answers) == {2: 1, Refusal.CHANGED: 5}
    assert [one.version for one in await template.in_use(db, anna)] == [2]
    changed = await template.retire(db, anna, "low", seen_version=1, now=NOW)
    assert changed is Refusal.CHANGED
