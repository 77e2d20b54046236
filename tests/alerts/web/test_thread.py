"""Messages and tasks on the pages: she writes, her nurse sees it on her list, and answers."""

import re
from datetime import UTC, datetime, timedelta

from alerts.care import messages
from alerts.technical import watch
from tests.alerts.conftest import Client, Login, Pool
from tests.alerts.world import World

WORDS = "Jag känner mig yr på morgnarna"
MINE = "/me/meddelanden"


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def read(client: Client, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, path
    return text(answer.text)


async def test_she_writes_and_her_contact_answers(world: World, browse: Login) -> None:
    thread = f"/patients/{world.patient('marta')}/meddelanden"
    async with browse("marta") as marta, browse("anna") as anna, browse("eva") as eva:
        assert "Ring 112" not in await read(marta, MINE)
        assert "Akut: ring 112" in await read(marta, MINE)
        assert (await marta.submit(MINE, text=f"{WORDS}\r\n<b>Hej</b>")).status_code == 303
        assert "Inte läst än" in await read(marta, MINE)
        assert WORDS in await read(anna, "/")
        assert WORDS not in await read(eva, "/")
        page = await anna.get(thread)
        assert "&lt;b&gt;Hej&lt;/b&gt;" in page.text
        seen = re.search(r'name="seen" value="(\d+)"', page.text)
        assert seen is not None
        assert "Läst av Anna Provberg" in await read(marta, MINE)
        answer = await anna.submit(thread, text="Jag ringer i dag", seen=seen[1])
        assert answer.status_code == 303
        assert WORDS not in await read(anna, "/")
        mine = await read(marta, MINE)
    for told in ("Besvarat i dag", "Anna Provberg Jag ringer i dag"):
        assert told in mine


async def test_what_is_refused_is_still_in_the_form(world: World, browse: Login) -> None:
    long = "x" * 4001
    async with browse("marta") as client:
        answer = await client.submit(MINE, text=long)
        assert answer.status_code == 422
        assert "Texten är för lång" in answer.text
        assert long in answer.text
        answer = await client.submit(MINE, text=" ")
        assert "Skriv något först" in answer.text
    assert world.one("select count(*) from message") == 0


async def test_a_colleague_reads_it_when_it_has_waited_and_it_is_logged(
    world: World, pool: Pool, browse: Login
) -> None:
    patient_id = world.patient("marta")
    thread = f"/patients/{patient_id}/meddelanden"
    async with pool.connection() as connection:
        await messages.ask(connection, patient_id, WORDS)
    async with browse("eva") as client:
        assert (await client.get(thread)).status_code == 404
        world.connection.execute("update message set written_at = now() - interval '25 hours'")
        assert WORDS in await read(client, "/")
        assert WORDS in await read(client, thread)
        assert (await client.get(f"/patients/{patient_id}")).status_code == 404
        answer = await client.submit(f"{thread}/klart", seen="999999")
        assert answer.status_code == 303
        assert WORDS not in await read(client, "/")
        assert (await client.get(thread)).status_code == 404
    assert world.rows(
        "select ground from access_log where patient_id = %s "
        "and action in ('messages_seen', 'message_seen_to') order by at, number",
        patient_id,
    ) == [("denied",), ("queue",), ("queue",), ("denied",)]
    listed = world.rows(
        "select ground, patient_ids from access_log where action = 'worklist_seen' order by number"
    )
    own = ("relation", [world.patient("sven")])  # the queue of her unit
    assert listed == [own, ("queue", [patient_id]), own]


async def test_a_thread_in_which_nothing_waits_is_closed_to_the_unit_also_when_her_contact_is_away(
    world: World, browse: Login
) -> None:
    marta = world.patient("marta")
    thread = f"/patients/{marta}/meddelanden"
    world.connection.execute(
        "insert into message (patient_id, text, answered_at) values (%s, %s, now())",
        [marta, WORDS],
    )
    world.connection.execute(
        "insert into absence (staff_id, from_at, until_at) "
        "values (%s, now() - interval '1 hour', now() + interval '30 days')",
        [world.staff("anna")],
    )
    async with browse("eva") as eva:
        assert (await eva.get(thread)).status_code == 404
        assert (await eva.submit(thread, text="Hej", seen="0")).status_code == 404
        world.connection.execute(
            "insert into message (patient_id, text) values (%s, %s)", [marta, WORDS]
        )
        assert WORDS in await read(eva, thread)
    assert world.rows(
        "select action, ground from access_log where patient_id = %s order by number", marta
    ) == [("messages_seen", "denied"), ("message_written", "denied"), ("messages_seen", "queue")]


async def test_three_failures_are_on_the_list_until_somebody_has_phoned(
    world: World, pool: Pool, browse: Login
) -> None:
    for number in range(3):
        await world.measure_soon("marta", ago=timedelta(minutes=30 - number))
    async with pool.connection() as connection:
        await watch.look(connection, datetime.now(UTC) + timedelta(minutes=1))
    number = world.one("select task_id from task")
    async with browse("anna") as client:
        page = await read(client, "/")
        assert "3 mätningar i rad med blodtrycksmätaren har misslyckats" in page
        for ending in ("", "measured", "x"):  # not hers to say
            await client.submit(f"/uppgifter/{number}", ending=ending)
        assert "Ring och hör hur det går" in await read(client, "/")
        await client.submit(f"/uppgifter/{number}", ending="phoned")
        assert "Ring och hör hur det går" not in await read(client, "/")
    assert world.rows("select ground from access_log where action = 'task_ended'") == [("contact",)]
