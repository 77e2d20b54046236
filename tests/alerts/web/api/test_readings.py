"""Readings put right by programs: asked for, done by ingest, told how it went; a plan that ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from ingest import asked, pg_binary
from tests.alerts.conftest import Login
from tests.alerts.web.api.program import RED, Program, slug
from tests.alerts.world import W, World


async def settle(world: World) -> int:
    """Do what waits, as ingest does."""
    async with await psycopg.AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        pg_binary.register(connection)
        return await asked.settle(connection, 10)


async def newest(program: Program, patient_id: int) -> dict[str, Any]:
    answer = await program.get(f"/patients/{patient_id}/readings", limit_count=1)
    found: dict[str, Any] = answer.json()["readings"][0]
    return found


async def test_a_reading_goes_to_whose_it_is(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    marta, kalle = world.patient("marta"), world.patient("kalle")
    key = str(uuid4())
    async with browse("anna") as client:
        anna = Program(client)
        reading = (await newest(anna, marta))["reading_id"]
        path = f"/patients/{marta}/readings/{reading}"
        body = {"to_patient_id": kalle, "why": "Maken mätte."}
        both = [await anna.post(f"{path}/move", body, Idempotency_Key=key) for _ in range(2)]
        assert [answer.status_code for answer in both] == [202, 202]
        assert both[0].json() == both[1].json()
        assert both[0].json()["alert_ids"] == [world.alert("marta")]
        request = f"/patients/{marta}/reading-requests/{both[0].json()['request_id']}"
        waits = (await anna.get(request)).json()
        assert (waits["verdict"], waits["state"], waits["done_at"]) == ("moved", "waiting", None)
        again = await anna.post(f"{path}/reject", {"why": "Fel"})
        assert (again.status_code, slug(again)) == (409, "reading-waiting")
        assert await settle(world) == 1
        assert (await anna.get(request)).json()["state"] == "done"
        assert (await newest(anna, kalle))["values"]["systolic_mmhg"] == 192.0
        late = await anna.post(f"{path}/reject", {"why": "Fel"})
        assert (late.status_code, slug(late)) == (409, "reading-replaced")
        other = f"/patients/{kalle}/reading-requests/{both[0].json()['request_id']}"
        assert slug(await anna.get(other)) == "not-found"  # it was asked of Märta's
    async with browse("marta") as client:
        mine = Program(client)
        assert (await mine.get(request)).json()["state"] == "done"
        own = await mine.post(f"{path}/confirm", {"why": "Det var jag"})
        assert (own.status_code, slug(own)) == (403, "reading-not-yours")


async def test_what_cannot_be_asked_of_a_reading_is_refused(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    marta, kalle, ingrid = (world.patient(key) for key in ("marta", "kalle", "ingrid"))
    async with browse("anna") as client:
        anna = Program(client)
        reading = (await newest(anna, marta))["reading_id"]
        path = f"/patients/{marta}/readings/{reading}"
        for end, body, status, why in (
            ("reject", {"why": " "}, 422, "reading-why"),
            ("reject", {"why": ""}, 422, "invalid"),
            ("reject", {"why": "\x00"}, 422, "invalid"),
            ("move", {"why": "Fel", "to_patient_id": marta}, 409, "reading-same"),
            ("move", {"why": "Fel", "to_patient_id": ingrid}, 404, "not-found"),
            ("whose", {"whose": "other"}, 422, "invalid"),
            ("whose", {"whose": "hers", "to_patient_id": kalle}, 422, "invalid"),
        ):
            answer = await anna.post(f"{path}/{end}", body)
            assert (answer.status_code, slug(answer)) == (status, why), (end, body)
        for wrong in (f"/patients/{kalle}/readings/{reading}", f"/patients/{marta}/readings/x"):
            assert slug(await anna.post(f"{wrong}/reject", {"why": "Fel"})) == "not-found"
    assert world.one("select count(*) from review_request") == 0


@pytest.mark.parametrize("username", ["anna", "marta"])
async def test_a_weight_that_may_be_somebody_elses_is_asked_about(
    world: World, browse: Login, username: str
) -> None:
    for days in range(8, 0, -1):
        await world.measure_soon("marta", {W: 70.0}, ago=timedelta(days=days))
    await world.measure_soon("marta", {W: 77.0})
    path = f"/patients/{world.patient('marta')}"
    async with browse(username) as client:
        program = Program(client)
        (weight,) = (await program.get(f"{path}/asked-weights")).json()["weights"]
        assert weight["body_weight_kg"] == 77.0
        reading = f"{path}/readings/{weight['reading_id']}"
        if username == "anna":
            said = await program.post(f"{reading}/whose", {"whose": "nobody"})
        else:
            said = await program.post(f"{reading}/was-it-me", {"was_me": False})
        assert said.status_code == 202
        assert (await program.get(f"{path}/asked-weights")).json() == {"weights": []}
        assert await settle(world) == 1
        assert (await newest(program, world.patient("marta")))["is_suspect"]
    assert world.rows("select verdict, refused from review_request") == [("rejected", None)]


async def test_whose_a_reading_is_is_said_only_of_a_weight_that_is_asked_about(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", RED)
    path = f"/patients/{world.patient('marta')}"
    async with browse("anna") as client:
        anna = Program(client)
        reading = f"{path}/readings/{(await newest(anna, world.patient('marta')))['reading_id']}"
        for body in (
            {"whose": "nobody"},
            {"whose": "hers"},
            {"whose": "other", "to_patient_id": world.patient("kalle")},
        ):
            answer = await anna.post(f"{reading}/whose", body)
            assert (answer.status_code, slug(answer)) == (409, "reading-not-asked"), body
    assert world.one("select count(*) from review_request") == 0
    assert world.one("select count(*) from breach") == 2


async def test_to_whom_a_reading_cannot_be_moved_is_told_that_it_was_tried(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", RED)
    marta, ingrid = world.patient("marta"), world.patient("ingrid")
    async with browse("anna") as client:
        anna = Program(client)
        reading = (await newest(anna, marta))["reading_id"]
        body = {"to_patient_id": ingrid, "why": "Fel"}
        assert slug(await anna.post(f"/patients/{marta}/readings/{reading}/move", body)) == (
            "not-found"
        )
        page = f"/patients/{marta}/matningar/{reading}"
        moved = await client.submit(page, verdict="moved", to=str(ingrid), why="Fel")
        assert moved.status_code == 404
    logged = world.rows(
        "select patient_id, ground, detail ->> 'answer', detail ->> 'why' from access_log"
        " where action = 'reading_moved' order by at"
    )
    assert logged == [
        (marta, "contact", "not-found", None),  # by the API
        (ingrid, "denied", None, "no_relation"),
        (marta, "contact", "not_found", None),  # on the page
        (ingrid, "denied", None, "no_relation"),
    ]


async def test_a_plan_ends_together_with_her_and_says_so(world: World, browse: Login) -> None:
    path = f"/patients/{world.patient('marta')}"
    body = {"how": "phone", "why": "Frisk igen"}
    async with browse("anna") as first, browse("marta") as second:
        anna, marta = Program(first), Program(second)
        for unfit in ({**body, "how": "self"}, {**body, "why": ""}):
            assert slug(await anna.post(f"{path}/plan/end", unfit)) == "invalid"
        past = await anna.post(f"{path}/plan/end", {**body, "from_day": "2020-01-01"})
        assert (past.status_code, slug(past)) == (422, "plan-end-past")
        alone = await marta.post(f"{path}/plan/end", body)
        assert (alone.status_code, slug(alone)) == (403, "plan-end-not-yours")
        ended = await anna.post(f"{path}/plan/end", body)
        assert (ended.json()["ended_why"], ended.json()["plan"]) == ("Frisk igen", None)
        assert (await marta.get(f"{path}/plan")).json()["version"] == ended.json()
        listed = (await anna.get(f"{path}/plan-versions")).json()["versions"]
        assert [one["ended_why"] for one in listed] == ["Frisk igen", None]
        twice = await anna.post(f"{path}/plan/end", body)
        assert (twice.status_code, slug(twice)) == (409, "plan-end-none")
    began = datetime.fromisoformat(ended.json()["in_force_from"])
    assert began <= datetime.now(UTC)


async def test_two_at_once_ask_once(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    async with browse("anna") as client:
        anna = Program(client)
        reading = (await newest(anna, world.patient("marta")))["reading_id"]
        path = f"/patients/{world.patient('marta')}/readings/{reading}/reject"
        answers = await asyncio.gather(*(anna.post(path, {"why": "Fel"}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert world.one("select count(*) from review_request") == 1
