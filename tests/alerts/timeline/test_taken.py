"""Who had been told of a red alert hears once that a colleague has it; of a yellow one nobody."""

from datetime import timedelta

from alerts.held import Answer
from tests.alerts.timeline.story import RED, YELLOW, Phone, Story


async def red_that_two_know_of(story: Story) -> None:
    """Anna and Bo have been told; it is 08:22."""
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    await story.at("08:22")
    story.expects("08:12 anna: opened", "08:22 bo: not_answered")


async def test_who_had_been_told_hears_that_a_colleague_has_it(story: Story) -> None:
    await red_that_two_know_of(story)
    await story.at("08:30")
    assert (await story.takes("bo")).answer is Answer.DONE
    story.expects("08:30 anna: taken")
    await story.at("12:29")
    story.expects()
    assert story.log("acknowledged", "taken_told") == ["acknowledged", "taken_told"]


async def test_who_loses_the_race_changes_nothing(story: Story) -> None:
    await red_that_two_know_of(story)
    await story.takes("bo")
    story.expects("08:22 anna: taken")
    assert (await story.takes("anna")).answer is Answer.TAKEN
    story.expects()


async def test_who_ends_it_at_once_has_taken_it(story: Story) -> None:
    await red_that_two_know_of(story)
    await story.closes("anna")
    story.expects("08:22 bo: taken")


async def test_who_lets_it_rest_at_once_has_taken_it(story: Story) -> None:
    await red_that_two_know_of(story)
    assert (await story.snoozes("anna", story.moment("10:00"))).answer is Answer.DONE
    story.expects("08:22 bo: taken")
    assert story.log("snoozed", "taken_told") == ["snoozed", "taken_told"]
    await story.at("10:00")
    story.expects("10:00 anna: snooze_ended")
    await story.takes("anna")


async def test_who_lets_rest_what_she_had_taken_tells_nobody_again(story: Story) -> None:
    await red_that_two_know_of(story)
    await story.takes("anna")
    story.expects("08:22 bo: taken")
    await story.snoozes("anna", story.moment("10:00"))
    await story.at("09:59")
    story.expects()


async def test_who_ends_what_she_had_taken_tells_nobody_again(story: Story) -> None:
    await red_that_two_know_of(story)
    await story.takes("anna")
    story.expects("08:22 bo: taken")
    await story.at("09:00")
    await story.closes("anna")
    await story.at("18:00")
    story.expects()


async def test_who_was_not_reached_hears_nothing(story: Story) -> None:
    story.phones["anna"] = Phone.DEAD
    story.stands_in("bo")
    story.stands_in("cia", 2)
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 bo: not_reached", "08:12 cia: not_reached")
    await story.takes("bo")
    story.expects("08:12 cia: taken")


async def test_the_unit_that_was_told_hears_it_too(story: Story) -> None:
    story.unit_phone()
    await story.at("08:12")
    await story.measures("marta", RED)
    await story.at("08:32")
    story.expects("08:12 anna: opened", "08:22 enheten: not_answered")
    await story.takes("anna")
    story.expects("08:32 enheten: taken")


async def test_of_a_yellow_one_no_telephone_rings(story: Story) -> None:
    story.team("bo", "cia")
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 bo: opened", "08:12 cia: opened")
    await story.takes("bo")
    await story.at("08:00", day=story.day + timedelta(days=1))
    story.expects()


async def test_each_taking_is_told_to_those_who_were_told_since_the_one_before(
    story: Story,
) -> None:
    await red_that_two_know_of(story)
    await story.takes("bo")
    story.expects("08:22 anna: taken")
    await story.at("12:25")
    story.expects("12:22 anna: ack_expired")
    await story.takes("anna")
    await story.at("15:59")
    story.expects()


async def red_in_the_evening(story: Story) -> None:
    """Anna and Bo were told before they went home at four, and Dan, who is on duty; it is 16:10."""
    story.stands_in("bo")
    story.on_duty("dan", story.moment("15:00"), story.moment("08:00", days=1))
    await story.at("15:30")
    await story.measures("marta", RED)
    await story.at("16:10")
    story.expects(
        "15:30 anna: opened",
        "15:40 bo: not_answered",
        "15:50 dan: not_answered",
        "16:00 dan: rerouted",
    )


async def test_who_has_gone_home_is_not_woken_to_hear_it(story: Story) -> None:
    """Anna and Bo see it in the list."""
    await red_in_the_evening(story)
    await story.at("03:00", day=story.day + timedelta(days=1))
    story.heard.clear()
    await story.takes("dan")
    story.expects()
    assert story.log("taken_told") == []


async def test_who_is_on_duty_hears_it_at_night(story: Story) -> None:
    await red_in_the_evening(story)
    await story.at("03:00", day=story.day + timedelta(days=1))
    story.heard.clear()
    await story.takes("anna")
    story.expects("03:00 dan: taken")


async def test_who_has_just_been_told_hears_it_on_her_way_home(story: Story) -> None:
    await red_in_the_evening(story)
    await story.at("16:25")
    story.heard.clear()
    await story.takes("dan")
    story.expects("16:25 anna: taken", "16:25 bo: taken")
