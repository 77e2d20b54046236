"""A plan ends from a moment on: nothing is judged after it, and what was stays as it was."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import plan, plan_end, plan_spec, preview, proposal
from alerts.care.agreement import agree
from alerts.care.hours import local_day
from alerts.care.plan_spec import PlanSpec
from alerts.care.proposal import Answer, Done, How
from ingest import pg_binary
from ingest.clock.chores import chores
from ingest.registry import Registry
from tests.alerts.world import D, S, World

Connection = AsyncConnection[Any]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
RED = {S: 200.0, D: 115.0}
SPEC = PlanSpec.model_validate(
    {
        "limits": [{"quantity": "systolic", "yellow_high": 150}],
        "rules": [{"kind": "missing", "quantity": "body_weight", "interval_h": 24}],
    }
)


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


async def end(
    db: Connection,
    world: World,
    *,
    who: str = "anna",
    how: How = How.PHONE,
    why: str = " Frisk igen ",
    from_day: date | None = None,
) -> Done:
    now = world.one("select clock_timestamp()")
    marta = world.patient("marta")
    return await plan_end.end(
        db, world.viewer(who), marta, how, why=why, from_day=from_day, now=now
    )


async def test_what_is_measured_after_it_alerts_nobody_and_what_came_before_does(
    db: Connection, world: World
) -> None:
    done = await end(db, world)
    assert done.answer is Answer.DONE
    await world.measure_soon("marta", RED, at=datetime.now(UTC))
    assert world.rows("select 1 from breach") == []
    await world.measure_soon("marta", RED, at=datetime.now(UTC) - HOUR)  # it came late
    assert world.rows("select level from alert") == [(2,)]
    assert world.rows("select plan_version_id, why, ended_by from plan_end") == [
        (done.plan_version_id, "Frisk igen", world.staff("anna"))
    ]
    assert world.rows("select action, patient_id from access_log") == [
        ("plan_ended", world.patient("marta"))
    ]


async def test_nothing_is_expected_of_her_any_more(db: Connection, world: World) -> None:
    marta, now = world.patient("marta"), world.one("select now()")
    await plan_spec.write(db, marta, SPEC, in_force_from=now - DAY, agreed_how="")
    pg_binary.register(db)
    registry = Registry()
    due = {chore.name: chore for chore in chores(3650)}["due"]
    await due.run(db, registry, now, due.most)
    assert world.one("select count(*) from rule_due where patient_id = %s", marta) == 1
    await end(db, world)
    later: datetime = world.one("select clock_timestamp()")
    await due.run(db, registry, later, due.most)
    assert world.one("select count(*) from rule_due where patient_id = %s", marta) == 0


async def test_an_open_alert_stays_and_its_rule_is_in_force_no_more(
    db: Connection, world: World
) -> None:
    await world.measure_soon("marta", RED)
    rule = world.one("select rule from alert")
    assert rule in await plan.families(db, world.patient("marta"))
    await end(db, world)
    assert await plan.families(db, world.patient("marta")) == frozenset()
    assert world.one("select state from alert") == "open"
    found = await plan.advice(db, world.patient("marta"))
    assert (found.is_ended, found.agreed_how) == (True, "per telefon")
    assert not (await plan.advice(db, world.patient("kalle"))).is_ended


async def test_it_ends_from_a_day_and_what_was_to_begin_later_ends_too(
    db: Connection, world: World
) -> None:
    marta, now = world.patient("marta"), world.one("select now()")
    await plan_spec.write(db, marta, SPEC, in_force_from=now + 9 * DAY, agreed_how="")
    tomorrow = local_day(now) + DAY
    done = await end(db, world, from_day=tomorrow)
    assert done.in_force_from is not None
    assert now < done.in_force_from < now + 2 * DAY
    assert not (await plan.advice(db, marta)).is_ended
    held = await plan_spec.version_at(db, marta, now + 30 * DAY)
    assert held is not None
    assert world.one("select count(*) from plan_end") == 2
    assert world.rows("select 1 from plan_limit where plan_version_id = %s", held[0]) == []
    assert (await end(db, world)).answer is Answer.DONE  # sooner after all


async def test_another_plan_begins_after_it_and_its_past_can_be_looked_at(
    db: Connection, world: World
) -> None:
    anna, marta = world.viewer("anna"), world.patient("marta")
    await end(db, world)
    assert (await end(db, world)).answer is Answer.NO_PLAN
    now = world.one("select clock_timestamp()")
    seen = await preview.preview(db, marta, SPEC, now)
    assert seen.today is None
    made = await proposal.propose(db, anna, marta, SPEC, now=now)
    assert made.proposal_id is not None
    await proposal.show_past(db, anna, made.proposal_id, now)
    await agree(db, anna, made.proposal_id, How.PHONE, now=world.one("select clock_timestamp()"))
    assert not (await plan.advice(db, marta)).is_ended
    assert await plan.families(db, marta) == {"limit:blood_pressure", "missing:body_weight"}


async def test_her_care_ends_it_with_a_reason_from_now_or_later(
    db: Connection, world: World
) -> None:
    today = local_day(world.one("select now()"))
    for answer, given in (
        (Answer.NOT_FOUND, {"who": "lisa"}),
        (Answer.NOT_YOURS, {"who": "tove"}),
        (Answer.NOT_YOURS, {"who": "marta"}),
        (Answer.NO_RELATIVE, {"how": How.RELATIVE}),
        (Answer.NO_TEXT, {"why": "  "}),
        (Answer.NO_TEXT, {"why": "x" * 501}),
        (Answer.IN_THE_PAST, {"from_day": today - 2 * DAY}),
        (Answer.TOO_FAR, {"from_day": today + 400 * DAY}),
    ):
        assert (await end(db, world, **given)).answer is answer, given
    assert world.rows("select 1 from plan_end") == []
