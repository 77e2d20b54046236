"""A policy says who is told when; one that would be too slow, or end with nobody, is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from alerts.alert import Level
from alerts.policy import DEFAULTS, RED, YELLOW, Policy, Unfit, check, in_force, store
from tests.alerts.conftest import Pool
from tests.alerts.world import World

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)


def changed(policy: Policy, **more: object) -> Policy:
    return Policy.model_validate({**policy.model_dump(), **more})


@pytest.mark.parametrize("level", list(Level))
def test_what_comes_with_it_is_fit(level: Level) -> None:
    check(level, DEFAULTS[level])


@pytest.mark.parametrize(
    "more",
    [
        {"steps": []},
        {"steps": [{"tell": []}]},
        {"steps": [{"tell": ["receiver"]}]},  # whom nobody answers for ends there
        {"steps": [{"tell": ["unit"], "wait_min": 1}]},
        {"steps": [{"tell": ["unit"], "wait_min": -1}]},
        {"steps": [{"tell": ["unit"]}] * 11},
        {"steps": [{"tell": ["grandmother", "unit"]}]},
        {"steps": [{"tell": ["unit"]}, {"tell": ["unit"], "wait_min": 1}], "again_min": None},
        {"again_min": 9},
        {"acknowledged_min": 0},
        {"counting": "moon"},
        {"version": 2},
        {"quiet": True},
    ],
)
def test_a_policy_that_ends_with_nobody_or_means_nothing_is_none(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        changed(RED, **more)


@pytest.mark.parametrize(
    ("level", "more", "field"),
    [
        (Level.RED, {"counting": "work"}, "counting"),
        (Level.RED, {"steps": [{"tell": ["unit"]}], "again_min": None}, "again_min"),
        (Level.RED, {"again_min": 61}, "again_min"),
        (Level.RED, {"acknowledged_min": 12 * 60 + 1}, "acknowledged_min"),
        (
            Level.RED,
            {"steps": [{"tell": ["receiver"]}, {"tell": ["unit"], "wait_min": 61}]},
            "steps",
        ),
        (Level.YELLOW, {"acknowledged_min": 14 * 24 * 60 + 1}, "acknowledged_min"),
        (Level.YELLOW, {"again_min": 2401}, "again_min"),
    ],
)
def test_a_policy_too_slow_for_its_level_is_refused(
    level: Level, more: dict[str, object], field: str
) -> None:
    with pytest.raises(Unfit, match=field):
        check(level, changed(DEFAULTS[level], **more))


async def test_a_units_own_policy_holds_and_the_one_before_is_kept(
    world: World, pool: Pool
) -> None:
    unit, other = (world.viewer(who).unit_id or 0 for who in ("anna", "lisa"))
    quick, quicker = changed(RED, again_min=20), changed(RED, again_min=10)
    async with pool.connection() as connection:
        for hours, policy in enumerate((quick, quicker)):
            at = NOW + timedelta(hours=hours)
            await store(connection, unit, Level.RED, policy, staff_id=None, now=at)
        held = await in_force(connection, [unit, other])
    assert held == {
        (unit, Level.RED): quicker,
        (unit, Level.YELLOW): YELLOW,
        (other, Level.RED): RED,
        (other, Level.YELLOW): YELLOW,
    }
    assert world.rows("select from_at, until_at, spec->'again_min' from policy order by 1") == [
        (NOW, NOW + timedelta(hours=1), 20),
        (NOW + timedelta(hours=1), None, 10),
    ]


async def test_a_policy_that_is_too_slow_is_not_stored(world: World, pool: Pool) -> None:
    unit = world.viewer("anna").unit_id or 0
    async with pool.connection() as connection:
        with pytest.raises(Unfit):
            await store(connection, unit, Level.RED, YELLOW, staff_id=None, now=NOW)
        assert (await in_force(connection, [unit]))[unit, Level.RED] == RED


@pytest.mark.parametrize("spec", [{}, {"version": 2}, [], "x", YELLOW.model_dump(mode="json")])
async def test_what_cannot_be_read_silences_nobody(world: World, pool: Pool, spec: object) -> None:
    unit = world.viewer("anna").unit_id or 0
    world.connection.execute(
        "insert into policy (unit_id, level, spec) values (%s, 2, %s)", (unit, Jsonb(spec))
    )
    async with pool.connection() as connection:
        assert (await in_force(connection, [unit]))[unit, Level.RED] == RED
