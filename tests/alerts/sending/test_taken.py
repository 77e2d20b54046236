"""That somebody has it goes once, by the way each was told, and not if it is no longer so."""

from datetime import timedelta

from alerts import actions, snooze
from alerts.channels.message import NAME_CHARS_MAX, of_taken
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Behaviour, Elks, Postbox

MINUTE = timedelta(minutes=1)


async def takes(told: Told, who: str) -> None:
    async with told.pool.connection() as connection:
        done = await actions.acknowledge(
            connection, told.world.viewer(who), told.alert_id, seen_breach_id=0, now=told.now
        )
    assert done.name == told.world.viewer(who).name


async def told_to_both(told: Told) -> None:
    """Anna is told by SMS, and Eva, who stands in for her, by letter."""
    told.world.connection.execute(
        "insert into substitute (for_staff_id, place, staff_id) values (%s, 1, %s)",
        (told.world.staff("anna"), told.world.staff("eva")),
    )
    told.course()
    told.channel("sms", "+46700000001", who="anna")
    told.channel("email", "eva@region.example", who="eva")
    told.notify(who="anna")
    told.notify(who="eva")
    await told.turn()


async def test_it_goes_by_the_way_she_was_told(told: Told, elks: Elks, postbox: Postbox) -> None:
    await told_to_both(told)
    told.world.connection.execute("update channel set place = place + 10 where kind = 'sms'")
    told.channel("email", "anna@region.example", who="anna", place=1)
    told.now += MINUTE
    await takes(told, "eva")
    await told.turn(1 * MINUTE)
    assert len(elks.messages) == 2
    assert elks.messages[1]["message"] == (
        "Eva Testström har tagit larmet du fick 08:12. Du behöver inte göra något. "
        "Se listan: https://egenmonitor.example/"
    )
    assert postbox.recipients == [["eva@region.example"]]
    await told.turn(5 * MINUTE)
    assert len(elks.messages) == 2


async def test_it_is_tried_once_and_what_fails_is_no_failure_of_the_alert(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    await told_to_both(told)
    elks.behaviour = Behaviour.BUSY
    await takes(told, "eva")
    await told.turn()
    await told.turn(1 * MINUTE)
    assert told.attempts()[2:] == [("sms", "failed")]
    assert told.events() == []
    assert told.states()[2:] == ["failed"]


async def test_what_is_open_again_is_not_said_to_be_taken(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    await told_to_both(told)
    await takes(told, "eva")
    told.world.connection.execute("update alert set state = 'open'")
    await told.turn(1 * MINUTE)
    assert len(elks.messages) == 1
    assert told.states()[2:] == ["cancelled"]


async def test_a_rest_that_is_over_is_not_said_to_be_taken(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    await told_to_both(told)
    async with told.pool.connection() as connection:
        await snooze.snooze(
            connection,
            told.world.viewer("eva"),
            told.alert_id,
            until=told.now + MINUTE,
            why="x",
            seen_breach_id=0,
            now=told.now,
        )
    await told.turn(1 * MINUTE)
    assert len(elks.messages) == 1
    assert told.states()[2:] == ["cancelled"]


async def test_it_goes_by_no_channel_that_has_ended_since(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    await told_to_both(told)
    told.world.connection.execute("update channel set ended_at = now()")
    await takes(told, "eva")
    await told.turn(1 * MINUTE)
    assert told.states()[2:] == ["cancelled"]


async def test_it_is_one_sms_for_the_longest_name(told: Told) -> None:
    said = of_taken("Å" * 3 * NAME_CHARS_MAX, told.now, "https://egenmonitor.region.example")
    assert len(said.text) <= 160
