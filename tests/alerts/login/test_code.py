"""Local accounts: a password, then a one-time code; set up the first time, never by another."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pyotp
import pytest
import structlog
from fastapi import FastAPI

from alerts.config import Local, LoginSettings, SecondFactor, WebSettings
from alerts.signal import Hub
from alerts.totp import Seal
from alerts.web import throttle
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from tests.alerts.conftest import Pool
from tests.alerts.world import PASSWORD, World

Sites = Callable[..., FastAPI]


@pytest.fixture
def sites(pool: Pool) -> Sites:
    """Return an application with the login settings that a test names."""

    def site(
        local: Local = Local.ALL,
        second_factor: SecondFactor = SecondFactor.REQUIRED,
        key: str | None = "k" * 32,
    ) -> FastAPI:
        return create_app(
            ServicesOf(
                pool=pool,
                hub=Hub(),
                web=WebSettings(cookie_secure=False),
                hashing=anyio.CapacityLimiter(2),
                login=LoginSettings.model_construct(local=local, second_factor=second_factor),
                seal=Seal(key) if key else None,
            )
        )

    return site


def browser(site: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(site, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
async def client(sites: Sites) -> AsyncIterator[httpx.AsyncClient]:
    """A browser at a production site: passwords count, and a code is asked for."""
    async with browser(sites()) as opened:
        yield opened


async def password(
    client: httpx.AsyncClient, username: str = "anna", secret: str = PASSWORD, leads_to: str = "/"
) -> httpx.Response:
    await client.get("/login")
    said = {"username": username, "password": secret, "next": leads_to}
    return await client.post("/login", data={**said, "csrf": client.cookies["login"]})


async def submit(client: httpx.AsyncClient, path: str, code: str) -> httpx.Response:
    return await client.post(path, data={"code": code, "csrf": client.cookies.get("login", "")})


async def offered(client: httpx.AsyncClient) -> str:
    """Return the secret that the page shows."""
    page = await client.get("/login/kod/ny")
    shown = re.search(r'class="code"[^>]*>([A-Z2-7 ]+)<', page.text)
    assert shown, page.text
    return shown[1].replace(" ", "")


def code(world: World, secret: str, steps: int = 0) -> str:
    """Return the code of the database's now, so many steps later."""
    now = int(world.one("select extract(epoch from now())::bigint"))
    return pyotp.TOTP(secret).at(now + 30 * steps)


async def set_up(world: World, client: httpx.AsyncClient, username: str = "anna") -> str:
    """Set up codes as a person does, some minutes ago; return the secret that her app has."""
    await password(client, username)
    secret = await offered(client)
    answer = await submit(client, "/login/kod/ny", code(world, secret))
    assert answer.status_code == 200, answer.text
    world.connection.execute("update account set totp_last_step = totp_last_step - 10")
    return secret


def sessions(world: World) -> int:
    return int(world.one("select count(*) from login_session"))


async def test_the_first_time_she_sets_up_codes_and_is_in(
    world: World, client: httpx.AsyncClient
) -> None:
    answer = await password(client, leads_to="/patients/7")
    assert answer.headers["location"] == "/login/kod/ny"
    assert "session" not in client.cookies
    secret = await offered(client)
    link = f'href="otpauth://totp/Egenmonitorering:anna?secret={secret}&amp;'
    assert link in (await client.get("/login/kod/ny")).text
    assert sessions(world) == 0
    wrong = await submit(client, "/login/kod/ny", code(world, secret, 10))
    assert (wrong.status_code, "Koden stämmer inte" in wrong.text) == (401, True)
    assert await offered(client) == secret  # the app that has read it still counts
    answer = await submit(client, "/login/kod/ny", code(world, secret))
    assert (answer.status_code, 'href="/patients/7"' in answer.text) == (200, True)
    assert world.one("select method from login_session") == "password_code"
    kept = world.one("select totp_secret from account where username = 'anna'")
    assert secret not in kept
    assert world.one("select count(*) from login_step") == 0


async def test_afterwards_a_password_leads_to_the_code_and_no_further(
    world: World, client: httpx.AsyncClient, sites: Sites
) -> None:
    secret = await set_up(world, client)
    async with browser(sites()) as desk:
        answer = await password(desk)
        assert answer.headers["location"] == "/login/kod"
        assert (await desk.get("/")).headers["location"].startswith("/login")
        # The page that shows a secret shows none to who has one.
        assert (await desk.get("/login/kod/ny")).status_code == 303
        shown = code(world, secret)
        assert (await submit(desk, "/login/kod", shown)).status_code == 303
        assert "Anna Provberg" in (await desk.get("/")).text
        # The step is over: the same cookie and a fresh code lead nowhere.
        again = await submit(desk, "/login/kod", code(world, secret, 1))
        assert again.status_code == 403
    async with browser(sites()) as desk:
        await password(desk)
        await desk.get("/login/kod")
        assert (await submit(desk, "/login/kod", shown)).status_code == 401  # counts once
    assert sessions(world) == 2


async def test_where_codes_are_offered_who_has_one_is_still_asked(
    world: World, client: httpx.AsyncClient, sites: Sites
) -> None:
    await set_up(world, client)
    async with browser(sites(second_factor=SecondFactor.OFFERED)) as desk:
        assert (await password(desk)).headers["location"] == "/login/kod"
        assert (await password(desk, "lisa")).headers["location"] == "/"


async def test_codes_are_guessed_five_times_from_wherever(
    world: World, client: httpx.AsyncClient, sites: Sites
) -> None:
    secret = await set_up(world, client)
    site = sites()
    for _ in range(throttle.PER_ACCOUNT):
        async with browser(site) as guesser:  # a new login for each guess is no way round
            await password(guesser)
            assert (await submit(guesser, "/login/kod", "000000")).status_code == 401
    async with browser(site) as guesser:
        await password(guesser)
        refused = await submit(guesser, "/login/kod", code(world, secret))
        assert refused.status_code == 429
        assert "Vänta 15 minuter" in refused.text
        world.connection.execute("update login_failure set at = at - interval '15 minutes'")
        assert (await submit(guesser, "/login/kod", code(world, secret))).status_code == 303


async def test_of_two_at_once_with_one_code_one_is_in(
    world: World, client: httpx.AsyncClient, sites: Sites
) -> None:
    secret = await set_up(world, client)
    site = sites()
    async with browser(site) as one, browser(site) as other:
        for desk in (one, other):
            await password(desk)
            await desk.get("/login/kod")
        shown = code(world, secret)
        answers = await asyncio.gather(
            *(submit(desk, "/login/kod", shown) for desk in (one, other, one, other))
        )
    assert sorted(answer.status_code for answer in answers).count(303) >= 1
    assert sessions(world) == 2  # of the first login, and of one of these


async def test_of_two_who_set_up_at_once_one_does(world: World, sites: Sites) -> None:
    site = sites()
    async with browser(site) as one, browser(site) as other:
        secrets = []
        for desk in (one, other):
            await password(desk)
            secrets.append(await offered(desk))
        assert secrets[0] != secrets[1]
        await asyncio.gather(
            *(
                submit(desk, "/login/kod/ny", code(world, secret))
                for desk, secret in zip((one, other), secrets, strict=True)
            )
        )
    assert sessions(world) == 1
    assert world.one("select count(*) from account where totp_secret is not null") == 1


async def test_setting_up_logs_out_whoever_had_the_password_alone(
    world: World, sites: Sites
) -> None:
    async with browser(sites(second_factor=SecondFactor.OFFERED)) as desk:
        async with browser(sites(second_factor=SecondFactor.OFFERED)) as thief:
            await password(thief)
            await password(desk)
            page = await desk.get("/konto")
            csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
            assert csrf
            assert "Skaffa engångskod" in page.text
            sent = await desk.post("/konto/kod", data={"csrf": csrf[1]})
            assert sent.headers["location"] == "/login/kod/ny"
            secret = await offered(desk)
            await submit(desk, "/login/kod/ny", code(world, secret))
            assert (await thief.get("/")).status_code == 303
        page = await desk.get("/konto")
        assert "Skaffa engångskod" not in page.text
        assert "lösenord och engångskod" in page.text
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf
        assert (await desk.post("/konto/kod", data={"csrf": csrf[1]})).status_code == 404


async def test_a_step_is_over_after_ten_minutes_and_belongs_to_one_browser(
    world: World, client: httpx.AsyncClient, sites: Sites
) -> None:
    await password(client)
    async with browser(sites()) as other:
        await other.get("/login")
        for path in ("/login/kod", "/login/kod/ny"):
            assert (await other.get(path)).headers["location"] == "/login?expired=1"
            assert (await submit(other, path, "000000")).status_code == 303
    world.connection.execute("update login_step set began_at = now() - interval '10 minutes'")
    assert (await client.get("/login/kod/ny")).headers["location"] == "/login?expired=1"


async def test_a_form_without_its_token_does_nothing(
    world: World, client: httpx.AsyncClient
) -> None:
    await password(client)
    secret = await offered(client)
    for csrf in ("", "another", "å"):
        said = {"code": code(world, secret), "csrf": csrf}
        assert (await client.post("/login/kod/ny", data=said)).status_code == 403
    assert sessions(world) == 0
    assert world.one("select count(*) from account where totp_secret is not null") == 0


@pytest.mark.parametrize("key", ["another key, of thirty-two signs", None])
async def test_a_code_that_cannot_be_checked_is_our_fault_and_lets_nobody_in(
    world: World, client: httpx.AsyncClient, sites: Sites, key: str | None
) -> None:
    secret = await set_up(world, client)
    async with browser(sites(key=key)) as desk:
        await password(desk)
        await desk.get("/login/kod")
        with structlog.testing.capture_logs() as log:
            answer = await submit(desk, "/login/kod", code(world, secret))
    assert answer.status_code == 500
    assert "fel hos oss, inte hos dig" in answer.text
    assert [(entry["event"], set(entry)) for entry in log] == [
        ("login.code_unreadable", {"event", "log_level", "account"})
    ]
    assert sessions(world) == 1


async def test_whose_passwords_count_is_told_by_the_configuration(
    world: World, sites: Sites
) -> None:
    def patients() -> Any:
        return browser(sites(local=Local.PATIENTS, second_factor=SecondFactor.OFFERED))

    async with patients() as desk:
        page = await desk.get("/login")
        assert "Lösenord är för patienter och närstående" in page.text
        refused = await password(desk, "anna")
        assert (refused.status_code, "session" in desk.cookies) == (401, False)
        assert "Användarnamnet eller lösenordet stämmer inte" in refused.text
        assert (await password(desk, "marta")).status_code == 303
    async with browser(sites(local=Local.OFF)) as desk:
        page = await desk.get("/login")
        assert "Ingen kan logga in här än" in page.text
        assert "password" not in page.text
        assert (await password(desk, "marta")).status_code == 403
    assert sessions(world) == 1


@pytest.mark.parametrize("username", ["anna", "marta"])
async def test_an_account_without_a_password_is_not_entered_by_one(
    world: World, client: httpx.AsyncClient, username: str
) -> None:
    world.connection.execute("update account set password_hash = null")
    for secret in ("", PASSWORD, "None"):
        assert (await password(client, username, secret)).status_code == 401


async def test_who_has_left_has_no_login_at_any_step(
    world: World, client: httpx.AsyncClient, sites: Sites
) -> None:
    secret = await set_up(world, client)
    async with browser(sites()) as desk:
        await password(desk)
        await desk.get("/login/kod")
        world.connection.execute("update staff set ended_at = now()")
        answer = await submit(desk, "/login/kod", code(world, secret))
        assert answer.headers["location"] == "/login?expired=1"
        assert (await password(desk)).status_code == 401
    assert (await client.get("/konto")).status_code == 303


async def test_logging_in_anew_ends_what_the_browser_had_before(world: World, sites: Sites) -> None:
    async with browser(sites(second_factor=SecondFactor.OFFERED)) as desk:
        await password(desk, "anna")
        before = desk.cookies["session"]
        await password(desk, "lisa")
        assert desk.cookies["session"] != before
        assert "Lisa Testek" in (await desk.get("/")).text
    assert sessions(world) == 1
