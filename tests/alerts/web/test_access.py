"""Every route, for everybody: who may, who must log in, and for whom it does not exist."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from tests.alerts.conftest import Login
from tests.alerts.world import GATEWAY, D, S, World

ROLES = ("anonymous", "other nurse", "patient", "owner", "technician")
USERS = {
    "anonymous": None,
    "other nurse": "lisa",
    "patient": "ingrid",
    "owner": "anna",
    "technician": "tove",
}

LOGIN, NONE = 303, 404
# What each role is answered about Märta, whose contact is Anna. An address that the application
# has and that is not here fails the test below.
MATRIX: dict[tuple[str, str], tuple[int, ...]] = {
    ("GET", "/livez"): (200, 200, 200, 200, 200),
    ("GET", "/readyz"): (200, 200, 200, 200, 200),
    ("GET", "/login"): (200, 200, 200, 200, 200),
    ("POST", "/login"): (403, 403, 403, 403, 403),  # without the form's own token
    # Nobody is between two steps of a login here, and there is no identity provider.
    ("GET", "/login/kod"): (303, 303, 303, 303, 303),
    ("POST", "/login/kod"): (403, 403, 403, 403, 403),
    ("GET", "/login/kod/ny"): (303, 303, 303, 303, 303),
    ("POST", "/login/kod/ny"): (303, 303, 303, 303, 303),
    ("GET", "/login/oidc"): (NONE, NONE, NONE, NONE, NONE),
    ("GET", "/login/oidc/svar"): (NONE, NONE, NONE, NONE, NONE),
    ("GET", "/konto"): (LOGIN, 200, 200, 200, 200),
    ("POST", "/konto/kod"): (LOGIN, NONE, NONE, NONE, NONE),  # no codes can be kept here
    ("POST", "/konto/avsluta"): (LOGIN, 303, 303, 303, 303),
    ("POST", "/konto/avsluta-alla"): (LOGIN, 303, 303, 303, 303),
    ("GET", "/kanaler"): (LOGIN, 200, NONE, 200, NONE),
    ("POST", "/kanaler/{channel_id}/testa"): (LOGIN, NONE, NONE, NONE, NONE),  # nobody has any
    ("POST", "/kanaler/{channel_id}/kod"): (LOGIN, NONE, NONE, NONE, NONE),
    ("POST", "/logout"): (LOGIN, 303, 303, 303, 303),
    ("GET", "/"): (LOGIN, 200, 303, 200, 303),
    ("GET", "/patients/{patient_id}"): (LOGIN, NONE, NONE, 200, NONE),
    ("POST", "/alerts/{alert_id}/acknowledge"): (LOGIN, NONE, NONE, 303, NONE),
    ("POST", "/alerts/{alert_id}/close"): (LOGIN, NONE, NONE, 303, NONE),
    ("GET", "/me"): (LOGIN, NONE, 200, NONE, NONE),
    ("GET", "/narstaende"): (LOGIN, NONE, NONE, NONE, NONE),
    ("GET", "/nodatkomst"): (LOGIN, 200, NONE, 200, NONE),
    ("POST", "/nodatkomst"): (LOGIN, 422, NONE, 422, NONE),
    ("GET", "/events"): (401, 200, NONE, 200, NONE),
    # For the provider of SMS, which proves itself in the address; none is set up here.
    ("POST", "/delivery/sms/{attempt_id}/{token}"): (NONE, NONE, NONE, NONE, NONE),
    # For boxes, which prove themselves in the request; this application enrols none.
    ("POST", "/enrol"): (NONE, NONE, NONE, NONE, NONE),
    ("POST", "/enrol/renew"): (NONE, NONE, NONE, NONE, NONE),
    ("GET", "/teknik"): (LOGIN, NONE, NONE, NONE, 200),
    ("POST", "/teknik/koder"): (LOGIN, NONE, NONE, NONE, NONE),  # no gateway is enrolled here
    ("GET", "/teknik/{gateway_id}"): (LOGIN, NONE, NONE, NONE, 200),
    ("GET", "/teknik/{gateway_id}/nu"): (LOGIN, NONE, NONE, NONE, 200),
    # A fault that there is not: the technician is told so on her list.
    ("POST", "/teknik/fel/{technical_id}/ta"): (LOGIN, NONE, NONE, NONE, 303),
    ("POST", "/teknik/fel/{technical_id}/lamna"): (LOGIN, NONE, NONE, NONE, 303),
    ("POST", "/teknik/fel/{technical_id}/klart"): (LOGIN, NONE, NONE, NONE, 303),
    # Forms with nothing in them.
    ("POST", "/teknik/{gateway_id}/matare"): (LOGIN, NONE, NONE, NONE, 409),
    ("POST", "/teknik/{gateway_id}/retur"): (LOGIN, NONE, NONE, NONE, 409),
    ("POST", "/teknik/{gateway_id}/ihopparning"): (LOGIN, NONE, NONE, NONE, 409),
    ("POST", "/teknik/{gateway_id}/nummer"): (LOGIN, NONE, NONE, NONE, 409),
    ("POST", "/teknik/{gateway_id}/avbryt"): (LOGIN, NONE, NONE, NONE, 409),
    ("GET", "/teknik/{gateway_id}/avstall"): (LOGIN, NONE, NONE, NONE, 200),
    ("POST", "/teknik/{gateway_id}/avstall"): (LOGIN, NONE, NONE, NONE, 422),
}


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and address of everything the application answers."""
    pending = list(app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/{{file}}"
            continue
        inner = getattr(route, "original_router", None)
        if inner is not None:
            pending += inner.routes
            continue
        for method in getattr(route, "methods", None) or ["?"]:
            yield method, getattr(route, "path", repr(route))


def test_every_route_is_listed_here(app: FastAPI) -> None:
    listed = {*MATRIX, ("GET", "/static/{file}")}
    assert set(routes(app)) == listed


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "path"), [key for key in MATRIX if key[1] != "/events"])
async def test_a_route_answers_each_role_as_listed(
    world: World, browse: Login, method: str, path: str, role: str
) -> None:
    await world.measure_soon("marta", {S: 192.0, D: 112.0})
    address = path.format(
        attempt_id=1,
        channel_id=1,
        token="0",
        patient_id=world.patient("marta"),
        alert_id=world.alert("marta"),
        gateway_id=GATEWAY,
        technical_id=999,
    )
    async with browse(USERS[role]) as client:
        if method == "GET":
            answer = await client.get(address)
        else:
            answer = await client.submit(address, outcome="contacted", seen="1000")
    assert answer.status_code == MATRIX[method, path][ROLES.index(role)]
    if answer.status_code == NONE or USERS[role] in (None, "tove"):
        for secret in ("Märta", "Provlind", "189001", "192/112"):
            assert secret not in answer.text
    state = world.one("select state from alert")
    if role == "owner" and method == "POST" and path.startswith("/alerts"):
        assert state != "open"
    else:
        assert state == "open"


@pytest.mark.parametrize("role", ["anonymous", "patient", "technician"])
async def test_a_stream_is_for_staff(browse: Login, role: str) -> None:
    async with browse(USERS[role]) as client:
        answer = await client.get("/events")
    assert answer.status_code == MATRIX["GET", "/events"][ROLES.index(role)]


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
