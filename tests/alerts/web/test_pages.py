"""What the pages say, and that nothing anybody is called can break them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from fastapi import FastAPI

from alerts.alert import Event, Outcome
from alerts.log import Entry
from alerts.web import pages
from alerts.web.security import BODY_BYTES_MAX, POLICY
from ingest import plausibility
from tests.alerts.conftest import Login
from tests.alerts.world import D, P, S, W, World

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}${7}\u202e"


async def test_hostile_names_notes_and_plans_are_text(world: World, browse: Login) -> None:
    for table, columns in {
        "person": ("given_name", "family_name", "diagnosis", "phone"),
        "staff": ("name", "role", "phone"),
        "unit": ("name", "phone", "hours"),
        "plan_advice": ("green", "yellow", "red"),
        "plan_version": ("agreed_how",),
    }.items():
        for column in columns:
            extra = " || unit_id" if (table, column) == ("unit", "name") else ""
            world.connection.execute(f"update {table} set {column} = %s{extra}".encode(), [HOSTILE])
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    await world.measure_soon("ingrid", {S: 192.0, D: 112.0})
    alert = world.alert("marta")
    async with browse("anna") as client:
        texts = [(await client.get("/")).text]
        await client.submit(f"/alerts/{alert}/close", outcome="other", seen="9999", note=HOSTILE)
        texts.append((await client.get(f"/patients/{world.patient('marta')}")).text)
    async with browse("ingrid") as client:
        texts.append((await client.get("/me")).text)
    for text in texts:
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        assert "{{7*7}}" in text  # shown, not computed
        assert ">49<" not in text


async def test_no_page_has_a_name_in_its_title_or_address(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with browse("anna") as client:
        for path in ("/", f"/patients/{world.patient('marta')}"):
            text = (await client.get(path)).text
            title = re.search("<title>(.*)</title>", text)
            assert title
            found = title[1] + " ".join(re.findall(r'(?:href|action|src)="([^"]*)"', text))
            for secret in ("Märta", "Provlind", "1890", "Hjärtsvikt"):
                assert secret not in found


async def test_every_answer_tells_the_browser_to_be_strict(world: World, browse: Login) -> None:
    async with browse("anna") as client:
        for path in ("/", "/login", "/nowhere", "/livez", f"/patients/{world.patient('marta')}"):
            headers = (await client.get(path)).headers
            assert headers["content-security-policy"] == POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
    assert "unsafe" not in POLICY


async def test_nothing_on_a_page_needs_what_the_policy_forbids(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with browse("anna") as client:
        for path in ("/", f"/patients/{world.patient('marta')}"):
            text = (await client.get(path)).text
            assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", text)


async def test_static_files_are_kept_and_change_address_with_their_content(
    browse: Login,
) -> None:
    address = pages.static_address("style.css")
    assert re.fullmatch(r"/static/style\.css\?v=[0-9a-f]{12}", address)
    async with browse(None) as client:
        answer = await client.get(address)
    assert "immutable" in answer.headers["cache-control"]


async def test_a_large_body_is_refused(browse: Login) -> None:
    async with browse("anna") as client:
        declared = await client.submit("/alerts/1/close", note="x" * BODY_BYTES_MAX)

        async def endless() -> object:
            for _ in range(100):
                yield b"a=" + b"x" * 10_000

        undeclared = await client.post(
            "/alerts/1/close",
            content=endless(),  # type: ignore[arg-type]
            headers={"content-type": "application/x-www-form-urlencoded"},
        )
    assert (declared.status_code, undeclared.status_code) == (413, 413)


async def test_who_is_too_late_is_told_who_took_it(world: World, browse: Login) -> None:
    await world.measure_soon("sven", {S: 192.0, D: 112.0})
    path = f"/alerts/{world.alert('sven')}/acknowledge"
    async with browse("eva") as eva, browse("anna") as anna:
        assert (await eva.submit(path, seen="999")).status_code == 303
        late = await anna.submit(path, seen="999")
        assert late.status_code == 409
        assert "Eva Testström tog larmet" in late.text
        assert "Eva Testström tog det" in (await anna.get("/")).text


async def test_a_note_is_still_there_when_a_new_value_comes_while_it_is_written(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", {W: 80.4})
    alert = world.alert("marta")
    async with browse("anna") as client:
        page = await client.get(f"/patients/{world.patient('marta')}")
        seen = re.search(r'name="seen" value="(\d+)"', page.text)
        assert seen
        await world.measure_soon("marta", {W: 80.9})
        answer = await client.submit(
            f"/alerts/{alert}/close", outcome="contacted", seen=seen[1], note="Ringde <14.20>"
        )
    assert answer.status_code == 409
    assert ">Ringde &lt;14.20&gt;</textarea>" in answer.text


async def test_a_closed_case_leaves_the_list_and_stays_on_the_patients_page(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", {W: 80.4})
    alert = world.alert("marta")
    async with browse("anna") as client:
        page = await client.get(f"/patients/{world.patient('marta')}")
        assert "Vikt 80,4\u00a0kg (gräns 80,0)" in page.text
        seen = re.search(r'name="seen" value="(\d+)"', page.text)
        assert seen
        closed = await client.submit(
            f"/alerts/{alert}/close",
            outcome="contacted",
            seen=seen[1],
            note="Ringt.\x00\r\nMår bra.",
        )
        assert closed.headers["location"] == "/?closed"
        assert f"case-{alert}" not in (await client.get("/?closed")).text
        text = (await client.get(f"/patients/{world.patient('marta')}")).text
    assert "Anna Provberg avslutade: Kontaktad. ”Ringt.\nMår bra.”" in text


@pytest.mark.parametrize(
    "fields", [{"outcome": "party", "seen": "1"}, {"seen": "1"}, {"outcome": "other"}]
)
async def test_a_form_with_something_missing_changes_nothing(
    world: World, browse: Login, fields: dict[str, str]
) -> None:
    await world.measure_soon("marta", {W: 80.4})
    async with browse("anna") as client:
        answer = await client.submit(f"/alerts/{world.alert('marta')}/close", **fields)
    assert answer.status_code == 422
    assert world.one("select state from alert") == "open"


async def test_the_list_logs_to_whom_it_showed_an_alert(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {W: 80.4})
    async with browse("anna") as client:
        await client.get("/")
        await client.get("/")
    assert world.rows("select staff_id from alert_log where event = 'shown'") == [
        (world.staff("anna"),)
    ]


async def test_empty_pages_say_so(world: World, browse: Login) -> None:
    async with browse("anna") as client:
        assert "Ingen av dina patienter" in (await client.get("/")).text
        assert "Inga mätningar" in (await client.get(f"/patients/{world.patient('marta')}")).text
    async with browse("marta") as client:
        assert "Inga värden har kommit i dag än" in (await client.get("/me")).text
    world.connection.execute("delete from care_contact")
    world.connection.execute("update person set unit_id = (select max(unit_id) from unit)")
    async with browse("eva") as client:
        assert "Du är inte fast vårdkontakt för någon ännu" in (await client.get("/")).text


@pytest.mark.parametrize("days", [7, 30, 365])
async def test_the_trend_shows_every_period(world: World, browse: Login, days: int) -> None:
    for ago in (1, 5, 20, 200):
        at = timedelta(days=ago)
        await world.measure_soon("marta", {S: 150.0, D: 80.0, P: 70.0}, ago=at)
    async with browse("anna") as client:
        text = (await client.get(f"/patients/{world.patient('marta')}?days={days}")).text
    shown = {7: 2, 30: 3, 365: 4}[days]
    assert f"Systoliskt blodtryck: {shown} mätningar" in text
    assert f"Visa som tabell ({shown} mätningar)" in text


async def test_the_patients_page_says_what_to_do_and_whom_to_call(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with browse("marta") as client:
        text = (await client.get("/me")).text
    for said in (
        "Ditt blodtryck är högre än din gräns. Gör så här:",
        "Ring din vårdkontakt i dag",
        "192/112",
        "Anna Provberg",
        'href="tel:0980-319202"',
        "vardagar 8–16",
        'href="tel:1177"',
        'href="tel:112"',
        "Det här är inte en larmtjänst",
    ):
        assert said in text


async def test_the_patient_sees_who_has_seen_and_taken(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with browse("marta") as patient, browse("anna") as nurse:
        assert "visat för" not in (await patient.get("/me")).text
        await nurse.get("/")
        assert "visat för Anna Provberg" in (await patient.get("/me")).text
        await nurse.submit(f"/alerts/{world.alert('marta')}/acknowledge", seen="999")
        assert "Anna Provberg tog hand om det" in (await patient.get("/me")).text


async def test_a_failed_measurement_is_told_in_words_and_never_as_a_number(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", None)
    async with browse("marta") as client:
        text = (await client.get("/me")).text
    assert "Mätningen misslyckades. Vila fem minuter och försök igen." in text
    assert "2047" not in text
    async with browse("anna") as client:
        nurse = (await client.get(f"/patients/{world.patient('marta')}")).text
    assert "Mätningen misslyckades" in nurse


async def test_a_database_that_is_away_is_told_with_comfort(world: World, browse: Login) -> None:
    async with browse("anna") as client:
        await client._transport.app.state.services.pool.close()  # type: ignore[attr-defined]
        answer = await client.get("/")
        ready = await client.get("/readyz")
        alive = await client.get("/livez")
    assert answer.status_code == 503
    assert "Inga värden går förlorade" in answer.text
    assert (ready.status_code, alive.status_code) == (503, 200)


def test_every_outcome_and_event_has_its_words() -> None:
    assert set(pages.OUTCOMES) == set(Outcome)
    for event in Event:
        entry = Entry(1, "limit:blood_pressure", NOW, event, None, None, {})
        assert pages.said(entry).removeprefix("Blodtryck: ") != event


def test_steps_that_find_nobody_in_one_moment_are_told_once() -> None:
    def entry(event: str, seconds: int) -> Entry:
        return Entry(
            1, "limit:blood_pressure", NOW - timedelta(seconds=seconds), event, None, None, {}
        )

    nobody, opened = Event.NOBODY_TO_NOTIFY, Event.OPENED
    told = pages.gathered(
        [
            entry(nobody, 0),
            entry(nobody, 0),
            entry(nobody, 90),
            entry(opened, 90),
            entry(nobody, 91),
        ]
    )
    assert [one.event for one, _ in told] == [nobody, nobody, opened, nobody]
    assert "Ingen i detta steg" in told[0][1]


async def test_a_failure_of_ours_has_the_headers_of_every_page(
    world: World, app: FastAPI, browse: Login
) -> None:
    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async with browse(None) as client:
        answer = await client.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"


async def test_a_taken_alert_is_no_comfort_while_another_is_open(
    world: World, browse: Login
) -> None:
    await world.measure_soon("marta", {W: 79.0})
    async with browse("marta") as patient, browse("anna") as nurse:
        await nurse.submit(f"/alerts/{world.alert('marta')}/acknowledge", seen="999")
        assert "tog hand om det" in (await patient.get("/me")).text
        await world.measure_soon("marta", {S: 192.0, D: 112.0})
        assert "tog hand om det" not in (await patient.get("/me")).text


async def test_a_value_that_came_since_is_not_said_to_be_seen(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 165.0, D: 80.0}, ago=timedelta(hours=1))
    async with browse("marta") as patient, browse("anna") as nurse:
        await nurse.get("/")
        assert "visat för Anna Provberg" in (await patient.get("/me")).text
        await world.measure_soon("marta", {S: 192.0, D: 112.0})
        assert "visat för" not in (await patient.get("/me")).text


async def test_values_without_a_plan_are_not_said_to_be_within_limits(
    world: World, browse: Login
) -> None:
    world.connection.execute("delete from plan_limit")
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    async with browse("marta") as client:
        text = (await client.get("/me")).text
    assert "Dagens värden har kommit fram." in text
    assert "inom dina gränser" not in text


async def test_a_doubt_of_the_clock_is_no_doubt_of_the_value(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 128.0, D: 76.0})
    world.connection.execute(
        "update reading set suspicion = %s", [int(plausibility.Suspicion.CLOCK_OFF)]
    )
    world.connection.execute(
        "update sample set suspicion = %s", [int(plausibility.Suspicion.CLOCK_OFF)]
    )
    async with browse("marta") as patient, browse("anna") as nurse:
        texts = [
            (await patient.get("/me")).text,
            (await nurse.get(f"/patients/{world.patient('marta')}")).text,
        ]
    assert "ovanligt" not in texts[0]
    assert "Ovanligt värde" not in texts[1]
    assert 'class="suspect"' not in texts[1]


async def test_what_was_taken_on_another_day_says_which(world: World, browse: Login) -> None:
    await world.measure_soon("sven", {S: 192.0, D: 112.0})
    path = f"/alerts/{world.alert('sven')}/acknowledge"
    async with browse("eva") as eva, browse("anna") as anna:
        await eva.submit(path, seen="999")
        world.connection.execute("update alert_case set acknowledged_at = now() - interval '25 h'")
        assert re.search(
            r"tog larmet (i går|\w+ \d+ \w+)", (await anna.submit(path, seen="999")).text
        )
        assert re.search(r"tog det (i går|\w+ \d+ \w+)", (await anna.get("/")).text)


async def test_a_failed_measurement_does_not_count_as_measured(world: World, browse: Login) -> None:
    await world.measure_soon("marta", None)
    async with browse("anna") as client:
        assert "senast mätt" not in (await client.get("/")).text


async def test_a_plan_that_is_not_in_force_yet_gives_no_advice(world: World, browse: Login) -> None:
    world.connection.execute(
        "with later as (insert into plan_version (patient_id, in_force_from, agreed_how) "
        "values (%s, now() + interval '1 day', 'sedan') returning plan_version_id) "
        "insert into plan_advice select plan_version_id, 'Senare.', 'Senare.', 'Senare.' "
        "from later",
        [world.patient("marta")],
    )
    async with browse("marta") as client:
        text = (await client.get("/me")).text
    assert "Mät som vanligt" in text
    assert "Senare." not in text


async def test_a_failed_measurement_is_not_shown_as_green(world: World, browse: Login) -> None:
    await world.measure_soon("marta", None)
    async with browse("marta") as client:
        assert 'class="card today"' in (await client.get("/me")).text
