"""What is shown is logged first; what is shared is seen, as far as it goes and while it lasts."""

import re
from datetime import timedelta

import pytest
import structlog
from fastapi import FastAPI

from alerts.access import Scope
from alerts.audit.chain import listed_lately
from alerts.audit.verify import verify
from alerts.care import consent
from alerts.care.consent import Holder, How
from alerts.web import session
from alerts.web.routes.events import _look
from alerts.web.throttle import MISSED_PER_STAFF
from ingest import log
from ingest.settings import LogSettings
from tests.alerts.audit.people import People
from tests.alerts.conftest import Login, Pool, start_session
from tests.alerts.world import PATIENTS, D, S, W, World

NUMBER = PATIENTS["marta"][2]
WHY = "Hittad medvetslös hemma"


def entries(world: World) -> list[tuple[str, str, list[int]]]:
    """Return action, ground and patients of all that is logged, in order."""
    return [
        (action, ground, [patient_id] if patient_id else patient_ids)
        for action, ground, patient_id, patient_ids in world.rows(
            "select action, ground, patient_id, patient_ids from access_log order by at, number"
        )
    ]


def without_heads(world: World) -> None:
    """Let nothing be logged."""
    world.connection.execute("alter table access_chain disable trigger all")
    world.connection.execute("delete from access_chain")


async def test_a_list_is_one_entry_a_view_with_whom_it_shows(
    world: World, browse: Login, pool: Pool
) -> None:
    hers = sorted([world.patient("marta"), world.patient("kalle"), world.patient("sven")])
    async with browse("anna") as client:
        await client.get("/")
        await client.get("/")
        await client.get(f"/patients/{world.patient('marta')}")
        await client.get(f"/patients/{world.patient('olga')}")
        await client.get("/patients/999999")  # nobody: nothing to keep
    assert entries(world) == [
        ("worklist_seen", "relation", hers),
        ("worklist_seen", "relation", hers),
        ("patient_seen", "contact", [world.patient("marta")]),
        ("patient_seen", "denied", [world.patient("olga")]),
    ]
    async with pool.connection() as connection:
        assert (await verify(connection)).is_whole


async def test_a_list_that_shows_nobody_is_no_look(world: World, browse: Login) -> None:
    world.connection.execute("update person set unit_id = 2 where patient_id = 4")
    async with browse("eva") as client:
        assert (await client.get("/")).status_code == 200
    assert [action for action, *_ in entries(world)] == []


async def test_what_is_done_is_logged_with_what_came_of_it(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    alert = world.alert("marta")
    async with browse("anna") as client:
        await client.submit(f"/alerts/{alert}/acknowledge", seen="999")
        await client.submit(f"/alerts/{alert}/acknowledge", seen="999")
        await client.submit(f"/alerts/{alert}/close", outcome="contacted", seen="999")
    async with browse("lisa") as client:
        await client.submit(f"/alerts/{alert}/close", outcome="contacted", seen="999")
    said = world.rows(
        "select action, ground, detail->>'alert_id', detail->>'answer' from access_log "
        "where action like 'alert%%' order by at, number"
    )
    assert said == [
        ("alert_acknowledged", "contact", str(alert), "done"),
        ("alert_acknowledged", "contact", str(alert), "already_yours"),
        ("alert_closed", "contact", str(alert), "done"),
        ("alert_closed", "denied", None, None),
    ]


async def test_what_cannot_be_logged_is_neither_shown_nor_done(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    alert, marta = world.alert("marta"), world.patient("marta")
    without_heads(world)
    with structlog.testing.capture_logs() as lines:
        async with browse("anna") as client:
            answers = [
                await client.get("/"),
                await client.get(f"/patients/{marta}"),
                await client.submit(f"/alerts/{alert}/acknowledge", seen="999"),
                await client.submit(f"/alerts/{alert}/close", outcome="contacted", seen="999"),
            ]
        async with browse("marta") as client:
            answers.append(await client.get("/me"))
    assert [line["event"] for line in lines] == ["web.failed"] * 5
    for answer in answers:
        assert answer.status_code == 500
        assert "Märta" not in answer.text
    assert world.one("select state from alert") == "open"
    assert world.one("select count(*) from alert_log where event = 'acknowledged'") == 0


async def test_a_stream_logs_whom_the_page_has_not(world: World, pool: Pool, app: FastAPI) -> None:
    await world.measure_soon("ingrid", {S: 192.0, D: 112.0})
    services = app.state.services
    async with pool.connection() as connection:
        found = await session.find(connection, await start_session(pool, "lisa"))
    assert found is not None
    ingrid = world.patient("ingrid")
    _, sent = await _look(services, found, {}, whole=True)
    assert entries(world) == [("worklist_seen", "relation", [ingrid])]
    await _look(services, found, sent, whole=False)
    await _look(services, found, {}, whole=True)  # it broke, and begins anew
    assert len(entries(world)) == 1
    kalle = world.patient("kalle")
    world.connection.execute(
        "update care_contact set staff_id = %s where patient_id = %s", (world.staff("lisa"), kalle)
    )
    await world.measure_soon("kalle", {S: 192.0, D: 112.0})
    await _look(services, found, sent, whole=False)
    assert entries(world)[1:] == [("worklist_seen", "relation", [kalle])]
    async with pool.connection() as connection:
        lisa = world.staff("lisa")
        assert await listed_lately(connection, lisa, timedelta(minutes=5)) == {ingrid, kalle}
        assert await listed_lately(connection, lisa, timedelta()) == set()
        assert await listed_lately(connection, world.staff("anna"), timedelta(days=1)) == set()


def share(world: World, *scopes: str, unit: int | None = None, relative: int | None = None) -> None:
    world.connection.execute(
        "insert into consent (patient_id, unit_id, relative_id, scope, given_how) "
        "values (%s, %s, %s, %s, 'self')",
        (world.patient("marta"), unit, relative, list(scopes)),
    )


@pytest.mark.parametrize("scope", ["values", "alerts", "plan", "contact", "messages"])
async def test_a_unit_sees_the_part_that_is_shared_and_no_button(
    world: World, browse: Login, scope: str
) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    share(world, scope, unit=world.viewer("lisa").unit_id)
    async with browse("lisa") as client:
        text = (await client.get(f"/patients/{world.patient('marta')}")).text
        listed = (await client.get("/")).text
    assert ("<svg" in text) == (scope == "values")
    assert ("Mätvärdena delas inte" in text) == (scope != "values")
    assert (f'id="alert-{world.alert("marta")}"' in text) == (scope == "alerts")
    assert ("Larmen delas inte" in text) == (scope != "alerts")
    assert ("<dt>Plan</dt>" in text) == ("<dt>Diagnos</dt>" in text) == (scope == "plan")
    assert ("<dt>Fast vårdkontakt</dt>" in text) == (scope == "contact")
    assert "Inga öppna larm" not in text  # it would not be true
    assert "Du kan läsa men inte ändra" in text
    assert not re.search(r'action="/alerts', text)
    assert "Märta" not in listed  # the list is for those she cares for
    # To be seen from outside is not to be seen by who answers for her.
    assert world.one("select count(*) from alert_log where event = 'shown'") == 0


async def test_a_relative_sees_what_is_shared_until_it_is_revoked(
    world: World, browse: Login, pool: Pool
) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0, W: 75.8})
    make = People(world.dsn, world.connection)
    marta = world.viewer("marta")
    daughter = make.relative(marta)
    make.run(
        "insert into account (username, relative_id) values ('dotter', %s)", daughter.relative_id
    )
    share(world, "values", relative=daughter.relative_id)
    async with browse("dotter") as client:
        first = await client.get("/")
        assert (first.status_code, first.headers["location"]) == (303, "/narstaende")
        page = await client.get("/narstaende")
        assert page.status_code == 200
        for told, is_there in (
            ("Märta delar med dig", True),
            ("192/112", True),
            ("Provlind", False),
            ("1890", False),
            ("Anna Provberg", False),
            ("larm-heading", False),
            ("Planen", False),
        ):
            assert (told in page.text) == is_there, told
        async with pool.connection() as connection:
            holder = Holder(relative_id=daughter.relative_id)
            patient_id = world.patient("marta")
            for scopes in (["alerts"], ["plan"], ["contact"]):
                await consent.give(
                    connection,
                    marta,
                    patient_id,
                    holder,
                    [Scope(each) for each in scopes],
                    how=How.SELF,
                )
                text = (await client.get("/narstaende")).text
                assert ("192/112" in text) == (scopes == ["alerts"])  # why there is an alert
                assert ("ingen har tagit det" in text) == (scopes == ["alerts"])
                assert ("Planen" in text) == (scopes == ["plan"])
                assert ("Anna Provberg" in text) == (scopes == ["contact"])
            await consent.revoke(connection, marta, patient_id, holder)
        gone = await client.get("/narstaende")
    assert gone.status_code == 404
    assert "Ingen delar något med dig just nu" in gone.text
    assert "Märta" not in gone.text
    assert [(action, ground) for action, ground, _ in entries(world)] == [
        ("relative_page_seen", "relative"),
        *[("consent_given", "self"), ("relative_page_seen", "relative")] * 3,
        ("consent_revoked", "self"),
        ("relative_page_seen", "denied"),
    ]


async def test_in_an_emergency_a_patient_is_opened_to_read(world: World, browse: Login) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    marta = world.patient("marta")
    async with browse("lisa") as client:
        assert (await client.get(f"/patients/{marta}")).status_code == 404
        for number, why, code, told in (
            ("18900101", WHY, 422, "tolv siffror"),
            ("189001019803", WHY, 422, "Kontrollsiffran"),
            ("189001019802", "kort", 422, "Skriv varför"),
            ("189001019802", "\x00\x07 kort \u202e", 422, "Skriv varför"),
            ("199001012385", WHY, 404, "Ingen patient här"),
        ):
            answer = await client.submit("/nodatkomst", number=number, why=why)
            assert (answer.status_code, told in answer.text) == (code, True), answer.text
            assert number in answer.text  # what was typed is still there
        answer = await client.submit("/nodatkomst", number=NUMBER, why=f"{WHY}\x00\r\n{HOSTILE}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/patients/{marta}")
        page = await client.get(f"/patients/{marta}")
        assert page.status_code == 200
        assert "Nödåtkomst till" in page.text
        assert not re.search(r'action="/alerts', page.text)
        acting = await client.submit(f"/alerts/{world.alert('marta')}/acknowledge", seen="999")
        assert acting.status_code == 404
        again = await client.submit("/nodatkomst", number=NUMBER, why=WHY)
        assert again.status_code == 303
    assert world.one("select count(*) from emergency_access") == 1
    assert [(action, ground) for action, ground, _ in entries(world)] == [
        ("patient_seen", "denied"),
        ("emergency_missed", "emergency"),
        ("emergency_opened", "emergency"),
        ("patient_seen", "emergency"),
        ("alert_acknowledged", "denied"),
    ]


async def test_nobody_finds_out_who_is_a_patient_unseen_or_without_end(
    world: World, browse: Login
) -> None:
    nobodys = "199001012385"
    async with browse("lisa") as client:
        answers = [
            await client.submit("/nodatkomst", number=number, why="kort")
            for number in (NUMBER, nobodys)
        ]
        assert [answer.status_code for answer in answers] == [422, 422]
        assert len({answer.text.replace(NUMBER, nobodys) for answer in answers}) == 1
        codes = [
            (await client.submit("/nodatkomst", number=nobodys, why=WHY)).status_code
            for _ in range(MISSED_PER_STAFF + 1)
        ]
        assert codes == [404] * MISSED_PER_STAFF + [429]
        answer = await client.submit("/nodatkomst", number=NUMBER, why=WHY)
        assert (answer.status_code, "ring 112" in answer.text) == (429, True)
    async with browse("anna") as client:  # a colleague is let in
        answer = await client.submit("/nodatkomst", number=NUMBER, why=WHY)
        assert answer.status_code == 303
    missed = world.rows(
        "select staff_id, patient_id, detail from access_log where action = 'emergency_missed'"
    )
    assert missed == [(world.staff("lisa"), None, {})] * MISSED_PER_STAFF


HOSTILE = "<script>alert(1)</script>"


async def test_a_number_stands_in_no_address_and_no_log(
    world: World, browse: Login, capsys: pytest.CaptureFixture[str]
) -> None:
    log.set_up(LogSettings(format="json", level="debug"))
    try:
        async with browse("lisa") as client:
            answer = await client.submit("/nodatkomst", number=NUMBER, why=WHY)
        structlog.get_logger().warning("the.end")
    finally:
        structlog.reset_defaults()
    said = capsys.readouterr().err
    assert "the.end" in said  # what is logged comes here
    assert NUMBER not in answer.headers["location"]
    assert NUMBER not in said
    logged = world.rows("select row_to_json(l)::text from access_log l")
    assert not any(NUMBER in text or WHY in text for (text,) in logged)


async def test_a_patient_shares_changes_and_stops_on_her_own_page(
    world: World, browse: Login
) -> None:
    make = People(world.dsn, world.connection)
    marta = world.viewer("marta")
    daughter = make.relative(marta)
    make.run(
        "insert into account (username, relative_id) values ('dotter', %s)", daughter.relative_id
    )
    stranger = make.relative(world.viewer("ingrid"))
    share(world, "values", unit=world.viewer("lisa").unit_id)
    to_daughter = {"relative_id": str(daughter.relative_id)}
    async with browse("marta") as client, browse("dotter") as hers:
        page = (await client.get("/me/delning")).text
        assert "Ser ingenting nu" in page
        assert "Testköpings hälsocentral" in page
        for fields, code, told in (
            (to_daughter, 409, "Kryssa i"),
            ({**to_daughter, "scope": "values", "until": "2020-01-01"}, 409, "har redan varit"),
            ({**to_daughter, "scope": "allt"}, 422, ""),
            ({"relative_id": str(stranger.relative_id), "scope": "values"}, 409, "finns inte"),
            ({"relative_id": "9" * 30, "scope": "values"}, 422, ""),
        ):
            answer = await client.submit("/me/delning/dela", **fields)
            assert (answer.status_code, told in answer.text) == (code, True), fields
        assert (await hers.get("/narstaende")).status_code == 404
        for until in ("", "2999-12-31", "9999-12-31"):
            fields = {**to_daughter, "scope": "values", "until": until}
            answer = await client.submit("/me/delning/dela", **fields)
            assert answer.status_code == 303, answer.text
            assert answer.headers["location"] == "/me/delning?klart=delar"
            page = (await client.get("/me/delning?klart=delar")).text
            assert "Ser nu: mina värden" in page
            assert ("Till och med 2999-12-31" in page) == (until == "2999-12-31")
            assert (await hers.get("/narstaende")).status_code == 200
        for fields in (to_daughter, {"unit_id": str(world.viewer("lisa").unit_id)}):
            answer = await client.submit("/me/delning/sluta", **fields)
            assert answer.status_code == 303, answer.text
            assert answer.headers["location"] == "/me/delning?klart=slut"
            assert (await client.submit("/me/delning/sluta", **fields)).status_code == 409
        assert (await hers.get("/narstaende")).status_code == 404
    async with browse("lisa") as client:
        assert (await client.get(f"/patients/{world.patient('marta')}")).status_code == 404


async def test_a_patient_reads_who_has_looked_at_her(world: World, browse: Login) -> None:
    marta = world.patient("marta")
    async with browse("marta") as hers:
        assert "Ingen har tittat." in (await hers.get("/me/logg")).text
        for name in ("anna", "lisa"):
            async with browse(name) as client:
                await client.get("/")
                await client.get(f"/patients/{marta}")
        text = (await hers.get("/me/logg")).text
    lines = [
        " ".join(re.sub("<[^>]*>", " ", line).split()[3:])
        for line in re.findall(r"<li>(.*?)</li>", text, re.DOTALL)
    ]
    anna = "Anna Provberg, distriktssköterska, Provbyns hemsjukvård"
    assert lines == [
        "Lisa Testek, distriktssköterska, Testköpings hälsocentral öppnade din sida Nekades",
        f"{anna} öppnade din sida Din fasta vårdkontakt",
        f"{anna} såg dig i sin lista Deltar i din vård",
    ]
