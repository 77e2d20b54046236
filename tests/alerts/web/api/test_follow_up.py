"""Numbers for a coordinator, the extract for the patient, spot checks by a reviewer."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.alerts.conftest import Login
from tests.alerts.rota import coordinates
from tests.alerts.web.api.program import API, RED, Program, slug
from tests.alerts.world import World


def reviews(world: World, key: str) -> None:
    world.connection.execute(
        "insert into staff_function (staff_id, name, from_at) values (%s, 'reviewer', now())",
        [world.staff(key)],
    )


async def test_numbers_are_of_her_huvudman_and_of_no_few(world: World, browse: Login) -> None:
    coordinates(world, "eva")
    huvudman = "insert into huvudman (kind, name) values ('kommun', %s) returning huvudman_id"
    for key, name in (("eva", "Provbyn"), ("lisa", "Testköping")):
        unit = world.viewer(key).unit_id
        world.connection.execute(
            "update unit set huvudman_id = %s where unit_id = %s", (world.one(huvudman, name), unit)
        )
    async with browse("eva") as client:
        eva = Program(client)
        cells = (await eva.get("/indicators")).json()["cells"]
        assert {cell["huvudman_name"] for cell in cells} == {"Provbyn"}
        patients = [cell for cell in cells if cell["indicator"] == "patients"]
        assert {cell["unit_name"] for cell in patients} == {"", "Provbyns hemsjukvård"}
        assert {(one["is_hidden"], one["value"], one["people_count"]) for one in patients} == {
            (True, None, None)  # there are three
        }
        answer = await eva.get("/indicators.csv")
        assert answer.headers["Content-Type"].startswith("text/csv")
        rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
        assert len(rows) == len(cells) + 1
        assert {row[1] for row in rows[1:]} == {"Provbyn"}
    async with browse("anna") as client:
        for path in ("/indicators", "/indicators.csv"):
            assert slug(await Program(client).get(path)) == "not-found"


async def test_without_a_huvudman_it_is_her_unit_alone(world: World, browse: Login) -> None:
    coordinates(world, "eva")
    async with browse("eva") as client:
        cells = (await Program(client).get("/indicators")).json()["cells"]
    assert {cell["unit_name"] for cell in cells} == {"Provbyns hemsjukvård"}


@pytest.mark.parametrize(
    "asked",
    [
        {"from_day": "2026-10-01", "until_day": "2026-10-27"},  # a day alone could be worked out
        {"from_day": "2024-01-01", "until_day": "2026-01-01"},
        {"from_day": "2999-01-01"},
        {"until_day": "0001-01-01"},
    ],
)
async def test_a_period_that_tells_of_few_days_is_refused(
    world: World, browse: Login, asked: dict[str, str]
) -> None:
    coordinates(world, "eva")
    async with browse("eva") as client:
        answer = await client.get(f"{API}/indicators", params=asked)
    assert (answer.status_code, slug(answer)) == (422, "period-unfit")


async def test_a_patient_reads_who_has_looked_page_by_page(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    marta = world.patient("marta")
    async with browse("anna") as client:
        anna = Program(client)
        for path in (f"/patients/{marta}", "/worklist", f"/patients/{marta}/alerts"):
            assert (await anna.get(path)).status_code == 200
    async with browse("marta") as client:
        hers = Program(client)
        whole = (await hers.get("/me/looks")).json()
        assert whole["next_cursor"] is None
        assert [one["what"] for one in whole["looks"]] == [
            "öppnade din sida",
            "såg dig i sin lista",
            "öppnade din sida",
        ]
        assert {one["who"] for one in whole["looks"]} == {
            "Anna Provberg, distriktssköterska, Provbyns hemsjukvård"
        }
        found, cursor = [], None
        for _ in range(3):
            query: dict[str, Any] = {"cursor": cursor} if cursor else {}
            page = (await hers.get("/me/looks", limit_count=1, **query)).json()
            found += page["looks"]
            cursor = page["next_cursor"]
        assert (found, cursor) == (whole["looks"], None)
        other = await hers.get(f"/patients/{marta}/readings", cursor="x")
        assert slug(other) == "cursor"
    async with browse("ingrid") as client:
        assert (await Program(client).get("/me/looks")).json()["looks"] == []


async def test_a_reviewer_draws_judges_and_signs_what_she_drew(world: World, browse: Login) -> None:
    reviews(world, "eva")
    unit = world.viewer("eva").unit_id
    async with browse("anna") as client:
        for key in ("marta", "kalle", "olga"):  # of Olga there is nothing for her: denied
            await Program(client).get(f"/patients/{world.patient(key)}")
    past: dict[str, Any] = {
        "from_at": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
        "until_at": datetime.now(UTC).isoformat(),
    }
    path = f"/units/{unit}"
    async with browse("eva") as client, browse("eva") as later:
        eva = Program(client)
        sample = (await eva.get(f"{path}/looks", size=2, **past)).json()
        assert (sample["entries_count"], len(sample["looks"])) == (3, 2)
        assert sample["looks"][0]["ground"] == "denied" or sample["looks"][1]["ground"] == "denied"
        body = {"sample": sample["sample"], "verdict": "asked", "note": ""}
        for asked, why in (
            (body, "review-note-needed"),
            ({**body, "verdict": "x"}, "invalid"),
            ({**body, "sample": sample["sample"][:-4] + "AAAA"}, "cursor"),
        ):
            assert slug(await eva.post(f"{path}/reviews", asked)) == why
        body["note"] = "Talade med Anna."
        assert slug(await Program(later).post(f"{path}/reviews", body)) == "cursor"
        signed = await eva.post(f"{path}/reviews", body)
        assert (signed.status_code, signed.json()["sampled_count"]) == (201, 2)
    kept = world.rows("select reviewed_by, entries, sampled, verdict from access_review")
    assert kept == [(world.staff("eva"), 3, 2, "asked")]
    logged = world.rows(
        "select action from access_log where staff_id = %s order by at", world.staff("eva")
    )
    assert logged == [("log_sampled",), ("log_reviewed",)]


async def test_an_emergency_is_looked_at_by_another_of_the_unit(
    world: World, browse: Login
) -> None:
    for key in ("eva", "lisa"):
        reviews(world, key)
    access_id = world.one(
        "insert into emergency_access (patient_id, staff_id, why, until_at)"
        " values (%s, %s, 'Hittad medvetslös', now()) returning access_id",
        world.patient("olga"),
        world.staff("anna"),
    )
    own = world.one(
        "insert into emergency_access (patient_id, staff_id, why, until_at)"
        " values (%s, %s, 'Hittad medvetslös', now()) returning access_id",
        world.patient("olga"),
        world.staff("eva"),
    )
    unit = f"/units/{world.viewer('eva').unit_id}/emergencies"
    elsewhere = f"/units/{world.viewer('lisa').unit_id}/emergencies"
    said = {"said": "Rimligt."}
    async with browse("lisa") as client:
        lisa = Program(client)
        assert (await lisa.get(elsewhere)).json() == {"emergencies": []}
        for path in (unit, elsewhere):
            answer = await lisa.post(f"{path}/{access_id}/review", said)
            assert slug(answer) == "not-found"
    async with browse("eva") as client:
        eva = Program(client)
        waiting = (await eva.get(unit)).json()["emergencies"]
        assert [(one["access_id"], one["why"]) for one in waiting] == [
            (access_id, "Hittad medvetslös"),
            (own, "Hittad medvetslös"),
        ]
        for number, body, why in (
            (own, said, "review-own"),
            (access_id, {"said": " "}, "review-note-needed"),
            (access_id, said, ""),
            (access_id, said, "review-done"),
        ):
            done = await eva.post(f"{unit}/{number}/review", body)
            assert (slug(done) if done.status_code != 200 else "") == why
    assert world.one("select reviewed_by from emergency_access where access_id = %s", access_id)
