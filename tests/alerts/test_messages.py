"""Patient and contact write to each other: what she wrote is on somebody's list until answered."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from alerts.care import messages
from alerts.care.messages import HOUR_MAX, TEXT_CHARS_MAX, Answer
from tests.alerts.conftest import Pool
from tests.alerts.world import World


class Thread:
    """Märta's thread."""

    def __init__(self, world: World, connection: psycopg.AsyncConnection) -> None:
        self.world = world
        self.connection = connection
        self.patient_id = world.patient("marta")

    async def asks(self, text: str = "Jag känner mig yr på morgnarna") -> Answer:
        return await messages.ask(self.connection, self.patient_id, text)

    async def answers(
        self, key: str = "anna", text: str = "Jag ringer dig i dag", seen: int | None = None
    ) -> Answer:
        return await messages.answer(
            self.connection,
            self.world.viewer(key),
            self.patient_id,
            text,
            seen=self.newest() if seen is None else seen,
        )

    def newest(self) -> int:
        return int(self.world.one("select coalesce(max(message_id), 0) from message"))

    async def waits_for(self, key: str) -> list[tuple[str, int]]:
        found = await messages.waiting(self.connection, self.world.viewer(key))
        return [(one.text, one.messages) for one in found]

    def ago(self, span: timedelta) -> None:
        self.world.connection.execute("update message set written_at = written_at - %s", (span,))


@pytest.fixture
async def thread(world: World, pool: Pool) -> AsyncIterator[Thread]:
    async with pool.connection() as connection:
        yield Thread(world, connection)


async def test_what_she_wrote_waits_for_her_contact_and_nobody_else(thread: Thread) -> None:
    assert await thread.asks() is Answer.DONE
    assert await thread.waits_for("anna") == [("Jag känner mig yr på morgnarna", 1)]
    for other in ("eva", "lisa", "tove", "marta", "ingrid"):
        assert await thread.waits_for(other) == [], other


async def test_several_are_one_item_with_the_newest_words(thread: Thread) -> None:
    await thread.asks("Ett")
    await thread.asks("Två")
    assert await thread.waits_for("anna") == [("Två", 2)]


async def test_an_answer_takes_it_off_the_list(thread: Thread) -> None:
    await thread.asks()
    assert await thread.answers() is Answer.DONE
    assert await thread.waits_for("anna") == []
    asked, answered = await messages.thread(thread.connection, thread.patient_id)
    assert (asked.answered_at is not None, asked.read_name) == (True, "Anna Provberg")
    assert (answered.staff_name, answered.text) == ("Anna Provberg", "Jag ringer dig i dag")


async def test_what_she_wrote_meanwhile_still_waits(thread: Thread) -> None:
    await thread.asks("Ett")
    seen = thread.newest()
    await thread.asks("Två")
    await thread.answers(seen=seen)
    assert await thread.waits_for("anna") == [("Två", 1)]


async def test_a_call_is_an_answer_too(thread: Thread) -> None:
    await thread.asks()
    anna = thread.world.viewer("anna")
    done = await messages.see_to(thread.connection, anna, thread.patient_id, seen=thread.newest())
    assert done is Answer.DONE
    assert await thread.waits_for("anna") == []


async def test_reading_is_no_answer(thread: Thread) -> None:
    await thread.asks()
    for key in ("lisa", "anna", "anna"):
        await messages.read(
            thread.connection, thread.world.viewer(key), thread.patient_id, seen=thread.newest()
        )
    assert await thread.waits_for("anna") == [("Jag känner mig yr på morgnarna", 1)]
    (asked,) = await messages.thread(thread.connection, thread.patient_id)
    assert asked.read_name == "Anna Provberg"


async def test_what_her_nurse_writes_waits_for_nobody(thread: Thread) -> None:
    assert await thread.answers(seen=0) is Answer.DONE
    assert await thread.waits_for("anna") == []


@pytest.mark.parametrize("key", ["lisa", "eva", "tove", "ingrid", "marta"])
async def test_others_neither_answer_nor_end_it(thread: Thread, key: str) -> None:
    await thread.asks()
    viewer = thread.world.viewer(key)
    assert await thread.answers(key) is Answer.NOT_FOUND
    seen = thread.newest()
    done = await messages.see_to(thread.connection, viewer, thread.patient_id, seen=seen)
    assert done is Answer.NOT_FOUND
    await messages.read(thread.connection, viewer, thread.patient_id, seen=seen)
    assert thread.world.rows("select answered_at, read_at from message") == [(None, None)]


async def test_when_her_contact_is_away_the_unit_has_it_at_once(thread: Thread) -> None:
    await thread.asks()
    thread.world.connection.execute(
        "insert into absence (staff_id, from_at, until_at) "
        "values (%s, now() - interval '1 hour', now() + interval '9 days')",
        (thread.world.staff("anna"),),
    )
    assert len(await thread.waits_for("eva")) == 1
    assert await thread.waits_for("lisa") == []  # of another unit
    assert await thread.answers("eva") is Answer.DONE
    assert await thread.waits_for("anna") == []


async def test_when_her_contact_works_here_no_more_the_unit_has_it(thread: Thread) -> None:
    await thread.asks()
    thread.world.connection.execute(
        "update staff set ended_at = now() where staff_id = %s", (thread.world.staff("anna"),)
    )
    assert len(await thread.waits_for("eva")) == 1


async def test_what_waited_for_a_day_is_her_units(thread: Thread) -> None:
    await thread.asks()
    thread.ago(timedelta(hours=23, minutes=59))
    assert await thread.waits_for("eva") == []
    thread.ago(timedelta(minutes=2))
    assert len(await thread.waits_for("eva")) == 1
    assert await thread.waits_for("tove") == []  # a technician sees no patient
    assert await thread.answers("tove") is Answer.NOT_FOUND
    assert await thread.answers("eva") is Answer.DONE


async def test_without_a_contact_it_is_her_units(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        await messages.ask(connection, world.patient("sven"), "Hej")
        for key, number in (("anna", 1), ("eva", 1), ("lisa", 0), ("tove", 0)):
            assert len(await messages.waiting(connection, world.viewer(key))) == number, key


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", Answer.EMPTY),
        (" \n\t", Answer.EMPTY),
        ("\x00", Answer.EMPTY),
        ("x" * TEXT_CHARS_MAX, Answer.DONE),
        ("x" * (TEXT_CHARS_MAX + 1), Answer.TOO_LONG),
        ("a\x00b <b>'; drop table message; --", Answer.DONE),
        ("Åsa 😀 \u202e", Answer.DONE),
    ],
)
async def test_odd_texts_are_refused_or_kept_as_they_are(
    thread: Thread, text: str, answer: Answer
) -> None:
    assert await thread.asks(text) is answer
    assert await thread.answers(text=text, seen=0) is answer
    kept = [one.text for one in await messages.thread(thread.connection, thread.patient_id)]
    assert kept == ([text.replace("\x00", "").strip()] * 2 if answer is Answer.DONE else [])


async def test_who_writes_without_end_is_asked_to_phone(thread: Thread) -> None:
    for _ in range(HOUR_MAX):
        assert await thread.asks("Hej") is Answer.DONE
    assert await thread.asks("Hej") is Answer.TOO_MANY
    thread.ago(timedelta(minutes=61))
    assert await thread.asks("Hej") is Answer.DONE


async def test_nothing_is_lost_when_both_write_at_once(thread: Thread, pool: Pool) -> None:
    anna = thread.world.viewer("anna")

    async def asks() -> None:
        async with pool.connection() as connection:
            await messages.ask(connection, thread.patient_id, "Hej")

    async def answers() -> None:
        async with pool.connection() as connection:
            seen = max(
                (one.message_id for one in await messages.thread(connection, thread.patient_id)),
                default=0,
            )
            await messages.answer(connection, anna, thread.patient_id, "Svar", seen=seen)

    await asyncio.gather(*(make() for make in [asks, answers] * 8))
    await answers()
    assert await thread.waits_for("anna") == []
    assert thread.world.one("select count(*) from message") == 17
    # Each number is later than the one before it: so "up to this one" means what it says.
    assert (
        thread.world.one(
            "select count(*) from message a join message b "
            "on a.message_id < b.message_id and a.written_at > b.written_at"
        )
        == 0
    )


async def test_her_contact_and_her_unit_are_woken(thread: Thread) -> None:
    thread.world.connection.execute("listen worklist")
    await thread.asks()
    (told,) = thread.world.connection.notifies(timeout=1, stop_after=1)
    assert f"s{thread.world.staff('anna')}" in told.payload.split()
