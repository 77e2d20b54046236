"""Who works where, as what, and with whom, at a moment."""

from datetime import UTC, datetime, timedelta

from alerts.care.organisation import Function, Team, colleagues, teams, units
from tests.alerts.care.conftest import Town

NOW = datetime(2038, 2, 1, 9, 12, tzinfo=UTC)  # later than any run of the tests
DAY = timedelta(days=1)
UNIT = "Provbyns hemsjukvård"


async def functions(town: Town, now: datetime = NOW) -> dict[str, frozenset[Function]]:
    found = await colleagues(town.connection, town.unit[UNIT], now)
    return {one.name.split()[0]: one.functions for one in found}


async def test_who_works_at_a_unit_and_as_what(town: Town) -> None:
    await town.run(
        "insert into staff_function (staff_id, name, from_at, until_at) "
        "values (%s, 'coordinator', %s, %s)",
        town.staff["eva"],
        NOW,
        NOW + DAY,
    )
    care, both = {Function.CARE}, {Function.CARE, Function.COORDINATOR}
    assert await functions(town) == {"Anna": care, "Eva": both, "Tove": {Function.TECHNICIAN}}
    assert (await functions(town, NOW - DAY))["Eva"] == care
    assert (await functions(town, NOW + DAY))["Eva"] == care
    await town.run("update staff set ended_at = %s where staff_id = %s", NOW, town.staff["anna"])
    assert list(await functions(town)) == ["Eva", "Tove"]
    assert list(await functions(town, NOW - DAY)) == ["Anna", "Eva", "Tove"]


async def test_a_team_has_the_members_of_the_moment(town: Town) -> None:
    ((team_id,),) = await town.rows(
        "insert into team (unit_id, name) values (%s, 'Hjärtat') returning team_id", town.unit[UNIT]
    )
    for key, since in [("lisa", NOW), ("anna", NOW), ("eva", NOW + DAY)]:
        await town.run(
            "insert into team_member (team_id, staff_id, from_at) values (%s, %s, %s)",
            team_id,
            town.staff[key],
            since,
        )
    members = (town.staff["anna"], town.staff["lisa"])
    expected = Team(team_id=team_id, name="Hjärtat", members=members)
    assert await teams(town.connection, town.unit[UNIT], NOW) == (expected,)
    await town.run("update team set ended_at = %s", NOW + DAY)
    assert await teams(town.connection, town.unit[UNIT], NOW + DAY) == ()


async def test_a_unit_that_is_not_there_is_left_out(town: Town) -> None:
    found = await units(town.connection, [town.unit[UNIT], 999_999], NOW)
    assert set(found) == {town.unit[UNIT]}
    assert await colleagues(town.connection, 999_999, NOW) == ()
