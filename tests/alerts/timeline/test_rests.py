"""An alert rests while somebody acts, or until a time; then it is told again."""

from datetime import date, timedelta

from alerts.held import Answer
from tests.alerts.timeline.story import FINE, RED, YELLOW, Phone, Story
from tests.alerts.world import D, S

TUESDAY = date(2038, 2, 2)


async def test_what_somebody_takes_is_told_to_nobody_else(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:20")
    assert (await story.takes("anna")).answer is Answer.DONE
    await story.at("12:19")
    story.expects()


async def test_what_was_taken_and_forgotten_is_open_again(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:20")
    await story.takes("anna")
    await story.at("12:35")
    story.expects("12:20 anna: ack_expired", "12:30 bo: not_answered")
    assert story.state() == "open"
    assert story.log("ack_expired", "reopened") == ["ack_expired"]


async def test_a_taken_yellow_one_is_open_again_after_three_days(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    await story.takes("anna")
    await story.at("08:11", day=date(2038, 2, 4))
    story.expects()
    await story.at("08:13")
    story.expects("08:12 anna: ack_expired")


async def test_red_is_told_also_to_who_has_taken_the_yellow_one(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    await story.takes("anna")
    await story.at("09:00")
    await story.measures("marta", RED)
    story.expects("09:00 anna: raised")
    assert story.state() == "open"
    assert story.log("raised", "reopened") == ["raised", "reopened raised"]


async def test_red_begins_the_steps_anew(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    await story.at("08:40")
    await story.measures("marta", RED)
    await story.at("08:55")
    story.expects("08:12 anna: opened", "08:40 anna: raised", "08:50 bo: not_answered")


async def test_a_second_value_that_is_no_worse_is_told_to_nobody(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.measures("marta", RED, ago=timedelta(seconds=30))
    story.expects()


async def test_what_is_closed_is_told_to_nobody(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:21")
    assert (await story.closes("anna")).answer is Answer.DONE
    await story.at("10:00", day=TUESDAY)
    story.expects()
    assert story.world.rows("select 1 from alert_course") == []


async def test_a_snooze_ends_and_it_is_told_as_if_it_were_new(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    assert (await story.snoozes("anna", story.moment("10:00"))).answer is Answer.DONE
    await story.at("10:15")
    story.expects("10:00 anna: snooze_ended", "10:10 bo: not_answered")
    assert story.log("snoozed", "snooze_ended") == ["snoozed", "snooze_ended"]


async def test_what_was_taken_and_let_rest_is_open_when_the_time_comes(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.takes("anna")
    await story.snoozes("anna", story.moment("15:00"))
    await story.at("15:05")
    story.expects("15:00 anna: snooze_ended")
    assert story.state() == "open"


async def test_a_worse_value_breaks_the_snooze(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.snoozes("anna", story.moment("15:00"))
    await story.at("09:00")
    await story.measures("marta", RED, ago=timedelta(seconds=40))
    await story.measures("marta", FINE, ago=timedelta(seconds=35))
    await story.measures("marta", YELLOW, ago=timedelta(seconds=30))
    await story.at("09:01")
    story.expects()
    await story.measures("marta", {S: 196.0, D: 115.0}, ago=timedelta(seconds=20))
    story.expects()  # 4 mmHg and 3: no cuff tells that apart
    await story.at("09:02")
    await story.measures("marta", {S: 197.0, D: 112.0}, ago=timedelta(seconds=10))
    story.expects("09:02 anna: snooze_broken")
    assert story.log("snooze_broken", "snooze_ended") == ["snooze_broken"]


async def test_red_breaks_the_snooze_of_a_yellow_one(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    await story.snoozes("anna", story.moment("15:00", days=3))
    await story.at("09:00")
    await story.measures("marta", RED)
    story.expects("09:00 anna: raised")
    assert story.log("snooze_broken") == ["snooze_broken"]
    assert story.world.one("select snoozed_until from alert_case") is None


async def test_who_takes_it_ends_the_snooze(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.snoozes("anna", story.moment("09:00"))
    await story.takes("anna")
    await story.at("12:11")
    story.expects()
    await story.at("12:13")
    story.expects("12:12 anna: ack_expired")


async def test_a_snooze_has_a_reason_an_end_and_limits(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    for until in (story.now, story.moment("08:13", days=1)):
        assert (await story.snoozes("anna", until)).answer is Answer.UNFIT
    assert (await story.snoozes("lisa", story.moment("09:00"))).answer is Answer.NOT_FOUND
    assert story.world.one("select snoozed_until from alert_case") is None


async def test_what_somebody_else_has_taken_is_not_hers_to_let_rest(story: Story) -> None:
    story.team("bo", "cia")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 bo: opened", "08:12 cia: opened")
    await story.takes("bo")
    story.expects("08:12 cia: taken")
    done = await story.snoozes("cia", story.moment("09:00"))
    assert (done.answer, done.name) == (Answer.TAKEN, "Bo Provson")


async def test_red_that_is_taken_before_anybody_could_be_told_rests(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    await story.at("09:00")
    await story.measures("marta", RED, is_seen=False)
    await story.takes("anna")
    await story.at("12:59")
    story.expects()
    await story.at("13:01")
    story.expects("13:00 anna: ack_expired")


async def test_what_rests_is_tried_by_no_other_channel(story: Story) -> None:
    story.phones["anna"] = Phone.MUTE
    await story.at("08:12")
    await story.measures("marta", RED)
    await story.at("08:13")
    await story.snoozes("anna", story.moment("10:00"))
    assert story.world.rows("select 1 from notification where due_at is not null") == []


async def test_who_takes_an_alert_that_nobody_has_been_told_of_yet_has_it(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED, is_seen=False)
    assert (await story.takes("anna")).answer is Answer.DONE
    await story.at("12:11")
    story.expects()
    await story.at("12:13")
    story.expects("12:12 anna: ack_expired")


async def test_that_she_still_has_not_measured_breaks_no_rest(story: Story) -> None:
    await story.at("08:12")
    alert_id = story.world.one(
        "insert into alert (patient_id, rule, level, measured_at, opened_at, level_since, "
        "changed_at) values (%s, 'missing:body_weight', 1, now(), %s, %s, %s) returning alert_id",
        story.world.patient("marta"),
        *3 * (story.now,),
    )

    def found(hours: float) -> None:
        """Let the clock find that nothing has come for so long."""
        story.world.connection.execute(
            "insert into breach (alert_id, patient_id, quantity_id, measured_at, rule, rule_key, "
            "level, side, value, bound, plan_version_id, late, detail) "
            "select alert_id, patient_id, (select min(quantity_id) from quantity), %s, rule, rule, "
            "1, '', %s, 36, 1, false, '{\"kind\": \"missing\"}' from alert where alert_id = %s",
            (story.now, hours, alert_id),
        )
        story.world.connection.execute(
            "update alert set changed_at = %s where alert_id = %s", (story.now, alert_id)
        )

    found(84)
    await story.turn()
    story.expects("08:12 anna: opened")
    await story.snoozes("anna", story.moment("08:00", days=14))
    await story.at("09:00", day=story.day + timedelta(days=7))
    found(84 + 7 * 24)
    await story.turn()
    story.expects()
