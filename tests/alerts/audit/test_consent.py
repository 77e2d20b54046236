"""Consent, blocks and emergencies: who may say so, when it ends, and that it is logged."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from psycopg import AsyncConnection

from alerts.access import ALL, Access, Denied, Ground, Scope, Why, decide
from alerts.audit.verify import verify
from alerts.care import block, consent, emergency
from alerts.care.consent import Answer, Holder, How
from alerts.care.facts import facts
from alerts.care.people import Viewer
from tests.alerts.audit.people import People

SOON = datetime.now(UTC) + timedelta(days=1)
WHY = "Hittad medvetslös hemma"
VALUES, PLAN = Scope.VALUES, Scope.PLAN


def number(viewer: Viewer) -> int:
    assert viewer.patient_id is not None
    return viewer.patient_id


async def seen(connection: AsyncConnection, viewer: Viewer, patient: Viewer) -> Access | Denied:
    known = await facts(connection, viewer, [number(patient)])
    return decide(viewer, known[number(patient)])


class Home:
    """A patient with a nurse, a daughter and a son; another unit with a nurse."""

    def __init__(self, people: People) -> None:
        self.unit, self.away = people.unit(), people.unit()
        self.anna, self.eva = people.staff(self.unit), people.staff(self.unit)
        self.lisa = people.staff(self.away)
        self.hers = people.patient(self.unit, contact=self.anna)
        self.daughter, self.son = people.relative(self.hers), people.relative(self.hers)
        self.to_daughter = Holder(relative_id=self.daughter.relative_id)
        self.to_away = Holder(unit_id=self.away)


@pytest.fixture
def home(people: People) -> Home:
    return Home(people)


async def test_what_is_shared_is_seen_and_what_is_revoked_is_gone_at_once(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)
    for holder, viewer in ((home.to_daughter, home.daughter), (home.to_away, home.lisa)):
        given = await consent.give(
            connection, home.hers, patient, holder, [VALUES, PLAN], how=How.SELF, until_at=SOON
        )
        assert given is Answer.DONE
        found = await seen(connection, viewer, home.hers)
        assert isinstance(found, Access)
        assert found.scopes == {VALUES, PLAN}
        assert await consent.revoke(connection, home.hers, patient, holder) is Answer.DONE
        assert isinstance(await seen(connection, viewer, home.hers), Denied)
        assert await consent.revoke(connection, home.hers, patient, holder) is Answer.NONE
    assert [action for _, action, _ in people.logged(home.hers)] == [
        "consent_given",
        "consent_revoked",
        "consent_given",
        "consent_revoked",
    ]


async def test_a_new_consent_takes_the_place_of_the_one_before(
    connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)
    for scopes in (list(ALL), [PLAN]):
        await consent.give(connection, home.anna, patient, home.to_daughter, scopes, how=How.PHONE)
    assert await seen(connection, home.daughter, home.hers) == Access(
        Ground.RELATIVE, frozenset({PLAN})
    )
    (held,) = await consent.held(connection, patient)
    assert (held.holder_name, held.scope, held.noted_name) == (
        home.daughter.name,
        ["plan"],
        home.anna.name,
    )


async def test_no_more_are_given_than_can_be_seen_and_taken_back(
    connection: AsyncConnection, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = number(home.hers)
    monkeypatch.setattr(consent, "HELD_MAX", 1)

    async def give(holder: Holder) -> Answer:
        return await consent.give(connection, home.hers, patient, holder, [PLAN], how=How.SELF)

    assert await give(home.to_daughter) is Answer.DONE
    assert await give(home.to_daughter) is Answer.DONE  # in its place
    assert await give(home.to_away) is Answer.FULL
    assert len(await consent.held(connection, patient)) == 1
    await consent.revoke(connection, home.hers, patient, home.to_daughter)
    assert await give(home.to_away) is Answer.DONE


async def test_two_who_give_at_once_leave_one_consent_that_can_be_revoked(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)

    async def give(scope: Scope) -> Answer:
        async with await AsyncConnection.connect(people.dsn, autocommit=True) as own:
            return await consent.give(
                own, home.anna, patient, home.to_daughter, [scope], how=How.VISIT
            )

    answers = await asyncio.gather(*(give(scope) for scope in list(Scope) * 2))
    assert set(answers) == {Answer.DONE}
    assert len(await consent.held(connection, patient)) == 1
    await consent.revoke(connection, home.anna, patient, home.to_daughter)
    assert await seen(connection, home.daughter, home.hers) == Denied(Why.NO_CONSENT)


@pytest.mark.parametrize("who", ["eva", "lisa", "daughter", "other", "tove"])
async def test_only_she_and_who_cares_for_her_may_speak_for_her(
    people: People, connection: AsyncConnection, home: Home, who: str
) -> None:
    others = {
        "eva": home.eva,
        "lisa": home.lisa,
        "daughter": home.daughter,
        "other": people.patient(home.unit),
        "tove": people.staff(home.unit, "Tekniker", ["technician"]),
    }
    viewer, patient = others[who], number(home.hers)
    # Neither sharing nor an emergency lets anybody speak for her.
    await consent.give(connection, home.anna, patient, home.to_away, ALL, how=How.PHONE)
    await consent.give(connection, home.anna, patient, home.to_daughter, ALL, how=How.PHONE)
    if viewer.staff_id is not None:
        await emergency.open_up(connection, viewer, patient, WHY)
    how = How.SELF if who == "other" else How.PHONE
    to_son = Holder(relative_id=home.son.relative_id)
    given = await consent.give(connection, viewer, patient, to_son, ALL, how=how)
    revoked = await consent.revoke(connection, viewer, patient, home.to_away)
    assert (given, revoked) == (Answer.NOT_YOURS, Answer.NOT_YOURS)
    done = await block.block(connection, viewer, patient, home.away, how=how)
    assert done is block.Answer.NOT_YOURS
    assert await seen(connection, home.son, home.hers) == Denied(Why.NO_CONSENT)
    found = await seen(connection, people.staff(home.away), home.hers)
    assert found == Access(Ground.SHARED, ALL)


@pytest.mark.parametrize("to_all", [False, True], ids=["to her", "to her unit"])
async def test_who_has_one_alert_makes_nothing_lasting(
    people: People, connection: AsyncConnection, home: Home, *, to_all: bool
) -> None:
    patient, lisa = number(home.hers), home.lisa
    assert await block.block(connection, home.hers, patient, home.away, how=How.SELF)
    alert = people.alert(home.hers, home.away, staff_id=None if to_all else lisa.staff_id)
    assert isinstance(await seen(connection, lisa, home.hers), Access)
    lifted = await block.lift(connection, lisa, patient, home.away, how=How.PHONE)
    assert lifted is block.Answer.NOT_YOURS
    for holder in (home.to_away, home.to_daughter):
        given = await consent.give(connection, lisa, patient, holder, list(ALL), how=How.PHONE)
        assert given is Answer.NOT_YOURS
    people.run("update alert set state = 'closed' where alert_id = %s", alert)
    colleague = people.staff(home.away)
    for viewer in (lisa, colleague, home.daughter):
        assert isinstance(await seen(connection, viewer, home.hers), Denied)


async def test_nobody_lets_in_her_own_unit(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    own, patient = people.unit(), number(home.hers)
    member = people.staff(own)  # of the team that is her contact, and of another unit
    team = people.team(home.unit, [member])
    people.run(
        "update care_contact set staff_id = null, team_id = %s where patient_id = %s", team, patient
    )
    await block.block(connection, home.hers, patient, own, how=How.SELF)
    lifted = await block.lift(connection, member, patient, own, how=How.PHONE)
    assert lifted is block.Answer.NOT_YOURS
    given = await consent.give(
        connection, member, patient, Holder(unit_id=own), list(ALL), how=How.PHONE
    )
    assert given is Answer.NOT_YOURS
    given = await consent.give(
        connection, member, patient, home.to_daughter, list(ALL), how=How.PHONE
    )
    assert given is Answer.DONE


async def test_nobody_says_herself_for_another_and_she_says_nothing_by_phone(
    connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)
    for viewer, how in ((home.anna, How.SELF), (home.hers, How.PHONE)):
        given = await consent.give(connection, viewer, patient, home.to_away, ALL, how=how)
        assert given is Answer.HOW
        done = await block.block(connection, viewer, patient, home.away, how=how)
        assert done is block.Answer.HOW
        assert await block.lift(connection, viewer, patient, home.away, how=how) is done


async def test_what_makes_no_consent_changes_nothing(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)
    await consent.give(connection, home.hers, patient, home.to_daughter, ALL, how=How.SELF)
    logged = people.logged(home.hers)
    past = datetime.now(UTC) - timedelta(seconds=1)
    stranger = people.relative(people.patient(home.unit))
    for holder, scopes, from_at, until_at, answer in (
        (home.to_daughter, [], None, None, Answer.NOTHING_SHARED),
        (home.to_daughter, ALL, None, past, Answer.PERIOD),
        (home.to_daughter, ALL, SOON, SOON, Answer.PERIOD),
        (home.to_daughter, ALL, SOON + timedelta(1), SOON, Answer.PERIOD),
        (Holder(relative_id=stranger.relative_id), ALL, None, None, Answer.NO_HOLDER),
        (Holder(relative_id=2**60), ALL, None, None, Answer.NO_HOLDER),
        (Holder(unit_id=2**60), ALL, None, None, Answer.NO_HOLDER),
        (Holder(unit_id=home.unit), ALL, None, None, Answer.OWN_UNIT),
    ):
        given = await consent.give(
            connection,
            home.hers,
            patient,
            holder,
            scopes,
            how=How.SELF,
            from_at=from_at,
            until_at=until_at,
        )
        assert given is answer
    assert people.logged(home.hers) == logged
    assert await seen(connection, home.daughter, home.hers) == Access(Ground.RELATIVE, ALL)
    assert await seen(connection, stranger, home.hers) == Denied(Why.NO_CONSENT)
    for bad in (Holder(), Holder(relative_id=1, unit_id=1)):
        with pytest.raises(ValueError, match="a relative or"):
            await consent.give(connection, home.hers, patient, bad, ALL, how=How.SELF)


async def test_a_block_closes_what_was_shared_until_it_is_lifted(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)
    await consent.give(connection, home.hers, patient, home.to_away, ALL, how=How.SELF)
    for expected in (block.Answer.DONE, block.Answer.ALREADY):
        done = await block.block(connection, home.hers, patient, home.away, how=How.SELF)
        assert done is expected
    assert await seen(connection, home.lisa, home.hers) == Denied(Why.BLOCKED)
    assert [each.unit_id for each in await block.blocks(connection, patient)] == [home.away]
    for expected in (block.Answer.DONE, block.Answer.ALREADY):
        done = await block.lift(connection, home.anna, patient, home.away, how=How.PHONE)
        assert done is expected
    assert await seen(connection, home.lisa, home.hers) == Access(Ground.SHARED, ALL)
    assert await block.blocks(connection, patient) == []
    own = await block.block(connection, home.hers, patient, home.unit, how=How.SELF)
    assert own is block.Answer.OWN_UNIT
    none = await block.block(connection, home.hers, patient, 2**60, how=How.SELF)
    assert none is block.Answer.NO_UNIT
    assert people.logged(home.hers)[1:] == [
        (f"patient:{patient}", "block_set", "self"),
        (f"staff:{home.anna.staff_id}", "block_lifted", "contact"),
    ]


async def test_an_emergency_opens_at_once_even_what_is_blocked_and_only_for_its_hour(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    patient = number(home.hers)
    await block.block(connection, home.hers, patient, home.away, how=How.SELF)
    for expected in (emergency.Answer.DONE, emergency.Answer.NOT_NEEDED):
        assert await emergency.open_up(connection, home.lisa, patient, WHY) is expected
    found = await seen(connection, home.lisa, home.hers)
    assert isinstance(found, Access)
    assert (found.ground, found.scopes, found.may_act) == (Ground.EMERGENCY, ALL, False)
    assert found.until is not None
    assert timedelta(minutes=59) < found.until - datetime.now(UTC) <= emergency.LASTS
    assert await seen(connection, people.staff(home.away), home.hers) == Denied(Why.BLOCKED)
    later = await facts(connection, home.lisa, [patient], now=found.until)
    assert decide(home.lisa, later[patient]) == Denied(Why.BLOCKED)
    detail = people.one(
        "select detail from access_log where patient_id = %s and action = 'emergency_opened'",
        patient,
    )
    assert detail["was_blocked"] is True


async def test_two_clicks_are_one_emergency(people: People, home: Home) -> None:
    async def open_up() -> emergency.Answer:
        async with await AsyncConnection.connect(people.dsn, autocommit=True) as own:
            return await emergency.open_up(own, home.lisa, number(home.hers), WHY)

    answers = await asyncio.gather(*(open_up() for _ in range(4)))
    assert sorted(answers) == ["done", "not_needed", "not_needed", "not_needed"]


@pytest.mark.parametrize(
    ("who", "why", "answer"),
    [
        ("lisa", "för kort", "no_reason"),
        ("lisa", " " * 40 + "kort", "no_reason"),
        ("lisa", "x" * 1_001, "no_reason"),
        ("anna", WHY, "not_needed"),
        ("tove", WHY, "not_found"),
        ("daughter", WHY, "not_found"),
    ],
)
async def test_no_emergency_without_a_reason_or_for_who_does_not_care(
    *, people: People, connection: AsyncConnection, home: Home, who: str, why: str, answer: str
) -> None:
    viewers = {
        "lisa": home.lisa,
        "anna": home.anna,
        "daughter": home.daughter,
        "tove": people.staff(home.away, "Tekniker", ["technician"]),
    }
    done = await emergency.open_up(connection, viewers[who], number(home.hers), why)
    assert done.value == answer
    assert people.logged(home.hers) == []
    assert await emergency.unreviewed(connection, viewers[who].unit_id or home.away) == []


async def test_an_emergency_stays_on_the_list_until_a_reviewer_has_looked(
    people: People, connection: AsyncConnection, home: Home
) -> None:
    reviewing, other = (people.staff(home.unit, functions=["reviewer"]) for _ in range(2))
    technician = people.staff(home.unit, functions=["technician"])
    await emergency.open_up(connection, home.lisa, number(home.hers), WHY)
    (listed,) = await emergency.unreviewed(connection, home.away)
    assert (listed.staff_name, listed.why) == (home.lisa.name, WHY)
    assert listed in await emergency.unreviewed(connection)
    assert await emergency.unreviewed(connection, home.unit) == []
    for reviewer, access_id, said, answer in (
        (home.lisa, listed.access_id, "Jag själv", "own"),
        (home.eva, listed.access_id, "Det gick bra", "no_reviewer"),
        (technician, listed.access_id, "Det gick bra", "no_reviewer"),
        (reviewing, listed.access_id, "  ", "no_reason"),
        (reviewing, 2**60, "Ingen", "not_found"),
        (reviewing, listed.access_id, "Ambulansen bekräftar", "done"),
        (other, listed.access_id, "En gång till", "already"),
    ):
        done = await emergency.review(connection, reviewer, access_id, said)
        assert done.value == answer
    assert await emergency.unreviewed(connection, home.away) == []
    assert (await verify(connection)).is_whole
