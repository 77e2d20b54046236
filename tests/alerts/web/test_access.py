"""Who sees whom, as a browser finds out. Every route for everybody: ``test_route_matrix.py``."""

import pytest

from tests.alerts.audit.people import People
from tests.alerts.conftest import Login
from tests.alerts.world import PATIENTS, D, S, World


async def test_a_patient_sees_only_herself(world: World, browse: Login) -> None:
    await world.measure_soon("ingrid", {S: 128.0, D: 76.0})
    async with browse("ingrid") as client:
        page = await client.get("/me")
    assert "Ingrid" in page.text
    assert "128/76" in page.text
    for other in ("Märta", "Kalle", "Sven", "Olga"):
        assert other not in page.text


async def test_a_colleague_sees_a_patient_without_contact_and_no_other(
    world: World, browse: Login
) -> None:
    async with browse("eva") as client:
        answers = {
            key: (await client.get(f"/patients/{world.patient(key)}")).status_code
            for key in ("marta", "kalle", "ingrid", "sven", "olga")
        }
    assert answers == {"marta": 404, "kalle": 404, "ingrid": 404, "sven": 200, "olga": 404}


async def test_a_technician_sees_no_patient_not_even_those_of_her_unit(
    world: World, browse: Login
) -> None:
    async with browse("tove") as client:
        for key in ("marta", "sven"):
            assert (await client.get(f"/patients/{world.patient(key)}")).status_code == 404
        first = await client.get("/")
    assert first.headers["location"] == "/teknik"


@pytest.mark.parametrize("function", ["technician", "coordinator", "reviewer"])
async def test_who_gives_no_care_sees_no_patient_whatever_her_role_is_called(
    world: World, browse: Login, function: str
) -> None:
    make = People(world.dsn, world.connection)
    unit = world.viewer("anna").unit_id or 0
    hers = make.staff(unit, role="IT-ansvarig", functions=[function])
    make.run("insert into account (username, staff_id) values ('it', %s)", hers.staff_id)
    async with browse("it") as client:
        first = await client.get("/")
        sven = await client.get(f"/patients/{world.patient('sven')}")  # in her unit's queue
        olga = await client.submit(
            "/nodatkomst", number=PATIENTS["olga"][2], why="Hittad medvetslös"
        )
        technical = await client.get("/teknik")
    assert first.headers["location"] == ("/teknik" if function == "technician" else "/konto")
    assert (sven.status_code, olga.status_code) == (404, 404)
    assert technical.status_code == (200 if function == "technician" else 404)
    assert world.rows("select * from emergency_access") == []


async def test_who_gives_care_no_more_is_out_at_once_and_is_told_so(
    world: World, browse: Login
) -> None:
    address = f"/patients/{world.patient('marta')}"
    async with browse("anna") as client:
        assert (await client.get(address)).status_code == 200
        world.connection.execute("update staff_function set until_at = now()")
        assert (await client.get(address)).status_code == 404
        assert "vård ingår inte i ditt uppdrag" in (await client.get("/konto")).text


async def test_access_ends_with_the_relation(world: World, browse: Login) -> None:
    address = f"/patients/{world.patient('marta')}"
    async with browse("anna") as client:
        assert (await client.get(address)).status_code == 200
        world.connection.execute("update care_contact set staff_id = %s", [world.staff("lisa")])
        assert (await client.get(address)).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/patients/0",
        "/patients/-1",
        "/patients/x",
        "/patients/99999999999999999999999",
        "/patients/1?days=8",
        "/patients/1?days=x",
        "/nowhere",
        "/static/../app.py",
        "/docs",
        "/openapi.json",
    ],
)
async def test_an_address_that_leads_nowhere_is_a_page_that_says_so(
    browse: Login, path: str
) -> None:
    async with browse("lisa") as client:
        answer = await client.get(path)
    assert answer.status_code == 404
