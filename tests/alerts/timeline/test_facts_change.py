"""Leave, another contact, a unit that takes over: the new receiver is told, the old is not."""

from datetime import timedelta

from alerts import course, engine
from alerts.care import handover
from alerts.care.move import Contact
from tests.alerts.timeline.story import RED, YELLOW, Phone, Story

DAY = timedelta(days=1)


async def test_the_contacts_leave_begins_while_the_alert_is_open(story: Story) -> None:
    story.stands_in("bo")
    story.away("anna", since=story.moment("08:17"))
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:21")
    story.expects("08:17 bo: rerouted")


async def test_another_contact_is_told_and_the_steps_go_on_as_they_would(story: Story) -> None:
    story.stands_in("bo", for_="eva")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:15")
    story.contact("eva")
    await story.at("08:25")
    story.expects("08:15 eva: rerouted", "08:22 bo: not_answered")


async def test_another_contact_whose_telephone_is_dead_is_followed_at_once(story: Story) -> None:
    story.stands_in("bo", for_="eva")
    story.phones["eva"] = Phone.DEAD
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:15")
    story.contact("eva")
    await story.at("08:20")
    story.expects("08:15 bo: not_reached")


async def test_a_yellow_one_whose_contact_changes_at_night_is_told_in_the_morning(
    story: Story,
) -> None:
    story.stands_in("bo", for_="eva")
    await story.at("15:00")
    await story.measures("marta", YELLOW)
    story.expects("15:00 anna: opened")
    await story.at("22:00")
    story.contact("eva")
    await story.at("09:00", day=story.day + DAY)
    story.expects("08:00 eva: rerouted")
    await story.at("11:05")
    story.expects("11:00 bo: not_answered")  # four working hours after Anna was told


async def test_a_channel_that_is_lost_or_mended_turns_the_warning_on_or_off(story: Story) -> None:
    def warns() -> bool:
        return bool(story.world.one("select warning from alert_case"))

    story.world.connection.execute(
        "insert into unit_hours (unit_id, weekday, opens, closes, on_holidays) "
        "select unit_id, day, '08:00', '16:00', false from unit, generate_series(1, 5) day"
    )
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    story.expects("08:12 anna: opened")
    assert not warns()
    story.without_channel("anna")
    await story.at("08:13")
    assert warns()
    story.world.connection.execute("update channel set ended_at = null")
    await story.at("08:14")
    assert not warns()


async def test_what_somebody_has_taken_is_not_told_again_when_her_colleague_leaves(
    story: Story,
) -> None:
    story.stands_in("bo")
    story.away("anna", since=story.moment("08:30"))
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.takes("anna")
    await story.at("12:11")
    story.expects()
    await story.at("12:15")
    story.expects("12:12 bo: ack_expired")  # Anna has left


async def test_a_handover_half_done_leaves_all_with_the_giver_and_done_tells_the_new_contact(
    story: Story,
) -> None:
    lisa, patient_id = story.viewer("lisa"), story.world.patient("marta")
    story.world.connection.execute(
        "with made as (insert into huvudman (kind, name) values ('region', 'Provregionen') "
        "returning huvudman_id) update unit set huvudman_id = made.huvudman_id from made"
    )
    offered = await handover.offer(
        story.connection, story.viewer("anna"), patient_id, lisa.unit_id or 0, now=story.now
    )
    assert isinstance(offered, int)
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.takes("anna")
    await story.at("08:30")
    contact = Contact(staff_id=lisa.staff_id)
    refused = await handover.accept(story.connection, lisa, offered, contact, now=story.now)
    assert refused is None
    await story.at("08:35")
    story.expects("08:30 lisa: ack_expired")


async def test_what_is_open_again_finds_its_receiver_before_anybody_is_told(story: Story) -> None:
    story.stands_in("bo")
    story.away("anna", since=story.moment("08:30"))
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.takes("anna")
    await story.at("12:11")
    story.now = story.moment("12:12")
    for _ in range(3):  # before routing has come to look at it
        await course.advance(story.connection, story.now)
    await story.turn()
    story.expects("12:12 bo: ack_expired")


async def test_a_turn_begun_by_a_clock_that_was_ahead_holds_nothing_up(story: Story) -> None:
    story.stands_in("bo")
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    await story.at("08:13")
    await engine.look_again(story.connection, story.now + 30 * DAY)
    story.away("anna", since=story.now)
    await engine.look_again(story.connection, story.now)
    assert story.world.rows("select staff_id from alert_case") == [(story.staff("bo"),)]
    await story.turn()
    story.expects("08:13 bo: rerouted")


async def test_a_receiver_given_by_a_clock_that_was_set_back_is_told(story: Story) -> None:
    await story.at("08:12")
    await story.measures("marta", RED)
    story.expects("08:12 anna: opened")
    story.contact("eva")
    await engine.reroute(story.connection, now=story.now)
    story.world.connection.execute(
        "update alert_case set routed_at = routed_at - interval '5 minutes'"
    )
    await course.advance(story.connection, story.now)
    await story.turn()
    story.expects("08:12 eva: rerouted")


async def test_whose_message_was_never_sent_is_told_when_her_turn_comes(story: Story) -> None:
    """Anna was the contact until Eva was; her message waited for others, and was dropped."""
    story.stands_in("anna", for_="eva")
    story.world.connection.execute(
        "insert into reach (staff_id, gather_minutes) values (%s, 30) "
        "on conflict (staff_id) do update set gather_minutes = 30",
        (story.staff("anna"),),
    )
    await story.at("08:12")
    await story.measures("marta", YELLOW)
    await story.at("08:20")
    story.contact("eva")
    await story.at("13:00")
    story.expects("08:20 eva: rerouted", "12:42 anna: not_answered")
