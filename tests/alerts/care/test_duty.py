"""Who is on duty outside hours, and when nobody is."""

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.care import duty
from alerts.care.availability import around
from alerts.care.duty import Gap, Noted, Refusal
from tests.alerts.care.conftest import Town
from tests.alerts.conftest import Pool
from tests.alerts.world import World

ZONE = ZoneInfo("Europe/Stockholm")
NOW = datetime(2038, 2, 1, 10, 12, tzinfo=ZONE)  # a Monday, later than any run of the tests
EVENING = NOW.replace(hour=16, minute=0)
MORNING = (EVENING + timedelta(days=1)).replace(hour=8)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
UNIT = "Provbyns hemsjukvård"


async def note(town: Town, key: str, since: datetime, until: datetime) -> Noted | Refusal:
    return await duty.note(
        town.connection,
        unit_id=town.unit[UNIT],
        staff_id=town.staff[key],
        from_at=since,
        until_at=until,
        noted_by=None,
        now=NOW,
    )


async def on_duty(town: Town, at: datetime) -> list[str]:
    marta = town.patient["marta"]
    seen = await around(town.connection, [marta], at)
    return [person.name for person in seen[marta].duty]


async def gaps(town: Town, since: datetime, until: datetime) -> list[Gap]:
    return await duty.gaps(town.connection, town.unit[UNIT], since, until)


async def test_a_technician_is_on_duty_where_there_are_no_patients(town: Town) -> None:
    """For a unit with patients she would be told of their alerts."""
    assert await note(town, "tove", EVENING, MORNING) is Refusal.GIVES_NO_CARE
    cursor = await town.connection.execute(
        "insert into unit (name, phone, hours) values ('Tekniken', '1', '') returning unit_id"
    )
    (town.unit[UNIT],) = await cursor.fetchone() or (0,)
    assert isinstance(await note(town, "tove", EVENING, MORNING), Noted)


async def test_who_is_noted_is_on_duty_then(town: Town) -> None:
    assert isinstance(await note(town, "lisa", EVENING, MORNING), Noted)
    tick = timedelta(microseconds=1)
    moments = [EVENING - tick, EVENING, MORNING - tick, MORNING]
    found = [await on_duty(town, at) for at in moments]
    assert found == [[], ["Lisa Testek"], ["Lisa Testek"], []]


async def test_who_cannot_be_there_is_refused(town: Town) -> None:
    await town.run(
        "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
        town.staff["anna"],
        MORNING - HOUR,
        MORNING + DAY,
    )
    await town.run(
        "update staff set ended_at = %s where staff_id = %s", NOW - DAY, town.staff["eva"]
    )
    assert await note(town, "lisa", MORNING, EVENING) is Refusal.ENDS_BEFORE_IT_BEGINS
    assert await note(town, "lisa", EVENING - DAY, NOW) is Refusal.IS_OVER
    assert await note(town, "lisa", EVENING, EVENING + 40 * DAY) is Refusal.TOO_LONG
    assert await note(town, "anna", EVENING, MORNING) is Refusal.AWAY
    assert await note(town, "eva", EVENING, MORNING) is Refusal.UNKNOWN
    assert await note(town, "tove", EVENING, MORNING) is Refusal.GIVES_NO_CARE
    nowhere = await duty.note(
        town.connection,
        unit_id=999_999,
        staff_id=town.staff["lisa"],
        from_at=EVENING,
        until_at=MORNING,
        noted_by=None,
        now=NOW,
    )
    assert nowhere is Refusal.NO_UNIT
    assert await town.rows("select from duty") == []


async def test_nobody_of_another_huvudman_is_put_on_duty(town: Town) -> None:
    await town.run("update unit set huvudman_id = null")
    assert await note(town, "lisa", EVENING, MORNING) is Refusal.OTHER_HUVUDMAN
    await town.run(
        "with made as (insert into huvudman (kind, name) select 'region', name from unit "
        "returning huvudman_id, name) "
        "update unit set huvudman_id = made.huvudman_id from made where made.name = unit.name"
    )
    assert await note(town, "lisa", EVENING, MORNING) is Refusal.OTHER_HUVUDMAN
    assert isinstance(await note(town, "eva", EVENING, MORNING), Noted)
    assert await on_duty(town, EVENING) == ["Eva Testström"]


async def test_the_same_again_is_the_same_and_another_over_it_is_refused(town: Town) -> None:
    noted = await note(town, "lisa", EVENING, MORNING)
    assert await note(town, "lisa", EVENING, MORNING) == noted
    over = await note(town, "lisa", EVENING + HOUR, MORNING + HOUR)
    assert over is Refusal.ALREADY_ON_DUTY
    assert isinstance(await note(town, "lisa", MORNING, MORNING + DAY), Noted)
    assert isinstance(await note(town, "anna", EVENING, MORNING), Noted)


async def test_taken_off_duty_in_the_middle_what_was_stands(town: Town) -> None:
    noted = await note(town, "lisa", NOW - HOUR, MORNING)
    assert isinstance(noted, Noted)
    for expected in (None, Refusal.NOT_THERE):
        answer = await duty.withdraw(town.connection, noted.duty_id, by=None, now=NOW)
        assert answer is expected
    assert await on_duty(town, NOW - timedelta(minutes=1)) == ["Lisa Testek"]
    assert await on_duty(town, NOW) == []


async def test_gaps_are_nights_without_anybody(town: Town) -> None:
    await note(town, "lisa", EVENING, MORNING)
    tuesday, wednesday = EVENING + DAY, EVENING + 2 * DAY
    assert await gaps(town, NOW, NOW + 3 * DAY) == [
        Gap(tuesday, MORNING + DAY),
        Gap(wednesday, MORNING + 2 * DAY),
    ]
    assert await gaps(town, NOW, EVENING + 5 * HOUR) == []


async def test_a_short_duty_within_a_long_one_makes_no_gap(town: Town) -> None:
    await note(town, "lisa", EVENING, MORNING)
    await note(town, "anna", EVENING + HOUR, EVENING + 2 * HOUR)
    assert await gaps(town, NOW, MORNING + HOUR) == []


async def test_who_falls_ill_on_duty_leaves_a_gap(town: Town) -> None:
    await note(town, "lisa", EVENING, MORNING)
    ill, well = EVENING + 2 * HOUR, EVENING + 4 * HOUR
    await town.run(
        "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
        town.staff["lisa"],
        ill,
        well,
    )
    assert await gaps(town, NOW, MORNING) == [Gap(ill, well)]
    await town.run(
        "update staff set ended_at = %s where staff_id = %s", ill + HOUR, town.staff["lisa"]
    )
    assert await gaps(town, NOW, MORNING) == [Gap(ill, MORNING)]


async def test_gaps_of_midsummer(town: Town) -> None:
    before = datetime(2038, 6, 24, 12, tzinfo=ZONE)
    after = datetime(2038, 6, 28, 12, tzinfo=ZONE)
    assert await gaps(town, before, after) == [Gap(before.replace(hour=16), after.replace(hour=8))]


async def test_gaps_of_too_long_a_time_are_refused(town: Town) -> None:
    with pytest.raises(ValueError, match="92 days"):
        await gaps(town, NOW, NOW + 400 * DAY)


async def test_many_who_note_the_same_at_once_note_it_once(world: World, pool: Pool) -> None:
    unit_id = world.one("select unit_id from staff where staff_id = %s", world.staff("anna"))

    async def once() -> Noted | Refusal:
        async with pool.connection() as connection:
            return await duty.note(
                connection,
                unit_id=unit_id,
                staff_id=world.staff("eva"),
                from_at=EVENING,
                until_at=MORNING,
                noted_by=None,
                now=NOW,
            )

    assert len(set(await asyncio.gather(*(once() for _ in range(8))))) == 1
    assert world.one("select count(*) from duty") == 1
