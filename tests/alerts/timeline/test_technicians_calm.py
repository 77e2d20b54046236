"""Technicians are not told more often than there is something new, nor of less than it is."""

from datetime import timedelta

from alerts import pulse
from alerts.pulse import Part
from tests.alerts.timeline.story import Phone, Story
from tests.alerts.timeline.technicians import Technicians

MINUTE = timedelta(minutes=1)


async def test_an_evening_after_she_was_told_is_no_incident(
    story: Story, technicians: Technicians
) -> None:
    """Tove was told thrice and has gone home: that nobody was reached would be untrue."""
    await technicians.at("09:00")
    await technicians.falls_silent()
    await technicians.at("15:59")
    story.expects(*(f"{hour} tove: 1 fel, bråttom" for hour in ("09:00", "10:00", "14:00")))
    await technicians.at("18:05")
    assert technicians.incidents() == []
    assert Part.TECHNICIANS not in {one.part for one in await pulse.silent(story.connection)}
    await technicians.at("08:00", days=1)
    story.expects("08:00 tove: 1 fel, bråttom")


async def test_if_none_of_the_messages_arrived_the_evening_is_one(
    story: Story, technicians: Technicians
) -> None:
    story.phones["tove"] = Phone.DEAD
    await technicians.at("09:00")
    await technicians.falls_silent()
    await technicians.at("18:05")
    story.expects()
    assert technicians.incidents() == ["unreached"]


async def test_if_she_who_was_told_is_away_it_is_one(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    story.away("tove", since=story.moment("09:30"))
    await technicians.at("09:29")
    assert technicians.incidents() == []
    await technicians.at("09:31")
    assert technicians.incidents() == ["unreached"]


async def test_of_the_server_every_step_must_reach_somebody(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    technicians.fails("canary")
    await technicians.at("09:01")
    story.expects("09:01 tove: 1 fel, bråttom")
    story.phones["tove"] = Phone.DEAD
    await technicians.at("09:31")
    assert technicians.incidents() == ["unreached"]


async def test_a_gateway_that_comes_and_goes_is_one_fault_in_its_own_pace(
    story: Story, technicians: Technicians
) -> None:
    """Silent for 20 minutes and heard for 30, all the day: told as one that is silent all day."""
    await technicians.at("08:00")
    await technicians.falls_silent()
    for _ in range(8):
        await technicians.watches(20 * MINUTE)
        for _ in range(6):
            technicians.received(story.now)
            await technicians.watches(5 * MINUTE)
        technicians.received(story.now - 15 * MINUTE)
    story.expects(*(f"{at} tove: 1 fel, bråttom" for at in ("08:00", "09:00", "13:05")))
    assert story.world.one("select count(*) from technical") == 1


async def test_what_comes_back_is_nobodys_again(story: Story, technicians: Technicians) -> None:
    """She had taken it and it was well: she is told that it is not."""
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.takes()
    technicians.received(story.now)
    await technicians.watches(14 * MINUTE)
    assert story.world.one("select closed_at is not null from technical")
    await technicians.at("11:00")  # an hour and three quarters of silence
    story.expects("10:00 tove: 1 fel, bråttom")
    assert not technicians.taken()


async def test_what_comes_back_after_a_day_is_new(story: Story, technicians: Technicians) -> None:
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    technicians.received(story.now + timedelta(days=1, hours=1))
    await technicians.at("09:15")
    await technicians.at("10:16", days=1)
    story.expects("10:15 tove: 1 fel, bråttom")
    assert story.world.one("select count(*) from technical") == 2


async def test_a_pause_that_begins_later_makes_it_less_urgent_and_its_end_more(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.at("09:30")
    story.world.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at, reason) values (%s, %s, %s, '')",
        (story.world.patient("marta"), story.now, story.moment("12:00", days=1)),
    )
    await technicians.at("15:59")
    story.expects()
    await technicians.at("11:59", days=1)
    story.expects("08:00 tove: 1 fel")
    await technicians.at("12:01")
    story.expects("12:00 tove: 1 fel, bråttom")
