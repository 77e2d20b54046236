"""Several yellow alerts within a while are one message; red never waits."""

from datetime import timedelta

from tests.alerts.sending.conftest import Told, alert_of
from tests.alerts.sending.post import Elks, Postbox

MINUTE = timedelta(minutes=1)
RED = "Nytt =?utf-8?q?r=C3=B6tt?= larm i arbetslistan"
NUMBER, MAILBOX = "+46700000001", "anna@region.example"


async def three_yellow(told: Told) -> None:
    """Anna is told of three patients within four minutes; nothing is sent yet."""
    told.notify(level=1)
    await told.turn()
    for key in ("kalle", "sven"):
        told.now += 2 * MINUTE
        told.notify(level=1, alert_id=alert_of(told.world, key, told.now))
        await told.turn()
    assert told.attempts() == []


async def test_several_yellow_alerts_are_one_message(told: Told, postbox: Postbox) -> None:
    told.channel("email", MAILBOX)
    await three_yellow(told)
    await told.turn(1 * MINUTE)
    await told.turn(5 * MINUTE)
    (letter,) = postbox.letters
    assert letter["Subject"] == "3 nya larm i arbetslistan"
    assert told.states() == ["sent"] * 3


async def test_red_does_not_wait(told: Told, elks: Elks) -> None:
    told.channel("sms", NUMBER)
    told.notify(level=1)
    told.notify(level=2)
    await told.turn()
    (message,) = elks.messages
    assert message["message"].startswith("Nytt rött larm")


async def test_what_somebody_has_taken_meanwhile_is_not_spoken_of(
    told: Told, postbox: Postbox
) -> None:
    told.channel("email", MAILBOX)
    await three_yellow(told)
    for key in ("marta", "sven"):
        told.world.connection.execute(
            "update alert set state = 'acknowledged' where patient_id = %s",
            (told.world.patient(key),),
        )
    await told.turn(1 * MINUTE)
    await told.turn(1 * MINUTE)
    assert [letter["Subject"] for letter in postbox.letters] == ["Nytt larm i arbetslistan"]
    assert told.states() == ["cancelled", "sent", "cancelled"]


async def test_when_the_message_fails_it_has_failed_for_each(told: Told, postbox: Postbox) -> None:
    postbox.said_to_rcpt = "550 5.1.1 no such user"
    told.channel("email", MAILBOX)
    told.course()
    await three_yellow(told)
    await told.turn(1 * MINUTE)
    await told.turn(1 * MINUTE)
    assert (told.states(), told.events()) == (["failed"] * 3, ["not_delivered"] * 3)
    assert len(told.attempts()) == 1
    assert told.course_due() < told.now + MINUTE


async def test_who_takes_the_first_alert_after_the_message_is_not_sent_another(
    told: Told, elks: Elks
) -> None:
    told.channel("sms", NUMBER)
    await three_yellow(told)
    await told.turn(1 * MINUTE)
    assert len(elks.messages) == 1
    told.world.connection.execute(
        "update alert set state = 'acknowledged' where patient_id = %s",
        (told.world.patient("marta"),),
    )
    await told.turn(2 * MINUTE)
    await told.turn(1 * MINUTE)
    assert told.states() == ["cancelled", "sent", "sent"]
    assert len(elks.messages) == 1


async def test_the_next_yellow_alert_is_the_next_message(told: Told, postbox: Postbox) -> None:
    told.channel("email", MAILBOX)
    told.notify(level=1)
    await told.turn()
    await told.turn(5 * MINUTE)
    told.notify(level=1)
    await told.turn()
    assert len(postbox.letters) == 1
    await told.turn(5 * MINUTE)
    assert len(postbox.letters) == 2


async def test_quiet_hours_keep_yellow_until_they_end_and_let_red_through(
    told: Told, postbox: Postbox
) -> None:
    told.channel("email", MAILBOX)
    told.world.connection.execute(
        "insert into reach values (%s, 0, '21:00', '08:30')", (told.world.staff("anna"),)
    )
    told.notify(level=1)
    await told.turn()
    assert postbox.letters == []
    told.notify(level=2, alert_id=alert_of(told.world, "kalle", told.now))
    await told.turn(17 * MINUTE)
    assert [letter["Subject"] for letter in postbox.letters] == [RED]
    await told.turn(1 * MINUTE)  # half past eight
    assert len(postbox.letters) == 2


async def test_who_wants_each_at_once_gets_each_at_once(told: Told, postbox: Postbox) -> None:
    told.channel("email", MAILBOX)
    told.world.connection.execute("insert into reach values (%s, 0)", (told.world.staff("anna"),))
    told.notify(level=1)
    told.notify(level=1, alert_id=alert_of(told.world, "kalle", told.now))
    await told.turn()
    assert len(postbox.letters) == 2


async def test_a_units_yellow_alerts_are_one_message_and_not_its_nurses(
    told: Told, postbox: Postbox
) -> None:
    unit = told.world.one("select unit_id from staff where staff_id = %s", told.world.staff("anna"))
    told.channel("email", "enheten@region.example", staff_id=None, unit_id=unit)
    told.channel("email", MAILBOX)
    told.notify(level=1, staff_id=None, unit_id=unit)
    await told.turn(1 * MINUTE)
    told.notify(level=1, staff_id=None, unit_id=unit)
    told.notify(level=1, alert_id=alert_of(told.world, "kalle", told.now))
    told.notify(
        level=1, alert_id=alert_of(told.world, "sven", told.now), staff_id=None, unit_id=unit
    )
    await told.turn()
    assert postbox.letters == []
    await told.turn(5 * MINUTE)
    await told.turn(1 * MINUTE)
    told_by = [
        (*who, letter["Subject"])
        for who, letter in zip(postbox.recipients, postbox.letters, strict=True)
    ]
    assert sorted(told_by) == [
        (MAILBOX, "Nytt larm i arbetslistan"),
        ("enheten@region.example", "2 nya larm i arbetslistan"),
    ]


async def test_a_units_red_alert_waits_for_nothing(told: Told, postbox: Postbox) -> None:
    unit = told.world.one("select unit_id from staff where staff_id = %s", told.world.staff("anna"))
    told.channel("email", "enheten@region.example", staff_id=None, unit_id=unit)
    told.notify(level=2, staff_id=None, unit_id=unit)
    await told.turn()
    assert postbox.recipients == [["enheten@region.example"]]
