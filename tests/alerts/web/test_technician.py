"""The technician's pages, without a browser: what stands there, and what never does."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

from alerts.enrolment import authority
from alerts.enrolment.registrar import Registrar
from devices.wire import PairingStep
from tests.alerts.conftest import Client, Login
from tests.alerts.gateways import STRAY, follow, register, say, stand, unwell
from tests.alerts.world import GATEWAY, PATIENTS, World, device

PAGE = f"/teknik/{GATEWAY}"


def text(html: str) -> str:
    """Return what a person reads: tags gone, space made even."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def read(client: Client, path: str) -> str:
    answer = await client.get(path)
    assert answer.status_code == 200, path
    return text(answer.text)


async def test_the_list_begins_with_what_is_most_urgent(world: World, browse: Login) -> None:
    await unwell(world)
    async with browse("tove") as client:
        page = await read(client, "/teknik")
    order = [page.index(name) for name in ("g-test", "g-tyst", "g-batteri", "g-ny", "g-frisk")]
    assert order == sorted(order)
    for told in (
        "Åtgärda 2",
        "Se till 2",
        "Fungerar 1",
        "Dosans minne är fullt. En mätning sparades inte.",
        "Dosan är tyst.",
        "12 i kö",
        "certifikat 9 dagar kvar",
        "aldrig hörd",
    ):
        assert told in page


async def test_a_gateways_page_tells_all_that_is_known(world: World, browse: Login) -> None:
    await unwell(world)
    async with browse("tove") as client:
        page = await read(client, PAGE)
    for told in (
        "Kö 12 mätningar väntar",
        "Program 2026.11.0",
        "9 dagar kvar",
        "Ledigt minne 812 MB",
        "Inställningar version 1 används",
        "Står hos 1 person",
        "Mätaren känner inte igen dosan längre.",
        "Dosan säger: something_newer.",
        "this version knows no model x",
        "/opt/light cannot be started",
        "Batteri 12 % ◆ lågt",
        "Gick 62 min före. Ställd",
        "Måste paras ihop igen",
        "◆ tyst länge",
        "Inte utlånad här.",
        "Bluetooth stängdes av och sattes på",
        "Lågt batteri, 12 %",
    ):
        assert told in page


async def test_no_page_of_the_technicians_names_a_patient(world: World, browse: Login) -> None:
    await unwell(world)
    await world.measure_soon("marta")
    secrets = [
        word
        for given, family, number, *_ in PATIENTS.values()
        for word in (given, family, number, number[:6], number[8:])
    ]
    async with browse("tove") as client:
        await client.submit(f"{PAGE}/ihopparning", model="beurer_bf")
        for path in ("/teknik", PAGE, f"{PAGE}/nu", f"{PAGE}/avstall", "/teknik/g-tyst"):
            html = (await client.get(path)).text
            assert [word for word in secrets if word in html] == [], path


async def test_a_device_is_lent_and_returned(world: World, browse: Login) -> None:
    stand(world, "marta")
    async with browse("tove") as client:
        lent = await client.submit(f"{PAGE}/matare", device=STRAY, model="mi_scale_v2")
        assert lent.headers["location"] == f"{PAGE}?klart=lent"
        page = await read(client, lent.headers["location"])
        assert "Mätaren är utlånad." in page
        assert "Xiaomi Mi Body Composition Scale (v2)" in page
        back = await client.submit(f"{PAGE}/retur", device=STRAY)
        assert back.headers["location"] == f"{PAGE}?klart=returned"
        assert f"Ja, lämna tillbaka {STRAY}" not in await read(client, PAGE)


async def test_what_was_typed_is_still_there_when_it_was_refused(
    world: World, browse: Login
) -> None:
    async with browse("tove") as client:
        answer = await client.submit(f"{PAGE}/matare", device='C4:6"<x>')
    assert answer.status_code == 409
    assert "Adressen stämmer inte." in answer.text
    assert 'value="C4:6&#34;&lt;x&gt;"' in answer.text
    assert answer.text.count('value="C4:6') == 1


async def test_the_address_of_a_pairing_that_was_refused_is_still_there(
    world: World, browse: Login
) -> None:
    async with browse("tove") as client:
        answer = await client.submit(f"{PAGE}/ihopparning", model="beurer_bf", device="C4:6<")
    assert answer.status_code == 409
    assert re.search(r'id="pair-device"[^>]* value="C4:6&lt;"', answer.text)
    assert answer.text.count('value="C4:6') == 1


async def test_a_pairing_is_followed_by_loading_the_page_again(world: World, browse: Login) -> None:
    await say(world)
    async with browse("tove") as client:
        asked = await client.submit(f"{PAGE}/ihopparning", model="beurer_bf")
        assert asked.status_code == 303
        page = await read(client, PAGE)
        assert "Väntar på att dosan svarar." in page
        assert "Gör så här: Ställ dig på vågen så att den vaknar" in page
        again = await client.submit(f"{PAGE}/ihopparning", model="beurer_bf")
        assert "En ihopparning pågår redan." in again.text

        await follow(world, PairingStep.PASSKEY, device_id=STRAY)
        assert "Mätaren visar ett nummer. Skriv in det här." in await read(client, PAGE)
        wrong = await client.submit(f"{PAGE}/nummer", passkey="7 siffror")
        assert "Numret har högst sex siffror." in wrong.text
        await client.submit(f"{PAGE}/nummer", passkey="123456")
        sent = await client.get(PAGE)
        assert "Numret är skickat. Vänta." in sent.text
        assert "123456" not in sent.text

        await follow(world, PairingStep.DONE, device_id=STRAY)
        page = await read(client, PAGE)
        assert "Mätaren är ihopparad och provmätningen kom fram." in page
        assert f"Låna ut {STRAY}" in page


async def test_a_pairing_that_failed_says_what_to_do(world: World, browse: Login) -> None:
    async with browse("tove") as client:
        await client.submit(f"{PAGE}/ihopparning", model="beurer_bf")
        await follow(world, PairingStep.FAILED, problem="wrong_passkey")
        assert "Numret stämde inte. Försök igen" in await read(client, PAGE)
        await client.submit(f"{PAGE}/ihopparning", model="beurer_bf")
        await client.submit(f"{PAGE}/avbryt")
        assert "Inte klart Avbrutet." in await read(client, PAGE)


async def test_a_silent_gateway_is_not_promised_to_answer(world: World, browse: Login) -> None:
    await unwell(world)
    async with browse("tove") as client:
        await client.submit("/teknik/g-tyst/ihopparning", model="beurer_bf")
        assert "Dosan hörs inte just nu." in await read(client, "/teknik/g-tyst")


async def test_a_gateway_is_revoked_only_when_it_is_meant(world: World, browse: Login) -> None:
    stand(world, "marta")
    async with browse("tove") as client:
        doubt = await client.submit(f"{PAGE}/avstall")
        assert doubt.status_code == 422
        assert "Kryssa i rutan först." in doubt.text
        assert world.one("select retired_at from gateway") is None
        sure = await client.submit(f"{PAGE}/avstall", sure="ja")
        assert sure.headers["location"] == "/teknik?klart=revoked"
        assert "Avställda dosor" in await read(client, "/teknik")
        page = await read(client, PAGE)
    assert "Dosan är avställd sedan" in page
    assert "Ställ av dosan …" not in page
    assert world.rows("select kind, (detail->>'staff_id')::bigint from gateway_event") == [
        ("revoked", world.staff("tove"))
    ]


async def test_what_was_lent_through_a_revoked_gateway_is_returned_on_its_page(
    world: World, browse: Login
) -> None:
    async with browse("tove") as client:
        await client.submit(f"{PAGE}/matare", device=STRAY)
        assert "1 mätare är utlånad här." in await read(client, f"{PAGE}/avstall")
        await client.submit(f"{PAGE}/avstall", sure="ja")
        assert f"Ja, lämna tillbaka {STRAY}" in await read(client, PAGE)
        back = await client.submit(f"{PAGE}/retur", device=STRAY)
        assert back.headers["location"] == f"{PAGE}?klart=returned"
        assert f"Ja, lämna tillbaka {STRAY}" not in await read(client, PAGE)


async def test_a_form_of_another_page_changes_nothing(world: World, browse: Login) -> None:
    async with browse("tove") as client:
        client.csrf = "wrong"
        for path in ("matare", "retur", "ihopparning", "nummer", "avbryt", "avstall"):
            answer = await client.submit(f"{PAGE}/{path}", device=STRAY, model="x", sure="ja")
            assert answer.status_code == 403, path
    assert world.one("select count(*) from gateway_event") == 0
    assert world.one("select retired_at from gateway") is None


@pytest.mark.parametrize("path", ["/teknik/nowhere", "/teknik/a%20b", "/teknik/nowhere/nu"])
async def test_a_gateway_that_is_not_there_is_a_page_that_is_not(browse: Login, path: str) -> None:
    async with browse("tove") as client:
        answer = await client.get(path)
    assert answer.status_code == 404
    assert "patient" not in answer.text  # it is no patient that was looked for


async def test_an_enrolment_code_is_shown_once(
    world: World, app: FastAPI, browse: Login, tmp_path: Path
) -> None:
    root = authority.create(tmp_path / "authority", datetime.now(UTC))
    registrar = Registrar(root, "mqtt.example", 8883, timedelta(days=90))
    app.state.services = replace(app.state.services, registrar=registrar)
    async with browse("tove") as client:
        fresh = await client.submit("/teknik/koder")
        code = re.search(r">((?:[0-9A-Z]{4}[ -]?){4})<", fresh.text)
        assert code is not None
        enrol = f"egenmonitor-gateway enrol --server {client.base_url}"
        assert f"<code>{enrol} --config /etc/egenmonitor/gateway.toml</code>" in fresh.text
        name = world.one("select gateway_id from enrolment_code")
        listed = await client.get("/teknik")
        assert name in listed.text
        assert code[1] not in listed.text
        again = await client.submit("/teknik/koder", gateway_id=GATEWAY)
        assert GATEWAY in again.text
        assert (await client.submit("/teknik/koder", gateway_id="g-nowhere")).status_code == 404
    assert world.rows("select kind from gateway_event") == [("code_made",)]


async def test_searching_finds_the_gateway_of_a_device(world: World, browse: Login) -> None:
    await unwell(world)
    async with browse("tove") as client:
        found = await read(client, f"/teknik?sok={device('marta')}")
        assert "g-test" in found
        assert "g-tyst" not in found
        assert "Ingen dosa hittades" in await read(client, "/teknik?sok=nowhere")


async def test_an_empty_fleet_says_what_to_do(world: World, browse: Login) -> None:
    register(world)
    world.connection.execute("update gateway set retired_at = now()")
    async with browse("tove") as client:
        assert "Inga dosor ännu" in await read(client, "/teknik")
