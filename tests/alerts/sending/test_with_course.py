"""From a value to a person who can be reached: routing, policy and channels together (R10)."""

from datetime import timedelta

from alerts import course, engine
from tests.alerts.sending.conftest import Told
from tests.alerts.sending.post import Behaviour, Elks, Postbox
from tests.alerts.world import D, S

MINUTE = timedelta(minutes=1)


async def red_alert(told: Told) -> None:
    """Märta's value is red; Anna is her contact, and Eva stands in for Anna."""
    told.world.connection.execute("delete from alert")
    told.world.connection.execute(
        "insert into substitute (for_staff_id, place, staff_id) values (%s, 1, %s)",
        (told.world.staff("anna"), told.world.staff("eva")),
    )
    await told.world.measure_soon("marta", {S: 192.0, D: 112.0})
    told.alert_id = told.world.alert("marta")
    told.now = told.world.one("select clock_timestamp()")


async def pass_by(told: Told, later: timedelta = timedelta()) -> None:
    """Let time pass, and everybody do their work once."""
    told.now += later
    async with told.pool.connection() as connection:
        await engine.advance(connection)
        await course.advance(connection, told.now)
    await told.turn()
    async with told.pool.connection() as connection:
        await course.advance(connection, told.now)
    await told.turn()


async def test_when_the_sms_never_arrives_the_next_person_is_told_two_minutes_later(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", "+46700000001", who="anna")
    told.channel("email", "eva@region.example", who="eva")
    await red_alert(told)
    await pass_by(told)
    assert [message["to"] for message in elks.messages] == ["+46700000001"]
    await pass_by(told, 1 * MINUTE)
    assert postbox.recipients == []
    await pass_by(told, 1 * MINUTE)
    assert postbox.recipients == [["eva@region.example"]]
    assert len(elks.messages) == 1


async def test_when_every_way_to_her_fails_the_next_person_is_told_within_the_minute(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    elks.behaviour = Behaviour.BUSY
    told.channel("sms", "+46700000001", who="anna")
    told.channel("email", "eva@region.example", who="eva")
    await red_alert(told)
    await pass_by(told)
    await pass_by(told, timedelta(seconds=30))
    assert postbox.recipients == [["eva@region.example"]]


async def test_when_she_is_reached_nobody_else_is_told_before_the_policys_time(
    told: Told, elks: Elks, postbox: Postbox
) -> None:
    told.channel("sms", "+46700000001", who="eva")
    told.channel("email", "anna@region.example", who="anna")
    await red_alert(told)
    await pass_by(told)
    for _ in range(9):
        await pass_by(told, 1 * MINUTE)
    assert (postbox.recipients, elks.messages) == ([["anna@region.example"]], [])
    await pass_by(told, 1 * MINUTE)
    assert [message["to"] for message in elks.messages] == ["+46700000001"]
