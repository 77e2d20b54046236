"""A template is in use once a clinician has approved it, and only its latest version."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import template
from alerts.care.merge import Merged, Named, merge
from alerts.care.plan_spec import PlanSpec
from alerts.care.template import DRAFTS, NoTemplateError
from devices.quantity import Quantity
from tests.alerts.world import World

Connection = AsyncConnection[Any]
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


async def test_only_what_somebody_approved_is_used(db: Connection, world: World) -> None:
    anna = world.viewer("anna")
    now = world.one("select now()")
    assert await template.in_use(db) == []
    with pytest.raises(NoTemplateError):
        await template.combine(db, ["blood_pressure"])
    with pytest.raises(NoTemplateError):
        await template.combine(db, [])
    for who in ("tove", "marta"):
        viewer = world.viewer(who)
        assert await template.approve(db, viewer, "blood_pressure", PRESSURE, now=now) is None
    assert await template.approve(db, anna, "blood_pressure", PRESSURE, now=now) == 1
    made = await template.combine(db, ["blood_pressure", "blood_pressure"])
    assert (made.merged, made.origins) == (Merged(PRESSURE.spec, ()), ("blood_pressure:1",))
    assert await template.approve(db, anna, "low", LOWER, now=now) == 1
    assert await template.approve(db, anna, "blood_pressure", PRESSURE, now=now) == 2
    both = await template.combine(db, ["blood_pressure", "low"])
    assert both.origins == ("blood_pressure:2", "low:1")
    assert "gul från 150 (Lägre blodtryck)" in both.merged.notes[0]
    assert [one.approved_by for one in await template.in_use(db)] == 2 * [
        "Anna Provberg, distriktssköterska"
    ]
    assert not await template.retire(db, world.viewer("marta"), "low", now)
    assert await template.retire(db, anna, "low", now)
    assert not await template.retire(db, anna, "low", now)
    with pytest.raises(NoTemplateError, match="low"):
        await template.combine(db, ["blood_pressure", "low"])


async def test_many_who_approve_at_once_leave_one_in_use(db: Connection, world: World) -> None:
    anna = world.viewer("anna")
    now = world.one("select now()")

    async def one() -> int | None:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            return await template.approve(mine, anna, "low", LOWER, now=now)

    versions = await asyncio.gather(*(one() for _ in range(6)))
    assert sorted(version or 0 for version in versions) == [1, 2, 3, 4, 5, 6]
    assert [one.version for one in await template.in_use(db)] == [6]
