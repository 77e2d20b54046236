"""What ingest makes of readings, and who is told of it."""

from datetime import UTC, datetime, timedelta

from tests.alerts.timeline.story import FINE, RED, Story


async def test_late_red_values_that_a_newer_one_has_calmed_are_one_yellow_alert(
    story: Story,
) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", FINE)
    for hours in (50, 40, 30):
        await story.measures("marta", RED, ago=timedelta(hours=hours))
    assert story.world.rows("select level, late from alert") == [(1, True)]
    await story.at("08:40")
    story.expects("08:12 anna: opened")


async def test_in_a_pause_nobody_is_told(story: Story) -> None:
    story.world.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
        (story.world.patient("marta"), datetime(2020, 1, 1, tzinfo=UTC), story.moment("08:00")),
    )
    await story.at("08:12")
    await story.measures("marta", RED)
    await story.at("09:00")
    story.expects()
    assert story.world.rows("select 1 from alert") == []


async def test_the_canary_is_told_of_to_nobody(story: Story) -> None:
    story.world.connection.execute(
        "update patient set is_canary = true where patient_id = %s", [story.world.patient("marta")]
    )
    await story.at("08:12")
    await story.measures("marta", RED)
    await story.at("09:00")
    story.expects()
