"""An alert is delivered, or the next channel is tried, or the next person's turn comes (R10)."""

from datetime import timedelta

import pytest

from alerts.sending import store
from tests.alerts.sending.conftest import RECEIPT_SECRET, Told
from tests.alerts.sending.post import ELKS_PASSWORD, Behaviour, Elks, Postbox

MINUTE = timedelta(minutes=1)
NUMBER, MAILBOX = "+46700000001", "anna@region.example"


async def test_a_red_alert_goes_by_the_first_channel_and_rests_when_it_has_arrived(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    (message,) = elks.messages
    assert message["to"] == NUMBER
    assert message["message"] == (
        "Nytt rött larm i arbetslistan. Logga in och titta: https://egenmonitor.example/"
    )
    assert (told.states(), told.attempts()) == (["sent"], [("sms", "accepted")])
    assert await told.turn(1 * MINUTE) == 0
    assert postbox.letters == []


async def test_an_accepted_sms_without_a_receipt_is_followed_by_the_next_channel_in_two_minutes(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    await told.turn(2 * MINUTE - timedelta(seconds=1))
    assert postbox.letters == []
    await told.turn(timedelta(seconds=1))
    assert len(postbox.letters) == 1
    assert told.attempts() == [("sms", "accepted"), ("email", "handed_over")]
    assert told.states() == ["sent"]
    assert await told.turn(60 * MINUTE) == 0
    assert (len(elks.messages), len(postbox.letters)) == (1, 1)


async def test_an_sms_that_never_arrives_and_no_other_channel_is_a_failure(
    told: Told, elks: Elks
) -> None:
    told.channel("sms", NUMBER)
    told.course()
    told.notify()
    await told.turn()
    await told.turn(2 * MINUTE)
    assert (told.states(), told.attempts()) == (["failed"], [("sms", "accepted")])
    assert told.course_due() == told.now
    assert told.events() == ["not_delivered"]
    assert len(elks.messages) == 1


async def test_a_mail_server_that_is_down_is_passed_over_at_once(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    postbox.said_to_rcpt = "451 4.3.0 try again later"
    told.channel("email", MAILBOX)
    told.channel("sms", NUMBER)
    told.notify()
    await told.turn()
    assert len(elks.messages) == 1
    assert told.attempts() == [("email", "failed"), ("sms", "accepted")]


async def test_a_provider_that_is_overloaded_is_passed_over_and_asked_again_at_last(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    """SMS 5xx; the letter is handed over, and for red that is not enough."""
    elks.behaviour = Behaviour.BUSY
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    assert told.attempts() == [("sms", "failed"), ("email", "handed_over")]
    elks.behaviour = Behaviour.GOOD
    await told.turn(2 * MINUTE)
    assert len(elks.messages) == 1
    await told.turn(2 * MINUTE)
    assert told.states() == ["sent"]  # the letter may be read: the policy's time stands
    assert len(postbox.letters) == 1


async def test_one_provider_that_was_away_for_a_moment_is_tried_twice_and_no_more(
    told: Told, elks: Elks
) -> None:
    elks.behaviour = Behaviour.BUSY
    told.channel("sms", NUMBER)
    told.course()
    told.notify()
    await told.turn()
    assert await told.turn(timedelta(seconds=29)) == 0
    assert told.course_due() > told.now + MINUTE
    await told.turn(timedelta(seconds=1))
    assert told.attempts() == [("sms", "failed"), ("sms", "failed")]
    assert (told.states(), told.course_due()) == (["failed"], told.now)


async def test_a_yellow_alert_that_a_mail_server_took_is_enough(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("email", MAILBOX)
    told.channel("sms", NUMBER)
    told.notify(level=1)
    await told.turn()
    await told.turn(5 * MINUTE)
    await told.turn(60 * MINUTE)
    assert (told.states(), elks.messages) == (["sent"], [])
    assert postbox.letters[0]["Subject"] == "Nytt larm i arbetslistan"


async def test_who_has_no_channel_is_no_reason_to_wait(told: Told) -> None:
    told.course()
    told.notify()
    await told.turn()
    assert (told.states(), told.events()) == (["no_channel"], ["not_delivered"])
    assert told.course_due() == told.now


async def test_only_channels_that_were_seen_to_arrive_are_used(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", "+46700000009", verified_at=None)
    told.channel("email", "borta@region.example", ended_at=told.now)
    told.notify()
    await told.turn()
    assert told.states() == ["no_channel"]
    assert (elks.messages, postbox.letters) == ([], [])


async def test_a_channel_that_keeps_failing_is_tried_last(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", NUMBER, failing_since=told.now)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    assert (len(postbox.letters), elks.messages) == (1, [])


async def test_the_policys_time_stands_while_another_of_the_same_step_may_be_reached(
    told: Told, elks: Elks
) -> None:
    told.channel("sms", NUMBER)
    told.course()
    told.notify(who="eva", step=0)  # has no channel
    told.notify(who="anna", step=0)
    await told.turn()
    assert told.states() == ["no_channel", "sent"]
    assert told.course_due() > told.now
    await told.turn(2 * MINUTE)
    assert told.states() == ["no_channel", "failed"]
    assert told.course_due() == told.now


async def test_the_failure_of_an_earlier_course_does_not_hurry_this_one(told: Told) -> None:
    told.channel("sms", NUMBER)
    told.course()
    due_at = told.course_due()
    told.notify()
    await told.turn()
    told.world.connection.execute("update alert_course set began_at = began_at + interval '1 day'")
    await told.turn(2 * MINUTE)
    assert (told.states(), told.course_due()) == (["failed"], due_at)


async def test_a_course_that_somebody_works_on_hears_of_the_failure_a_second_later(
    told: Told,
) -> None:
    told.course()
    told.notify()
    async with told.pool.connection() as other, other.transaction():
        await other.execute("select from alert_course for update")
        await told.turn()
        assert told.states() == ["waiting"]
    await told.turn(timedelta(seconds=1))
    assert (told.states(), told.course_due()) == (["no_channel"], told.now)


async def test_who_acknowledges_in_between_is_not_called_again(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    told.world.connection.execute("update alert set state = 'acknowledged'")
    await told.turn(2 * MINUTE)
    assert (told.states(), postbox.letters) == (["cancelled"], [])


async def test_who_acknowledges_while_it_is_claimed_waits_for_nobody(told: Told) -> None:
    """Her transaction holds the alert and wants the notification: the sender goes round it."""
    told.channel("sms", NUMBER)
    told.notify()
    async with told.pool.connection() as other, other.transaction():
        await other.execute("select from alert for update")
        assert await told.turn() == 0
        await other.execute("update notification set state = 'cancelled', due_at = null")
    assert await told.turn(60 * MINUTE) == 0
    assert told.states() == ["cancelled"]


async def test_red_goes_before_yellow(told: Told, elks: Elks) -> None:
    told.channel("sms", NUMBER)
    told.notify(level=1, due_at=told.now - MINUTE)
    red = told.notify(level=2)
    async with told.pool.connection() as connection:
        claim = await store.claim(connection, ["sms"], told.now, 1)
    assert [one.notification_id for one in claim.to_send] == [red]


async def test_nothing_of_a_patient_leaves_with_a_message_and_no_address_is_logged(
    told: Told, elks: Elks, postbox: Postbox, capfd: pytest.CaptureFixture[str]
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", MAILBOX)
    told.notify()
    await told.turn()
    await told.turn(2 * MINUTE)
    left = str(elks.messages) + "".join(letter.as_string() for letter in postbox.letters)
    assert "larm" in left
    for secret in ("Märta", "Provlind", "1890", "Hjärtsvikt", "192", "kvitton-bevisas", "Provby"):
        assert secret not in left
    logged = "".join(capfd.readouterr())
    assert "sending.attempt" in logged
    for secret in ("Märta", NUMBER, MAILBOX, ELKS_PASSWORD, RECEIPT_SECRET, "/delivery/"):
        assert secret not in logged


async def test_three_refused_addresses_in_a_row_mark_a_channel_until_it_works_again(
    told: Told, postbox: Postbox
) -> None:
    channel = told.channel("email", MAILBOX)
    failing = "select failing_since from channel where channel_id = %s"
    postbox.said_to_rcpt = "550 5.1.1 no such user"
    for _ in range(2):
        told.notify()
        await told.turn(MINUTE)
    assert told.world.one(failing, channel) is None
    told.notify()
    await told.turn(MINUTE)
    since = told.now
    assert told.world.one(failing, channel) == since
    told.notify()
    await told.turn(MINUTE)
    assert told.world.one(failing, channel) == since
    postbox.said_to_rcpt = ""
    told.notify()
    await told.turn(MINUTE)
    assert told.world.one(failing, channel) is None


async def test_a_provider_that_is_away_is_an_incident_and_no_channels_fault(
    told: Told, elks: Elks
) -> None:
    channel = told.channel("sms", NUMBER)
    elks.behaviour = Behaviour.REFUSES
    for _ in range(3):
        told.notify()
        await told.turn(MINUTE)
    assert told.states() == ["failed"] * 3
    assert (
        told.world.one("select failing_since from channel where channel_id = %s", channel) is None
    )
    open_ones = "select key, detail, times from incident where closed_at is null"
    ((key, detail, times),) = told.world.rows(open_ones)
    assert (key, times) == ("sms", 3)
    assert "401" in detail
    assert NUMBER not in detail
    elks.behaviour = Behaviour.GOOD
    told.notify()
    await told.turn(MINUTE)
    assert told.world.rows(open_ones) == []
