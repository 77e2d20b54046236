"""A weight that may be somebody else's is asked about until it is answered, and alerts nobody."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from alerts.care import tasks, todo, whose_reading
from alerts.care.reading_review import Answer
from alerts.care.tasks import Ending
from alerts.care.whose_reading import Whose
from alerts.words import Language
from ingest import asked, pg_binary, rejudge
from ingest.registry import Registry
from tests.alerts.world import GATEWAY, W, World

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


class Home:
    """Märta weighs about 60 kg; somebody who weighs more stands on her scale."""

    def __init__(self, world: World, connection: AsyncConnection[Any]) -> None:
        self.world = world
        self.connection = connection
        self.now = datetime.now(UTC)

    async def weighs(self, kg: float, *, ago: timedelta, who: str = "marta") -> UUID:
        await self.world.measure_soon(who, {W: kg}, at=self.now - ago)
        found: UUID = self.world.one("select reading_id from reading order by stored_at desc")
        return found

    async def look(self, *, later: timedelta = timedelta()) -> tuple[int, int]:
        kept = await todo.look(self.connection, self.now + later)
        assert kept is not None
        return kept.opened, kept.ended

    async def tasks_of(self, key: str) -> list[tasks.Task]:
        return await tasks.tasks(self.connection, self.world.viewer(key))

    async def asks(self, key: str = "marta") -> list[UUID]:
        found = await whose_reading.of_patient(
            self.connection, self.world.patient(key), datetime.now(UTC)
        )
        return [one.reading_id for one in found]

    async def answer(
        self, reading_id: UUID, whose: Whose, *, who: str = "anna", to: str | None = None
    ) -> Answer:
        done = await whose_reading.answer(
            self.connection,
            self.world.viewer(who),
            reading_id,
            whose,
            to_patient_id=None if to is None else self.world.patient(to),
            now=self.now,
        )
        return done.answer

    async def says(self, reading_id: UUID, *, was_me: bool, who: str = "marta") -> Answer:
        return await whose_reading.answer_own(
            self.connection, self.world.viewer(who), reading_id, was_me=was_me, now=self.now
        )

    async def ingest(self) -> None:
        pg_binary.register(self.connection)
        await asked.settle(self.connection, 100)
        while await rejudge.run(self.connection, Registry(), 100):
            pass

    def breaches(self, key: str = "marta") -> list[Any]:
        return self.world.rows(
            "select value from breach where patient_id = %s", self.world.patient(key)
        )

    def lives_with(self, *keys: str) -> None:
        for key in keys:
            self.world.connection.execute(
                "insert into gateway_home (gateway_id, patient_id, from_at)"
                " values (%s, %s, '2020-01-01')",
                (GATEWAY, self.world.patient(key)),
            )


@pytest.fixture
async def home(world: World) -> AsyncIterator[Home]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        made = Home(world, connection)
        for days in (5, 4, 3):
            await made.weighs(60.0, ago=days * DAY)
        yield made


async def test_it_is_a_task_at_once_and_no_alert(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    assert home.breaches() == []
    assert await home.look() == (1, 0)
    assert await home.look() == (0, 0)
    (task,) = await home.tasks_of("anna")
    said = task.sentence(home.now)
    assert said.startswith("Vågen visade 85,0 kg")
    assert "Märta brukar väga omkring 60 kg. Fråga i dag vem som stod på vågen." in said
    assert "usually weighs about 60 kg" in task.sentence(home.now, Language.ENGLISH)
    assert await home.asks() == [reading_id]
    assert await home.tasks_of("lisa") == []


async def test_hers_counts_from_when_it_was_measured(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.answer(reading_id, Whose.HERS) is Answer.ASKED
    assert (await home.tasks_of("anna"), await home.asks()) == ([], [])
    await home.ingest()
    assert home.breaches() == [(85.0,)]
    assert await home.look() == (0, 0)
    assert home.world.rows("select outcome, done_by from task") == [
        ("hers", home.world.staff("anna"))
    ]


async def test_anothers_goes_to_whom_it_belongs(home: Home) -> None:
    home.lives_with("marta", "kalle", "ingrid")
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    # Ingrid lives there too, and is not Anna's to know of.
    mates = await whose_reading.home(home.connection, home.world.viewer("anna"), reading_id)
    assert [one.given_name for one in mates] == ["Kalle"]
    assert await whose_reading.home(home.connection, home.world.viewer("eva"), reading_id) == []
    assert await home.answer(reading_id, Whose.OTHER, to="kalle") is Answer.ASKED
    await home.ingest()
    assert (home.breaches(), home.breaches("kalle")) == ([], [(85.0,)])
    assert await home.look() == (0, 0)


async def test_who_may_have_been_meant_is_asked_by_her_own_care_to_weigh_herself_again(
    home: Home,
) -> None:
    home.lives_with("marta", "kalle", "ingrid")
    for who in ("kalle", "ingrid"):
        for days in (5, 4, 3):
            await home.weighs(84.0, ago=days * DAY, who=who)
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.answer(reading_id, Whose.NOBODY) is Answer.ASKED
    assert await home.tasks_of("anna") == []  # Kalle is hers: she could have said that it was he
    (task,) = await home.tasks_of("lisa")
    said = task.sentence(home.now)
    assert said.endswith("Ring och be Ingrid väga sig igen.")
    assert "may have been Ingrid" in task.sentence(home.now, Language.ENGLISH)
    assert not {"Märta", "85", "84"} & set(said.replace(",", " ").split())
    await tasks.end(home.connection, home.world.viewer("lisa"), task.task_id, Ending.PHONED)
    assert (await home.tasks_of("lisa"), await home.look()) == ([], (0, 0))


async def test_whose_weight_is_another_is_not_asked_to_weigh_herself_again(home: Home) -> None:
    home.lives_with("marta", "ingrid")
    for days in (5, 4, 3):
        await home.weighs(30.0, ago=days * DAY, who="ingrid")
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.answer(reading_id, Whose.NOBODY) is Answer.ASKED
    assert await home.tasks_of("lisa") == []


async def test_nobodys_counts_for_nobody(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.answer(reading_id, Whose.NOBODY) is Answer.ASKED
    await home.ingest()
    assert home.breaches() == []
    assert await home.look() == (0, 0)


async def test_one_task_for_all_until_the_last_is_answered(home: Home) -> None:
    first = await home.weighs(85.0, ago=2 * HOUR)
    await home.look()
    second = await home.weighs(86.0, ago=HOUR)
    assert await home.look() == (0, 0)  # the task is renewed
    (task,) = await home.tasks_of("anna")
    assert "Det finns 1 vägning till" in task.sentence(home.now)
    assert await home.asks() == [second, first]
    await home.answer(second, Whose.NOBODY)
    (task,) = await home.tasks_of("anna")
    assert task.sentence(home.now).startswith("Vågen visade 85,0 kg")
    await home.answer(first, Whose.NOBODY)
    assert await home.tasks_of("anna") == []


async def test_she_says_herself_that_it_was_she(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.says(reading_id, was_me=True) is Answer.ASKED
    assert await home.tasks_of("anna") == []
    await home.ingest()
    assert home.breaches() == [(85.0,)]
    assert home.world.rows("select action, ground from access_log") == [
        ("reading_confirmed", "self")
    ]
    assert home.world.rows("select verdict, staff_id from reading_review") == [("confirmed", None)]


async def test_it_was_not_she_and_nobody_else_is_known(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.says(reading_id, was_me=False) is Answer.ASKED
    await home.ingest()
    assert home.breaches() == []
    assert home.world.rows("select outcome from task") == [("nobody",)]
    assert home.world.one("select verdict from reading_review") == "rejected"


async def test_it_was_not_she_and_her_care_finds_out_who(home: Home) -> None:
    home.lives_with("marta", "kalle")
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.says(reading_id, was_me=False) is Answer.ASKED
    assert await home.asks() == []  # she is asked once
    (task,) = await home.tasks_of("anna")
    assert "Märta säger att det var någon annan." in task.sentence(home.now)
    assert await home.look() == (0, 0)
    assert await home.answer(reading_id, Whose.OTHER, to="kalle") is Answer.ASKED
    await home.ingest()
    assert home.breaches("kalle") == [(85.0,)]


async def test_nobody_answers_for_another(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    other = await home.weighs(60.0, ago=HOUR / 2)
    await home.look()
    for who in ("lisa", "eva", "tove", "marta"):
        answer = await home.answer(reading_id, Whose.HERS, who=who)
        assert answer in {Answer.NOT_FOUND, Answer.NOT_YOURS}
    for who in ("ingrid", "anna"):
        assert await home.says(reading_id, was_me=True, who=who) is Answer.NOT_FOUND
    assert await home.says(other, was_me=False) is Answer.REPLACED  # nobody asked about it
    (task,) = await home.tasks_of("anna")
    assert not await tasks.end(
        home.connection, home.world.viewer("anna"), task.task_id, Ending.NOT_NEEDED
    )
    assert home.world.rows("select 1 from review_request") == []


async def test_it_waits_for_an_answer_however_long_and_old_ones_are_not_dug_up(
    home: Home,
) -> None:
    await home.weighs(85.0, ago=HOUR)
    assert await home.look(later=15 * DAY) == (0, 0)  # nobody looked for a fortnight
    assert await home.look() == (1, 0)
    assert await home.look(later=90 * DAY) == (0, 0)
    assert len(await home.tasks_of("anna")) == 1


async def test_what_could_not_be_done_is_asked_about_again(home: Home) -> None:
    reading_id = await home.weighs(85.0, ago=HOUR)
    await home.look()
    await home.answer(reading_id, Whose.HERS)
    home.world.connection.execute(
        "update review_request set done_at = now(), refused = 'impossible'"
    )
    assert await home.look() == (1, 0)


async def test_her_unit_has_it_before_it_when_it_has_waited_a_day(home: Home) -> None:
    await home.weighs(85.0, ago=HOUR)
    await home.look()
    assert await home.tasks_of("eva") == []
    home.world.connection.execute("update task set opened_at = now() - interval '25 hours'")
    assert len(await home.tasks_of("eva")) == 1


async def test_answered_late_it_is_a_late_alert_and_not_red_when_she_is_well_again(
    home: Home,
) -> None:
    reading_id = await home.weighs(85.0, ago=2 * DAY)
    await home.weighs(60.0, ago=HOUR)
    await home.look()
    await home.answer(reading_id, Whose.HERS)
    await home.ingest()
    assert home.world.rows("select level, late from alert") == [(1, True)]
    assert home.world.rows("select level, late from breach") == [(2, True)]


async def test_what_waits_is_found_by_its_own_index(home: Home) -> None:
    """Among all readings there ever were: the look comes each minute."""
    names = {**whose_reading._names(home.now), "patient_id": None}
    async with home.connection.transaction():
        await home.connection.execute("analyze")  # a server that has run for long may have done so
        for way in ("seqscan", "bitmapscan"):  # a bitmap names its index in a line of its own
            await home.connection.execute(f"set local enable_{way} = off")
        plan = await home.connection.execute(f"explain {whose_reading._OPEN}", names)
        lines = [line for (line,) in await plan.fetchall() if " on reading r" in line]
    assert lines
    assert all("reading_whose" in line for line in lines)
