"""A sender whose every mark fails is silent, though it claims and sends; whoever looks sees it."""

from datetime import timedelta

from alerts import pulse
from alerts.pulse import Part
from alerts.sending import proof
from alerts.sending.rows import DIED
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Elks

MINUTE = timedelta(minutes=1)

# What came of a message cannot be written: the statement ends as one does that waits too long.
_MARKS_FAIL = """
create function fail() returns trigger language plpgsql as $$
begin
    raise exception 'too long' using errcode = '57014';
end $$;
create trigger fail before update of answered_at on attempt for each row
    when (new.reply <> 'the sender died') execute function fail();
"""


async def heard(told: Told) -> bool:
    """Whether a turn of a sender that was last heard of long ago is heard."""
    told.world.connection.execute("delete from pulse")
    told.world.connection.execute(
        "insert into pulse (part, at) values ('sending', now() - interval '1 hour')"
    )
    await told.turn()
    async with told.pool.connection() as connection:
        return Part.SENDING not in {one.part for one in await pulse.silent(connection)}


def older(told: Told, by: timedelta) -> None:
    """Let the time pass for what has been sent."""
    told.world.connection.execute("update attempt set began_at = began_at - %s", (by,))


async def test_who_sends_and_can_never_write_it_down_is_silent(told: Told, elks: Elks) -> None:
    told.now = told.world.one("select clock_timestamp()")
    told.channel("sms", "+46700000001")
    assert await heard(told)  # nothing was to be sent
    told.world.connection.execute(_MARKS_FAIL)
    told.notify()
    await told.turn()
    assert (len(elks.messages), told.attempts()) == (1, [("sms", "sending")])
    assert await heard(told)  # it may be under way
    older(told, 2 * MINUTE)
    assert not await heard(told)
    told.world.connection.execute("update notification set due_at = %s", (told.now,))
    await told.turn()  # buried, and sent again
    assert told.attempts() == [("sms", "unknown"), ("sms", "sending")]
    assert told.world.one("select reply from attempt order by attempt_id") == DIED
    assert not await heard(told)


async def test_one_mark_is_proof_and_a_time_without_messages_is_no_fault(
    told: Told, elks: Elks
) -> None:
    told.now = told.world.one("select clock_timestamp()")
    told.channel("sms", "+46700000001")
    notification_id = told.notify()
    told.world.connection.execute(
        "insert into attempt (notification_id, channel_id, number, began_at, state) "
        "select %s, channel_id, 9, %s, 'sending' from channel",
        (notification_id, told.now - 2 * MINUTE),
    )
    told.world.connection.execute("update notification set due_at = null")
    assert not await heard(told)
    told.notify()
    await told.turn()
    assert told.attempts() == [("sms", "sending"), ("sms", "accepted")]
    assert await heard(told)
    told.world.connection.execute("delete from attempt where state = 'accepted'")
    assert not await heard(told)
    older(told, proof.SINCE)
    assert await heard(told)


async def test_who_died_at_what_somebody_has_taken_meanwhile_proves_nothing(
    told: Told, elks: Elks
) -> None:
    """It is not sent again, so nobody can show that it could be written down."""
    told.now = told.world.one("select clock_timestamp()")
    told.channel("sms", "+46700000001")
    notification_id = told.notify()
    told.world.connection.execute(
        "insert into attempt (notification_id, channel_id, number, began_at) "
        "select %s, channel_id, 1, %s from channel",
        (notification_id, told.now - 2 * MINUTE),
    )
    told.world.connection.execute("update alert set state = 'acknowledged'")
    assert await heard(told)
    assert (told.attempts(), told.states()) == ([("sms", "unknown")], ["cancelled"])
