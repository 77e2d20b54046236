"""A plan is ended from the pages, and everybody who looks at it is told so."""

from datetime import UTC, datetime, timedelta

from tests.alerts.conftest import Login
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
        await anna.submit(where, how="visit", why="Flyttat")
        again = await anna.submit(where, how="visit", why="Flyttat")
        assert "Det finns ingen plan som gäller" in again.text
