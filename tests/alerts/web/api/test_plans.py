"""A plan is proposed, previewed, asked about and agreed with her, by programs."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from alerts.web.api.plans import PLAN
from tests.alerts.care.huvudmen import one_each
from tests.alerts.conftest import Login
from tests.alerts.rota import coordinates
from tests.alerts.web.api.program import API, RED, Program, slug
from tests.alerts.world import World

STRICTER: dict[str, Any] = {
    "limits": [{"quantity": "systolic", "yellow_high": 150.0, "red_high": 170.0}]
}


async def proposed(program: Program, patient_id: int, **body: object) -> dict[str, Any]:
    """Propose a plan; return the proposal."""
    answer = await program.post(
        f"/patients/{patient_id}/proposals", {"plan": STRICTER, "why": "Ny medicin", **body}
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_plan_is_proposed_previewed_asked_about_and_agreed_by_her(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", RED)
    path = f"/patients/{world.patient('marta')}"
    async with browse("anna") as first, browse("marta") as second:
        anna, marta = Program(first), Program(second)
        before = (await marta.get(f"{path}/plan")).json()["version"]
        made = await proposed(anna, world.patient("marta"), templates=["heart_failure:2"])
        assert (made["state"], made["why"], made["previewed_at"]) == (
            "proposed",
            "Ny medicin",
            None,
        )
        one = f"{path}/proposals/{made['proposal_id']}"
        early = await marta.post(f"{one}/agree", {"how": "self"})
        assert (early.status_code, slug(early)) == (409, "proposal-not-previewed")
        seen = (await anna.post(f"{one}/preview")).json()
        assert seen["proposed"]["red_count"] >= 1
        assert seen["samples_count"] > 0
        assert seen["today"] is not None
        assert seen["sentence"].startswith("Det senaste dygnet")
        asked = await marta.post(f"{one}/question", {"text": "Varför lägre?"})
        assert (asked.json()["state"], asked.json()["question"]) == ("questioned", "Varför lägre?")
        assert [each["text"] for each in (await anna.get("/worklist")).json()["messages"]] == [
            "Fråga om den föreslagna planen: Varför lägre?"
        ]
        assert (await marta.get(f"{path}/plan")).json()["version"] == before  # nothing yet
        yes = await marta.post(f"{one}/agree", {"how": "self"})
        assert (yes.status_code, yes.json()["state"]) == (200, "agreed")
        assert yes.json() == (await anna.get(one)).json()
        now = (await marta.get(f"{path}/plan")).json()["version"]
        assert now["plan_version_id"] == yes.json()["plan_version_id"]
        assert (now["agreed_how"], now["is_in_force"]) == ("av patienten själv", True)
        assert now["plan"]["limits"][0]["yellow_high"] == 150.0
        late = await anna.post(f"{one}/withdraw")
        assert (late.status_code, slug(late)) == (409, "proposal-answered")
        assert "redan överenskommen" in late.json()["detail"]
    kept = world.rows(
        "select action from access_log where patient_id = %s and action like 'plan_%%'"
        " order by number",
        world.patient("marta"),
    )
    assert [action for (action,) in kept] == [
        "plan_proposed",
        "plan_agreed",  # refused: nobody had seen what it would make
        "plan_previewed",
        "plan_questioned",
        "plan_agreed",
        "plan_withdrawn",  # refused
    ]


async def test_a_nurse_notes_that_she_said_yes_by_telephone_from_a_day_to_come(
    world: World, browse: Login
) -> None:
    patient_id = world.patient("marta")
    path = f"/patients/{patient_id}"
    async with browse("anna") as client:
        anna = Program(client)
        made = await proposed(anna, patient_id)
        one = f"{path}/proposals/{made['proposal_id']}"
        await anna.post(f"{one}/preview")
        for body, status, why in (
            ({"how": "self"}, 403, "proposal-not-yours"),
            ({"how": "relative"}, 422, "proposal-no-relative"),
            ({"how": "phone", "from_day": "2020-01-01"}, 422, "proposal-past"),
            ({"how": "phone", "from_day": str(date.max)}, 422, "proposal-too-far"),
            ({"how": "phone", "from_day": "i morgon"}, 422, "invalid"),
        ):
            answer = await anna.post(f"{one}/agree", body)
            assert (answer.status_code, slug(answer)) == (status, why)
        next_week = datetime.now(UTC).date() + timedelta(days=7)
        yes = await anna.post(f"{one}/agree", {"how": "phone", "from_day": str(next_week)})
        assert yes.status_code == 200
        assert yes.json()["answered_how"] == "phone"
        versions = (await anna.get(f"{path}/plan-versions")).json()["versions"]
        assert [each["is_in_force"] for each in versions] == [False, True]
        assert versions[1]["until_at"] == versions[0]["in_force_from"]
        number = versions[0]["plan_version_id"]
        whole = (await anna.get(f"{path}/plan-versions/{number}")).json()
        assert whole["plan"]["limits"][0]["red_high"] == 170.0
        assert versions[0] == {name: whole[name] for name in versions[0]}
        paged = (await anna.get(f"{path}/plan-versions", limit_count=1)).json()
        rest = (
            await anna.get(f"{path}/plan-versions", limit_count=1, cursor=paged["next_cursor"])
        ).json()
        assert paged["versions"] + rest["versions"] == versions
        assert rest["next_cursor"] is None


async def test_a_relative_who_may_see_her_plan_agrees_with_her(world: World, browse: Login) -> None:
    patient_id = world.patient("marta")
    relative = world.one(
        "insert into relative (patient_id, name) values (%s, 'Prov Anhörig') returning relative_id",
        patient_id,
    )
    async with browse("anna") as client:
        anna = Program(client)
        made = await proposed(anna, patient_id)
        one = f"/patients/{patient_id}/proposals/{made['proposal_id']}"
        await anna.post(f"{one}/preview")
        body = {"how": "relative", "relative_id": relative}
        assert slug(await anna.post(f"{one}/agree", body)) == "proposal-no-relative"
        world.connection.execute(
            "insert into consent (patient_id, relative_id, scope, given_how)"
            " values (%s, %s, '{plan}', 'self')",
            [patient_id, relative],
        )
        yes = await anna.post(f"{one}/agree", body)
    assert (yes.status_code, yes.json()["relative_id"]) == (200, relative)


async def test_no_is_an_answer_and_another_can_be_proposed(world: World, browse: Login) -> None:
    patient_id = world.patient("marta")
    path = f"/patients/{patient_id}/proposals"
    async with browse("anna") as first, browse("marta") as second:
        anna, marta = Program(first), Program(second)
        made = await proposed(anna, patient_id)
        again = await anna.post(path, {"plan": STRICTER})
        assert (again.status_code, slug(again)) == (409, "proposal-open-already")
        no = await marta.post(f"{path}/{made['proposal_id']}/decline", {"how": "self"})
        assert (no.json()["state"], no.json()["answered_how"]) == ("declined", "self")
        other = await proposed(anna, patient_id)
        back = await anna.post(f"{path}/{other['proposal_id']}/withdraw")
        assert back.json()["state"] == "withdrawn"
        mine = await marta.post(path, {"plan": STRICTER})
        assert (mine.status_code, slug(mine)) == (403, "proposal-not-yours")
        listed = (await marta.get(path)).json()
        assert [each["state"] for each in listed["proposals"]] == ["withdrawn", "declined"]
        first_page = (await marta.get(path, limit_count=1)).json()
        rest = (await marta.get(path, limit_count=1, cursor=first_page["next_cursor"])).json()
        assert first_page["proposals"] + rest["proposals"] == listed["proposals"]


async def test_a_proposal_of_an_older_rule_can_be_taken_back_only(
    world: World, browse: Login
) -> None:
    marta = world.patient("marta")
    held = world.one(
        "insert into plan_proposal (patient_id, spec) values (%s, %s) returning proposal_id",
        marta,
        Jsonb({"limits": [{"quantity": "pulsens gång"}]}),
    )
    one = f"/patients/{marta}/proposals/{held}"
    async with browse("anna") as client:
        anna = Program(client)
        seen = await anna.post(f"{one}/preview")
        assert (seen.status_code, slug(seen)) == (409, "proposal-outdated")
        assert (await anna.get(one)).json()["plan"] is None
        assert (await anna.post(f"{one}/withdraw")).json()["state"] == "withdrawn"
    logged = world.rows(
        "select action, detail ->> 'answer' from access_log where action like 'plan%%' order by at"
    )
    assert logged == [("plan_previewed", "proposal-outdated"), ("plan_withdrawn", None)]


async def test_of_many_answers_at_once_one_holds(world: World, browse: Login) -> None:
    patient_id = world.patient("marta")
    before = world.one("select count(*) from plan_version where patient_id = %s", patient_id)
    async with browse("anna") as first, browse("marta") as second:
        anna, marta = Program(first), Program(second)
        made = await proposed(anna, patient_id)
        one = f"/patients/{patient_id}/proposals/{made['proposal_id']}"
        await anna.post(f"{one}/preview")
        answers = await asyncio.gather(
            marta.post(f"{one}/agree", {"how": "self"}),
            anna.post(f"{one}/agree", {"how": "phone"}),
            anna.post(f"{one}/withdraw"),
            marta.post(f"{one}/decline", {"how": "self"}),
        )
        (kept,) = (answer for answer in answers if answer.status_code == 200)
        late = [slug(answer) for answer in answers if answer is not kept]
        assert late == ["proposal-answered"] * 3
        assert (await marta.get(one)).json() == kept.json()
    made_count = world.one("select count(*) from plan_version where patient_id = %s", patient_id)
    assert made_count - before == (kept.json()["state"] == "agreed")


async def test_the_same_proposal_twice_is_made_once(world: World, browse: Login) -> None:
    key = str(uuid4())
    path = f"/patients/{world.patient('marta')}/proposals"
    async with browse("anna") as client:
        anna = Program(client)
        both = [await anna.post(path, {"plan": STRICTER}, Idempotency_Key=key) for _ in range(2)]
        other = await anna.post(path, {"plan": PLAN}, Idempotency_Key=key)
    assert [answer.status_code for answer in both] == [201, 201]
    assert both[0].content == both[1].content
    assert slug(other) == "idempotency-key-reused"
    assert world.one("select count(*) from plan_proposal") == 1


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({}, "varken gränser eller regler"),
        (
            {"limits": [{"quantity": "systolic", "yellow_high": 180.0, "red_high": 170.0}]},
            "från röd låg till röd hög",
        ),
        (
            {"rules": [{"kind": "missing", "quantity": "systolic", "interval_h": 24}]}
            | {"schedule": [{"quantity": "systolic", "weekdays": [1]}]},
            "Hon skulle bli påmind",
        ),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_in_words_for_who_wrote_it(
    world: World, browse: Login, plan: object, told: str
) -> None:
    async with browse("anna") as client:
        answer = await Program(client).post(
            f"/patients/{world.patient('marta')}/proposals", {"plan": plan}
        )
    assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert told in answer.json()["detail"]
    assert told in answer.json()["errors"][0]["told"]
    assert answer.json()["errors"][0]["where"] == "body.plan"


async def test_what_the_database_cannot_keep_is_refused_and_changes_nothing(
    world: World, browse: Login
) -> None:
    path = f"/patients/{world.patient('marta')}/proposals"
    async with browse("anna") as client:
        anna = Program(client)
        for body in (
            {"plan": {**STRICTER, "goals": "\x00"}},
            {"plan": STRICTER, "why": "\x00"},
        ):
            answer = await anna.post(path, body)
            assert (answer.status_code, slug(answer)) == (422, "invalid")
        half = '{"plan": {"limits": [], "goals": "\\ud800"}}'
        headers = {"X-CSRF-Token": client.csrf, "Content-Type": "application/json"}
        answer = await client.post(f"{API}{path}", content=half, headers=headers)
        assert (answer.status_code, slug(answer)) == (422, "invalid")
    assert world.one("select count(*) from plan_proposal") == 0
    kept = "select detail->>'answer' from access_log where action = 'plan_proposed'"
    assert world.rows(kept) == [("invalid",), ("invalid",)]  # the third is no text at all


async def test_templates_are_approved_merged_and_taken_out_of_use(
    world: World, browse: Login
) -> None:
    weight = {"limits": [{"quantity": "body_weight", "yellow_high": 79.0}]}
    coordinates(world, "anna")
    async with browse("anna") as first, browse("tove") as second:
        anna, tove = Program(first), Program(second)
        for key, name, plan, seen in (
            ("bp", "Högt blodtryck", PLAN, None),
            ("bp", "Blodtryck", STRICTER, 1),
            ("weight", "Vikt", weight, None),
        ):
            body = {"name": name, "plan": plan, "seen_version": seen}
            answer = await anna.post(f"/plan-templates/{key}/approve", body)
            assert answer.status_code == 201
        assert answer.json() == {"key": "weight", "version": 1}
        listed = (await anna.get("/plan-templates")).json()["templates"]
        assert [(one["key"], one["version"], one["name"]) for one in listed] == [
            ("bp", 2, "Blodtryck"),
            ("weight", 1, "Vikt"),
        ]
        assert listed[0]["approved_by"] == "Anna Provberg, distriktssköterska"
        merged = (await anna.get("/plan-templates/merged", key=["bp", "weight"])).json()
        assert merged["templates"] == ["bp:2", "weight:1"]
        assert {one["quantity"] for one in merged["plan"]["limits"]} == {"systolic", "body_weight"}
        await proposed(
            anna, world.patient("marta"), plan=merged["plan"], templates=merged["templates"]
        )
        absent = await anna.get("/plan-templates/merged", key=["bp", "none"])
        assert (absent.status_code, slug(absent)) == (422, "template-absent")
        for seen, status in ((1, 200), (1, 404), (2, 404)):
            answer = await anna.post("/plan-templates/weight/retire", {"seen_version": seen})
            assert answer.status_code == status
        for path in ("/plan-templates", "/plan-templates/merged"):
            assert slug(await tove.get(path, key="bp")) == "not-found"
        retiring = {"seen_version": 2}
        assert slug(await tove.post("/plan-templates/bp/retire", retiring)) == "not-found"
    assert world.one("select count(*) from plan_template where ended_at is null") == 1


async def test_a_template_is_its_huvudmans_and_changed_by_who_saw_it(
    world: World, browse: Login
) -> None:
    one_each(world)
    coordinates(world, "anna")
    coordinates(world, "lisa")
    path, body = "/plan-templates/heart_failure", {"name": "Hjärtsvikt", "plan": STRICTER}
    async with browse("anna") as first, browse("lisa") as second, browse("eva") as third:
        anna, lisa, eva = Program(first), Program(second), Program(third)
        assert (await anna.post(f"{path}/approve", body)).status_code == 201
        for what in ("approve", "retire"):
            assert slug(await eva.post(f"{path}/{what}")) == "not-found"
        assert slug(await lisa.post(f"{path}/retire", {"seen_version": 1})) == "not-found"
        assert (await lisa.get("/plan-templates")).json() == {"templates": []}
        theirs = await lisa.post(f"{path}/approve", {**body, "name": "Annat"})
        assert theirs.json() == {"key": "heart_failure", "version": 2}
        for answer in (
            await anna.post(f"{path}/approve", body),
            await anna.post(f"{path}/approve", {**body, "seen_version": 2}),
            await anna.post(f"{path}/retire", {"seen_version": 2}),
        ):
            assert (answer.status_code, slug(answer)) == (409, "template-changed")
        (one,) = (await eva.get("/plan-templates")).json()["templates"]
        assert (one["version"], one["name"]) == (1, "Hjärtsvikt")


async def test_a_relative_reads_the_plan_that_is_shared_and_no_proposal(
    world: World, browse: Login
) -> None:
    patient_id = world.patient("marta")
    relative = world.one(
        "insert into relative (patient_id, name) values (%s, 'Prov Anhörig') returning relative_id",
        patient_id,
    )
    world.connection.execute(
        "insert into account (username, relative_id) values ('anhorig', %s)", [relative]
    )
    world.connection.execute(
        "insert into consent (patient_id, relative_id, scope, given_how)"
        " values (%s, %s, '{plan}', 'self')",
        [patient_id, relative],
    )
    path = f"/patients/{patient_id}"
    async with browse("anhorig") as client:
        program = Program(client)
        assert (await program.get(f"{path}/plan")).json()["version"]["plan"] is not None
        assert (await program.get(f"{path}/plan-versions")).status_code == 200
        assert (await program.get(f"{path}/proposals")).status_code == 404
        world.connection.execute("update consent set scope = '{values}'")
        assert (await program.get(f"{path}/plan")).status_code == 404
