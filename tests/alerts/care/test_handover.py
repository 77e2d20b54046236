"""A patient goes over to another unit, and nothing of hers falls in between."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import engine
from alerts.alert import Event
from alerts.care import handover, people
from alerts.care.handover import MESSAGE_CHARS_MAX, Refusal, Refused
from alerts.care.move import Contact
from alerts.worklist import worklist
from tests.alerts import rota
from tests.alerts.conftest import Pool
from tests.alerts.rota import HOUR
from tests.alerts.world import D, S, World

NOW = datetime.now(UTC)
RED = {S: 192.0, D: 112.0}
STAFF = ("anna", "eva", "lisa")


@pytest.fixture(autouse=True)
def since_long(world: World) -> None:
    """Let the world have been as it is before these tests' moment."""
    for table in ("person_unit", "care_contact"):
        world.connection.execute(f"update {table} set from_at = '2020-01-01'")
    world.connection.execute(
        "with made as (insert into huvudman (kind, name) values ('region', 'Provregionen') "
        "returning huvudman_id) update unit set huvudman_id = made.huvudman_id from made"
    )


def unit_of(world: World, who: str) -> int:
    return int(world.one("select unit_id from staff where staff_id = %s", world.staff(who)))


async def offered(
    connection: AsyncConnection, world: World, *, by: str = "anna", to: str = "lisa"
) -> int:
    """Offer Märta to the unit of *to*'s."""
    answer = await handover.offer(
        connection,
        world.viewer(by),
        world.patient("marta"),
        unit_of(world, to),
        message=" Hon flyttar till sin dotter. ",
        now=NOW,
    )
    assert isinstance(answer, int), answer
    return answer


async def accepted(
    connection: AsyncConnection,
    world: World,
    handover_id: int,
    *,
    by: str = "lisa",
    contact: Contact | None = None,
    now: datetime = NOW,
) -> Refused | None:
    return await handover.accept(
        connection,
        world.viewer(by),
        handover_id,
        contact or Contact(staff_id=world.staff("lisa")),
        now=now,
    )


async def who_sees(connection: AsyncConnection, world: World) -> set[str]:
    marta = world.patient("marta")
    return {
        key
        for key in STAFF
        if await people.patient(connection, world.viewer(key), marta) is not None
    }


def receiver(world: World) -> tuple[object, ...]:
    (row,) = world.rows("select staff_id, unit_id, routed_why from alert_case")
    return row


async def test_until_it_is_accepted_the_giver_keeps_every_alert(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        await offered(connection, world)
        await world.measure_soon("marta", RED)
        await engine.advance(connection)
        anna = world.staff("anna")
        assert receiver(world) == (anna, unit_of(world, "anna"), "fixed_contact")
        assert await who_sees(connection, world) == {"anna"}
        assert not (await worklist(connection, world.viewer("lisa"))).rows


async def test_the_other_unit_sees_what_it_is_offered_and_nobody_else_does(
    world: World, pool: Pool
) -> None:
    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
        (offer,) = await handover.offered_to(connection, world.viewer("lisa"))
        assert offer.handover_id == handover_id
        assert (offer.given_name, offer.offered_name) == ("Märta", "Anna Provberg")
        assert offer.message == "Hon flyttar till sin dotter."
        assert offer.from_unit_id == unit_of(world, "anna")
        assert await handover.offer_of(connection, world.patient("marta")) == offer
        for key in ("anna", "eva", "tove", "marta"):
            assert await handover.offered_to(connection, world.viewer(key)) == []


async def test_accepted_she_has_a_new_unit_and_contact_and_so_do_her_alerts(
    world: World, pool: Pool
) -> None:
    rota.stands_in(world, "eva", patient="marta")
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        handover_id = await offered(connection, world)
        assert await accepted(connection, world, handover_id) is None
        assert receiver(world) == (world.staff("lisa"), unit_of(world, "lisa"), "fixed_contact")
        assert await who_sees(connection, world) == {"lisa"}
        seen = await people.patient(connection, world.viewer("marta"), world.patient("marta"))
        assert seen is not None
        assert (seen.contact_name, seen.unit_name) == ("Lisa Testek", "Testköpings hälsocentral")
        assert await handover.offered_to(connection, world.viewer("lisa")) == []
    marta = world.patient("marta")
    assert world.rows(
        "select unit_id, until_at is null, handover_id from person_unit where patient_id = %s "
        "order by from_at",
        marta,
    ) == [(unit_of(world, "anna"), False, None), (unit_of(world, "lisa"), True, handover_id)]
    assert world.rows(
        "select staff_id, until_at is null, named_by from care_contact where patient_id = %s "
        "order by from_at",
        marta,
    ) == [(world.staff("anna"), False, None), (world.staff("lisa"), True, world.staff("lisa"))]
    assert world.one("select until_at is not null from substitute")
    assert world.rows(
        "select answer, answered_by, answered_at from handover where handover_id = %s", handover_id
    ) == [("accepted", world.staff("lisa"), NOW)]


async def test_her_own_substitute_of_the_new_unit_stays(world: World, pool: Pool) -> None:
    rota.stands_in(world, "lisa", patient="marta")
    async with pool.connection() as connection:
        await accepted(connection, world, await offered(connection, world))
    assert world.one("select until_at is null from substitute")


async def test_what_somebody_had_taken_or_let_rest_is_the_new_contacts_to_take(
    world: World, pool: Pool
) -> None:
    """Who took it can see her no more: it must not wait until her word runs out by itself."""
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        handover_id = await offered(connection, world)
        world.connection.execute("update alert set state = 'acknowledged'")
        world.connection.execute(
            "update alert_case set acknowledged_by = %s, acknowledged_at = %s, "
            "acknowledged_until = %s, snoozed_until = %s",
            (world.staff("anna"), NOW - HOUR, NOW + 72 * HOUR, NOW + 72 * HOUR),
        )
        assert await accepted(connection, world, handover_id) is None
        assert await who_sees(connection, world) == {"lisa"}
    assert receiver(world)[0] == world.staff("lisa")
    assert world.rows("select acknowledged_until, snoozed_until from alert_case") == [(NOW, NOW)]
    assert world.one("select due_at from alert_course") == NOW


async def test_a_closed_alert_stays_as_it_was(world: World, pool: Pool) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        world.connection.execute("update alert set state = 'closed'")
        await accepted(connection, world, await offered(connection, world))
    assert receiver(world)[0] == world.staff("anna")
    events = world.rows("select event from alert_log where event = %s", Event.ROUTED)
    assert len(events) == 1


async def test_a_team_can_become_her_contact(world: World, pool: Pool) -> None:
    team_id = rota.team(world, "lisa", "lisa", "eva")
    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
        assert (
            await accepted(connection, world, handover_id, contact=Contact(team_id=team_id)) is None
        )
        assert await who_sees(connection, world) == {"lisa", "eva"}


async def test_a_contact_who_is_not_of_the_unit_or_gives_no_care_is_refused(
    world: World, pool: Pool
) -> None:
    elsewhere = rota.team(world, "anna", "anna")
    empty = rota.team(world, "lisa")
    world.connection.execute(
        "update staff set unit_id = %s where name like 'Tove%%'", [unit_of(world, "lisa")]
    )
    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
        for contact in (
            Contact(staff_id=world.staff("anna")),
            Contact(staff_id=world.staff("tove")),
            Contact(staff_id=10**9),
            Contact(team_id=elsewhere),
            Contact(team_id=empty),
        ):
            answer = await accepted(connection, world, handover_id, contact=contact)
            assert answer == Refused(why=Refusal.NO_CONTACT)
        world.connection.execute(
            "update staff set ended_at = now() where staff_id = %s", [world.staff("lisa")]
        )
        later = NOW + HOUR
        answer = await accepted(connection, world, handover_id, now=later)
        assert answer == Refused(why=Refusal.NO_CONTACT)
        assert await who_sees(connection, world) == {"anna"}
    with pytest.raises(ValueError, match="person or a team"):
        Contact()
    with pytest.raises(ValueError, match="person or a team"):
        Contact(staff_id=1, team_id=1)


async def test_declined_she_stays_and_the_giver_reads_why(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
        lisa = world.viewer("lisa")
        for message, why in (
            (" ", Refusal.WHY_MISSING),
            ("x" * (MESSAGE_CHARS_MAX + 1), Refusal.MESSAGE_TOO_LONG),
        ):
            answer = await handover.decline(connection, lisa, handover_id, message=message, now=NOW)
            assert answer == Refused(why=why)
        done = await handover.decline(connection, lisa, handover_id, message=" Fullt. ", now=NOW)
        assert done is None
        assert await who_sees(connection, world) == {"anna"}
        assert world.rows("select answer, answer_message from handover") == [("declined", "Fullt.")]
        assert await accepted(connection, world, handover_id) == Refused(
            why=Refusal.ANSWERED, name="Lisa Testek", at=NOW
        )
        await offered(connection, world)  # it may be asked again


async def test_what_is_withdrawn_cannot_be_accepted(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
        lisa, anna = world.viewer("lisa"), world.viewer("anna")
        refused = await handover.withdraw(connection, lisa, handover_id, now=NOW)
        assert refused == Refused(why=Refusal.NO_OFFER)
        assert await handover.withdraw(connection, anna, handover_id, now=NOW) is None
        answered = Refused(why=Refusal.ANSWERED, name="Anna Provberg", at=NOW)
        assert await handover.withdraw(connection, anna, handover_id, now=NOW) == answered
        assert await accepted(connection, world, handover_id) == answered
        assert await who_sees(connection, world) == {"anna"}


async def test_only_who_cares_for_her_offers_and_only_the_other_unit_answers(
    world: World, pool: Pool
) -> None:
    marta, to_lisa = world.patient("marta"), unit_of(world, "lisa")
    rota.on_duty(world, "eva", NOW - HOUR, NOW + HOUR, unit="anna")
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        for key in ("eva", "lisa", "tove", "marta"):
            answer = await handover.offer(connection, world.viewer(key), marta, to_lisa, now=NOW)
            assert answer == Refused(why=Refusal.NOT_YOURS)
        handover_id = await offered(connection, world)
        for key in ("anna", "eva", "tove", "marta"):
            viewer = world.viewer(key)
            refused = Refused(why=Refusal.NO_OFFER)
            assert await accepted(connection, world, handover_id, by=key) == refused
            assert (
                await handover.decline(connection, viewer, handover_id, message="Nej.", now=NOW)
                == refused
            )
        assert await accepted(connection, world, handover_id + 1) == Refused(why=Refusal.NO_OFFER)
    assert world.rows("select answer from handover") == [(None,)]


async def test_an_offer_that_cannot_be_is_refused(world: World, pool: Pool) -> None:
    anna, marta = world.viewer("anna"), world.patient("marta")
    async with pool.connection() as connection:
        for unit_id, why in (
            (unit_of(world, "anna"), Refusal.SAME_UNIT),
            (10**9, Refusal.NO_UNIT),
        ):
            answer = await handover.offer(connection, anna, marta, unit_id, now=NOW)
            assert answer == Refused(why=why)
        long = "x" * (MESSAGE_CHARS_MAX + 1)
        answer = await handover.offer(
            connection, anna, marta, unit_of(world, "lisa"), message=long, now=NOW
        )
        assert answer == Refused(why=Refusal.MESSAGE_TOO_LONG)
        await offered(connection, world)
        answer = await handover.offer(connection, anna, marta, unit_of(world, "lisa"), now=NOW)
        assert answer == Refused(why=Refusal.ALREADY_OFFERED)


async def test_another_huvudman_needs_her_consent_also_at_the_moment_of_accepting(
    world: World, pool: Pool
) -> None:
    for who, kind in (("anna", "kommun"), ("lisa", "region")):
        world.connection.execute(
            "with made as (insert into huvudman (kind, name) values (%s, %s) returning huvudman_id)"
            "update unit set huvudman_id = made.huvudman_id from made where unit_id = %s",
            (kind, kind, unit_of(world, who)),
        )
    anna, marta, to_lisa = world.viewer("anna"), world.patient("marta"), unit_of(world, "lisa")
    async with pool.connection() as connection:
        answer = await handover.offer(connection, anna, marta, to_lisa, now=NOW)
        assert answer == Refused(why=Refusal.NO_CONSENT)
        world.connection.execute(
            "insert into consent (patient_id, unit_id, scope, given_how, from_at) "
            "values (%s, %s, '{values,contact}', 'phone', %s)",
            (marta, to_lisa, NOW - HOUR),
        )
        answer = await handover.offer(connection, anna, marta, to_lisa, now=NOW)
        assert answer == Refused(why=Refusal.NO_CONSENT)  # not to all that goes over
        world.connection.execute("update consent set scope = '{values,alerts,plan}'")
        handover_id = await offered(connection, world)
        world.connection.execute("update consent set revoked_at = now()")
        refused = await accepted(connection, world, handover_id)
        assert refused == Refused(why=Refusal.NO_CONSENT)
        world.connection.execute("update consent set revoked_at = null")
        world.connection.execute(
            "insert into block (patient_id, unit_id, from_at) values (%s, %s, %s)",
            (marta, to_lisa, NOW - HOUR),
        )
        refused = await accepted(connection, world, handover_id)
        assert refused == Refused(why=Refusal.BLOCKED)
        world.connection.execute("update block set lifted_at = %s", [NOW])
        assert await accepted(connection, world, handover_id) is None


@pytest.mark.parametrize("unknown", [["anna"], ["lisa"], ["anna", "lisa"]])
async def test_units_of_which_no_huvudman_is_known_are_not_of_the_same(
    world: World, pool: Pool, unknown: list[str]
) -> None:
    for who in unknown:
        world.connection.execute(
            "update unit set huvudman_id = null where unit_id = %s", [unit_of(world, who)]
        )
    async with pool.connection() as connection:
        answer = await handover.offer(
            connection,
            world.viewer("anna"),
            world.patient("marta"),
            unit_of(world, "lisa"),
            now=NOW,
        )
        assert answer == Refused(why=Refusal.NO_CONSENT)
        assert await handover.offered_to(connection, world.viewer("lisa")) == []


async def test_who_goes_another_way_in_the_same_moment_is_not_moved(
    world: World, pool: Pool
) -> None:
    async def accepting(handover_id: int) -> Refused | None:
        async with pool.connection() as connection:
            return await accepted(connection, world, handover_id)

    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
    with psycopg.connect(world.dsn) as other:
        other.execute(
            "update person set unit_id = %s where patient_id = %s",
            (unit_of(world, "lisa"), world.patient("marta")),
        )
        async with asyncio.timeout(20):
            task = asyncio.create_task(accepting(handover_id))
            while not world.one(  # noqa: ASYNC110 - the database tells nobody
                "select count(*) from pg_stat_activity "
                "where wait_event_type = 'Lock' and datname = current_database()"
            ):
                await asyncio.sleep(0.01)
            other.commit()
            assert await task == Refused(why=Refusal.MOVED)


async def test_of_many_who_answer_at_once_one_does_and_the_others_are_told_who(
    world: World, pool: Pool
) -> None:
    await world.measure_soon("marta", RED)
    async with pool.connection() as connection:
        await engine.advance(connection)
        handover_id = await offered(connection, world)

    async def answer(number: int) -> Refused | None:
        async with pool.connection() as connection:
            if number % 3 == 0:
                return await handover.withdraw(
                    connection, world.viewer("anna"), handover_id, now=NOW
                )
            if number % 3 == 1:
                return await handover.decline(
                    connection, world.viewer("lisa"), handover_id, message="Nej.", now=NOW
                )
            return await accepted(connection, world, handover_id)

    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(answer(number) for number in range(24)))
    counts = Counter(None if one is None else one.why for one in answers)
    assert counts[None] == 1
    assert set(counts) <= {None, Refusal.ANSWERED, Refusal.NO_OFFER}
    is_accepted = world.one("select answer from handover") == "accepted"
    contact = world.one(
        "select staff_id from care_contact where patient_id = %s and until_at is null",
        world.patient("marta"),
    )
    assert contact == world.staff("lisa" if is_accepted else "anna")
    assert receiver(world)[0] == contact
    # Who gave her away can see her no more, and so is told no more than that there is none.
    assert (counts[Refusal.NO_OFFER] > 0) <= is_accepted


async def test_each_step_stands_in_the_access_log(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        first = await offered(connection, world)
        await handover.withdraw(connection, world.viewer("anna"), first, now=NOW)
        second = await offered(connection, world)
        await handover.decline(connection, world.viewer("lisa"), second, message="Nej.", now=NOW)
        await accepted(connection, world, await offered(connection, world))
    assert world.rows(
        "select action, staff_id, patient_id from access_log where action like 'handover%%' "
        "order by number"
    ) == [
        (f"handover_{step}", world.staff(who), world.patient("marta"))
        for step, who in (
            ("offered", "anna"),
            ("withdrawn", "anna"),
            ("offered", "anna"),
            ("declined", "lisa"),
            ("offered", "anna"),
            ("accepted", "lisa"),
        )
    ]


async def test_who_gives_no_care_answers_nothing_for_her_unit(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        handover_id = await offered(connection, world)
        world.connection.execute(
            "update staff_function set name = 'coordinator' where staff_id = %s",
            [world.staff("lisa")],
        )
        assert await handover.offered_to(connection, world.viewer("lisa")) == []
        answer = await accepted(connection, world, handover_id)
    assert answer == Refused(why=Refusal.NO_OFFER)


async def test_the_lists_of_both_units_are_woken(world: World, pool: Pool) -> None:
    async with (
        pool.connection() as connection,
        await AsyncConnection.connect(world.dsn, autocommit=True) as ear,
    ):
        await ear.execute("listen worklist")
        handover_id = await offered(connection, world)
        await handover.decline(
            connection, world.viewer("lisa"), handover_id, message="Nej.", now=NOW
        )
        heard = [said.payload async for said in ear.notifies(timeout=5, stop_after=2)]
    a, b = unit_of(world, "anna"), unit_of(world, "lisa")
    assert heard == [f"u{b}", f"u{a} u{b}"]
