"""Login by a real identity provider: who gets in, and who reads why not and what now."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import structlog
from fastapi import FastAPI

from alerts.config import Local, LoginSettings, ProviderSettings, WebSettings
from alerts.signal import Hub
from alerts.web import throttle
from alerts.web.app import create_app
from alerts.web.oidc import Provider
from alerts.web.services import ServicesOf
from simulator.embedded.child import free_port
from tests.alerts.conftest import Pool
from tests.alerts.login.provider import ASGI, SECRET, STRONG, WEAK, RealProvider, modules
from tests.alerts.world import PATIENTS, World

HSA_ID = "SE2120000000-ANNA"
PEOPLE = {
    "anna": {"hsa_id": HSA_ID},
    "marta": {"personal_number": PATIENTS["marta"][2]},
    "somebody": {},
    "odd": {"hsa_id": f"{HSA_ID}\0", "personal_number": "\0"},
    "two": {"hsa_id": HSA_ID, "personal_number": PATIENTS["marta"][2]},
}


@pytest.fixture(scope="module")
def real() -> Iterator[RealProvider]:
    with RealProvider(modules(), PEOPLE) as running:
        yield running


@pytest.fixture
def settings(real: RealProvider, tmp_path: Path) -> ProviderSettings:
    return real.settings(tmp_path, staff_claim="hsa_id", patient_claim="personal_number")


@pytest.fixture
async def provider(settings: ProviderSettings) -> AsyncIterator[Provider]:
    made = Provider(settings, ASGI)
    yield made
    await made.close()


@pytest.fixture
def site(pool: Pool, provider: Provider) -> FastAPI:
    """The application, with no way in but the provider."""
    return create_app(
        ServicesOf(
            pool=pool,
            hub=Hub(),
            web=WebSettings(cookie_secure=False),
            hashing=anyio.CapacityLimiter(2),
            login=LoginSettings(local=Local.OFF, provider=provider.settings),
            provider=provider,
        )
    )


@pytest.fixture
async def client(site: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(site) as opened:
        yield opened


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


def browser(site: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(site, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ASGI)


def subject(real: RealProvider, person: str) -> str:
    return f"{real.issuer} {person}"


def link(world: World, username: str, named: str) -> None:
    world.connection.execute(
        "update account set subject = %s where username = %s", (named, username)
    )


async def go(client: httpx.AsyncClient, leads_to: str = "/") -> str:
    """Press the button; return where the browser is sent."""
    page = await client.get("/login", params={"next": leads_to})
    assert "Logga in med e-legitimation" in page.text
    assert 'name="password"' not in page.text
    sent = await client.get("/login/oidc", params={"next": leads_to})
    assert sent.status_code == 303
    return sent.headers["location"]


async def log_in(
    client: httpx.AsyncClient, real: RealProvider, person: str, acr: str = STRONG, **more: Any
) -> httpx.Response:
    return await client.get(await real.visit(await go(client, **more), person, acr))


async def test_who_is_vouched_for_is_in_and_lands_where_she_was_going(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    link(world, "anna", subject(real, "anna"))
    answer = await log_in(client, real, "anna", leads_to="/patients/7?days=30")
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients/7?days=30")
    assert "Anna Provberg" in (await client.get("/")).text
    assert world.rows("select method, assurance from login_session") == [("provider", STRONG)]
    assert world.one("select count(*) from login_step") == 0
    assert "med e-legitimation" in (await client.get("/konto")).text


async def test_a_weak_login_is_refused_for_staff_and_links_nobody(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    link(world, "eva", subject(real, "somebody"))
    world.connection.execute("update staff set hsa_id = %s where name like 'Anna%%'", (HSA_ID,))
    for person in ("somebody", "anna"):
        for acr in (WEAK, ""):
            answer = await log_in(client, real, person, acr)
            assert answer.status_code == 403
            assert "Inloggningen var inte stark nog" in answer.text
            assert "tjänstekort med kod" in answer.text
    assert world.one("select count(*) from login_session") == 0
    assert world.one("select subject from account where username = 'anna'") is None


async def test_what_is_enough_for_a_patient_is_not_for_staff(
    world: World, real: RealProvider, client: httpx.AsyncClient, provider: Provider
) -> None:
    provider.settings = provider.settings.model_copy(update={"patient_acr_values": (WEAK,)})
    link(world, "anna", subject(real, "somebody"))
    assert (await log_in(client, real, "somebody", WEAK)).status_code == 403
    assert (await log_in(client, real, "marta", WEAK)).status_code == 303
    assert "God" in (await client.get("/me")).text
    # Who has told that she may only be known by her number is known for good.
    assert world.one("select subject from account where username = 'marta'") == subject(
        real, "marta"
    )


async def test_an_account_is_known_by_its_owners_number_once(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    world.connection.execute("update staff set hsa_id = %s where name like 'Anna%%'", (HSA_ID,))
    for person in ("two", "odd"):
        assert "Du har inget konto här" in (await log_in(client, real, person)).text
    assert (await log_in(client, real, "anna")).status_code == 303
    assert world.one("select subject from account where username = 'anna'") == subject(real, "anna")
    # The number leads to nobody else now; who has it by another identity is a stranger.
    link(world, "anna", subject(real, "another"))
    assert "Du har inget konto här" in (await log_in(client, real, "anna")).text


@pytest.mark.parametrize("ended", ["account", "staff"])
async def test_who_has_left_is_out_at_the_next_request_and_does_not_come_in_again(
    world: World, real: RealProvider, client: httpx.AsyncClient, ended: str
) -> None:
    link(world, "anna", subject(real, "anna"))
    assert (await log_in(client, real, "anna")).status_code == 303
    whose = f"update {ended} set ended_at = now() where staff_id = %s"
    world.connection.execute(whose.encode(), (world.staff("anna"),))
    assert (await client.get("/")).status_code == 303
    answer = await log_in(client, real, "anna")
    assert "Du har inget konto här" in answer.text
    assert "be din chef" in answer.text


async def test_an_answer_counts_once_in_its_own_browser_with_its_own_state(
    world: World, real: RealProvider, client: httpx.AsyncClient, site: FastAPI
) -> None:
    link(world, "anna", subject(real, "anna"))
    back = await real.visit(await go(client), "anna")
    forged = str(httpx.URL(back).copy_set_param("state", "another"))
    async with browser(site) as another:
        await go(another)  # has a login of its own begun
        nothing = "/login/oidc/svar"
        for who, address in (
            (another, back),
            (client, forged),
            (client, nothing),
            (client, f"{nothing}?state=%00"),
            (client, f"{nothing}?state=%C3%A5&code=%00"),
        ):
            refused = await who.get(address)
            assert refused.status_code == 403
            assert "gäller inte längre" in refused.text
    at_once = await asyncio.gather(*(client.get(back) for _ in range(4)))
    assert sorted(answer.status_code for answer in at_once) == [303, 403, 403, 403]
    assert world.one("select count(*) from login_session") == 1


async def test_an_answer_that_comes_too_late_is_refused(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    link(world, "anna", subject(real, "anna"))
    back = await real.visit(await go(client), "anna")
    world.connection.execute("update login_step set began_at = now() - interval '10 minutes'")
    assert "inom tio minuter" in (await client.get(back)).text
    await go(client)
    assert world.one("select count(*) from login_step") == 1  # the old one is cleared away


@pytest.mark.parametrize(
    ("column", "told"),
    [("nonce", "gick inte att lita på"), ("verifier", "gäller inte längre")],
)
async def test_a_token_for_another_login_and_a_code_of_another_are_refused(
    world: World, real: RealProvider, client: httpx.AsyncClient, column: str, told: str
) -> None:
    link(world, "anna", subject(real, "anna"))
    back = await real.visit(await go(client), "anna")
    world.connection.execute(f"update login_step set {column} = repeat('x', 43)".encode())
    answer = await client.get(back)
    assert (answer.status_code, told in answer.text) == (403, True)
    assert world.one("select count(*) from login_session") == 0


async def test_a_code_that_another_application_was_given_is_refused(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    link(world, "anna", subject(real, "anna"))
    there = str(httpx.URL(await go(client)).copy_set_param("client_id", "another"))
    answer = await client.get(await real.visit(there, "anna"))
    assert answer.status_code == 403
    assert world.one("select count(*) from login_session") == 0


async def test_the_provider_itself_demands_the_proof_and_a_new_login(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    link(world, "anna", subject(real, "anna"))
    bare = httpx.URL(await go(client)).copy_remove_param("code_challenge")
    back = await real.visit(str(bare.copy_remove_param("code_challenge_method")), "anna")
    assert "error=invalid_request" in back
    async with httpx.AsyncClient() as desk:  # one that another nurse has used
        await client.get(await real.visit(await go(client), "anna", browser=desk))
        proved = real.proved
        await real.visit(await go(client), "anna", browser=desk)
    assert real.proved == proved + 1


async def test_an_answer_in_the_name_of_another_provider_is_refused(
    world: World, real: RealProvider, client: httpx.AsyncClient
) -> None:
    link(world, "anna", subject(real, "anna"))
    back = httpx.URL(await real.visit(await go(client), "anna"))
    assert dict(back.params)["iss"] == real.issuer
    answer = await client.get(str(back.copy_set_param("iss", "https://login.example")))
    assert "gick inte att lita på" in answer.text
    assert world.one("select count(*) from login_session") == 0


async def test_who_says_no_at_the_provider_is_told_that_she_is_not_in(
    real: RealProvider, client: httpx.AsyncClient
) -> None:
    back = await real.visit(await go(client), "anna", answer="no")
    answer = await client.get(back)
    assert answer.status_code == 403
    assert "Inloggningen avbröts" in answer.text
    assert "she said no" not in answer.text


async def test_a_provider_that_is_away_is_said_so_and_nobodys_fault(
    client: httpx.AsyncClient, provider: Provider, log: list[Any]
) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    provider.settings = provider.settings.model_copy(update={"issuer": gone})
    answer = await client.get("/login/oidc")
    assert answer.status_code == 503
    assert "Inloggningstjänsten svarar inte" in answer.text
    assert "larm går ut som vanligt" in answer.text
    assert log == [
        {"event": "login.provider_away", "log_level": "error", "problem": "ConnectError"}
    ]


async def test_answers_that_are_not_believed_are_limited_and_logins_are_not(
    world: World, real: RealProvider, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    link(world, "anna", subject(real, "anna"))
    monkeypatch.setattr(throttle, "PROVIDER_PER_ADDRESS", 1)
    for _ in range(2):
        assert (await log_in(client, real, "anna")).status_code == 303
    assert (await log_in(client, real, "somebody")).status_code == 403
    answer = await log_in(client, real, "anna")
    assert answer.status_code == 429
    assert "Vänta 15 minuter" in answer.text


async def test_logs_and_addresses_carry_neither_secrets_nor_names(
    world: World, real: RealProvider, client: httpx.AsyncClient, log: list[Any]
) -> None:
    back = await real.visit(await go(client), "marta", WEAK)
    await client.get(back)
    await log_in(client, real, "marta")
    said = repr(log)
    assert [entry["event"] for entry in log] == [
        "login.refused",
        "login.linked",
        "login.done",
    ]
    params = dict(httpx.URL(back).params)
    for secret in (params["code"], params["state"], SECRET, PATIENTS["marta"][2], "marta"):
        assert secret not in said


async def test_a_password_is_no_way_in_where_passwords_are_off(
    world: World, client: httpx.AsyncClient
) -> None:
    await client.get("/login")
    answer = await client.post(
        "/login",
        data={"username": "anna", "password": "x", "csrf": client.cookies["login"]},
    )
    assert answer.status_code == 403
    assert "Här loggar ingen in med lösenord" in answer.text
