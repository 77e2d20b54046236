"""Technicians are told of faults: at once, in the morning, or not at all, and until one takes it.

The look for faults, its policy and the sending are the real ones; Tove is the technician, and her
unit works weekdays 8 to 16.
"""

import asyncio
from datetime import timedelta

from alerts import pulse
from alerts.pulse import Part
from alerts.technical import listed, watch, words
from alerts.technical.listed import Answer
from tests.alerts.timeline.story import Phone, Story
from tests.alerts.timeline.technicians import Technicians
from tests.alerts.world import PATIENTS

DAY = timedelta(days=1)


async def test_a_home_that_must_measure_is_told_at_once_until_somebody_takes_it(
    story: Story, technicians: Technicians
) -> None:
    """09:00 it is silent; Tove is told, again after an hour and then every four of her hours."""
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.at("15:59")
    story.expects("10:00 tove: 1 fel, bråttom", "14:00 tove: 1 fel, bråttom")
    await technicians.at("12:00", days=1)
    story.expects("08:00 tove: 1 fel, bråttom", "12:00 tove: 1 fel, bråttom")
    assert await technicians.takes() is Answer.DONE
    await technicians.at("23:59")
    story.expects()


async def test_what_she_leaves_is_told_anew_and_what_is_over_is_not(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.takes()
    number = story.world.one("select technical_id from technical")
    await technicians.at("11:00")
    await listed.leave(story.connection, story.staff("tove"), number)
    await technicians.at("11:01")
    story.expects("11:01 tove: 1 fel, bråttom")
    technicians.received(story.moment("11:30"))
    await technicians.at("11:45")
    story.expects()
    assert story.world.rows("select closed_by from technical") == [(None,)]


async def test_at_night_nobody_sleeps_on_it_unseen(story: Story, technicians: Technicians) -> None:
    """Nobody is on duty: it is an incident, and on every page; at eight she is told."""
    await technicians.at("02:00", days=1)
    await technicians.falls_silent()
    assert technicians.incidents() == ["unreached"]
    assert Part.TECHNICIANS in {one.part for one in await pulse.silent(story.connection)}
    await technicians.at("07:59")
    story.expects()
    await technicians.at("08:00")
    story.expects("08:00 tove: 1 fel, bråttom")
    assert technicians.incidents() == []
    assert Part.TECHNICIANS not in {one.part for one in await pulse.silent(story.connection)}


async def test_who_is_on_duty_is_told_at_night(story: Story, technicians: Technicians) -> None:
    story.on_duty("tove", story.moment("16:00"), story.moment("08:00", days=1))
    await technicians.at("02:00", days=1)
    await technicians.falls_silent()
    story.expects("02:00 tove: 1 fel, bråttom")
    assert technicians.incidents() == []


async def test_a_home_that_need_not_measure_waits_for_working_hours(
    story: Story, technicians: Technicians
) -> None:
    """Friday at 20:00: told on Monday morning, and on Tuesday's."""
    await technicians.at("20:00", days=4)
    await technicians.falls_silent(daily=False)
    await technicians.at("07:59", days=3)
    story.expects()
    await technicians.at("15:00")
    story.expects("08:00 tove: 1 fel")
    await technicians.at("08:00", days=1)
    story.expects("08:00 tove: 1 fel")
    assert technicians.incidents() == []


async def test_of_a_home_in_a_pause_nothing_is_urgent(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    story.world.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at, reason) values (%s, %s, %s, '')",
        (story.world.patient("marta"), story.now - DAY, story.now + DAY),
    )
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel")


async def test_many_at_once_are_one_message_and_the_next_ones_another(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    for name in ("g-1", "g-2"):
        technicians.another(name)
    await technicians.falls_silent()
    story.expects("09:00 tove: 3 fel, bråttom")
    for minute, name in enumerate(("g-3", "g-4", "g-5")):
        await technicians.at(f"09:0{minute + 1}")
        technicians.another(name)
    await technicians.at("09:59")
    story.expects()  # they are routine: an hour between two messages
    await technicians.at("10:05")
    story.expects("10:00 tove: 4 fel, bråttom")


async def test_when_her_telephone_is_dead_the_units_rings(
    story: Story, technicians: Technicians
) -> None:
    """She works at a unit of technicians, which has a telephone of its own."""
    technicians.unit_phone()
    story.phones["tove"] = Phone.DEAD
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 enheten: 1 fel, bråttom")
    await technicians.at("12:59")
    story.expects()


async def test_when_nobody_is_reached_it_is_an_incident(
    story: Story, technicians: Technicians
) -> None:
    story.phones["tove"] = Phone.DEAD
    await technicians.at("09:00")
    await technicians.falls_silent()
    await technicians.at("09:01")
    story.expects()
    assert technicians.incidents() == ["unreached"]
    story.phones["tove"] = Phone.RINGS
    await technicians.at("13:00")  # the last step is repeated
    story.expects("13:00 tove: 1 fel, bråttom")
    assert technicians.incidents() == []


async def test_when_alerts_may_be_missing_who_sleeps_is_woken(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("02:00", days=1)
    story.world.connection.execute(
        "insert into incident (kind, key, detail) values ('canary', '', 'not seen in 60 s')"
    )
    await technicians.at("02:01")
    story.expects("02:01 tove: 1 fel, bråttom")
    story.world.connection.execute("update incident set closed_at = now()")
    await technicians.at("02:12")
    story.expects()


async def test_readings_that_reach_nobody_are_urgent_when_they_are_many(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    for number in range(3):
        technicians.refuses(number)
        if number == 0:
            await technicians.at("09:01")
            story.expects("09:01 tove: 1 fel")
    await technicians.at("09:10")
    story.expects()
    await technicians.at("09:11")
    story.expects("09:11 tove: 1 fel, bråttom")


async def test_two_who_look_at_once_tell_her_once(story: Story, technicians: Technicians) -> None:
    await technicians.at("09:00")
    for name in ("g-1", "g-2"):
        technicians.another(name)
    async with story.pool.connection() as other:
        looks = (watch.look(each, story.now) for each in (story.connection, other))
        await asyncio.gather(*looks)
    await story.turn()
    story.expects("09:00 tove: 2 fel")


async def test_a_look_that_dies_has_told_nobody_and_the_next_does(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    technicians.another("g-1")
    async with story.connection.transaction(force_rollback=True):
        await watch.look(story.connection, story.now)
    await story.turn()
    story.expects()
    await technicians.at("09:01")
    story.expects("09:01 tove: 1 fel")


async def test_nothing_that_is_kept_or_said_of_a_fault_names_anybody(
    story: Story, technicians: Technicians
) -> None:
    """Märta's gateway is silent and her readings are refused; the message is of a number only."""
    await technicians.at("09:00")
    technicians.refuses(1)
    await technicians.falls_silent()
    story.expects("09:00 tove: 2 fel, bråttom")
    found = story.world.rows("select kind, detail, key, device_id, note from technical")
    assert {kind for kind, *_ in found} == {"silent_gateway", "quarantine_grows"}
    said = [f"{words.words(kind, detail)} {words.more(kind, detail)}" for kind, detail, *_ in found]
    for secret in PATIENTS["marta"][:3]:
        assert str(secret) not in str(found)
        assert str(secret) not in str(said)
