"""A plan is ended from the pages, and everybody who looks at it is told so."""

from datetime import UTC, datetime, timedelta

from tests.alerts.conftest import Login
from tests.alerts.web.api.program import Program, slug
from tests.alerts.world import D, S, World

RED = {S: 200.0, D: 115.0}


async def test_who_ends_it_says_why_and_all_are_told(world: World, browse: Login) -> None:
    await world.measure_soon("marta", RED)
    where = f"/patients/{world.patient('marta')}"
    async with browse("anna") as anna:
        page = await anna.get(where)
        assert f'href="{where}/plan/slut"' in page.text
        assert "gäller inte längre" not in page.text
        assert "Från vilken dag?" in (await anna.get(f"{where}/plan/slut")).text
        said = await anna.submit(f"{where}/plan/slut", how="phone", why="Frisk\0 igen")
        assert (said.status_code, said.headers["location"]) == (303, where)
        page = await anna.get(where)
        assert "<strong>avslutad</strong> " in page.text
        assert "Regeln bakom larmet gäller inte längre." in page.text
        assert f'href="{where}/plan/slut"' not in page.text
    async with browse("marta") as marta:
        assert "Din plan är slut sedan" in (await marta.get("/me")).text
    assert world.rows("select why from plan_end") == [("Frisk igen",)]


async def test_what_is_refused_comes_back_as_it_was_written(world: World, browse: Login) -> None:
    where = f"/patients/{world.patient('marta')}/plan/slut"
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    async with browse("anna") as anna:
        for told, fields in (
            ("Skriv varför", {"why": " "}),
            ("Välj hur ni kom överens", {"how": "relative"}),
            ("närstående får inte se planen", {"how": "relative:9"}),
            ("Välj hur ni kom överens", {"how": ""}),
            ("Dagen har varit", {"day": yesterday}),
            ("mer än ett år bort", {"day": "2999-01-01"}),
            ("Dagen går inte att läsa", {"day": "i morgon"}),
        ):
            refused = await anna.submit(where, **{"how": "visit", "why": "Flyttat", **fields})
            assert refused.status_code == 422, fields
            assert told in refused.text
            assert fields.get("why", "Flyttat") in refused.text
        assert world.rows("select 1 from plan_end") == []
        logged = world.rows("select ground, detail ->> 'answer' from access_log order by number")
        assert logged == [
            ("contact", answer)
            for answer in (
                "no_text",
                "not_yours",
                "no_relative",
                "not_yours",
                "in_the_past",
                "too_far",
                "no_day",
            )
        ]
        await anna.submit(where, how="visit", why="Flyttat")
        again = await anna.submit(where, how="visit", why="Flyttat")
        assert "Det finns ingen plan som gäller" in again.text


async def test_it_ends_together_with_a_relative_who_may_see_it(world: World, browse: Login) -> None:
    marta = world.patient("marta")
    daughter, son = (
        world.one(
            "insert into relative (patient_id, name, relation) values (%s, %s, %s)"
            " returning relative_id",
            marta,
            f"Prov {relation}",
            relation,
        )
        for relation in ("dotter", "son")
    )
    for relative, scope in ((daughter, "plan"), (son, "values")):
        world.connection.execute(
            "insert into consent (patient_id, relative_id, scope, given_how)"
            " values (%s, %s, array[%s], 'self')",
            [marta, relative, scope],
        )
    path = f"/patients/{marta}"
    async with browse("anna") as client:
        page = await client.get(f"{path}/plan/slut")
        assert "tillsammans med Prov dotter (dotter)" in page.text
        assert "Prov son" not in page.text
        by_son = await client.submit(f"{path}/plan/slut", how=f"relative:{son}", why="Flyttat")
        assert "närstående får inte se planen" in by_son.text
        body = {"how": "relative", "relative_id": son, "why": "Flyttat"}
        refused = await Program(client).post(f"{path}/plan/end", body)
        assert (refused.status_code, slug(refused)) == (422, "plan-end-no-relative")
        ended = await client.submit(f"{path}/plan/slut", how=f"relative:{daughter}", why="Flyttat")
        assert ended.status_code == 303
    assert world.rows("select relative_id, why from plan_end") == [(daughter, "Flyttat")]
    assert world.one("select agreed_how from plan_version order by plan_version_id desc") == (
        "tillsammans med närstående"
    )
