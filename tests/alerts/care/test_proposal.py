"""A plan is proposed, held against her past and agreed with her; until then nothing changes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts.care import agreement, plan_spec, proposal
from alerts.care.agreement import AGREED_HOW, agree
from alerts.care.hours import local_day
from alerts.care.people import Viewer
from alerts.care.plan_spec import PlanSpec
from alerts.care.proposal import Answer, Done, How, State
from tests.alerts.world import D, S, World

Connection = AsyncConnection[Any]

DAY = timedelta(days=1)
STRICTER = PlanSpec.model_validate(
    {
        "limits": [{"quantity": "systolic", "yellow_high": 150, "red_high": 170}],
        "rules": [
            {"kind": "change", "quantity": "body_weight", "days": 3, "up": 2.0},
            {"kind": "missing", "quantity": "systolic", "interval_h": 24},
        ],
        "advice": {"green": "Mät varje dag.", "yellow": "Ring Anna.", "red": "Ring 1177."},
        "schedule": [{"quantity": "systolic", "part": "morning"}],
        "goals": "Orka till bäcken.",
        "reference": "SIP 2026-11",
        "review_on": "2027-05-01",
    }
)
OTHER = PlanSpec.model_validate({"limits": [{"quantity": "systolic", "yellow_high": 140}]})


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def now(world: World) -> datetime:
    found: datetime = world.one("select now()")
    return found


async def proposed(
    db: Connection, world: World, now: datetime, spec: PlanSpec = STRICTER, key: str = "marta"
) -> int:
    """Propose and preview a plan; return the proposal's id."""
    anna = world.viewer("anna")
    done = await proposal.propose(
        db, anna, world.patient(key), spec, why="Ny medicin", templates=("bp:1",), now=now
    )
    assert (done.answer, done.proposal_id is None) == (Answer.DONE, False)
    assert done.proposal_id is not None
    seen, _ = await proposal.show_past(db, anna, done.proposal_id, now)
    assert seen.answer is Answer.DONE
    return done.proposal_id


def versions(world: World, key: str = "marta") -> list[Any]:
    return world.rows(
        "select plan_version_id, in_force_from, agreed_how from plan_version "
        "where patient_id = %s order by in_force_from",
        world.patient(key),
    )


def logged(world: World) -> list[Any]:
    """Return what stands of her in the access log."""
    return world.rows(
        "select action, ground from access_log where patient_id = %s order by at",
        world.patient("marta"),
    )


async def in_force(db: Connection, world: World, at: datetime) -> PlanSpec:
    version = await plan_spec.version_at(db, world.patient("marta"), at)
    assert version is not None
    return await plan_spec.load(db, version.plan_version_id)


async def test_what_she_agrees_to_is_in_force_whole(
    db: Connection, world: World, now: datetime
) -> None:
    number = await proposed(db, world, now)
    done = await agree(db, world.viewer("marta"), number, How.SELF, now=now)
    assert (done.answer, done.state, done.in_force_from) == (Answer.DONE, State.AGREED, now)
    _, new = versions(world)
    assert new == (done.plan_version_id, now, AGREED_HOW[How.SELF])
    assert await in_force(db, world, now) == STRICTER
    assert await in_force(db, world, now - timedelta(microseconds=1)) != STRICTER
    (kept,) = await proposal.of_patient(db, world.viewer("anna"), world.patient("marta"))
    assert (kept.state, kept.answered_how, kept.noted_by) == ("agreed", "self", None)
    assert (kept.plan_version_id, kept.in_force_from) == (new[0], now)
    assert (kept.why, kept.templates, kept.answered_at) == ("Ny medicin", ["bp:1"], now)
    assert kept.proposed_by == world.staff("anna")
    assert kept.plan() == STRICTER
    assert logged(world) == [
        ("plan_proposed", "contact"),
        ("plan_previewed", "contact"),
        ("plan_agreed", "self"),
    ]


async def test_a_proposal_alone_changes_nothing(
    db: Connection, world: World, now: datetime
) -> None:
    before = versions(world)
    await proposed(db, world, now)
    assert versions(world) == before


async def test_its_preview_says_what_it_would_have_made_and_what_today_made(
    db: Connection, world: World
) -> None:
    for ago, systolic in ((3, 152.0), (2, 171.0), (1, 130.0)):
        await world.measure_soon("marta", {S: systolic, D: 80.0}, ago=ago * DAY)
    now = datetime.now(UTC)
    anna = world.viewer("anna")
    number = await proposed(db, world, now)
    _, seen = await proposal.show_past(db, anna, number, now)
    assert seen is not None
    assert (seen.proposed.yellow, seen.proposed.red) == (1, 1)
    assert seen.today is not None
    assert (seen.today.yellow, seen.today.red) == (1, 0)
    assert seen.sentence == (
        "De senaste 4 dagarna hade planen gett 2 larm, varav 1 rött (planen i dag: 1 larm)."
    )
    assert seen.examples[0].level == 2
    assert "171" in seen.examples[0].sentence
    (kept,) = await proposal.of_patient(db, world.viewer("marta"), world.patient("marta"))
    assert kept.preview == seen.as_json()


async def test_a_preview_of_nothing_measured_says_so(
    db: Connection, world: World, now: datetime
) -> None:
    number = await proposed(db, world, now)
    _, seen = await proposal.show_past(db, world.viewer("anna"), number, now)
    assert seen is not None
    assert seen.sentence.startswith("Inga mätningar")


async def test_nobody_agrees_to_what_was_not_looked_at(
    db: Connection, world: World, now: datetime
) -> None:
    made = await proposal.propose(
        db, world.viewer("anna"), world.patient("marta"), STRICTER, now=now
    )
    assert made.proposal_id is not None
    done = await agree(db, world.viewer("marta"), made.proposal_id, How.SELF, now=now)
    assert (done.answer, len(versions(world))) == (Answer.NOT_PREVIEWED, 1)


async def test_of_many_at_once_one_agrees(world: World, db: Connection, now: datetime) -> None:
    number = await proposed(db, world, now)
    marta, anna = world.viewer("marta"), world.viewer("anna")

    async def one(at: int) -> Done:
        async with await AsyncConnection.connect(world.dsn, autocommit=True) as mine:
            viewer, how = (marta, How.SELF) if at % 2 else (anna, How.PHONE)
            return await agree(mine, viewer, number, how, now=now + at * DAY / 1000)

    answers = await asyncio.gather(*map(one, range(8)))
    won = [done for done in answers if done.answer is Answer.DONE]
    assert len(won) == 1
    late = [done for done in answers if done.answer is Answer.ANSWERED]
    assert len(late) == 7
    assert {done.in_force_from for done in late} == {won[0].in_force_from}
    assert len(versions(world)) == 2


LATE = datetime(2026, 11, 23, 22, 30, tzinfo=UTC)  # half past eleven at night


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 11, 22), Answer.IN_THE_PAST),
        (date(2026, 11, 23), LATE),
        (date(2026, 11, 24), datetime(2026, 11, 23, 23, 0, tzinfo=UTC)),
        (date(2027, 3, 28), datetime(2027, 3, 27, 23, 0, tzinfo=UTC)),
        (date(2027, 3, 29), datetime(2027, 3, 28, 22, 0, tzinfo=UTC)),
        (date(2027, 11, 24), datetime(2027, 11, 23, 23, 0, tzinfo=UTC)),
        (date(2027, 11, 25), Answer.TOO_FAR),
        (None, LATE),
    ],
)
def test_it_is_in_force_from_a_day_in_sweden_and_never_from_before(
    day: date | None, expected: Answer | datetime
) -> None:
    assert agreement.begins(day, LATE) == expected


async def test_a_day_that_cannot_be_writes_nothing(db: Connection, world: World) -> None:
    number = await proposed(db, world, LATE)
    anna = world.viewer("anna")
    for day, answer in (
        (date(2026, 11, 22), Answer.IN_THE_PAST),
        (date(2028, 1, 1), Answer.TOO_FAR),
    ):
        done = await agree(db, anna, number, How.VISIT, from_day=day, now=LATE)
        assert (done.answer, len(versions(world))) == (answer, 1)
    done = await agree(db, anna, number, How.VISIT, from_day=date(2026, 11, 24), now=LATE)
    assert versions(world)[1][1] == done.in_force_from == LATE + timedelta(minutes=30)


async def test_what_was_agreed_last_holds_also_when_an_earlier_plan_would_begin(
    db: Connection, world: World, now: datetime
) -> None:
    anna = world.viewer("anna")
    later = local_day(now) + timedelta(days=10)
    first = await proposed(db, world, now, OTHER)
    planned = await agree(db, anna, first, How.PHONE, from_day=later, now=now)
    assert planned.in_force_from is not None
    second = await proposed(db, world, now)
    done = await agree(db, anna, second, How.PHONE, now=now)
    assert done.followed == (planned.in_force_from,)
    for at in (now, planned.in_force_from + timedelta(seconds=1), now + 400 * DAY):
        assert await in_force(db, world, at) == STRICTER
    third = await proposed(db, world, now, OTHER)
    same_day = await agree(db, anna, third, How.PHONE, from_day=later, now=now)
    assert same_day.answer is Answer.DONE
    assert await in_force(db, world, now + 9 * DAY) == STRICTER
    assert await in_force(db, world, planned.in_force_from + timedelta(seconds=1)) == OTHER


async def test_a_reading_of_before_is_not_held_against_it(db: Connection, world: World) -> None:
    await world.measure_soon("marta", {S: 155.0, D: 80.0}, ago=timedelta(hours=2))
    now: datetime = world.one("select now()")
    number = await proposed(db, world, now)
    await agree(db, world.viewer("marta"), number, How.SELF, now=now)
    await world.measure_soon("marta", {S: 156.0, D: 80.0}, at=now - timedelta(hours=1))
    assert world.rows("select 1 from breach") == []
    after: datetime = world.one("select clock_timestamp()")
    await world.measure_soon("marta", {S: 157.0, D: 80.0}, at=after)
    assert world.rows("select value, bound from breach") == [(157.0, 150.0)]


async def test_a_question_waits_for_an_answer_as_a_message(
    db: Connection, world: World, now: datetime
) -> None:
    number = await proposed(db, world, now)
    marta = world.viewer("marta")
    assert (await proposal.ask(db, marta, number, "  ", now)).answer is Answer.NO_TEXT
    assert (await proposal.ask(db, marta, number, "å" * 2001, now)).answer is Answer.NO_TEXT
    assert (await proposal.ask(db, marta, number, " Varför 150? ", now)).answer is Answer.DONE
    await proposal.ask(db, marta, number, "Får jag resa?", now)
    waiting = world.rows(
        "select patient_id, text from message where staff_id is null and answered_at is null "
        "order by message_id"
    )
    assert waiting == [
        (world.patient("marta"), "Fråga om den föreslagna planen: Varför 150?"),
        (world.patient("marta"), "Fråga om den föreslagna planen: Får jag resa?"),
    ]
    (kept,) = await proposal.of_patient(db, marta, world.patient("marta"))
    assert (kept.state, kept.question) == ("questioned", "Varför 150?\nFår jag resa?")
    done = await agree(db, world.viewer("anna"), number, How.PHONE, now=now)
    assert done.answer is Answer.DONE
    assert versions(world)[-1][2] == "per telefon"
    late = await proposal.ask(db, marta, number, "Vänta!", now)
    assert (late.answer, late.state) == (Answer.ANSWERED, State.AGREED)
    assert [action for action, _ in logged(world)].count("plan_questioned") == 2
    assert world.one("select count(*) from message") == 2


async def test_one_proposal_at_a_time_waits_for_her(
    db: Connection, world: World, now: datetime
) -> None:
    anna, marta = world.viewer("anna"), world.viewer("marta")
    first = await proposed(db, world, now)
    again = await proposal.propose(db, anna, world.patient("marta"), OTHER, now=now)
    assert again.answer is Answer.OPEN_ALREADY
    assert (await proposal.withdraw(db, anna, first, now)).state is State.WITHDRAWN
    assert (await agree(db, marta, first, How.SELF, now=now)).answer is Answer.ANSWERED
    assert (await proposal.show_past(db, anna, first, now))[0].answer is Answer.ANSWERED
    second = await proposed(db, world, now, OTHER)
    assert (await proposal.decline(db, marta, second, How.SELF, now)).state is State.DECLINED
    assert (await proposal.withdraw(db, anna, second, now)).answer is Answer.ANSWERED
    await proposed(db, world, now, OTHER, key="kalle")
    kept = await proposal.of_patient(db, marta, world.patient("marta"))
    assert {one.state for one in kept} == {"withdrawn", "declined"}
    seen = ["plan_proposed", "plan_previewed"]
    assert [action for action, _ in logged(world)] == [
        *(*seen, "plan_withdrawn"),
        *(*seen, "plan_declined"),
    ]
    assert len(versions(world)) == 1


async def test_with_a_relative_only_if_she_may_see_the_plan(
    db: Connection, world: World, now: datetime
) -> None:
    anna, patient = world.viewer("anna"), world.patient("marta")
    number = await proposed(db, world, now)
    karin, other = (
        world.one(
            "insert into relative (patient_id, name) values (%s, 'Karin') returning relative_id",
            world.patient(key),
        )
        for key in ("marta", "kalle")
    )

    async def answer(relative_id: int | None) -> Answer:
        done = await agree(db, anna, number, How.RELATIVE, relative_id=relative_id, now=now + DAY)
        return done.answer

    def consent(relative_id: int, scope: list[str], **more: Any) -> None:
        names = {"patient_id": patient, "relative_id": relative_id, "scope": scope, "from_at": now}
        names |= more
        world.connection.execute(
            f"insert into consent (given_how, {', '.join(names)}) "
            f"values ('själv', {', '.join(['%s'] * len(names))})".encode(),
            list(names.values()),
        )

    assert await answer(None) is Answer.NO_RELATIVE
    consent(karin, ["values"])
    consent(karin, ["plan"], revoked_at=now)
    consent(karin, ["plan"], until_at=now + DAY)
    consent(karin, ["plan"], from_at=now + 2 * DAY)
    consent(other, ["plan"])  # hers is another patient
    consent(karin, ["plan"], patient_id=world.patient("kalle"))  # that he gave
    assert await answer(karin) is Answer.NO_RELATIVE
    assert await answer(other) is Answer.NO_RELATIVE
    assert len(versions(world)) == 1
    consent(karin, ["plan", "values"])
    assert await answer(karin) is Answer.DONE
    (kept,) = await proposal.of_patient(db, anna, patient)
    assert (kept.relative_id, kept.noted_by) == (karin, world.staff("anna"))


async def test_for_others_her_proposal_does_not_exist(
    db: Connection, world: World, now: datetime
) -> None:
    number = await proposed(db, world, now)
    for who in ("lisa", "tove", "ingrid"):
        await can_do_nothing(db, world, now, world.viewer(who), number)
    assert world.rows("select state, question from plan_proposal") == [("proposed", "")]


async def can_do_nothing(
    db: Connection, world: World, now: datetime, viewer: Viewer, number: int
) -> None:
    patient = world.patient("marta")
    nobodys = {Answer.NOT_FOUND, Answer.NOT_YOURS}
    how = How.SELF if viewer.patient_id else How.PHONE
    assert (await agree(db, viewer, number, how, now=now)).answer in nobodys
    assert (await proposal.decline(db, viewer, number, how, now)).answer in nobodys
    assert (await proposal.withdraw(db, viewer, number, now)).answer in nobodys
    assert (await proposal.ask(db, viewer, number, "Vad är det?", now)).answer in nobodys
    assert (await proposal.show_past(db, viewer, number, now))[0].answer in nobodys
    assert (await proposal.propose(db, viewer, patient, OTHER, now=now)).answer in nobodys
    assert await proposal.of_patient(db, viewer, patient) == []


async def test_nobody_answers_in_anothers_name(db: Connection, world: World, now: datetime) -> None:
    number = await proposed(db, world, now)
    anna, marta = world.viewer("anna"), world.viewer("marta")
    for viewer, how in ((anna, How.SELF), (marta, How.PHONE), (marta, How.RELATIVE)):
        assert (await agree(db, viewer, number, how, now=now)).answer is Answer.NOT_YOURS
        assert (await proposal.decline(db, viewer, number, how, now)).answer is Answer.NOT_YOURS
    mine = await proposal.propose(db, marta, world.patient("marta"), OTHER, now=now)
    assert mine.answer is Answer.NOT_YOURS
    tove = world.viewer("tove")  # of the unit in whose queue he is
    his = await proposal.propose(db, tove, world.patient("sven"), OTHER, now=now)
    assert his.answer is Answer.NOT_YOURS
    assert len(versions(world)) == 1


async def test_a_plan_that_could_be_once_is_not_agreed_to_now(
    db: Connection, world: World, now: datetime
) -> None:
    number = await proposed(db, world, now)
    world.connection.execute(
        'update plan_proposal set spec = spec || \'{"limits": [], "rules": []}\''
    )
    done = await agree(db, world.viewer("marta"), number, How.SELF, now=now)
    assert (done.answer, done.state) == (Answer.OUTDATED, State.PROPOSED)


async def test_a_version_is_written_whole_or_not_at_all(
    db: Connection, world: World, now: datetime
) -> None:
    number = await proposed(db, world, now)
    world.connection.execute(
        "create function fail() returns trigger language plpgsql as "
        "$$ begin raise exception 'power cut'; end $$"
    )
    world.connection.execute(
        "create trigger fails before insert on plan_schedule for each row execute function fail()"
    )
    with pytest.raises(psycopg.errors.RaiseException):
        await agree(db, world.viewer("marta"), number, How.SELF, now=now)
    assert len(versions(world)) == 1
    world.connection.execute("drop trigger fails on plan_schedule")
    done = await agree(db, world.viewer("marta"), number, How.SELF, now=now)
    assert done.answer is Answer.DONE
