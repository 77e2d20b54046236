"""A reading of somebody else goes to its right owner, and rules look at both once more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection

from alerts.care import plan_spec, reading_owner
from alerts.care.plan_spec import PlanSpec
from alerts.care.reading_owner import Answer, Done
from ingest import pg_binary, recheck, rejudge
from ingest.plausibility import Suspicion
from ingest.registry import Registry
from tests.alerts.world import D, S, W, World

Connection = AsyncConnection[Any]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def now(world: World) -> datetime:
    found: datetime = world.one("select now()")
    return found


def newest(world: World, key: str) -> UUID:
    found: UUID = world.one(
        "select reading_id from reading where patient_id = %s order by measured_at desc",
        world.patient(key),
    )
    return found


def breaches(world: World, key: str) -> list[Any]:
    return world.rows(
        "select rule_key, value, late from breach where patient_id = %s order by breach_id",
        world.patient(key),
    )


def counting(world: World, key: str) -> list[float]:
    rows = world.rows(
        "select value from sample where patient_id = %s and sample_counts(suspicion) "
        "order by measured_at",
        world.patient(key),
    )
    return [row[0] for row in rows]


async def move(
    db: Connection, world: World, reading_id: UUID, now: datetime, to: str = "kalle"
) -> Done:
    anna = world.viewer("anna")
    return await reading_owner.move(
        db, anna, reading_id, world.patient(to), why=" Kalle vägde sig ", now=now
    )


async def judge_again(db: Connection) -> None:
    pg_binary.register(db)
    while await rejudge.run(db, Registry(), 100):
        pass


async def test_it_is_rejected_where_it_was_and_judged_where_it_belongs(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("kalle", {W: 77.0}, at=now - 2 * DAY)
    await world.measure_soon("marta", {W: 85.0}, at=now - HOUR)
    reading_id, alert_id = newest(world, "marta"), world.alert("marta")
    assert len(breaches(world, "marta")) == 1
    done = await move(db, world, reading_id, now)
    assert (done.answer, done.alert_ids) == (Answer.DONE, (alert_id,))
    await judge_again(db)
    assert (counting(world, "marta"), counting(world, "kalle")) == ([], [77.0, 85.0])
    seen = await recheck.run(db, now - DAY, now + DAY)
    assert (seen.readings, seen.differences) == (3, 0)
    assert [row[1] for row in breaches(world, "kalle")] == [85.0]
    assert len(breaches(world, "marta")) == 1  # what was found is not hidden
    assert world.rows("select * from reading_move") == [
        (
            *(reading_id, world.patient("marta"), done.new_reading_id, world.patient("kalle")),
            *(now, world.staff("anna"), "Kalle vägde sig"),
        )
    ]
    assert sorted(world.rows("select patient_id, action, detail from access_log")) == [
        (world.patient(key), "reading_moved", {}) for key in ("marta", "kalle")
    ]
    columns = "device_id, slot, measured_at, received_at, arrived_at, payload, source, loan_id"
    same = f"select distinct {columns} from reading where reading_id in (%s, %s)"
    assert len(world.rows(same, reading_id, done.new_reading_id)) == 1


async def test_nothing_of_the_wrong_patient_says_whose_it_was(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    await move(db, world, newest(world, "marta"), now)
    assert world.rows("select verdict, new_reading_id, staff_id, why from reading_review") == [
        ("rejected", None, world.staff("anna"), "Mätningen var någon annans.")
    ]


async def test_what_her_rules_did_not_see_for_the_stranger_they_see_now(
    db: Connection, world: World, now: datetime
) -> None:
    spec = PlanSpec.model_validate(
        {"rules": [{"kind": "k_of_n", "quantity": "systolic", "k": 2, "n": 2, "high": 150}]}
    )
    await plan_spec.write(
        db, world.patient("marta"), spec, in_force_from=now - 9 * DAY, agreed_how=""
    )
    for hours, systolic in ((5, 155.0), (4, 120.0), (3, 156.0)):
        await world.measure_soon("marta", {S: systolic, D: 80.0}, at=now - hours * HOUR)
    stranger = world.one(
        "select reading_id from sample where value = 120 and patient_id = %s",
        world.patient("marta"),
    )
    assert breaches(world, "marta") == []
    await move(db, world, stranger, now)
    await judge_again(db)
    assert [row[0] for row in breaches(world, "marta")] == ["k_of_n:systolic:high:2of2"]
    assert breaches(world, "kalle") == []


async def test_a_weight_that_was_doubted_for_her_counts_for_him(
    db: Connection, world: World, now: datetime
) -> None:
    for days in (5, 4, 3):
        await world.measure_soon("marta", {W: 60.0}, at=now - days * DAY)
    await world.measure_soon("marta", {W: 77.0}, at=now - HOUR)
    assert counting(world, "marta") == [60.0, 60.0, 60.0]
    reading_id = newest(world, "marta")
    done = await move(db, world, reading_id, now)
    assert counting(world, "kalle") == [77.0]
    bits = "select suspicion from sample where reading_id = %s"
    doubt = Suspicion.WEIGHT_OFF_MEDIAN
    assert world.one(bits, reading_id) == doubt | Suspicion.SUPERSEDED
    assert world.one(bits, done.new_reading_id) == 0


async def test_another_doubt_goes_with_it(db: Connection, world: World, now: datetime) -> None:
    await world.measure_soon("marta", {S: 255.0, D: 145.0}, at=now - HOUR)
    done = await move(db, world, newest(world, "marta"), now)
    assert 255.0 not in counting(world, "kalle")
    bits = world.one(
        "select bit_or(suspicion) from sample where reading_id = %s", done.new_reading_id
    )
    assert bits & Suspicion.BEYOND_SOFT_BOUND
    assert not bits & Suspicion.CONFIRMED


async def test_it_is_moved_once_whoever_does_it_at_once(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    reading_id = newest(world, "marta")

    async def one() -> Answer:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            return (await move(mine, world, reading_id, now)).answer

    answers = sorted(await asyncio.gather(*(one() for _ in range(5))))
    assert answers == [Answer.DONE, *4 * [Answer.REPLACED]]
    assert counting(world, "kalle") == [70.0]
    back = world.one("select new_reading_id from reading_move")
    assert (await move(db, world, back, now, to="marta")).answer is Answer.DONE
    assert (counting(world, "kalle"), counting(world, "marta")) == ([], [70.0])


async def test_only_who_may_see_both_moves_it_and_says_why(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    reading_id = newest(world, "marta")
    anna = world.viewer("anna")
    assert (await move(db, world, reading_id, now, to="marta")).answer is Answer.SAME
    assert (await move(db, world, reading_id, now, to="ingrid")).answer is Answer.NOT_FOUND
    assert (await move(db, world, uuid4(), now)).answer is Answer.NOT_FOUND
    for who in ("lisa", "tove", "marta"):
        done = await reading_owner.move(
            db, world.viewer(who), reading_id, world.patient("kalle"), why="Hans", now=now
        )
        assert done.answer in {Answer.NOT_FOUND, Answer.NOT_YOURS}
    for why in (" ", "x" * 501):
        done = await reading_owner.move(
            db, anna, reading_id, world.patient("kalle"), why=why, now=now
        )
        assert done.answer is Answer.NO_REASON
    assert world.rows("select 1 from reading_review union select 1 from reading_move") == []
