"""An alert that becomes red is told as red, whichever transaction or click comes first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from psycopg import AsyncConnection

from alerts import actions, course, engine
from alerts.alert import Level
from alerts.held import Answer
from ingest import episode
from tests.alerts.timeline.story import RED, YELLOW, Story
from tests.alerts.world import open_always

# What a worker of ingest does to the alert in its batch.
_RAISE = f"""
with episode as (
    select %s::bigint as patient_id, 'limit:blood_pressure'::text as rule,
           2::smallint as level, false as late, now() as measured_at, 1 as breaches
),
{episode._TOUCH}
select event from touched
"""


@pytest.fixture
def story_at_any_hour(story: Story) -> Story:
    """A story by the database's own time, whatever that is: the units never close."""
    open_always(story.world.connection)
    return story


@asynccontextmanager
async def batch(story: Story) -> AsyncIterator[AsyncConnection]:
    """Begin a transaction of another worker, at the database's own time."""
    async with await AsyncConnection.connect(story.world.dsn) as connection:
        await connection.execute("select now()")
        yield connection


async def raises(story: Story, connection: AsyncConnection) -> None:
    done = await connection.execute(_RAISE.encode(), (story.world.patient("marta"),))
    assert await done.fetchone() is not None
    await connection.commit()


async def works(story: Story) -> None:
    """Route and advance, by the database's own time."""
    for _ in range(3):
        await engine.advance(story.connection)
        await course.advance(story.connection)


def told(story: Story) -> list[tuple[int, str]]:
    rows = story.world.rows("select level, why from notification order by notification_id")
    return [(level, why) for level, why in rows]


@pytest.mark.parametrize("is_taken", [False, True])
async def test_a_batch_that_began_before_the_alert_opened_raises_it(
    story_at_any_hour: Story, is_taken: bool
) -> None:
    story = story_at_any_hour
    async with batch(story) as late:
        await story.world.measure_soon("marta", YELLOW, ago=timedelta(minutes=1))
        await works(story)
        if is_taken:
            await actions.acknowledge(
                story.connection,
                story.viewer("anna"),
                story.world.alert("marta"),
                seen_breach_id=story.newest(),
            )
        await raises(story, late)
    await works(story)
    assert (Level.RED, "raised") in told(story)


async def test_a_batch_that_began_before_the_course_began_anew_raises_it(
    story_at_any_hour: Story,
) -> None:
    story = story_at_any_hour
    world = story.world
    await world.measure_soon("marta", YELLOW, ago=timedelta(minutes=1))
    await works(story)
    alert_id = world.alert("marta")
    await actions.acknowledge(
        story.connection, story.viewer("anna"), alert_id, seen_breach_id=story.newest()
    )
    world.connection.execute("update alert_case set acknowledged_until = now()")
    world.connection.execute("update alert_course set due_at = now()")
    async with batch(story) as late:
        await works(story)
        assert world.one("select because from alert_course") == "ack_expired"
        await raises(story, late)
    await works(story)
    assert (Level.RED, "raised") in told(story)


async def test_what_is_raised_while_nobody_knows_the_patient_is_red_when_she_is_back(
    story: Story,
) -> None:
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    await story.measures("marta", RED, is_seen=False)
    await course.rest(story.connection, story.world.alert("marta"), story.moment("08:14"))
    await story.at("08:13")
    story.expects()
    await story.at("08:15")
    story.expects("08:14 anna: raised")


async def test_who_saw_yellow_does_not_take_red(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    seen = story.newest()
    await story.measures("marta", RED, is_seen=False)
    done = await story.takes("anna", seen=seen)  # before her page was told
    assert done.answer is Answer.NEW_VALUE
    story.expects("08:12 anna: raised")
    assert story.state() == "open"
    assert (await story.takes("anna")).answer is Answer.DONE


async def test_a_newer_value_of_the_same_level_is_hers_to_take(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    seen = story.newest()
    await story.measures("marta", RED, ago=timedelta(0))
    assert story.newest() > seen
    assert (await story.takes("anna", seen=seen)).answer is Answer.DONE
