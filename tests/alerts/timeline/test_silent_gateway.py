"""A silent gateway is the technicians' first, and a missing measurement waits for it.

The clock of ingest, the look for faults, routing and escalation are the real ones.
"""

from datetime import timedelta

import pytest

from alerts.technical import watch
from devices.quantity import Quantity
from ingest import pg_binary
from ingest.clock import due, missing
from ingest.registry import Registry
from tests.alerts.timeline.home import expects_daily, heard
from tests.alerts.timeline.story import Story
from tests.alerts.world import GATEWAY


async def looks(story: Story, clock: str, *, days: int = 0) -> None:
    """Let ingest's clock and the technicians' look come by, as they do all day."""
    await story.at(clock, day=story.day + timedelta(days=days))
    pg_binary.register(story.connection)
    story.world.connection.execute("update clock_turn set done_at = %s", (story.now,))
    before = story.world.one("select coalesce(max(alert_id), 0) from alert")
    for chore in (due.make, missing.look):
        await chore(story.connection, Registry(), story.now, 5_000)
    await watch.look(story.connection, story.now)
    story.world.connection.execute(
        "update alert set opened_at = %(at)s, level_since = %(at)s, changed_at = %(at)s "
        "where alert_id > %(before)s",
        {"at": story.now, "before": before},
    )
    await story.turn()


def faults(story: Story) -> list[str]:
    return [
        kind
        for (kind,) in story.world.rows(
            "select kind from technical where closed_at is null and gateway_id = %s", GATEWAY
        )
    ]


def reminders(story: Story) -> int:
    return int(story.world.one("select count(*) from reminder"))


async def test_a_silent_gateway_holds_the_nurse_back_for_two_days(story: Story) -> None:
    """Monday 08:00 it falls silent; on Friday morning, and not before, Anna is told."""
    expects_daily(story)
    await looks(story, "08:00")
    heard(story)
    await looks(story, "08:14")
    assert faults(story) == []
    await looks(story, "08:16")
    assert faults(story) == ["silent_gateway"]
    for clock, days in (("19:01", 1), ("08:00", 1), ("18:59", 1)):  # to Thursday
        await looks(story, clock, days=days)
        assert (reminders(story), faults(story)) == (0, ["silent_gateway"])
    story.expects("08:00 tove: 1 fel", "08:16 tove: 1 fel, bråttom", "08:00 tove: 1 fel, bråttom")
    await looks(story, "19:15")
    story.expects()
    assert story.state() == "open"
    await story.at("08:01", day=story.day + timedelta(days=1))
    story.expects("08:00 anna: opened")


async def test_a_gateway_that_is_heard_lets_the_ladder_be_climbed(story: Story) -> None:
    """She does not measure: two reminders, then the nurse's list; never a technician's."""
    expects_daily(story)
    steps = []
    for clock, days in (("19:01", 1), ("07:02", 1), ("19:03", 0)):
        await story.at(clock, day=story.day + timedelta(days=days))
        heard(story)
        await looks(story, clock)
        steps.append(reminders(story))
    assert steps == [1, 2, 2]
    assert faults(story) == []
    story.expects()
    await story.at("08:01", day=story.day + timedelta(days=1))
    story.expects("08:00 anna: opened")


@pytest.mark.parametrize("back", ["08:30", "18:30"])
async def test_a_gateway_that_comes_back_brings_what_it_kept_first(story: Story, back: str) -> None:
    """What waits in it arrives before anybody is reminded or told."""
    expects_daily(story)
    await looks(story, "08:00")
    story.expects("08:00 tove: 1 fel")  # it has not been heard yet
    heard(story)
    await looks(story, "19:01", days=1)  # held
    assert reminders(story) == 0
    await story.at(back, day=story.day + timedelta(days=1))
    heard(story)
    await looks(story, back)
    assert reminders(story) == 0
    story.world.connection.execute(
        "insert into sample (patient_id, quantity_id, measured_at, reading_id, value) "
        "values (%s, %s, %s, gen_random_uuid(), 128)",
        (story.world.patient("marta"), Quantity.SYSTOLIC.facts.id, story.now - timedelta(hours=1)),
    )
    await story.at("23:59")
    heard(story)
    await looks(story, "23:59")
    assert reminders(story) == 0
    assert faults(story) == []
    story.expects()
