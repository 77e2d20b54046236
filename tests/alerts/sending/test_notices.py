"""What technicians are told of faults goes the way of alerts: channel by channel, never lost."""

from datetime import timedelta
from typing import Any

import pytest

from alerts.sending import notices, receipts
from alerts.sending.receipts import Answer, Status
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Behaviour, Elks, Postbox
from tests.alerts.world import PATIENTS

MINUTE = timedelta(minutes=1)
NUMBER, MAILBOX = "+46700000001", "tove@region.example"


class Faults:
    """Faults that nobody has taken, and a notice about them to Tove."""

    def __init__(self, told: Told) -> None:
        self.told = told
        told.channel("sms", NUMBER, who="tove")
        told.channel("email", MAILBOX, who="tove")

    def notice(self, faults: int = 1, *, is_urgent: bool = True) -> int:
        world, now = self.told.world, self.told.now
        number = world.one(
            "insert into technical_notice (staff_id, is_urgent, made_at, due_at) "
            "values (%s, %s, %s, %s) returning notice_id",
            world.staff("tove"),
            is_urgent,
            now,
            now,
        )
        for _ in range(faults):
            fault = world.one(
                "insert into technical (kind, key, tier, told_from, step, due_at) "
                "values ('incident', gen_random_uuid()::text, 'severe', %s, 1, %s) "
                "returning technical_id",
                now,
                now + timedelta(hours=1),
            )
            world.connection.execute(
                "insert into technical_told values (%s, %s, 0)", (number, fault)
            )
        return int(number)

    def states(self) -> list[str]:
        rows = self.told.world.rows("select state from technical_notice order by notice_id")
        return [state for (state,) in rows]

    def due_in(self) -> list[timedelta]:
        rows = self.told.world.rows("select due_at from technical order by technical_id")
        return [at - self.told.now for (at,) in rows]


@pytest.fixture
def faults(told: Told) -> Faults:
    return Faults(told)


def attempt(told: Told) -> tuple[Any, ...]:
    (row,) = told.world.rows("select attempt_id, provider_key from attempt")
    return row


async def test_she_is_told_how_many_and_where_and_nothing_of_anybody(
    told: Told, faults: Faults, elks: Elks
) -> None:
    faults.notice(3)
    await told.turn()
    (message,) = elks.messages
    assert message["to"] == NUMBER
    assert message["message"] == (
        "Bråttom: 3 tekniska fel väntar. Logga in och titta: https://egenmonitor.example/teknik"
    )
    for secret in PATIENTS["marta"][:3]:
        assert str(secret) not in message["message"]


async def test_a_receipt_ends_it_and_none_is_followed_by_the_next_channel(
    told: Told, faults: Faults, postbox: Postbox
) -> None:
    faults.notice()
    await told.turn()
    assert faults.states() == ["sent"]
    number, key = attempt(told)
    async with told.pool.connection() as connection:
        done = await receipts.note(connection, number, key, Status.DELIVERED, told.now)
    assert done is Answer.NOTED
    assert faults.states() == ["delivered"]
    faults.notice()
    await told.turn()
    await told.turn(3 * MINUTE)
    assert postbox.recipients == [[MAILBOX]]


async def test_who_can_not_be_reached_leaves_the_next_step_due_at_once(
    told: Told, faults: Faults, elks: Elks, postbox: Postbox
) -> None:
    elks.behaviour = Behaviour.BAD_REQUEST
    postbox.said_to_rcpt = "550 5.1.1 no such user"
    faults.notice(2)
    await told.turn()
    assert faults.states() == ["failed"]
    assert faults.due_in() == [timedelta(), timedelta()]


async def test_the_next_step_waits_if_another_of_this_one_was_reached(
    told: Told, faults: Faults, elks: Elks
) -> None:
    number = faults.notice()
    other = told.world.one(
        "insert into technical_notice (staff_id, is_urgent, made_at, state) "
        "values (%s, true, %s, 'delivered') returning notice_id",
        told.world.staff("eva"),
        told.now,
    )
    told.world.connection.execute(
        "insert into technical_told select %s, technical_id, step from technical_told "
        "where notice_id = %s",
        (other, number),
    )
    told.world.connection.execute("update channel set ended_at = now()")
    await told.turn()
    assert faults.states() == ["no_channel", "delivered"]
    assert faults.due_in() == [timedelta(hours=1)]


async def test_what_somebody_has_taken_is_not_spoken_of(
    told: Told, faults: Faults, elks: Elks
) -> None:
    faults.notice(2)
    taken = "update technical set taken_by = %s, taken_at = now() where technical_id = %s"
    ids = [number for (number,) in told.world.rows("select technical_id from technical")]
    tove = told.world.staff("tove")
    told.world.connection.execute(taken.encode(), (tove, ids[0]))
    await told.turn()
    assert "1 tekniskt fel" in elks.messages[0]["message"]
    faults.notice()
    told.world.connection.execute("update technical set closed_at = now()")
    await told.turn()
    assert faults.states() == ["sent", "cancelled"]
    assert len(elks.messages) == 1


async def test_a_sender_that_dies_is_followed_by_another(
    told: Told, faults: Faults, elks: Elks
) -> None:
    faults.notice()
    async with told.pool.connection() as connection:
        claim = await notices.claim(connection, told.carriers.kinds, told.now, 10)
    assert len(claim.to_send) == 1  # and it dies here
    await told.turn()
    assert elks.messages == []  # its lease lasts
    await told.turn(2 * MINUTE)
    first, *more = told.attempts()
    assert first == ("sms", "unknown")
    assert more
