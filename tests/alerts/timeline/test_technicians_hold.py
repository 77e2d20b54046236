"""Who has taken a fault, or said that it is seen to, is believed for so long as its tier allows."""

from datetime import timedelta

import pytest

from alerts.technical import listed
from alerts.technical.listed import Answer
from tests.alerts.timeline.home import expects_daily
from tests.alerts.timeline.story import Phone, Story
from tests.alerts.timeline.technicians import Technicians

HOUR = timedelta(hours=1)
OPEN = "select count(*) from technical where closed_at is null"


async def test_a_fault_of_the_server_is_held_for_an_hour(
    story: Story, technicians: Technicians
) -> None:
    await technicians.at("09:00")
    technicians.fails("canary")
    await technicians.at("09:01")
    assert await technicians.takes() is Answer.DONE
    story.expects("09:01 tove: 1 fel, bråttom")
    await technicians.at("10:00")
    story.expects()
    await technicians.at("10:01")
    story.expects("10:01 tove: 1 fel, bråttom")
    assert not technicians.taken()
    await technicians.at("11:01")
    story.expects("11:01 tove: 1 fel, bråttom")


async def test_a_severe_one_for_twelve_hours_and_nobody_is_woken(
    story: Story, technicians: Technicians
) -> None:
    """She took it and went home: at 21:00 it is nobody's, and at eight she is told."""
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.takes()
    await technicians.at("20:59")
    assert technicians.taken()
    await technicians.at("21:01")
    assert not technicians.taken()
    assert technicians.incidents() == []  # she knows of it
    await technicians.at("07:59", days=1)
    story.expects()
    await technicians.at("08:00")
    story.expects("08:00 tove: 1 fel, bråttom")


async def test_a_routine_one_for_a_week(story: Story, technicians: Technicians) -> None:
    await technicians.at("09:00")
    await technicians.falls_silent(daily=False)
    story.expects("09:00 tove: 1 fel")
    await technicians.takes()
    await technicians.at("08:59", days=7)
    story.expects()
    await technicians.at("09:00")
    story.expects("09:00 tove: 1 fel")


async def test_a_silent_gateway_of_which_nothing_is_expected_stays_routine(
    story: Story, technicians: Technicians
) -> None:
    """In other faults three days of nobody make it urgent; here nothing is lost."""
    await technicians.at("09:00")
    await technicians.falls_silent(daily=False)
    await technicians.at("09:01", days=4)
    each_day = ["09:00", "08:00", "08:00", "08:00", "08:00"]
    story.expects(*(f"{at} tove: 1 fel" for at in each_day))


@pytest.mark.parametrize(
    "leaves",
    [
        "update staff set ended_at = %(now)s where staff_id = %(staff_id)s",
        "update staff_function set until_at = %(now)s where staff_id = %(staff_id)s",
        "insert into absence (staff_id, from_at, until_at) "  # noqa: ISC004 - one statement
        "values (%(staff_id)s, %(now)s, %(now)s::timestamptz + interval '3 days')",
    ],
    ids=["ended", "no technician any more", "away"],
)
async def test_what_is_held_by_one_who_is_not_there_is_left_at_once(
    story: Story, technicians: Technicians, leaves: str
) -> None:
    """Another technician is told; and if she is the only one, nobody is reached."""
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.takes()
    await technicians.at("09:30")
    values = {"staff_id": story.staff("tove"), "now": story.now}
    story.world.connection.execute(leaves.encode(), values)
    await technicians.at("09:31")
    assert not technicians.taken()
    assert "unreached" in technicians.incidents()
    story.world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) values (%s, 'technician', %s)",
        (story.staff("bo"), story.now),
    )
    await technicians.at("09:32")
    story.expects("09:32 bo: 1 fel, bråttom")
    assert technicians.incidents() == []


async def test_who_is_away_is_told_so_when_she_takes_a_fault(
    story: Story, technicians: Technicians
) -> None:
    """Else she believes that she has it, and a minute later everybody is told again."""
    await technicians.at("09:00")
    technicians.fails("canary")
    story.away("tove", since=story.moment("09:00"), days=1)
    await technicians.at("09:01")
    assert await technicians.takes() is Answer.AWAY
    assert not technicians.taken()
    await technicians.at("09:01", days=1)
    story.heard.clear()
    assert await technicians.takes() is Answer.DONE
    await technicians.at("09:02")
    assert technicians.taken()


async def test_what_is_told_anew_goes_on_to_the_unit_if_her_telephone_has_died_since(
    story: Story, technicians: Technicians
) -> None:
    """That she was reached before she left it is no reason to wait for an hour."""
    technicians.unit_phone()
    await technicians.at("09:00")
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel, bråttom")
    await technicians.takes()
    await technicians.at("09:30")
    await listed.leave(story.connection, story.staff("tove"), technicians.newest())
    story.phones["tove"] = Phone.DEAD
    await technicians.at("09:31")
    story.expects("09:31 enheten: 1 fel, bråttom")


async def test_what_becomes_worse_while_it_is_held_is_told_anew(
    story: Story, technicians: Technicians
) -> None:
    """Nothing was expected of the home; then its plan expects a measurement each day."""
    await technicians.at("09:00")
    await technicians.falls_silent(daily=False)
    story.expects("09:00 tove: 1 fel")
    await technicians.takes()
    await technicians.at("10:30")
    expects_daily(story)
    await technicians.makes_due()
    await technicians.at("10:31")
    story.expects("10:31 tove: 1 fel, bråttom")
    assert not technicians.taken()


@pytest.mark.parametrize(
    ("kind", "hours"), [("canary", 1), ("recheck", 12)], ids=["server", "severe"]
)
async def test_what_is_said_to_be_done_and_lasts_is_back(
    story: Story, technicians: Technicians, kind: str, hours: int
) -> None:
    story.on_duty("tove", story.now, story.now + timedelta(days=2))
    await technicians.at("09:00")
    technicians.fails(kind)
    await technicians.at("09:01")
    story.expects("09:01 tove: 1 fel, bråttom")
    assert await technicians.closes() is Answer.DONE
    await technicians.watches(hours * HOUR - timedelta(minutes=1))
    story.expects()
    assert story.world.one(OPEN) == 0
    await technicians.watches(timedelta(minutes=1))
    assert story.world.one(OPEN) == 1
    assert [line.split(" ", 1)[1] for line in story.heard] == ["tove: 1 fel, bråttom"]
    story.heard.clear()


async def test_what_is_said_to_be_done_and_becomes_urgent_is_back_at_once(
    story: Story, technicians: Technicians
) -> None:
    """One reading reached nobody, and she said that she had seen to it; then there are three."""
    await technicians.at("09:00")
    technicians.refuses(1)
    await technicians.at("09:01")
    story.expects("09:01 tove: 1 fel")
    await technicians.closes()
    await technicians.watches(timedelta(minutes=20))
    story.expects()
    technicians.refuses(2)
    await technicians.watches(timedelta(minutes=1))
    story.expects()
    technicians.refuses(3)
    await technicians.watches(timedelta(minutes=1))
    story.expects("09:23 tove: 1 fel, bråttom")


async def test_what_is_said_to_be_done_in_a_pause_is_back_when_the_pause_ends(
    story: Story, technicians: Technicians
) -> None:
    """She is in hospital and the gateway is unplugged; she comes home, and it still is."""
    await technicians.at("09:00")
    story.world.connection.execute(
        "insert into patient_pause (patient_id, from_at, until_at, reason) values (%s, %s, %s, '')",
        (story.world.patient("marta"), story.now, story.moment("09:30")),
    )
    await technicians.falls_silent()
    story.expects("09:00 tove: 1 fel")
    await technicians.closes()
    await technicians.watches(timedelta(minutes=29))
    story.expects()
    await technicians.watches(timedelta(minutes=1))
    story.expects("09:30 tove: 1 fel, bråttom")
