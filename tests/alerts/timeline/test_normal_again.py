"""A yellow alert whose rest is over, with a week in range, ends; any doubt, and it is told."""

from datetime import datetime, timedelta

import pytest

from alerts.held import Answer
from devices.quantity import Quantity
from tests.alerts.timeline.story import FINE, RED, YELLOW, Story
from tests.alerts.world import D, S

DAY = timedelta(days=1)
LATER = 14 * DAY
TOLD = "09:00 anna: snooze_ended"


async def rests(story: Story) -> None:
    """Märta's yellow alert is let rest for a fortnight, till nine."""
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    story.world.connection.execute("update breach set measured_at = %s", (story.now,))
    assert (await story.snoozes("anna", story.moment("09:00", days=14))).answer is Answer.DONE


def stored(
    story: Story,
    at: datetime,
    values: dict[Quantity, float] | None = None,
    *,
    suspicion: int = 0,
) -> None:
    """Let a reading have been stored that was measured then, and breached nothing."""
    for quantity, value in (values or FINE).items():
        story.world.connection.execute(
            "insert into sample (patient_id, quantity_id, measured_at, reading_id, value, "
            "suspicion) values (%s, %s, %s, gen_random_uuid(), %s, %s)",
            (story.world.patient("marta"), quantity.facts.id, at, value, suspicion),
        )


def a_good_week(story: Story, days: int = 7) -> None:
    for number in range(1, days + 1):
        stored(story, story.moment("07:30", days=14) - number * DAY)


async def ends(story: Story) -> None:
    await story.at("09:00", day=story.day + LATER)


async def test_it_ends_quietly_and_the_log_says_so(story: Story) -> None:
    await rests(story)
    a_good_week(story)
    await ends(story)
    story.expects()
    assert story.state() == "closed"
    assert story.log("snooze_ended", "reopened", "closed", "notified") == [
        "notified opened",
        "closed",
    ]
    ((closed_by, closed_at, outcome, snoozed),) = story.world.rows(
        "select closed_by, closed_at, outcome, snoozed_until from alert_case"
    )
    assert (closed_by, closed_at, outcome, snoozed) == (None, story.now, "normal", None)
    assert story.world.rows("select 1 from alert_course") == []
    await story.at("18:00")


async def test_a_new_breach_after_it_is_a_new_alert(story: Story) -> None:
    await rests(story)
    a_good_week(story)
    await ends(story)
    await story.measures("marta", YELLOW, ago=timedelta(seconds=30))
    story.expects("09:00 anna: opened")
    await story.takes("anna")


async def test_one_value_out_of_range_in_the_week_is_told(story: Story) -> None:
    await rests(story)
    a_good_week(story)
    story.world.connection.execute(
        "insert into breach (alert_id, reading_id, patient_id, quantity_id, measured_at, rule, "
        "rule_key, level, side, value, bound, plan_version_id, late) select alert_id, "
        "gen_random_uuid(), patient_id, quantity_id, %s, rule, rule_key, 1, side, 161, 160, "
        "plan_version_id, true from breach limit 1",
        (story.moment("09:01", days=7),),
    )
    await ends(story)
    story.expects(TOLD)
    await story.takes("anna")


async def test_one_from_before_the_week_is_not(story: Story) -> None:
    await rests(story)
    a_good_week(story)
    story.world.connection.execute(
        "update breach set measured_at = %s", (story.moment("09:00", days=7),)
    )
    await ends(story)
    assert story.state() == "closed"


@pytest.mark.parametrize(("days", "is_told"), [(0, True), (2, True), (3, False)])
async def test_a_week_in_which_she_hardly_measured_is_told(
    story: Story, days: int, is_told: bool
) -> None:
    await rests(story)
    a_good_week(story, days)
    await ends(story)
    story.expects(*[TOLD] * is_told)
    if is_told:
        await story.takes("anna")


async def test_a_week_with_a_doubted_value_is_told(story: Story) -> None:
    await rests(story)
    a_good_week(story)
    stored(story, story.moment("07:30", days=13), {S: 262.0, D: 76.0}, suspicion=1)
    await ends(story)
    story.expects(TOLD)
    await story.takes("anna")


async def test_a_week_in_which_the_rules_were_silent_is_told(story: Story) -> None:
    await rests(story)
    a_good_week(story)
    story.world.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at) values (%s, %s, %s)",
        (
            story.world.patient("marta"),
            story.moment("09:00", days=5),
            story.moment("09:01", days=7),
        ),
    )
    await ends(story)
    story.expects(TOLD)
    await story.takes("anna")


async def test_red_is_never_ended_by_itself(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    story.world.connection.execute("update breach set measured_at = %s", (story.now - 10 * DAY,))
    for number in range(7):
        stored(story, story.now - number * DAY)
    await story.snoozes("anna", story.moment("09:00"))
    await story.at("09:00")
    story.expects("09:00 anna: snooze_ended")
    await story.takes("anna")
