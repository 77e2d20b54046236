"""What is said of a reading is done by ingest, and rules look at everybody concerned once more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection

from alerts.care import plan_spec, reading_review
from alerts.care.plan_spec import PlanSpec
from alerts.care.reading_review import Answer, Done
from ingest import asked, pg_binary, recheck, rejudge, review
from ingest.asked import Verdict
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


async def ask(
    db: Connection,
    world: World,
    reading_id: UUID,
    now: datetime,
    verdict: Verdict = Verdict.MOVED,
    *,
    to: str = "kalle",
    who: str = "anna",
) -> Done:
    return await reading_review.ask(
        db,
        world.viewer(who),
        reading_id,
        verdict,
        to_patient_id=world.patient(to) if verdict is Verdict.MOVED else None,
        why=" Kalle vägde sig ",
        now=now,
    )


async def move(
    db: Connection, world: World, reading_id: UUID, now: datetime, to: str = "kalle"
) -> UUID:
    """Ask for it, and let ingest do it; return the id it has with its right owner."""
    done = await ask(db, world, reading_id, now, to=to)
    assert done.answer is Answer.ASKED
    assert await settle(db) == 1
    found: UUID = world.one(
        "select new_reading_id from review_request where request_id = %s", done.request_id
    )
    return found


async def settle(db: Connection) -> int:
    pg_binary.register(db)
    return await asked.settle(db, 100)


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
    done = await ask(db, world, reading_id, now)
    assert (done.answer, done.alert_ids) == (Answer.ASKED, (alert_id,))
    assert counting(world, "marta") == [85.0]  # who asks may not write readings
    assert await settle(db) == 1
    await judge_again(db)
    assert (counting(world, "marta"), counting(world, "kalle")) == ([], [77.0, 85.0])
    seen = await recheck.run(db, now - DAY, now + DAY)
    assert (seen.readings, seen.differences) == (3, 0)
    assert [row[1] for row in breaches(world, "kalle")] == [85.0]
    assert len(breaches(world, "marta")) == 1  # what was found is not hidden
    new_id = newest(world, "kalle")
    assert world.rows(
        "select reading_id, patient_id, to_patient_id, new_reading_id, staff_id, asked_at, refused,"
        " why from review_request join reading_word using (request_id)"
    ) == [
        (
            *(reading_id, world.patient("marta"), world.patient("kalle"), new_id),
            *(world.staff("anna"), now, None, "Kalle vägde sig"),
        )
    ]
    assert sorted(world.rows("select patient_id, action, detail from access_log")) == [
        (world.patient(key), "reading_moved", {}) for key in ("marta", "kalle")
    ]
    columns = "device_id, slot, measured_at, received_at, arrived_at, payload, source, loan_id"
    same = f"select distinct {columns} from reading where reading_id in (%s, %s)"
    assert len(world.rows(same, reading_id, new_id)) == 1


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
    new_id = await move(db, world, reading_id, now)
    assert counting(world, "kalle") == [77.0]
    bits = "select suspicion from sample where reading_id = %s"
    doubt = Suspicion.WEIGHT_OFF_MEDIAN
    assert world.one(bits, reading_id) == doubt | Suspicion.SUPERSEDED
    assert world.one(bits, new_id) == 0


async def test_another_doubt_goes_with_it(db: Connection, world: World, now: datetime) -> None:
    await world.measure_soon("marta", {S: 255.0, D: 145.0}, at=now - HOUR)
    new_id = await move(db, world, newest(world, "marta"), now)
    assert 255.0 not in counting(world, "kalle")
    bits = world.one("select bit_or(suspicion) from sample where reading_id = %s", new_id)
    assert bits & Suspicion.BEYOND_SOFT_BOUND
    assert not bits & Suspicion.CONFIRMED


async def test_it_is_done_once_whoever_asks_and_whichever_worker_looks(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    reading_id = newest(world, "marta")

    async def one() -> Answer:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            answer = (await ask(mine, world, reading_id, now)).answer
            await settle(mine)
            return answer

    answers = await asyncio.gather(*(one() for _ in range(5)))
    assert answers.count(Answer.ASKED) == 1
    assert set(answers) <= {Answer.ASKED, Answer.WAITING, Answer.REPLACED}
    assert counting(world, "kalle") == [70.0]
    assert world.one("select count(*) from reading") == 2
    await move(db, world, newest(world, "kalle"), now, to="marta")
    assert (counting(world, "kalle"), counting(world, "marta")) == ([], [70.0])


async def test_while_something_waits_nothing_else_is_asked(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    reading_id = newest(world, "marta")
    assert (await ask(db, world, reading_id, now)).answer is Answer.ASKED
    assert (await ask(db, world, reading_id, now, Verdict.CONFIRMED)).answer is Answer.WAITING
    await settle(db)
    assert (await ask(db, world, reading_id, now, Verdict.CONFIRMED)).answer is Answer.REPLACED


async def test_what_is_confirmed_counts_and_what_is_rejected_does_not(
    db: Connection, world: World, now: datetime
) -> None:
    for days in (5, 4, 3):
        await world.measure_soon("marta", {W: 60.0}, at=now - days * DAY)
    await world.measure_soon("marta", {W: 85.0}, at=now - HOUR)
    assert breaches(world, "marta") == []
    done = await ask(db, world, newest(world, "marta"), now, Verdict.CONFIRMED)
    assert done.request_id is not None
    said = await reading_review.state(db, world.viewer("anna"), done.request_id)
    assert said is not None
    assert (said.verdict, said.done_at) == (Verdict.CONFIRMED, None)
    assert await reading_review.state(db, world.viewer("lisa"), done.request_id) is None
    await settle(db)
    await judge_again(db)
    assert counting(world, "marta") == [60.0, 60.0, 60.0, 85.0]
    assert [row[1] for row in breaches(world, "marta")] == [85.0]
    again = await ask(db, world, newest(world, "marta"), now, Verdict.REJECTED)
    assert again.alert_ids == (world.alert("marta"),)
    await settle(db)
    assert counting(world, "marta") == [60.0, 60.0, 60.0]
    logged = world.rows("select action from access_log order by number")
    assert logged == [("reading_confirmed",), ("reading_rejected",)]
    assert world.rows("select verdict, staff_id from reading_review order by review_id") == [
        ("confirmed", world.staff("anna")),
        ("rejected", world.staff("anna")),
    ]


async def test_what_ingest_cannot_do_is_refused_with_its_reason(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    await world.measure_soon("marta", {W: 71.0}, at=now - 2 * HOUR)
    first = newest(world, "marta")
    done = await ask(db, world, first, now, Verdict.CONFIRMED)
    assert done.request_id is not None
    pg_binary.register(db)
    await review.reject(db, first)  # somebody at the command line was faster
    other = world.one("select reading_id from reading where reading_id <> %s", first)
    await ask(db, world, other, now, Verdict.REJECTED)
    assert await settle(db) == 2  # what is refused holds nobody up
    said = await reading_review.state(db, world.viewer("anna"), done.request_id)
    assert said is not None
    assert (said.done_at is not None, said.refused) == (True, "replaced")
    assert counting(world, "marta") == []


async def test_only_who_may_see_all_concerned_asks_and_says_why(
    db: Connection, world: World, now: datetime
) -> None:
    await world.measure_soon("marta", {W: 70.0}, at=now - HOUR)
    reading_id = newest(world, "marta")
    assert (await ask(db, world, reading_id, now, to="marta")).answer is Answer.SAME
    assert (await ask(db, world, reading_id, now, to="ingrid")).answer is Answer.NOT_FOUND
    assert (await ask(db, world, uuid4(), now)).answer is Answer.NOT_FOUND
    for who in ("lisa", "tove", "marta"):
        for verdict in Verdict:
            done = await ask(db, world, reading_id, now, verdict, who=who)
            assert done.answer in {Answer.NOT_FOUND, Answer.NOT_YOURS}
    for why in (" ", "x" * 501):
        done = await reading_review.ask(
            db, world.viewer("anna"), reading_id, Verdict.CONFIRMED, why=why, now=now
        )
        assert done.answer is Answer.NO_REASON
    with pytest.raises(ValueError, match="moved to patient None"):
        await reading_review.ask(
            db, world.viewer("anna"), reading_id, Verdict.MOVED, why="x", now=now
        )
    assert world.rows("select 1 from review_request union select 1 from reading_word") == []
