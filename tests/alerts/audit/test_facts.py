"""Each ground is found where it holds, and is gone when it ends."""

import pytest
from psycopg import AsyncConnection, sql

from alerts.access import ALL, Access, Denied, Ground, Scope, Why, decide
from alerts.care.facts import facts
from alerts.care.people import CONTACT, RELATION, Viewer, relation
from tests.alerts.audit.people import People

Found = Access | Denied
NO = Denied(Why.NO_RELATION)


async def found(connection: AsyncConnection, viewer: Viewer, patient: Viewer) -> Found:
    """Return the decision, and see that it is of one mind with lists and actions."""
    assert patient.patient_id is not None
    known = await facts(connection, viewer, [patient.patient_id])
    decided = decide(viewer, known[patient.patient_id])
    query = sql.SQL(
        "select count(*) from person p {contact} where p.patient_id = %(wanted)s and {relation}"
    ).format(contact=CONTACT, relation=RELATION)
    values = {**relation(viewer), "wanted": patient.patient_id}
    row = await (await connection.execute(query, values)).fetchone()
    assert row is not None
    own = isinstance(decided, Access) and (decided.may_act or decided.ground is Ground.SELF)
    assert own == bool(row[0])
    return decided


async def test_contact_and_colleague_and_queue(people: People, connection: AsyncConnection) -> None:
    home = people.unit()
    anna, eva, lisa = people.staff(home), people.staff(home), people.staff(people.unit())
    hers, nobodys = people.patient(home, contact=anna), people.patient(home)
    assert await found(connection, anna, hers) == Access(Ground.CONTACT)
    assert await found(connection, eva, hers) == NO
    assert await found(connection, anna, nobodys) == Access(Ground.QUEUE)
    assert await found(connection, eva, nobodys) == Access(Ground.QUEUE)
    assert await found(connection, lisa, nobodys) == NO
    people.run("update care_contact set until_at = now() where staff_id = %s", anna.staff_id)
    assert await found(connection, eva, hers) == Access(Ground.QUEUE)


async def test_a_team_over_the_borders_of_units(
    people: People, connection: AsyncConnection
) -> None:
    home, away = people.unit(), people.unit()
    anna, lisa, eva = people.staff(home), people.staff(away), people.staff(home)
    hers = people.patient(home, team_id=people.team(home, [anna, lisa]))
    assert await found(connection, lisa, hers) == Access(Ground.TEAM)
    assert await found(connection, eva, hers) == NO
    people.run("update team_member set until_at = now() where staff_id = %s", lisa.staff_id)
    assert await found(connection, lisa, hers) == NO
    people.run("update team set ended_at = now() where unit_id = %s", home)
    assert await found(connection, anna, hers) == NO


@pytest.mark.parametrize("own", [True, False])
async def test_a_substitute_while_the_contact_is_away(
    people: People, connection: AsyncConnection, own: bool
) -> None:
    home, away = people.unit(), people.unit()
    anna, lisa = people.staff(home), people.staff(away)
    hers = people.patient(home, contact=anna)
    people.run(
        "insert into substitute (patient_id, for_staff_id, place, staff_id) values (%s, %s, 1, %s)",
        hers.patient_id if own else None,
        None if own else anna.staff_id,
        lisa.staff_id,
    )
    assert await found(connection, lisa, hers) == NO
    people.run(
        "insert into absence (staff_id, from_at, until_at) "
        "values (%s, now() - interval '1 hour', now() + interval '1 hour')",
        anna.staff_id,
    )
    assert await found(connection, lisa, hers) == Access(Ground.SUBSTITUTE)
    assert await found(connection, anna, hers) == Access(Ground.CONTACT)
    people.run("update absence set until_at = now() where staff_id = %s", anna.staff_id)
    assert await found(connection, lisa, hers) == NO


async def test_whom_an_alert_went_to_while_it_is_open(
    people: People, connection: AsyncConnection
) -> None:
    home = people.unit()
    anna, eva, ida, lisa = (
        people.staff(home),
        people.staff(home),
        people.staff(home),
        people.staff(people.unit()),
    )
    hers = people.patient(home, contact=anna)
    to_eva = people.alert(hers, home, staff_id=eva.staff_id)
    assert await found(connection, eva, hers) == Access(Ground.ROUTED)
    assert await found(connection, ida, hers) == NO
    people.run("update alert set state = 'closed' where alert_id = %s", to_eva)
    assert await found(connection, eva, hers) == NO
    people.alert(hers, home)
    assert await found(connection, ida, hers) == Access(Ground.QUEUE)
    assert await found(connection, lisa, hers) == NO


async def test_who_is_on_duty_when_there_is_an_alert(
    people: People, connection: AsyncConnection
) -> None:
    home = people.unit()
    anna, lisa = people.staff(home), people.staff(people.unit())
    hers = people.patient(home, contact=anna)
    people.run(
        "insert into duty (unit_id, staff_id, from_at, until_at) "
        "values (%s, %s, now() - interval '1 hour', now() + interval '1 hour')",
        home,
        lisa.staff_id,
    )
    assert await found(connection, lisa, hers) == NO
    people.alert(hers, home, staff_id=anna.staff_id)
    assert await found(connection, lisa, hers) == Access(Ground.DUTY)
    people.run("update duty set withdrawn_at = now() where staff_id = %s", lisa.staff_id)
    assert await found(connection, lisa, hers) == NO


HOUR = "interval '1 hour'"
PERIODS = {
    "now": ("now()", "null", "null", True),
    "until later": (f"now() - {HOUR}", f"now() + {HOUR}", "null", True),
    "not yet": (f"now() + {HOUR}", "null", "null", False),
    "over": (f"now() - {HOUR}", "now()", "null", False),
    "revoked": (f"now() - {HOUR}", "null", "now()", False),
}


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("to_unit", [True, False])
async def test_consent_is_for_its_period_and_its_scope(
    people: People, connection: AsyncConnection, period: str, to_unit: bool
) -> None:
    from_at, until_at, revoked_at, holds = PERIODS[period]
    home, away = people.unit(), people.unit()
    lisa, ida = people.staff(away), people.staff(people.unit())
    hers = people.patient(home, contact=people.staff(home))
    daughter, son = people.relative(hers), people.relative(hers)
    people.run(
        "insert into consent (patient_id, unit_id, relative_id, scope, from_at, until_at, "
        f"revoked_at, given_how) values (%s, %s, %s, %s, {from_at}, {until_at}, {revoked_at}, '')",
        hers.patient_id,
        away if to_unit else None,
        None if to_unit else daughter.relative_id,
        ["values", "plan"],
    )
    viewer, ground = (lisa, Ground.SHARED) if to_unit else (daughter, Ground.RELATIVE)
    closed = NO if to_unit else Denied(Why.NO_CONSENT)
    scopes = frozenset({Scope.VALUES, Scope.PLAN})
    assert await found(connection, viewer, hers) == (Access(ground, scopes) if holds else closed)
    assert await found(connection, ida, hers) == NO
    assert await found(connection, son, hers) == Denied(Why.NO_CONSENT)
    assert await found(connection, viewer, people.patient(home)) == closed


@pytest.mark.parametrize(
    ("same", "ends", "expected"),
    [
        (True, "null", Access(Ground.SHARED, ALL)),
        (True, "now()", NO),
        (False, "null", NO),  # over the border it takes a consent
    ],
)
async def test_a_unit_beside_of_the_same_huvudman(
    people: People, connection: AsyncConnection, same: bool, ends: str, expected: Found
) -> None:
    region, kommun = people.huvudman(), people.huvudman()
    home, away = people.unit(region), people.unit(region if same else kommun)
    lisa, hers = people.staff(away), people.patient(home, contact=people.staff(home))
    people.run(
        "insert into care_relation (patient_id, unit_id, from_at, until_at) "
        f"values (%s, %s, now() - {HOUR}, {ends})",
        hers.patient_id,
        away,
    )
    assert await found(connection, lisa, hers) == expected
    people.run("insert into block (patient_id, unit_id) values (%s, %s)", hers.patient_id, away)
    assert await found(connection, lisa, hers) == Denied(Why.BLOCKED)


async def test_units_of_no_huvudman_are_not_of_the_same(
    people: People, connection: AsyncConnection
) -> None:
    home, away = people.unit(), people.unit()
    lisa, hers = people.staff(away), people.patient(home, contact=people.staff(home))
    people.run(
        "insert into care_relation (patient_id, unit_id) values (%s, %s)", hers.patient_id, away
    )
    assert await found(connection, lisa, hers) == NO


async def test_a_technician_of_the_queues_unit_sees_nobody(
    people: People, connection: AsyncConnection
) -> None:
    home = people.unit()
    tove, hers = people.staff(home, "Tekniker", ["technician"]), people.patient(home)
    known = await facts(connection, tove, [hers.patient_id or 0])
    assert decide(tove, known[hers.patient_id or 0]) == Denied(Why.TECHNICIAN)


async def test_whom_nobody_knows_is_left_out(people: People, connection: AsyncConnection) -> None:
    assert await facts(connection, people.staff(people.unit()), [0, 2**62]) == {}
