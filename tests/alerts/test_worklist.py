"""The worklist holds one's own alerts, all of them, most urgent first."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection

from alerts import engine
from alerts import worklist as module
from alerts.care import people
from alerts.worklist import Place, Worklist, worklist
from tests.alerts import rota
from tests.alerts.conftest import Pool
from tests.alerts.rota import HOUR
from tests.alerts.world import D, P, S, W, World


async def seen_by(world: World, pool: Pool, who: str) -> Worklist:
    async with pool.connection() as connection:
        await engine.advance(connection)
        return await worklist(connection, world.viewer(who))


NOW = datetime.now(UTC)
RED = {S: 192.0, D: 112.0}
YELLOW = {S: 165.0, D: 80.0}
STAFF = ("anna", "eva", "lisa")


async def who_has(connection: AsyncConnection, world: World, patient: str = "marta") -> set[str]:
    """Return on whose worklists the patient's alerts are; they and nobody else may open her."""
    patient_id = world.patient(patient)
    listed, may_see = set(), set()
    for key in STAFF:
        viewer = world.viewer(key)
        rows = (await worklist(connection, viewer)).rows
        if any(row.patient_id == patient_id for row in rows):
            listed.add(key)
        if await people.patient(connection, viewer, patient_id) is not None:
            may_see.add(key)
    assert listed == may_see
    return listed


async def follows(connection: AsyncConnection, world: World, patient: str = "marta") -> set[str]:
    """Return in whose list of patients she is, alert or no alert."""
    patient_id = world.patient(patient)
    return {
        key
        for key in STAFF
        for one in await people.patients(connection, world.viewer(key))
        if one.patient_id == patient_id
    }


async def test_who_stands_in_has_it_while_the_contact_is_away_and_no_longer(
    world: World, pool: Pool
) -> None:
    rota.stands_in(world, "eva", colleague="anna")
    rota.stands_in(world, "lisa", patient="marta")
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        assert await who_has(connection, world) == await follows(connection, world) == {"anna"}
        rota.away(world, "anna", NOW - HOUR, NOW + HOUR)
        assert await who_has(connection, world) == {"anna", "eva", "lisa"}
        assert await follows(connection, world) == {"anna", "eva", "lisa"}
        assert await follows(connection, world, "kalle") == {"anna", "eva"}
        world.connection.execute("update absence set withdrawn_at = now()")
        assert await who_has(connection, world) == await follows(connection, world) == {"anna"}
        rota.away(world, "anna", NOW + HOUR, NOW + 2 * HOUR)
        assert await who_has(connection, world) == await follows(connection, world) == {"anna"}
        world.connection.execute("update staff set ended_at = now() where name like 'Anna%'")
        assert await who_has(connection, world) == await follows(connection, world)
        assert await who_has(connection, world) == {"eva", "lisa"}  # she herself is out
        world.connection.execute("update substitute set until_at = now()")
        assert await who_has(connection, world) == set()


async def test_a_team_has_it_as_long_as_one_is_of_the_team(world: World, pool: Pool) -> None:
    team_id = rota.team(world, "anna", "eva", "lisa")
    rota.contact(world, "marta", team_id=team_id)
    rota.stands_in(world, "anna", patient="marta")  # and sees her only if all of the team are away
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        assert await who_has(connection, world) == await follows(connection, world)
        assert await who_has(connection, world) == {"eva", "lisa"}
        (row,) = (await worklist(connection, world.viewer("eva"))).rows
        assert (row.contact_id, row.contact_name) == (None, "Team Prov")
        assert (row.receiver_team_id, row.receiver_name) == (team_id, "Team Prov")
        world.connection.execute(
            "update team_member set until_at = now() where staff_id = %s", [world.staff("eva")]
        )
        assert await who_has(connection, world) == await follows(connection, world) == {"lisa"}
        world.connection.execute("update team set ended_at = now()")
        world.connection.execute("update alert set state = 'closed'")
        assert await who_has(connection, world) == await follows(connection, world) == set()


async def test_who_it_was_routed_to_has_it_until_it_is_closed(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        world.connection.execute("update alert_case set staff_id = %s", [world.staff("lisa")])
        assert await who_has(connection, world) == {"anna", "lisa"}
        assert await follows(connection, world) == {"anna"}
        world.connection.execute("update alert set state = 'closed'")
        assert (
            await people.patient(connection, world.viewer("lisa"), world.patient("marta")) is None
        )


async def test_who_has_taken_it_keeps_it_as_long_as_it_is_taken(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        world.connection.execute(
            "update alert_case set acknowledged_by = %s, acknowledged_at = now()",
            [world.staff("lisa")],
        )
        assert await who_has(connection, world) == {"anna"}
        world.connection.execute("update alert set state = 'acknowledged'")
        assert await who_has(connection, world) == {"anna", "lisa"}


async def test_who_was_told_has_it_be_it_herself_or_her_unit(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        rota.told(world, world.alert("marta"), who="lisa")
        assert await who_has(connection, world) == {"anna", "lisa"}
        rota.told(world, world.alert("marta"), unit="anna")
        assert await who_has(connection, world) == {"anna", "eva", "lisa"}
        # Another unit answers for her since: what was told before tells nobody now.
        world.connection.execute("update person_unit set until_at = now()")
        world.connection.execute(
            "insert into person_unit (patient_id, unit_id, from_at) "
            "select patient_id, unit_id, clock_timestamp() from person"
        )
        assert await who_has(connection, world) == {"anna"}


async def test_who_is_on_duty_has_the_red_ones_of_the_unit(world: World, pool: Pool) -> None:
    rota.on_duty(world, "lisa", NOW - HOUR, NOW + HOUR, unit="anna")
    rota.on_duty(world, "eva", NOW - HOUR, NOW + HOUR, unit="lisa")  # not for this unit
    await world.measure_soon("marta", RED)
    await world.measure_soon("kalle", YELLOW)
    async with pool.connection() as connection:
        await engine.advance(connection)
        assert await who_has(connection, world) == {"anna", "lisa"}
        rows = (await worklist(connection, world.viewer("lisa"))).rows
        assert [row.given_name for row in rows] == ["Märta"]
        # A yellow one is not before her, but she may look: somebody may call about it.
        lisa = world.viewer("lisa")
        assert await people.patient(connection, lisa, world.patient("kalle")) is not None
        assert await people.patient(connection, lisa, world.patient("sven")) is None
        world.connection.execute("update duty set until_at = now()")
        assert await who_has(connection, world) == {"anna"}


async def test_an_alert_in_the_queue_is_the_units_also_if_there_is_a_contact(
    world: World, pool: Pool
) -> None:
    rota.away(world, "anna", NOW - HOUR, NOW + HOUR)
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        assert await who_has(connection, world) == {"anna", "eva"}
        assert await follows(connection, world) == {"anna"}


async def test_a_contact_named_for_a_coming_day_waits_for_it(world: World, pool: Pool) -> None:
    world.connection.execute(
        "update care_contact set until_at = %s where patient_id = %s",
        (NOW + HOUR, world.patient("marta")),
    )
    world.connection.execute(
        "insert into care_contact (patient_id, staff_id, from_at) values (%s, %s, %s)",
        (world.patient("marta"), world.staff("lisa"), NOW + HOUR),
    )
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        assert await who_has(connection, world) == await follows(connection, world) == {"anna"}
        marta = world.viewer("marta")
        later = await worklist(connection, world.viewer("lisa"), NOW + 2 * HOUR)
        assert [row.given_name for row in later.rows] == ["Märta"]
        seen = await people.patient(connection, marta, world.patient("marta"))
        assert seen is not None
        assert seen.contact_name == "Anna Provberg"


async def test_a_long_queue_takes_no_place_from_those_whose_contact_she_is(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PATIENTS_MAX", 2)
    rota.contact(world, "sven", "anna")  # the last of all, and the first two wait in the queue
    for key in ("marta", "kalle"):
        rota.contact(world, key)
    async with pool.connection() as connection:
        listed = await people.patients(connection, world.viewer("anna"))
    assert [(one.given_name == "Sven", one.has_contact) for one in listed] == [
        (True, True),
        (False, False),
    ]


async def test_nobody_sees_through_what_has_no_number(world: World, pool: Pool) -> None:
    """A viewer without a unit or a staff number is no match for rows that have none either."""
    await world.measure_soon("sven", RED)
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        for viewer in (
            people.Viewer(name="", relative_id=1),
            people.Viewer(name="", patient_id=world.patient("ingrid")),
            people.Viewer(name="", staff_id=world.staff("lisa")),
        ):
            for key in ("marta", "sven"):
                assert await people.patient(connection, viewer, world.patient(key)) is None
            assert not (await worklist(connection, viewer)).rows


async def test_each_sees_her_own_patients_and_her_units_queue(world: World, pool: Pool) -> None:
    for key in ("marta", "kalle", "ingrid", "sven", "olga"):
        await world.measure_soon(key, {S: 192.0, D: 112.0})
    names = {
        who: sorted(row.given_name for row in (await seen_by(world, pool, who)).rows)
        for who in ("anna", "eva", "lisa", "marta")
    }
    assert names == {
        "anna": ["Kalle", "Märta", "Sven"],
        "eva": ["Sven"],
        "lisa": ["Ingrid", "Olga"],
        "marta": [],
    }


async def test_red_comes_first_then_what_nobody_took_then_what_waited_longest(
    world: World, pool: Pool
) -> None:
    await world.measure_soon("sven", {S: 165.0, D: 80.0})
    await world.measure_soon("kalle", {S: 192.0, D: 80.0})
    await world.measure_soon("marta", {S: 192.0, D: 80.0})
    await world.measure_soon("marta", {P: 105.0})
    world.connection.execute(
        "update alert set state = 'acknowledged' where alert_id = %s", [world.alert("kalle")]
    )
    rows = (await seen_by(world, pool, "anna")).rows
    assert [(row.given_name, row.level) for row in rows] == [
        ("Märta", 2),
        ("Kalle", 2),
        ("Sven", 1),
        ("Märta", 1),
    ]


async def test_a_row_says_why_by_its_newest_worst_value(world: World, pool: Pool) -> None:
    for hours, systolic in ((3, 192.0), (2, 199.0), (1, 165.0)):
        await world.measure_soon("marta", {S: systolic, D: 80.0}, ago=timedelta(hours=hours))
    (row,) = (await seen_by(world, pool, "anna")).rows
    assert row.why() == "Blodtryck 199/80 (systolisk gräns 180)"
    assert row.readings == 3


async def test_a_closed_alert_is_gone(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 80.0})
    assert len((await seen_by(world, pool, "anna")).rows) == 1
    world.connection.execute("update alert set state = 'closed'")
    assert not (await seen_by(world, pool, "anna")).rows


async def test_what_there_is_no_room_for_is_counted(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    for key in ("marta", "kalle", "sven"):
        await world.measure_soon(key, {S: 192.0, D: 80.0, P: 105.0})
    listed = await seen_by(world, pool, "anna")
    assert (len(listed.rows), listed.red, listed.yellow, listed.left_out) == (2, 3, 3, 4)


async def test_pages_hold_every_row_once_in_the_order_of_urgency(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("marta", "kalle", "sven"):
        await world.measure_soon(key, {S: 192.0, D: 80.0, P: 105.0, W: 78.5})
    whole = await seen_by(world, pool, "anna")
    resting, taken, twin = (row.alert_id for row in whole.rows[2:5])
    world.connection.execute(
        "update alert_case set snoozed_until = now() + interval '1 day' where alert_id = %s",
        (resting,),
    )
    world.connection.execute(
        "update alert set state = 'acknowledged' where alert_id = %s", (taken,)
    )
    world.connection.execute(
        "update alert set opened_at = (select min(opened_at) from alert) "
        "where alert_id in (%s, %s)",
        (taken, twin),
    )
    whole = await seen_by(world, pool, "anna")
    assert (len(whole.rows), whole.left_out, whole.next) == (9, 0, None)
    assert whole.rows[-1].alert_id == resting
    for size in (1, 2, 4, 9):
        monkeypatch.setattr(module, "ROWS_MAX", size)
        found, after = [], None
        async with pool.connection() as connection:
            while True:
                page = await worklist(connection, world.viewer("anna"), after=after)
                found += [row.alert_id for row in page.rows]
                assert (page.red, page.yellow) == (3, 6)
                assert page.left_out == 9 - len(found)
                if page.next is None:
                    break
                after = Place.read(str(page.next))
        assert found == [row.alert_id for row in whole.rows]


async def test_what_was_ended_meanwhile_moves_no_row_to_another_page(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("marta", "kalle", "sven"):
        await world.measure_soon(key, {S: 192.0, D: 80.0})
    whole = [row.alert_id for row in (await seen_by(world, pool, "anna")).rows]
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    async with pool.connection() as connection:
        first = await worklist(connection, world.viewer("anna"))
        world.connection.execute(
            "update alert set state = 'closed' where alert_id = %s", (whole[1],)
        )
        rest = await worklist(connection, world.viewer("anna"), after=first.next)
    assert [row.alert_id for row in rest.rows] == whole[2:]


@pytest.mark.parametrize(
    "text", ["", "0", "0.1.0.1", "2.1.0.1.1", "0.3.0.1.1", "0.1.0.1.1 ", "0.1.0.٣.1", "0.1.0.1.-1"]
)
def test_a_place_that_nobody_wrote_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="place"):
        Place.read(text)


async def test_an_alert_without_a_breach_is_seen_all_the_same(world: World, pool: Pool) -> None:
    world.connection.execute(
        "insert into alert (patient_id, rule, level, measured_at) "
        "values (%s, 'new:rule', 2, now())",
        [world.patient("marta")],
    )
    (row,) = (await seen_by(world, pool, "anna")).rows
    assert row.why() == "Larm av okänt slag (new:rule)"
