"""What need not be said any more is not sent: something newer was, or it is somebody else's."""

from datetime import timedelta

from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Elks

MINUTE = timedelta(minutes=1)
NUMBER = "+46700000001"


def case(told: Told, who: str, **more: object) -> None:
    """Let the alert be somebody's."""
    told.world.connection.execute(
        "insert into alert_case (alert_id, staff_id, unit_id, routed_why, told_at, routed_at, "
        "snoozed_until) select %s, staff_id, unit_id, 'fixed_contact', %s, %s, %s "
        "from staff where staff_id = %s",
        (
            told.alert_id,
            told.now,
            more.get("routed_at", told.now),
            more.get("snoozed_until"),
            told.world.staff(who),
        ),
    )


async def test_of_what_piled_up_while_nobody_sent_the_newest_is_sent(
    told: Told, elks: Elks
) -> None:
    told.channel("sms", NUMBER)
    for _ in range(8):
        told.notify()
    await told.turn(240 * MINUTE)
    assert len(elks.messages) == 1
    assert told.states() == ["cancelled"] * 7 + ["sent"]


async def test_what_another_is_told_takes_nothing_from_her(told: Told, elks: Elks) -> None:
    told.channel("sms", NUMBER)
    told.channel("sms", "+46700000002", who="eva")
    told.notify()
    told.notify(who="eva")
    await told.turn()
    assert len(elks.messages) == 2


async def test_what_was_sent_already_goes_on_though_something_newer_is_there(
    told: Told, elks: Elks
) -> None:
    """Its receipt may come, and its next channel is due in two minutes."""
    told.channel("sms", NUMBER)
    told.notify()
    await told.turn()
    told.notify()
    await told.turn()
    assert told.states() == ["sent", "sent"]


async def test_raised_while_the_yellow_is_gathered_is_told_once(told: Told, elks: Elks) -> None:
    told.channel("sms", NUMBER)
    told.course()
    told.notify(level=1)
    await told.turn()
    told.world.connection.execute("update alert_course set began_at = began_at + interval '1 h'")
    await told.turn(5 * MINUTE)
    assert (told.states(), elks.messages) == (["cancelled"], [])


async def test_a_gathered_yellow_alert_that_is_another_s_now_is_not_told(
    told: Told, elks: Elks
) -> None:
    told.channel("sms", NUMBER)
    told.notify(level=1, made_at=told.now)
    await told.turn()
    case(told, "eva", routed_at=told.now + MINUTE)
    await told.turn(5 * MINUTE)
    assert (told.states(), elks.messages) == (["cancelled"], [])


async def test_a_red_one_that_is_another_s_now_is_told_all_the_same(told: Told, elks: Elks) -> None:
    """Rather one too many."""
    told.channel("sms", NUMBER)
    told.notify(level=2, made_at=told.now)
    case(told, "eva", routed_at=told.now + MINUTE)
    await told.turn(2 * MINUTE)
    assert len(elks.messages) == 1


async def test_a_gathered_yellow_alert_that_came_back_or_is_a_later_step_s_is_told(
    told: Told, elks: Elks
) -> None:
    """Who stands in for somebody is told as the policy says, whosever it is."""
    told.channel("sms", NUMBER)
    told.channel("sms", "+46700000002", who="eva")
    told.notify(level=1, made_at=told.now)
    told.notify(level=1, made_at=told.now, who="eva")
    case(told, "anna", routed_at=told.now + MINUTE)
    await told.turn()
    await told.turn(5 * MINUTE)
    assert len(elks.messages) == 2


async def test_what_a_sender_held_while_it_was_let_rest_is_not_sent_on(
    told: Told, elks: Elks
) -> None:
    told.channel("sms", NUMBER)
    told.channel("email", "anna@region.example")
    told.notify()
    await told.turn()
    case(told, "anna", snoozed_until=told.now + 60 * MINUTE)
    await told.turn(2 * MINUTE)
    assert (told.states(), told.attempts()) == (["cancelled"], [("sms", "accepted")])
