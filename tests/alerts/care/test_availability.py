"""Who is around a patient at a moment, as routing sees it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from psycopg import errors

from alerts.care.availability import Around, Person, around
from tests.alerts.care.conftest import Town

ZONE = ZoneInfo("Europe/Stockholm")
MONDAY = datetime(2038, 2, 1, 10, 12, tzinfo=ZONE)  # later than any run of the tests
EVENING = MONDAY.replace(hour=21)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)
UNIT = "Provbyns hemsjukvård"
OTHER = "Testköpings hälsocentral"


async def away(town: Town, key: str, since: datetime, until: datetime) -> None:
    await town.run(
        "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
        town.staff[key],
        since,
        until,
    )


async def on_duty(town: Town, key: str, since: datetime, until: datetime) -> None:
    await town.run(
        "insert into duty (unit_id, staff_id, from_at, until_at) values (%s, %s, %s, %s)",
        town.unit[UNIT],
        town.staff[key],
        since,
        until,
    )


async def stands_in(
    town: Town, key: str, place: int, *, patient: str | None = None, colleague: str | None = None
) -> None:
    await town.run(
        "insert into substitute (patient_id, for_staff_id, place, staff_id, from_at) "
        "values (%s, %s, %s, %s, %s)",
        patient and town.patient[patient],
        colleague and town.staff[colleague],
        place,
        town.staff[key],
        MONDAY - DAY,
    )


async def new_contact(
    town: Town, since: datetime, *, staff_id: int | None = None, team_id: int | None = None
) -> None:
    """Let another be Märta's contact from *since* on."""
    marta = town.patient["marta"]
    await town.run(
        "update care_contact set until_at = %s where patient_id = %s and until_at is null",
        since,
        marta,
    )
    await town.run(
        "insert into care_contact (patient_id, staff_id, team_id, from_at) values (%s, %s, %s, %s)",
        marta,
        staff_id,
        team_id,
        since,
    )


async def team_of(town: Town, *keys: str) -> int:
    rows = await town.rows(
        "insert into team (unit_id, name) values (%s, 'Hjärtteamet') returning team_id",
        town.unit[UNIT],
    )
    team_id = int(rows[0][0])
    for key in keys:
        await town.run(
            "insert into team_member (team_id, staff_id, from_at, until_at) "
            "values (%s, %s, %s, %s)",
            team_id,
            town.staff[key],
            MONDAY - DAY,
            MONDAY + DAY,
        )
    return team_id


async def seen(town: Town, key: str = "marta", now: datetime = MONDAY) -> Around:
    return (await around(town.connection, [town.patient[key]], now))[town.patient[key]]


async def contact(town: Town, now: datetime = MONDAY) -> Person:
    found = (await seen(town, now=now)).contact
    assert found is not None
    return found


def names(people: tuple[Person, ...]) -> list[str]:
    return [person.name.split()[0] for person in people]


async def test_in_hours_the_contact_works(town: Town) -> None:
    found = await seen(town)
    assert found.contact == Person(
        staff_id=town.staff["anna"],
        name="Anna Provberg",
        is_absent=False,
        absent_until=None,
        is_working=True,
        has_channel=False,
    )
    assert (found.unit.name, found.unit.is_open) == (UNIT, True)
    assert found.unit.opens_at == MONDAY
    assert not found.unit.has_hours
    assert (found.team_id, found.team, found.substitutes, found.duty) == (None, (), (), ())


async def test_outside_hours_nobody_works_but_who_is_on_duty(town: Town) -> None:
    await on_duty(town, "lisa", EVENING, EVENING + DAY)
    found = await seen(town, now=EVENING)
    assert found.contact is not None
    assert (found.contact.is_working, found.contact.is_absent) == (False, False)
    assert [(one.name, one.is_working) for one in found.duty] == [("Lisa Testek", True)]
    assert not found.unit.is_open
    assert found.unit.opens_at == datetime(2038, 2, 2, 7, tzinfo=UTC)
    assert (await seen(town, now=EVENING - TICK)).duty == ()
    assert (await seen(town, now=EVENING + DAY)).duty == ()
    # She works wherever she is asked for, not only for the unit she has duty for.
    ingrids = (await seen(town, "ingrid", EVENING)).contact
    assert ingrids is not None
    assert ingrids.is_working
    assert (await seen(town, "ingrid", EVENING)).duty == ()


async def test_who_is_ill_on_duty_does_not_work(town: Town) -> None:
    await on_duty(town, "lisa", EVENING, EVENING + DAY)
    await away(town, "lisa", EVENING - DAY, EVENING + DAY)
    found = await seen(town, now=EVENING)
    assert [(one.is_absent, one.is_working) for one in found.duty] == [(True, False)]


async def test_substitutes_come_in_order_the_patients_own_first(town: Town) -> None:
    await stands_in(town, "lisa", 1, colleague="anna")
    await stands_in(town, "eva", 2, patient="marta")
    await stands_in(town, "anna", 3, patient="marta")  # the contact herself
    assert names((await seen(town)).substitutes) == ["Eva", "Lisa"]
    assert names((await seen(town, "kalle")).substitutes) == ["Lisa"]
    assert names((await seen(town, "ingrid")).substitutes) == []


async def test_an_absence_that_was_withdrawn_is_none(town: Town) -> None:
    await away(town, "anna", MONDAY, MONDAY + DAY)
    found = await contact(town)
    assert (found.is_absent, found.is_working) == (True, False)
    assert found.absent_until == MONDAY + DAY
    assert not (await contact(town, MONDAY + DAY)).is_absent
    await town.run("update absence set withdrawn_at = %s", MONDAY)
    assert not (await contact(town)).is_absent


async def test_she_is_back_when_the_last_absence_that_meets_it_ends(town: Town) -> None:
    for since, until in [(-1, 2), (0, 1), (2, 3), (4, 5)]:
        await away(town, "anna", MONDAY + since * DAY, MONDAY + until * DAY)
    assert (await contact(town)).absent_until == MONDAY + 3 * DAY
    assert not (await contact(town, MONDAY + 3 * DAY)).is_absent


async def test_a_coming_absence_is_not_yet_one(town: Town) -> None:
    await away(town, "anna", MONDAY + TICK, MONDAY + DAY)
    assert not (await contact(town)).is_absent


async def test_who_stands_in_for_an_absent_substitute_comes_last(town: Town) -> None:
    await stands_in(town, "eva", 1, patient="marta")
    await stands_in(town, "lisa", 1, colleague="eva")
    await stands_in(town, "anna", 2, colleague="eva")  # the contact herself
    assert names((await seen(town)).substitutes) == ["Eva"]
    await away(town, "eva", MONDAY, MONDAY + DAY)
    found = (await seen(town)).substitutes
    assert names(found) == ["Eva", "Lisa"]
    assert [one.for_staff_id for one in found] == [None, town.staff["eva"]]


async def test_one_who_stands_in_twice_comes_once(town: Town) -> None:
    await stands_in(town, "eva", 1, patient="marta")
    await stands_in(town, "eva", 1, colleague="anna")
    await stands_in(town, "lisa", 2, colleague="anna")
    await stands_in(town, "lisa", 1, colleague="eva")
    await away(town, "eva", MONDAY, MONDAY + DAY)
    found = (await seen(town)).substitutes
    assert names(found) == ["Eva", "Lisa"]
    assert [one.for_staff_id for one in found] == [None, None]


async def test_two_absent_substitutes_may_have_the_same_one(town: Town) -> None:
    for place, key in enumerate(("eva", "lisa"), 1):
        await stands_in(town, key, place, patient="marta")
        await stands_in(town, "tove", 1, colleague=key)
        await away(town, key, MONDAY, MONDAY + DAY)
    found = (await seen(town)).substitutes
    assert names(found) == ["Eva", "Lisa", "Tove"]
    assert found[-1].for_staff_id == town.staff["eva"]


async def test_a_team_is_there_by_name_while_they_are_members(town: Town) -> None:
    team_id = await team_of(town, "lisa", "eva", "anna")
    await new_contact(town, MONDAY, team_id=team_id)
    found = await seen(town)
    assert (found.contact, found.team_id, found.team_name) == (None, team_id, "Hjärtteamet")
    assert names(found.team) == ["Anna", "Eva", "Lisa"]
    assert (await seen(town, now=MONDAY + DAY)).team == ()
    await town.run("update team set ended_at = %s", MONDAY)
    assert ((await seen(town)).team_id, (await seen(town)).team) == (team_id, ())


async def test_who_works_here_no_more_is_away_for_good_and_nobodys_substitute(town: Town) -> None:
    await new_contact(town, MONDAY, team_id=await team_of(town, "lisa", "eva"))
    await stands_in(town, "eva", 1, patient="marta")
    await stands_in(town, "anna", 1, colleague="eva")
    await on_duty(town, "eva", MONDAY, MONDAY + DAY)
    await town.run("update staff set ended_at = %s where staff_id = %s", MONDAY, town.staff["eva"])
    found = await seen(town)
    assert names(found.team) == ["Lisa"]
    assert found.duty == ()
    assert names(found.substitutes) == ["Anna"]
    assert names((await seen(town, now=MONDAY - TICK)).substitutes) == ["Eva"]
    await town.run("update staff set ended_at = %s where staff_id = %s", MONDAY, town.staff["anna"])
    kalles = (await seen(town, "kalle")).contact
    assert kalles is not None
    assert (kalles.is_absent, kalles.absent_until, kalles.is_working) == (True, None, False)


async def test_the_contact_is_the_one_of_the_moment_or_else_the_next(town: Town) -> None:
    await new_contact(town, MONDAY, staff_id=town.staff["eva"])
    assert (await contact(town, MONDAY - TICK)).name == "Anna Provberg"
    assert (await contact(town, MONDAY)).name == "Eva Testström"
    await town.run("delete from care_contact where staff_id = %s", town.staff["anna"])
    assert (await contact(town, MONDAY - DAY)).name == "Eva Testström"
    await town.run("update care_contact set until_at = %s", MONDAY + DAY)
    assert (await seen(town, now=MONDAY + DAY)).contact is None


@pytest.mark.parametrize(
    ("verified", "failing", "ended", "counts"),
    [
        (MONDAY, None, None, True),
        (None, None, None, False),
        (MONDAY, MONDAY, None, False),
        (MONDAY, None, MONDAY, False),
    ],
)
async def test_only_a_channel_that_was_seen_to_work_counts(
    town: Town,
    verified: datetime | None,
    failing: datetime | None,
    ended: datetime | None,
    *,
    counts: bool,
) -> None:
    for column, holder in (("staff_id", town.staff["anna"]), ("unit_id", town.unit[UNIT])):
        await town.run(
            f"insert into channel ({column}, kind, address, verified_at, failing_since, ended_at) "
            "values (%s, 'sms', '+46701740605', %s, %s, %s)",
            holder,
            verified,
            failing,
            ended,
        )
    found = await seen(town)
    assert found.contact is not None
    assert (found.contact.has_channel, found.unit.has_channel) == (counts, counts)
    other = await seen(town, "ingrid")
    assert other.contact is not None
    assert (other.contact.has_channel, other.unit.has_channel) == (False, False)


async def test_a_contact_works_in_the_hours_of_her_own_unit(town: Town) -> None:
    await town.run(
        "insert into unit_hours (unit_id, weekday, opens, closes) "
        "select %s, generate_series(1, 7), '00:00', '24:00'",
        town.unit[OTHER],
    )
    await new_contact(town, MONDAY, staff_id=town.staff["lisa"])
    found = await seen(town, now=EVENING)
    assert found.contact is not None
    assert (found.contact.is_working, found.unit.is_open) == (True, False)
    assert found.unit.name == UNIT


async def test_the_last_word_about_a_day_counts(town: Town) -> None:
    for opens, closes, minute in [("10:00", "24:00", 1), (None, None, 2)]:
        await town.run(
            "insert into unit_day (unit_id, day, opens, closes, noted_at) "
            "values (%s, %s, %s, %s, %s)",
            town.unit[UNIT],
            MONDAY.date(),
            opens,
            closes,
            MONDAY.replace(minute=minute),
        )
    found = await seen(town)
    assert (found.unit.is_open, found.unit.opens_at) == (
        False,
        MONDAY.replace(minute=0, hour=8) + DAY,
    )


async def test_many_are_answered_at_once_and_whom_nobody_knows_is_left_out(town: Town) -> None:
    found = await around(town.connection, [*town.patient.values(), 999_999], MONDAY)
    assert set(found) == set(town.patient.values())
    assert found[town.patient["sven"]].contact is None
    assert await around(town.connection, [], MONDAY) == {}


@pytest.mark.parametrize("table", ["absence", "duty"])
async def test_a_time_without_end_cannot_be_kept(town: Town, table: str) -> None:
    """One such row would stop every query that reads it."""
    of = "unit_id, staff_id" if table == "duty" else "staff_id"
    values = "%s, %s" if table == "duty" else "%s"
    ids = (town.unit[UNIT], town.staff["anna"]) if table == "duty" else (town.staff["anna"],)
    with pytest.raises(errors.CheckViolation):
        await town.run(
            f"insert into {table} ({of}, from_at, until_at) values ({values}, now(), 'infinity')",
            *ids,
        )
