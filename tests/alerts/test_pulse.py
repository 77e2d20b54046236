"""A part that falls silent is told of on every page; one that was never there is not."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import psycopg
import pytest
from psycopg import AsyncConnection

from alerts import course, engine, pulse, reminders
from alerts.care import todo
from alerts.care.people import Viewer
from alerts.channels.channel import open_carriers
from alerts.config import WebSettings
from alerts.connections import connections
from alerts.ending import end
from alerts.pulse import Part, Silence, Watch
from alerts.sending import loop as sending
from alerts.signal import Hub
from alerts.technical import watch as technical
from alerts.web.app import create_app
from alerts.web.banner import told
from alerts.web.services import ServicesOf
from tests.alerts.conftest import Pool, start_session
from tests.alerts.world import World

Turn = Callable[[AsyncConnection[Any]], Awaitable[object]]
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NURSE = Viewer(name="Anna", staff_id=1, unit_id=1, functions=frozenset({"care"}))
TECHNICIAN = Viewer(name="Ture", staff_id=2, unit_id=1, functions=frozenset({"technician"}))
PATIENT = Viewer(name="Märta", patient_id=1)
WORK = (Part.ROUTING, Part.COURSE, Part.SENDING, Part.REMINDERS, Part.TECHNICAL, Part.TODO)


async def _silent(pool: Pool) -> list[Part]:
    async with pool.connection() as connection:
        return [one.part for one in await pulse.silent(connection)]


def _heard(world: World, part: Part, ago: timedelta) -> None:
    world.one(
        "insert into pulse values (%s, now() - %s) "
        "on conflict (part) do update set at = excluded.at returning part",
        part,
        ago,
    )


async def test_what_was_never_heard_is_no_silence(pool: Pool) -> None:
    """A new installation has no banner."""
    assert await _silent(pool) == []


@pytest.mark.parametrize("part", WORK)
async def test_a_part_is_silent_after_its_time_and_not_before(
    world: World, pool: Pool, part: Part
) -> None:
    """One beat ends the silence."""
    _heard(world, part, pulse.QUIET_MAX[part] - timedelta(seconds=20))
    assert await _silent(pool) == []
    _heard(world, part, pulse.QUIET_MAX[part] + timedelta(seconds=1))
    assert await _silent(pool) == [part]
    async with pool.connection() as connection:
        await pulse.beat(connection, part)
    assert await _silent(pool) == []


async def test_a_part_of_another_version_is_not_ours_to_judge(world: World, pool: Pool) -> None:
    """While versions are mixed, or after a step back, a page must not die of it."""
    world.one("insert into pulse values ('future', now() - interval '1 day') returning 1")
    _heard(world, Part.ROUTING, timedelta(hours=1))
    assert await _silent(pool) == [Part.ROUTING]


async def test_ingest_is_silent_when_its_clock_stands_still(world: World, pool: Pool) -> None:
    """The newest chore counts; one that runs once a day may be old."""
    world.one("insert into clock_turn values ('recheck', now() - interval '1 day') returning 1")
    world.one("insert into clock_turn values ('missing', now() - interval '1 min') returning 1")
    assert await _silent(pool) == []
    world.one(
        "update clock_turn set done_at = now() - interval '6 min' where chore = 'missing' "
        "returning 1"
    )
    assert await _silent(pool) == [Part.INGEST]


async def test_the_way_is_silent_when_the_canary_does_not_come_through(
    world: World, pool: Pool
) -> None:
    """Beats that failed are no beats; without a canary none are expected."""
    for minutes, failed in ((15, ""), (10, "alert"), (5, "alert")):
        world.one(
            "insert into canary_beat (reading_id, sent_at, failed) "
            "values (gen_random_uuid(), now() - make_interval(mins => %s), %s) returning 1",
            minutes,
            failed,
        )
    assert await _silent(pool) == []
    world.one("insert into patient (is_canary) values (true) returning 1")
    assert await _silent(pool) == [Part.WAY]
    world.one("insert into canary_beat (reading_id) values (gen_random_uuid()) returning 1")
    assert await _silent(pool) == []


async def test_every_loop_is_heard(world: World, pool: Pool) -> None:
    """Each part of the work says that it does it."""
    parts = {(one.value,) for one in WORK}
    async with open_carriers(None, None, None) as carriers:
        loops = [
            asyncio.create_task(loop)
            for loop in (
                engine.run(pool, asyncio.Event()),
                course.run(pool),
                sending.run(pool, carriers),
                reminders.run(pool, carriers),
                technical.run(pool),
                todo.run(pool),
            )
        ]
        async with asyncio.timeout(10):
            while set(world.rows("select part from pulse")) != parts:  # noqa: ASYNC110 - rows
                await asyncio.sleep(0.02)
        await end(loops)


@pytest.mark.parametrize(
    ("turn", "lock", "part"),
    [
        (technical.turn, "alerts.technical", Part.TECHNICAL),
        (todo.turn, "alerts.todo", Part.TODO),
    ],
    ids=["technical", "todo"],
)
async def test_who_only_finds_another_looking_is_not_heard(
    world: World, pool: Pool, turn: Turn, lock: str, part: Part
) -> None:
    """The other may hang: then nobody looks, and a page must say so."""
    async with pool.connection() as connection:
        with world.connection.transaction():
            world.connection.execute("select pg_advisory_xact_lock(hashtext(%s))", (lock,))
            assert await turn(connection) is None
            assert world.rows("select part from pulse") == []
        assert await turn(connection) is not None
    assert world.rows("select part from pulse") == [(part.value,)]


async def test_a_worker_that_hangs_in_a_transaction_loses_its_locks(
    world: World, pool: Pool
) -> None:
    """The server ends it; when it wakes, that is as if the database had been away."""
    async with connections(world.dsn) as theirs:
        async with theirs.connection() as held:
            cursor = await held.execute(
                "select current_setting('idle_in_transaction_session_timeout')::interval"
            )
            (idle_max,) = await cursor.fetchone() or (timedelta(),)
            assert timedelta() < idle_max < pulse.QUIET_MAX[Part.TECHNICAL]
            await held.execute("set idle_in_transaction_session_timeout = '50ms'")  # not a minute
        with pytest.raises(psycopg.OperationalError):
            await _hangs(held, pool)


async def _hangs(held: AsyncConnection[Any], pool: Pool) -> None:
    """Hold the lock and say nothing, until another has it."""
    async with held.transaction():
        await held.execute("select pg_advisory_xact_lock(hashtext('alerts.technical'))")
        async with pool.connection() as connection, asyncio.timeout(10):
            await connection.execute("select pg_advisory_lock(hashtext('alerts.technical'))")
        await held.execute("select 1")


def test_a_worker_whose_machine_has_vanished_loses_its_locks() -> None:
    """The server asks it within half a minute; of a socket on one machine it need not."""
    settings = connections("").kwargs
    assert isinstance(settings, dict)
    for name in ("idle", "interval", "count"):
        assert f"-c tcp_keepalives_{name}=" in settings["options"]


async def test_a_silence_is_on_every_page_until_it_is_over(world: World, pool: Pool) -> None:
    """The nurse's list, the patient's page and the login say it in the words of who reads it."""
    watch = Watch()
    services = ServicesOf(
        pool=pool,
        hub=Hub(),
        web=WebSettings(cookie_secure=False),
        hashing=anyio.CapacityLimiter(2),
        pulse=watch,
    )
    looking = asyncio.create_task(watch.run(pool))
    _heard(world, Part.ROUTING, timedelta(hours=1))
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        pages = []
        for username, path in (("anna", "/"), ("marta", "/me"), (None, "/login")):
            client.cookies.clear()
            if username is not None:
                client.cookies.set("session", await start_session(pool, username))
            async with asyncio.timeout(10):
                while not watch.silences:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.02)
            pages.append((await client.get(path)).text)
        assert "Nya larm kommer inte till arbetslistan sedan i " in pages[0]  # dag, or går at night
        assert "Just nu kommer mätvärden inte fram till vården" in pages[1]
        assert "Driftstörning" in pages[2]
        await end([looking])
        _heard(world, Part.ROUTING, timedelta())
        again = asyncio.create_task(watch.run(pool))
        async with asyncio.timeout(10):
            while watch.silences:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.02)
        await end([again])
        assert "Driftstörning" not in (await client.get("/login")).text


def test_each_silence_is_told_to_whom_it_concerns() -> None:
    """Care reads what to do for patients, technicians what to mend, a patient only hers."""
    every = [Silence(part=part, since=NOW - timedelta(hours=1)) for part in Part]
    assert len(told(every, TECHNICIAN, NOW)) == len(Part)
    care = told(every, NURSE, NOW)
    assert len(care) == len(Part) - 1
    assert care == told(every, None, NOW)
    assert all("sedan i dag 08:00" in sentence for sentence in care)
    assert len(told(every, PATIENT, NOW)) == 1
    assert len(told(every, TECHNICIAN, NOW, is_demo=True)) == len(Part) - 1  # messages go nowhere
    assert told([Silence(part=Part.SENDING, since=NOW)], PATIENT, NOW) == []
    assert "112" in told(every, PATIENT, NOW)[0]
