"""Tasks: one takes it, the others see who; it is done once, and what was done is logged."""

import asyncio
from uuid import uuid4

import pytest

from alerts.care import tasks
from tests.alerts.conftest import Login, Pool
from tests.alerts.web.api.program import Program, slug
from tests.alerts.world import World


@pytest.fixture
def task(world: World) -> int:
    """Sven is to be phoned: he is in the queue of Anna's and Eva's unit."""
    return int(
        world.one(
            "insert into task (patient_id, kind, detail) values (%s, 'phone_about_measuring',"
            """ '{"failures": 3, "last_at": "2026-11-23T07:12:00Z"}') returning task_id""",
            world.patient("sven"),
        )
    )


async def test_the_first_who_takes_it_has_it_for_a_day(
    world: World, browse: Login, task: int
) -> None:
    async with browse("anna") as hers, browse("eva") as theirs:
        anna, eva = Program(hers), Program(theirs)
        (listed,) = (await anna.get("/tasks")).json()["tasks"]
        assert (listed["task_id"], listed["taken_name"]) == (task, None)
        for _ in range(2):
            taken = await anna.post(f"/tasks/{task}/take")
            assert taken.json()["taken_name"] == "Anna Provberg"
        refused = await eva.post(f"/tasks/{task}/take")
        assert (refused.status_code, slug(refused)) == (409, "task-taken")
        assert "Anna Provberg tog uppgiften" in refused.json()["detail"]
        assert (await eva.get("/worklist")).json()["tasks"][0]["taken_name"] == "Anna Provberg"
        assert "Anna Provberg tog den" in (await theirs.get("/")).text
        world.connection.execute("update task set taken_at = now() - interval '25 hours'")
        assert (await eva.get("/tasks")).json()["tasks"][0]["taken_name"] is None
        taken = await eva.post(f"/tasks/{task}/take")
        assert taken.json()["taken_name"] == "Eva Testström"
    logged = world.rows("select actor, ground from access_log where action = 'task_taken'")
    assert set(logged) == {
        (f"staff:{world.staff('anna')}", "queue"),
        (f"staff:{world.staff('eva')}", "queue"),
    }


async def test_of_many_at_once_one_takes_it(world: World, pool: Pool, task: int) -> None:
    async def take(key: str) -> bool:
        async with pool.connection() as connection:
            return (await tasks.take(connection, world.viewer(key), task)).patient_id is not None

    keys = ("anna", "eva") * 6
    found = await asyncio.gather(*map(take, keys))
    assert len({key for key, won in zip(keys, found, strict=True) if won}) == 1


async def test_it_is_done_once_by_whoever_did_it(world: World, browse: Login, task: int) -> None:
    async with browse("anna") as hers, browse("eva") as theirs:
        anna, eva = Program(hers), Program(theirs)
        await anna.post(f"/tasks/{task}/take")
        measured = await eva.post(f"/tasks/{task}/done", {"ending": "measured"})
        assert (measured.status_code, slug(measured)) == (422, "invalid")
        key = str(uuid4())
        for _ in range(2):
            ended = await eva.post(f"/tasks/{task}/done", {"ending": "phoned"}, Idempotency_Key=key)
            assert ended.json() == {"task_id": task, "ending": "phoned"}
        again = await anna.post(f"/tasks/{task}/done", {"ending": "phoned"})
        assert slug(again) == slug(await anna.post(f"/tasks/{task}/take")) == "not-found"
        assert (await anna.get("/tasks")).json() == {"tasks": []}
    assert world.rows("select done_by, outcome from task") == [(world.staff("eva"), "phoned")]
    logged = world.rows("select detail ->> 'answer' from access_log where action = 'task_ended'")
    assert logged == [("done",), ("again",), ("not-found",)]


async def test_an_answer_is_given_again_only_to_whom_the_task_waits_for(
    world: World, browse: Login, task: int
) -> None:
    key = str(uuid4())
    async with browse("anna") as client:
        anna = Program(client)
        taken = await anna.post(f"/tasks/{task}/take", Idempotency_Key=key)
        assert "Sven" in taken.text
        assert world.one("select patient_id from idempotency_key") == world.patient("sven")
        again = await anna.post(f"/tasks/{task}/take", Idempotency_Key=key)
        assert again.json() == taken.json()
        world.connection.execute("update person set unit_id = 2 where given_name = 'Sven'")
        closed = await anna.post(f"/tasks/{task}/take", Idempotency_Key=key)
        assert (closed.status_code, slug(closed)) == (404, "not-found")
        ended = await anna.post(f"/tasks/{task}/done", {"ending": "phoned"})
        assert slug(ended) == "not-found"
    logged = world.rows(
        "select action, ground, detail ->> 'answer' from access_log where patient_id = %s"
        " and action like 'task%%' order by number",
        world.patient("sven"),
    )
    assert logged == [
        ("task_taken", "queue", "done"),
        ("task_taken", "queue", "again"),
        ("task_taken", "denied", None),
        ("task_ended", "denied", None),
    ]


async def test_what_was_taken_or_done_before_is_refused_and_logged(
    world: World, browse: Login, task: int
) -> None:
    async with browse("anna") as hers, browse("eva") as theirs:
        await Program(hers).post(f"/tasks/{task}/take")
        assert slug(await Program(theirs).post(f"/tasks/{task}/take")) == "task-taken"
        await Program(hers).post(f"/tasks/{task}/done", {"ending": "phoned"})
        assert slug(await Program(theirs).post(f"/tasks/{task}/take")) == "not-found"
    logged = world.rows(
        "select action, detail ->> 'answer' from access_log where actor = %s order by number",
        f"staff:{world.staff('eva')}",
    )
    assert logged == [("task_taken", "task-taken"), ("task_taken", "not-found")]


async def test_a_task_of_somebody_elses_is_refused_on_the_page_and_logged(
    world: World, browse: Login, task: int
) -> None:
    async with browse("lisa") as lisa:
        for path in (f"/uppgifter/{task}/ta", f"/uppgifter/{task}", "/uppgifter/1000000"):
            assert (await lisa.submit(path, ending="phoned")).status_code == 303
    assert world.rows("select taken_by, done_at from task") == [(None, None)]
    logged = world.rows("select action, ground from access_log order by at")
    assert logged == [("task_taken", "denied"), ("task_ended", "denied")]


async def test_on_the_page_she_says_that_she_does_it(
    world: World, browse: Login, task: int
) -> None:
    async with browse("anna") as anna:
        assert "Jag tar den" in (await anna.get("/")).text
        assert (await anna.submit(f"/uppgifter/{task}/ta")).status_code == 303
        assert "Jag tar den" not in (await anna.get("/")).text
    assert world.one("select taken_by from task") == world.staff("anna")
