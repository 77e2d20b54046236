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


async def test_what_she_was_told_each_morning_is_no_incident_when_it_becomes_urgent(
    story: Story, technicians: Technicians
) -> None:
    """One refused reading, since Wednesday evening: urgent on Saturday evening, and Tove knows."""
    await technicians.at("20:00", days=2)
    technicians.refuses(1)
    await technicians.at("20:01")
    await technicians.at("20:00", days=3)
    story.expects("08:00 tove: 1 fel", "08:00 tove: 1 fel")
    await technicians.watches(2 * MINUTE)
    assert story.world.one("select tier from technical") == "severe"
    assert technicians.incidents() == []
    await technicians.at("12:00", days=1)
    assert technicians.incidents() == []
    await technicians.at("08:00", days=1)
    story.expects("08:00 tove: 1 fel, bråttom")


async def test_what_of_the_server_comes_back_at_night_is_told_from_the_start(
    story: Story, technicians: Technicians
) -> None:
    """Tove is on duty; Eva, a technician too, is at home and is woken after half an hour."""
    story.world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) "
        "values (%s, 'technician', '2020-01-01')",
        (story.staff("eva"),),
    )
    story.on_duty("tove", story.moment("16:00"), story.moment("08:00", days=1))
    await technicians.at("17:00")
    technicians.fails("canary")
    await technicians.at("17:01")
    technicians.recovers("canary")
    await technicians.at("17:15")
    story.expects("17:01 tove: 1 fel, bråttom")
    await technicians.at("22:00")
    technicians.fails("canary")
    await technicians.at("22:01")
    story.expects("22:01 tove: 1 fel, bråttom")
    await technicians.at("22:31")
    story.expects("22:31 eva: 1 fel, bråttom", "22:31 tove: 1 fel, bråttom")
    assert story.world.one("select count(*) from technical") == 1


async def test_what_of_the_server_comes_and_goes_within_its_pace_keeps_it(
    story: Story, technicians: Technicians
) -> None:
    """Else one that is away for ten minutes of each half hour would never be everybody's."""
    story.world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) "
        "values (%s, 'technician', '2020-01-01')",
        (story.staff("eva"),),
    )
    story.on_duty("tove", story.moment("16:00"), story.moment("08:00", days=1))
    await technicians.at("22:00")
    technicians.fails("canary")
    await technicians.at("22:01")
    story.expects("22:01 tove: 1 fel, bråttom")
    technicians.recovers("canary")
    await technicians.at("22:15")
    technicians.fails("canary")
    await technicians.at("22:30")
    story.expects()
    await technicians.at("22:31")
    story.expects("22:31 eva: 1 fel, bråttom", "22:31 tove: 1 fel, bråttom")


async def test_what_is_routine_is_told_at_night_to_one_who_is_on_duty(
    story: Story, technicians: Technicians
) -> None:
    story.on_duty("tove", story.moment("16:00"), story.moment("08:00", days=1))
    await technicians.at("20:00")
    technicians.refuses(1)
    await technicians.at("20:01")
    story.expects("20:01 tove: 1 fel")


async def test_what_is_routine_and_was_held_back_past_closing_waits_for_the_morning(
    story: Story, technicians: Technicians
) -> None:
    """The unit's telephone is for what is urgent, and for who does not answer."""
    technicians.unit_phone()
    story.world.connection.execute(
        "update unit set hours = (select hours from unit where unit_id <> u.unit_id limit 1) "
        "from (select max(unit_id) as unit_id from unit) u where unit.unit_id = u.unit_id"
    )
    await technicians.at("15:30")
    technicians.refuses(1)
    await technicians.at("15:31")
    story.expects("15:31 tove: 1 fel")
    technicians.another("g-annan")
    await technicians.at("16:40")
    story.expects()
    await technicians.at("08:00", days=1)
    story.expects("08:00 tove: 2 fel")
