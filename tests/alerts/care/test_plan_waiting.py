"""A proposed plan that nobody answers becomes a task, and stays one until it is answered."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import proposal, tasks, todo
from alerts.care.plan_spec import PlanSpec
from alerts.care.plan_waiting import ANSWER_WITHIN
from alerts.care.proposal import How
from alerts.care.tasks import Ending
from tests.alerts.world import World

MINUTE = timedelta(minutes=1)
SPEC = PlanSpec.model_validate({"limits": [{"quantity": "systolic", "yellow_high": 150}]})


@pytest.fixture
async def db(world: World) -> AsyncIterator[AsyncConnection[Any]]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


async def look(db: AsyncConnection[Any], now: datetime) -> tuple[int, int]:
    kept = await todo.look(db, now)
    assert kept is not None
    return kept.opened, kept.ended


async def test_it_is_on_the_worklist_after_a_week_and_off_it_when_it_is_answered(
    db: AsyncConnection[Any], world: World
) -> None:
    anna, now = world.viewer("anna"), world.one("select now()")
    made = await proposal.propose(db, anna, world.patient("marta"), SPEC, now=now)
    assert made.proposal_id is not None
    assert await look(db, now + ANSWER_WITHIN - MINUTE) == (0, 0)
    assert await look(db, now + ANSWER_WITHIN) == (1, 0)
    assert await look(db, now + ANSWER_WITHIN + MINUTE) == (0, 0)
    (task,) = await tasks.tasks(db, anna)
    assert "Märta har inte svarat på den plan som föreslogs" in task.sentence(now)
    assert await tasks.tasks(db, world.viewer("lisa")) == []
    await proposal.decline(db, anna, made.proposal_id, How.PHONE, now)
    assert await look(db, now + ANSWER_WITHIN + 2 * MINUTE) == (0, 1)
    assert await tasks.tasks(db, anna) == []


async def test_who_phoned_is_asked_again_if_it_still_waits(
    db: AsyncConnection[Any], world: World
) -> None:
    anna, now = world.viewer("anna"), world.one("select now()")
    await proposal.propose(db, anna, world.patient("marta"), SPEC, now=now)
    await look(db, now + ANSWER_WITHIN)
    (task,) = await tasks.tasks(db, anna)
    assert await tasks.end(db, anna, task.task_id, Ending.PHONED)
    done_at = world.one("select done_at from task")
    assert await look(db, done_at + ANSWER_WITHIN - MINUTE) == (0, 0)
    assert await look(db, done_at + ANSWER_WITHIN) == (1, 0)
