"""Who is around a patient at a moment, as routing sees it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.care.availability import Around, Person, around
from tests.alerts.conftest import Pool
from tests.alerts.world import World

ZONE = ZoneInfo("Europe/Stockholm")
MONDAY = datetime(2027, 2, 1, 10, 12, tzinfo=ZONE)
EVENING = MONDAY.replace(hour=21)
DAY = timedelta(days=1)


def away(world: World, key: str, since: datetime, until: datetime) -> None:
    world.connection.execute(
        "insert into absence (staff_id, from_at, until_at) values (%s, %s, %s)",
        (world.staff(key), since, until),
    )


def stands_in(
    world: World, key: str, place: int, *, patient: str | None = None, colleague: str | None = None
) -> None:
    world.connection.execute(
        "insert into substitute (patient_id, for_staff_id, place, staff_id, from_at) "
        "values (%s, %s, %s, %s, %s)",
        (
            patient and world.patient(patient),
            colleague and world.staff(colleague),
            place,
            world.staff(key),
            MONDAY - DAY,
        ),
    )


async def seen(pool: Pool, world: World, key: str, now: datetime = MONDAY) -> Around:
    async with pool.connection() as connection:
        return (await around(connection, [world.patient(key)], now))[world.patient(key)]


def names(people: tuple[Person, ...]) -> list[str]:
    return [person.name for person in people]


async def test_in_hours_the_contact_works(world: World, pool: Pool) -> None:
    found = await seen(pool, world, "marta")
    assert found.contact == Person(
        staff_id=world.staff("anna"),
        name="Anna Provberg",
        is_absent=False,
        absent_until=None,
        is_working=True,
        has_channel=False,
    )
    assert (found.unit.name, found.unit.is_open) == ("Provbyns hemsjukvård", True)
    assert found.unit.opens_at == MONDAY
    assert not found.unit.has_hours
    assert (found.team_id, found.team, found.substitutes, found.duty) == (None, (), (), ())


async def test_outside_hours_nobody_works_but_who_is_on_duty(world: World, pool: Pool) -> None:
    world.connection.execute(
        "insert into duty (unit_id, staff_id, from_at, until_at) "
        "select unit_id, %s, %s, %s from unit where name = 'Provbyns hemsjukvård'",
        (world.staff("lisa"), EVENING, EVENING + DAY),
    )
    found = await seen(pool, world, "marta", EVENING)
    assert found.contact is not None
    assert not found.contact.is_working
    assert not found.contact.is_absent
    assert [(one.name, one.is_working) for one in found.duty] == [("Lisa Testek", True)]
    assert not found.unit.is_open
    assert found.unit.opens_at == datetime(2027, 2, 2, 7, tzinfo=UTC)
    before, after = EVENING - timedelta(microseconds=1), EVENING + DAY
    assert (await seen(pool, world, "marta", before)).duty == ()
    assert (await seen(pool, world, "marta", after)).duty == ()


async def test_substitutes_come_in_order_the_patients_own_first(world: World, pool: Pool) -> None:
    stands_in(world, "lisa", 1, colleague="anna")
    stands_in(world, "eva", 1, patient="marta")
    away(world, "anna", MONDAY, MONDAY + DAY)
    found = await seen(pool, world, "marta")
    assert names(found.substitutes) == ["Eva Testström", "Lisa Testek"]
    assert found.contact is not None
    assert (found.contact.is_absent, found.contact.is_working) == (True, False)
    assert found.contact.absent_until == MONDAY + DAY
    assert names((await seen(pool, world, "kalle")).substitutes) == ["Lisa Testek"]
