"""A pause silences rules and nothing else, has an end, and ends as a whole."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import pause
from alerts.care.pause import Answer, Done, Pause
from tests.alerts.world import D, S, World

Connection = AsyncConnection[Any]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HIGH = {S: 200.0, D: 100.0}


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


async def begun(
    db: Connection, world: World, begins: float, ends: float, *, now: datetime = NOW
) -> Done:
    """Begin a pause for Märta, so many days from *now*."""
    return await pause.begin(
        db,
        world.viewer("anna"),
        world.patient("marta"),
        from_at=now + begins * DAY,
        until_at=now + ends * DAY,
        reason="Sjukhus",
        now=now,
    )


def spans(*pauses: Pause) -> list[tuple[float, float]]:
    return [((one.from_at - NOW) / DAY, (one.until_at - NOW) / DAY) for one in pauses]


async def test_rules_are_silent_until_its_end_and_storage_is_not(
    db: Connection, world: World
) -> None:
    now: datetime = world.one("select clock_timestamp()")
    done = await begun(db, world, 0, 3, now=now)
    assert done.answer is Answer.DONE
    after = world.one("select clock_timestamp()")
    await world.measure_soon("marta", HIGH, at=after)
    assert (
        world.one("select count(*) from breach"),
        world.one("select count(*) from reading"),
    ) == (
        0,
        1,
    )
    await world.measure_soon("kalle", HIGH, at=after)
    assert world.rows("select patient_id from breach") == 2 * [(world.patient("kalle"),)]
    ends: datetime = world.one("select clock_timestamp()")
    number = done.pauses[0].pause_id
    ended = await pause.end(db, world.viewer("marta"), world.patient("marta"), number, now=ends)
    assert ended.answer is Answer.DONE
    await world.measure_soon("marta", HIGH, at=ends - timedelta(microseconds=1))
    assert (
        len(world.rows("select 1 from breach where patient_id = %s", world.patient("marta"))) == 0
    )
    await world.measure_soon("marta", HIGH, at=world.one("select clock_timestamp()"))
    assert world.rows("select 1 from breach where patient_id = %s", world.patient("marta"))
    assert world.rows("select staff_id, until_at, event from pause_log order by entry_id") == [
        (world.staff("anna"), now + 3 * DAY, "began"),
        (None, ends, "ended"),
    ]
    log = "select action, ground, patient_id from access_log order by at"
    assert world.rows(log) == [
        ("pause_begun", "contact", world.patient("marta")),
        ("pause_ended", "self", world.patient("marta")),
    ]


@pytest.mark.parametrize(
    ("begins", "ends", "reason", "answer"),
    [
        (-1 / 86400, 1, "Resa", Answer.IN_THE_PAST),
        (0, 0, "Resa", Answer.NO_END),
        (2, 1, "Resa", Answer.NO_END),
        (0, 62.01, "Resa", Answer.TOO_LONG),
        (0, 62, "Resa", None),
        (367, 368, "Resa", Answer.TOO_FAR),
        (0, 1, " \n", Answer.NO_REASON),
        (0, 1, "å" * 501, Answer.NO_REASON),
    ],
)
def test_a_pause_has_an_end_and_a_reason_and_is_never_of_before(
    begins: float, ends: float, reason: str, answer: Answer | None
) -> None:
    assert pause._obstacle(NOW + begins * DAY, NOW + ends * DAY, reason, NOW) is answer


async def test_its_end_is_brought_forward_and_never_put_off(db: Connection, world: World) -> None:
    anna, marta = world.viewer("anna"), world.patient("marta")
    (first,) = (await begun(db, world, 0, 10)).pauses
    assert (await begun(db, world, 2, 5)).answer is Answer.COVERED
    assert (await begun(db, world, 0, 10)).answer is Answer.COVERED
    later = await pause.end(db, anna, marta, first.pause_id, at=NOW + 11 * DAY, now=NOW)
    assert later.answer is Answer.NO_PAUSE
    past = await pause.end(db, anna, marta, first.pause_id, at=NOW, now=NOW + DAY)
    assert past.answer is Answer.IN_THE_PAST
    sooner = await pause.end(db, anna, marta, first.pause_id, at=NOW + 4 * DAY, now=NOW)
    assert spans(*sooner.pauses) == [(0, 4)]
    again = await pause.end(db, anna, marta, first.pause_id, now=NOW + 5 * DAY)
    assert again.answer is Answer.NO_PAUSE
    assert spans(*await pause.of_patient(db, anna, marta, NOW)) == [(0, 4)]
    assert await pause.of_patient(db, anna, marta, NOW + 4 * DAY) == []


async def test_pauses_that_meet_end_as_one_and_another_stays(db: Connection, world: World) -> None:
    anna, marta = world.viewer("anna"), world.patient("marta")
    (first,) = (await begun(db, world, 0, 10)).pauses
    await begun(db, world, 10, 20)
    (third,) = (await begun(db, world, 15, 25)).pauses
    (travel,) = (await begun(db, world, 26, 30)).pauses
    done = await pause.end(db, anna, marta, third.pause_id, now=NOW + 2 * DAY)
    assert spans(*done.pauses)[0] == (0, 2)
    assert [one.was_called_off for one in done.pauses] == [False, True, True]
    left = await pause.of_patient(db, anna, marta, NOW)
    assert [one.pause_id for one in left] == [first.pause_id, travel.pause_id]
    called_off = await pause.end(db, anna, marta, travel.pause_id, now=NOW + 2 * DAY)
    assert called_off.pauses[0].was_called_off
    assert await pause.of_patient(db, anna, marta, NOW + 3 * DAY) == []
    silent = world.one(
        "select count(*) from patient_pause where %s >= from_at and %s < until_at",
        NOW + 12 * DAY,
        NOW + 12 * DAY,
    )
    assert silent == 0


async def test_only_her_care_begins_and_she_or_her_care_ends(db: Connection, world: World) -> None:
    (first,) = (await begun(db, world, 0, 10)).pauses
    marta = world.patient("marta")
    for who in ("lisa", "tove", "ingrid", "marta"):
        viewer = world.viewer(who)
        made = await pause.begin(db, viewer, marta, until_at=NOW + 20 * DAY, reason="Resa", now=NOW)
        assert made.answer in {Answer.NOT_FOUND, Answer.NOT_YOURS}
        if who != "marta":
            ended = await pause.end(db, viewer, marta, first.pause_id, now=NOW)
            assert ended.answer in {Answer.NOT_FOUND, Answer.NOT_YOURS}
            assert await pause.of_patient(db, viewer, marta, NOW) == []
    kalle = world.patient("kalle")
    other = await pause.end(db, world.viewer("anna"), kalle, first.pause_id, now=NOW)
    assert other.answer is Answer.NO_PAUSE
    assert spans(*await pause.of_patient(db, world.viewer("marta"), marta, NOW)) == [(0, 10)]


async def test_of_many_who_begin_the_same_at_once_one_does(world: World) -> None:
    async def one() -> Done:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            return await begun(mine, world, 0, 10)

    answers = [done.answer for done in await asyncio.gather(*(one() for _ in range(6)))]
    assert sorted(answers) == [Answer.COVERED] * 5 + [Answer.DONE]
