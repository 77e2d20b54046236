"""A red or yellow alert that nobody answers: who is told, when, and nobody else."""

from datetime import timedelta

from tests.alerts.timeline.story import MONDAY, RED, YELLOW, Phone, Story
from tests.alerts.world import W

DAY = timedelta(days=1)
FRIDAY = MONDAY + 4 * DAY


async def test_red_goes_from_one_to_the_next(story: Story) -> None:
    story.stands_in("bo")
    story.on_duty("dan", story.moment("08:00"), story.moment("16:00"))
    story.unit_phone()
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:21")
    story.expects()
    await story.at("08:22")
    story.expects("08:22 bo: not_answered")
    await story.at("08:32")
    story.expects("08:32 dan: not_answered")
    await story.at("09:40")
    everybody = ("anna", "bo", "dan", "enheten")
    story.expects(
        *(f"09:02 {who}: not_answered" for who in everybody),
        *(f"09:32 {who}: repeated" for who in everybody),
    )


async def test_yellow_goes_from_one_to_the_next_in_working_hours_and_then_each_morning(
    story: Story,
) -> None:
    story.stands_in("bo")
    story.unit_phone()
    await story.at("14:00", day=FRIDAY)
    await story.measures("marta", YELLOW)
    story.expects("14:00 anna: opened")
    await story.at("09:59", day=FRIDAY + 3 * DAY)
    story.expects()
    await story.at("18:00")
    story.expects("10:00 bo: not_answered", "14:05 enheten: not_answered")
    await story.at("18:00", day=FRIDAY + 5 * DAY)
    morning = ("08:00 anna: {}", "08:05 enheten: {}")  # what a unit is told of is gathered
    story.expects(*(line.format(why) for why in ("not_answered", "repeated") for line in morning))


async def test_the_contact_is_on_leave(story: Story) -> None:
    story.stands_in("bo")
    story.away("anna")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 bo: opened")


async def test_the_contact_and_her_first_substitute_are_on_leave(story: Story) -> None:
    story.stands_in("bo", 1)
    story.stands_in("cia", 2)
    story.away("anna")
    story.away("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 cia: opened")


async def test_all_are_on_leave_and_the_unit_is_told(story: Story) -> None:
    story.stands_in("bo")
    story.away("anna")
    story.away("bo")
    story.unit_phone()
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 enheten: opened")
    assert story.log("nobody_to_notify") == []


async def test_the_contact_has_no_channel_and_the_next_is_told_at_once(story: Story) -> None:
    story.stands_in("bo")
    story.without_channel("anna")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 bo: nobody_before")
    assert story.log("nobody_to_notify") == ["nobody_to_notify no_channel"]
    assert story.world.one("select warning from alert_case")


async def test_a_dead_telephone_is_followed_by_the_next_at_once(story: Story) -> None:
    story.phones["anna"] = Phone.DEAD
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 bo: not_reached")
    assert story.log("not_delivered", "escalated") == [
        "not_delivered failed",
        "escalated not_reached",
    ]


async def test_an_sms_that_never_arrives_is_followed_by_the_next_in_two_minutes(
    story: Story,
) -> None:
    story.phones["anna"] = Phone.MUTE
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects()
    await story.at("08:23")
    story.expects("08:14 bo: not_reached")


async def test_no_telephone_works_and_all_are_tried_again_and_again(story: Story) -> None:
    story.phones = dict.fromkeys(("anna", "bo", "enheten"), Phone.DEAD)
    story.stands_in("bo")
    story.unit_phone()
    await story.at("08:12")
    await story.measures("marta", RED)
    await story.at("09:10")
    story.expects()
    # Each in her step, then everybody, and everybody again half an hour later.
    assert story.log("not_delivered") == ["not_delivered failed"] * 9
    story.phones["bo"] = Phone.RINGS
    await story.at("09:20")
    story.expects("09:12 bo: not_reached")


async def test_nobody_can_be_told_and_that_is_said(story: Story) -> None:
    story.without_channel("anna")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects()
    assert story.log("nobody_to_notify") == [
        "nobody_to_notify no_channel",
        "nobody_to_notify empty",
        "nobody_to_notify no_channel",
        "nobody_to_notify no_channel",
    ]
    assert story.world.one("select warning from alert_case")


async def test_a_team_of_three_of_whom_one_is_on_leave_and_one_has_a_dead_telephone(
    story: Story,
) -> None:
    story.team("bo", "cia", "dan")
    story.away("bo")
    story.phones["cia"] = Phone.DEAD
    story.unit_phone()
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 dan: opened")
    await story.at("08:21")
    story.expects()
    await story.at("08:25")
    story.expects("08:22 enheten: not_reached")  # Cia was tried once more


async def test_two_rules_at_once_are_two_alerts_and_each_is_told(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", {**RED, W: 90.0})
    story.expects("08:12 anna: opened", "08:12 anna: opened")
    assert story.world.one("select count(*) from alert") == 2
