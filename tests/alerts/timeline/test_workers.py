"""Any number of workers, nurses who are faster than each other, and a worker that dies."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import actions, course, engine
from alerts.alert import Outcome
from alerts.care.people import Viewer
from alerts.ending import end
from alerts.held import Answer
from tests.alerts.timeline.story import RED, Story

TEN = timedelta(minutes=10)


async def opens(story: Story, alerts: int) -> None:
    """Let so many alerts of Märta's be open and routed."""
    story.world.connection.execute(
        "insert into alert (patient_id, rule, level, measured_at, opened_at, level_since, "
        "changed_at) select %s, 'limit:' || n, 2, %s, %s, %s, %s from generate_series(1, %s) n",
        (story.world.patient("marta"), *[story.now] * 4, alerts),
    )
    await engine.advance(story.connection, now=story.now)


async def work(story: Story, workers: int, now: datetime) -> None:
    """Let so many workers do what is due, at once."""

    async def one() -> None:
        async with story.pool.connection() as connection:
            for _ in range(50):
                if not await course.advance(connection, now):
                    return

    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(one())


def counted(story: Story) -> list[tuple[Any, ...]]:
    return story.world.rows(
        "select step, count(*), count(distinct alert_id) from notification group by 1 order by 1"
    )


@pytest.mark.parametrize("workers", [2, 8])
async def test_workers_on_the_same_rows_take_each_step_once(
    story: Story, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(course, "CLAIM_ROWS_MAX", 3)
    story.stands_in("bo")
    await story.at("08:12")
    await opens(story, 30)
    for number in range(2):
        await work(story, workers, story.now + number * TEN)
        await work(story, workers, story.now + number * TEN)
    assert counted(story) == [(0, 30, 30), (1, 30, 30)]
    assert story.world.one("select count(*) from alert_log where event = 'notified'") == 60


async def test_a_worker_that_dies_leaves_its_step_to_the_next(story: Story) -> None:
    await story.at("08:12")
    await opens(story, 1)
    async with await AsyncConnection.connect(story.world.dsn, autocommit=True) as dying:
        with pytest.raises(psycopg.OperationalError):
            await _dies(story, dying)
    await work(story, 2, story.now)
    assert counted(story) == [(0, 1, 1)]


async def _dies(story: Story, dying: AsyncConnection[Any]) -> None:
    """Take the step, and end before it is written for good."""
    async with dying.transaction():
        assert await course.advance(dying, story.now) == 1
        await work(story, 2, story.now)
        assert counted(story) == []  # it is held by who is at it
        story.world.connection.execute("select pg_terminate_backend(%s)", [dying.info.backend_pid])


async def test_of_fifty_at_once_one_takes_it_the_others_are_told_who_and_nobody_is_told_more(
    story: Story,
) -> None:
    story.unit_phone()
    await story.at("08:12")
    await story.measures("sven", RED)
    story.expects("08:12 enheten: opened")
    story.now += 2 * TEN  # the next step is due at this moment
    unit_id, alert_id = story.viewer("anna").unit_id, story.world.alert("sven")
    staff = story.world.rows(
        "insert into staff (unit_id, name, role, phone) select %s, 'Prov ' || n, 'x', '' "
        "from generate_series(1, 50) n returning staff_id, name",
        unit_id,
    )
    story.world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) "
        "select unnest(%s::bigint[]), 'care', '2020-01-01'",
        ([staff_id for staff_id, _ in staff],),
    )

    async def takes(staff_id: int, name: str) -> actions.Done:
        viewer = Viewer(name=name, staff_id=staff_id, unit_id=unit_id)
        async with story.pool.connection() as connection:
            return await actions.acknowledge(
                connection, viewer, alert_id, seen_breach_id=story.newest(), now=story.now
            )

    answers, _ = await asyncio.gather(
        asyncio.gather(*(takes(*one) for one in staff)), work(story, 4, story.now)
    )
    (winner,) = (one for one in answers if one.answer is Answer.DONE)
    others = [one for one in answers if one is not winner]
    assert {(one.answer, one.name) for one in others} == {(Answer.TAKEN, winner.name)}
    before = [line for line in story.heard if not line.endswith("taken")]
    await story.turn()
    await story.at("12:31")
    assert sorted(story.heard) == sorted([*before, "08:32 enheten: taken"])
    assert story.state("sven") == "acknowledged"
    story.heard.clear()


async def test_a_course_that_meets_an_end_or_a_taking_is_over_or_rests(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await opens(story, 12)
    await work(story, 1, story.now)
    later = story.now + TEN
    alert_ids = [row[0] for row in story.world.rows("select alert_id from alert order by 1")]

    async def ends(alert_id: int) -> None:
        async with story.pool.connection() as connection:
            viewer = story.viewer("anna")
            if alert_id % 2:
                await actions.acknowledge(connection, viewer, alert_id, seen_breach_id=0, now=later)
            else:
                await actions.close(
                    connection,
                    viewer,
                    alert_id,
                    outcome=Outcome.OTHER,
                    seen_breach_id=0,
                    now=later,
                )

    await asyncio.gather(*(ends(one) for one in alert_ids), work(story, 4, later))
    before = counted(story)
    await work(story, 4, later + 2 * TEN)
    assert counted(story) == before
    assert story.world.rows(
        "select a.state, c.due_at from alert a left join alert_course c using (alert_id) "
        "group by 1, 2 order by 1"
    ) == [("acknowledged", later + timedelta(hours=4)), ("closed", None)]


async def test_a_worker_goes_on_by_itself_by_the_clock_of_the_database(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "POLL_S", 0.05)
    story.unit_phone()  # it may be night
    task = asyncio.create_task(course.run(story.pool))
    async with asyncio.timeout(20):
        await story.world.measure_soon("marta", RED)
        await engine.advance(story.connection)
        while not counted(story):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)
    await end([task])
    assert story.world.one(
        "select abs(extract(epoch from n.made_at - a.opened_at)) < 60 "
        "from notification n join alert a using (alert_id)"
    )


async def test_who_dies_before_it_has_written_leaves_the_alert_to_the_next(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED, is_seen=False)
    for look in (engine.advance, course.advance):
        async with (
            story.pool.connection() as dying,
            dying.transaction(force_rollback=True),
        ):
            assert await look(dying, now=story.now) == 1
        assert await look(story.connection, now=story.now) == 1
        assert await look(story.connection, now=story.now) == 0
    await story.turn()
    story.expects("08:12 anna: opened")
    await story.takes("anna")


async def test_what_was_looked_at_and_has_not_changed_is_not_looked_at_again(story: Story) -> None:
    await story.at("08:12")
    await opens(story, 5)
    await story.turn()
    story.heard.clear()
    assert await engine.advance(story.connection, now=story.now) == 0
    assert await course.advance(story.connection, story.now) == 0
    alert_id = story.world.alert("marta")
    story.world.connection.execute(
        "update alert set changed_at = %s where alert_id = %s", (story.now, alert_id)
    )
    assert await engine.advance(story.connection, now=story.now) == 0  # as it was
    changed_at = story.now + timedelta(seconds=1)
    story.world.connection.execute(
        "update alert set changed_at = %s where alert_id = %s", (changed_at, alert_id)
    )
    assert await engine.advance(story.connection, now=story.now) == 1
    assert await course.advance(story.connection, story.now) == 1
