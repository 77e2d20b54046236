"""Routing, courses, sending and nurses on the same alerts at once: nobody waits in a circle."""

import asyncio
import random
from datetime import datetime, timedelta

from alerts import actions, course, engine, snooze
from alerts.alert import Outcome
from alerts.care.people import Viewer
from alerts.channels.outcome import Fault, State, failed
from alerts.channels.outcome import Outcome as Sent
from alerts.sending import store
from tests.alerts.timeline.story import KINDS, Story

ALERTS = 24


async def works(story: Story, times: list[datetime]) -> None:
    """Route and advance."""
    async with story.pool.connection() as connection:
        for now in times:
            await engine.advance(connection, now=now)
            await course.advance(connection, now)


async def sends(story: Story, times: list[datetime], draw: random.Random) -> None:
    """Send; every other message reaches nobody."""
    async with story.pool.connection() as connection:
        for now in times:
            for one in (await store.claim(connection, KINDS, now, 10)).to_send:
                arrives = draw.random() < 0.5
                sent = Sent(state=State.DELIVERED) if arrives else failed(Fault.ADDRESS, "")
                await store.mark(connection, one.attempt_id, sent, now)


async def acts(story: Story, viewer: Viewer, alert_id: int, what: int, now: datetime) -> None:
    """Take it, let it rest, end it, or leave it."""
    async with story.pool.connection() as connection:
        if what == 0:
            await actions.acknowledge(connection, viewer, alert_id, seen_breach_id=0, now=now)
        elif what == 1:
            until = now + timedelta(hours=1)
            await snooze.snooze(
                connection, viewer, alert_id, until=until, why="x", seen_breach_id=0, now=now
            )
        elif what == 2:
            await actions.close(
                connection, viewer, alert_id, outcome=Outcome.OTHER, seen_breach_id=0, now=now
            )


async def test_each_alert_has_a_course_or_an_end_and_nobody_is_told_of_what_has_ended(
    story: Story,
) -> None:
    story.stands_in("bo")
    story.unit_phone()
    await story.at("08:12")
    story.world.connection.execute(
        "insert into alert (patient_id, rule, level, measured_at, opened_at, level_since, "
        "changed_at) select %s, 'limit:' || n, 2, %s, %s, %s, %s from generate_series(1, %s) n",
        (story.world.patient("marta"), *[story.now] * 4, ALERTS),
    )
    draw, anna = random.Random(7), story.viewer("anna")
    times = [story.now + timedelta(minutes=10 * number) for number in range(4)]
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(works(story, times))
            tasks.create_task(sends(story, times * 3, draw))
        for (alert_id,) in story.world.rows("select alert_id from alert"):
            for what in draw.sample(range(4), 2):
                tasks.create_task(acts(story, anna, alert_id, what, draw.choice(times)))
    story.now = times[-1]
    await story.turn()
    wrong = (
        "select alert_id from alert left join alert_course c using (alert_id) "
        "where (state <> 'closed') <> (c.due_at is not null)"
    )
    assert story.world.rows(wrong) == []
    told_late = (
        "select 1 from alert_log told join alert_log done using (alert_id) "
        "where told.event = 'notified' and done.event = 'closed' and told.entry_id > done.entry_id"
    )
    assert story.world.rows(told_late) == []
    story.heard.clear()
