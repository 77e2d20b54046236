"""Absence is noted with its end, taken back or cut short, and nothing of it is overwritten."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from alerts.care import absence, duty, substitutes
from alerts.care.absence import Noted, Refusal
from alerts.care.availability import Person, around
from tests.alerts.care.conftest import Town
from tests.alerts.conftest import Pool
from tests.alerts.world import World

NOW = datetime(2038, 2, 1, 9, 12, tzinfo=UTC)  # later than any run of the tests
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def note(town: Town, key: str, since: datetime, until: datetime) -> Noted | Refusal:
    return await absence.note(
        town.connection,
        staff_id=town.staff[key],
        from_at=since,
        until_at=until,
        noted_by=town.staff["eva"],
        now=NOW,
    )


async def noted(town: Town, key: str, since: datetime, until: datetime) -> Noted:
    found = await note(town, key, since, until)
    assert isinstance(found, Noted)
    return found


async def contact(town: Town, at: datetime) -> Person:
    marta = town.patient["marta"]
    found = (await around(town.connection, [marta], at))[marta].contact
    assert found is not None
    return found


async def kept(town: Town) -> list[tuple[object, ...]]:
    return await town.rows(
        "select from_at, until_at, withdrawn_at is null from absence order by absence_id"
    )


async def test_it_begins_and_ends_to_the_microsecond(town: Town) -> None:
    await noted(town, "anna", NOW + DAY, NOW + 3 * DAY)
    tick = timedelta(microseconds=1)
    moments = [NOW + DAY - tick, NOW + DAY, NOW + 3 * DAY - tick, NOW + 3 * DAY]
    found = [(await contact(town, at)).is_absent for at in moments]
    assert found == [False, True, True, False]


async def test_it_says_whose_patients_have_nobody_then(town: Town) -> None:
    found = await noted(town, "anna", NOW, NOW + DAY)
    assert found.uncovered == {town.patient["marta"], town.patient["kalle"]}


async def test_a_substitute_who_goes_in_the_middle_leaves_them_without(town: Town) -> None:
    await substitutes.of_colleague(
        town.connection,
        town.staff["anna"],
        [town.staff["lisa"]],
        from_at=NOW,
        noted_by=None,
        now=NOW,
    )
    first = await noted(town, "anna", NOW, NOW + 9 * DAY)
    assert first.uncovered == set()
    second = await noted(town, "lisa", NOW + 4 * DAY, NOW + 5 * DAY)
    assert second.uncovered == {town.patient[key] for key in ("marta", "kalle", "ingrid")}
    # And the other way about: lisa's was noted first.
    await absence.withdraw(town.connection, first.absence_id, by=None, now=NOW)
    again = await noted(town, "anna", NOW, NOW + 9 * DAY)
    assert again.uncovered == {town.patient["marta"], town.patient["kalle"]}


async def test_it_says_which_duties_somebody_else_must_take(town: Town) -> None:
    for since in (NOW + DAY, NOW + 2 * DAY):
        await duty.note(
            town.connection,
            unit_id=town.unit["Provbyns hemsjukvård"],
            staff_id=town.staff["anna"],
            from_at=since,
            until_at=since + HOUR,
            noted_by=None,
            now=NOW,
        )
    assert (await noted(town, "anna", NOW, NOW + DAY + HOUR)).duties == 1


async def test_what_cannot_be_meant_is_refused(town: Town) -> None:
    await town.run("update staff set ended_at = %s where staff_id = %s", NOW, town.staff["tove"])
    for key, since, until, refusal in [
        ("anna", 2 * DAY, DAY, Refusal.ENDS_BEFORE_IT_BEGINS),
        ("anna", DAY, DAY, Refusal.ENDS_BEFORE_IT_BEGINS),
        ("anna", -2 * DAY, -DAY, Refusal.IS_OVER),
        ("anna", -2 * DAY, 0 * DAY, Refusal.IS_OVER),
        ("anna", DAY, 3660 * DAY, Refusal.TOO_LONG),
        ("tove", DAY, 2 * DAY, Refusal.UNKNOWN),
    ]:
        assert await note(town, key, NOW + since, NOW + until) is refusal, (key, since, until)
    assert await kept(town) == []


async def test_the_same_again_is_the_same_and_another_over_it_is_refused(town: Town) -> None:
    first = await noted(town, "anna", NOW, NOW + 2 * DAY)
    assert await note(town, "anna", NOW, NOW + 2 * DAY) == first
    assert await note(town, "anna", NOW + DAY, NOW + 3 * DAY) is Refusal.ALREADY_AWAY
    await noted(town, "anna", NOW + 2 * DAY, NOW + 3 * DAY)
    assert (await contact(town, NOW)).absent_until == NOW + 3 * DAY  # two that meet are one


async def test_withdrawn_before_it_begins_it_never_was(town: Town) -> None:
    found = await noted(town, "anna", NOW + DAY, NOW + 2 * DAY)
    for expected in (None, Refusal.NOT_THERE):
        answer = await absence.withdraw(town.connection, found.absence_id, by=None, now=NOW)
        assert answer is expected
    assert await kept(town) == [(NOW + DAY, NOW + 2 * DAY, False)]
    assert not (await contact(town, NOW + DAY)).is_absent


async def test_withdrawn_in_the_middle_what_was_stands(town: Town) -> None:
    found = await noted(town, "anna", NOW - DAY, NOW + 2 * DAY)
    assert await absence.withdraw(town.connection, found.absence_id, by=None, now=NOW) is None
    assert await kept(town) == [(NOW - DAY, NOW + 2 * DAY, False), (NOW - DAY, NOW, True)]
    assert (await contact(town, NOW - HOUR)).is_absent
    assert not (await contact(town, NOW)).is_absent


async def test_cut_short_she_is_back_then(town: Town) -> None:
    found = await noted(town, "anna", NOW - DAY, NOW + 2 * DAY)
    back = NOW + 3 * HOUR
    for at, expected in [
        (NOW - HOUR, Refusal.IS_OVER),
        (NOW + 2 * DAY, Refusal.NOT_THERE),
        (back, None),
    ]:
        answer = await absence.cut_short(
            town.connection, found.absence_id, at=at, by=town.staff["eva"], now=NOW
        )
        assert answer is expected
    assert (await contact(town, NOW)).absent_until == back
    assert not (await contact(town, back)).is_absent


@pytest.mark.parametrize("refusals", [absence.Refusal, duty.Refusal, substitutes.Refusal])
def test_every_refusal_says_what_to_do(refusals: type[Refusal]) -> None:
    for refusal in refusals:
        assert len(refusal.value.split(". ")) >= 2, refusal


async def test_many_who_note_the_same_at_once_note_it_once(world: World, pool: Pool) -> None:
    async def once() -> Noted | Refusal:
        async with pool.connection() as connection:
            return await absence.note(
                connection,
                staff_id=world.staff("anna"),
                from_at=NOW,
                until_at=NOW + DAY,
                noted_by=None,
                now=NOW,
            )

    assert len(set(await asyncio.gather(*(once() for _ in range(8))))) == 1
    assert world.one("select count(*) from absence") == 1
