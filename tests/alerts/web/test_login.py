"""Logging in, being kept out, and being logged out."""

import asyncio
import re
from datetime import timedelta

import httpx
import pytest
from psycopg_pool import AsyncConnectionPool

from alerts import password
from alerts.web import session, throttle
from tests.alerts.conftest import Client, Login, Pool, start_session
from tests.alerts.world import PASSWORD, World


async def log_in(
    client: Client, username: str, secret: str = PASSWORD, **fields: str
) -> httpx.Response:
    form = await client.get("/login")
    token = re.search(r'name="csrf" value="([^"]+)"', form.text)
    assert token
    return await client.post(
        "/login",
        data={"username": username, "password": secret, "csrf": token[1], **fields},
    )


async def test_a_known_password_gives_a_session(world: World, browse: Login) -> None:
    async with browse(None) as client:
        answer = await log_in(client, " Anna ")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Arbetslista" in (await client.get("/")).text
        token = client.cookies["session"]
    kept = world.rows("select token_hash from login_session")
    assert len(kept) == 1
    assert token.encode() not in bytes(kept[0][0])


async def test_the_cookie_is_pinned_to_https_unless_told_otherwise(
    app: object, browse: Login
) -> None:
    async with browse(None) as client:
        services = client._transport.app.state.services  # type: ignore[attr-defined]
        secure = services.web.model_copy(update={"cookie_secure": True})
        object.__setattr__(services, "web", secure)
        answer = await client.get("/login")
    assert answer.headers["set-cookie"].startswith("__Host-login=")
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("username", ["anna", "nobody", "", "anna\x00", "å" * 64, "'; --"])
async def test_a_wrong_password_and_an_unknown_name_are_told_apart_by_nothing(
    browse: Login, username: str
) -> None:
    async with browse(None) as client:
        answer = await log_in(client, username, "fel lösenord")
    assert answer.status_code == 401
    assert "Användarnamnet eller lösenordet stämmer inte" in answer.text
    assert "session" not in client.cookies


async def test_an_unknown_name_costs_a_hash_too(
    browse: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    real = password.is_password

    def counted(secret: str, kept: str) -> bool:
        verified.append(kept)
        return real(secret, kept)

    monkeypatch.setattr(password, "is_password", counted)
    async with browse(None) as client:
        await log_in(client, "nobody", "fel lösenord")
    assert verified == [password.NOBODYS_HASH]


async def test_nobodys_hash_is_no_way_in(browse: Login) -> None:
    async with browse(None) as client:
        assert (await log_in(client, "nobody", PASSWORD)).status_code == 401


async def test_after_five_failures_even_the_right_password_must_wait(
    world: World, browse: Login
) -> None:
    async with browse(None) as client:
        for _ in range(throttle.PER_NAME_AND_ADDRESS):
            assert (await log_in(client, "anna", "fel lösenord")).status_code == 401
        kept_out = await log_in(client, "anna")
        assert kept_out.status_code == 429
        assert kept_out.headers["retry-after"] == "900"
        assert "Vänta 15 minuter" in kept_out.text
        assert (await log_in(client, "lisa")).status_code == 303
        world.connection.execute("update login_failure set at = at - interval '15 minutes'")
        assert (await log_in(client, "anna")).status_code == 303


async def test_guesses_at_once_are_counted_before_they_are_tried(world: World) -> None:
    async with AsyncConnectionPool(
        world.dsn, min_size=10, max_size=10, open=False, kwargs={"autocommit": True}
    ) as pool:

        async def guess() -> bool:
            async with pool.connection() as connection:
                return await throttle.admit(connection, "anna", "192.0.2.1")

        admitted = await asyncio.gather(*(guess() for _ in range(40)))
    assert sum(admitted) == throttle.PER_NAME_AND_ADDRESS


async def test_logging_in_forgives_ones_own_failures_only(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        for name in ("anna", "anna", "lisa"):
            assert await throttle.admit(connection, name, "192.0.2.1")
        await throttle.forgive(connection, "anna", "192.0.2.1")
    # Lisa's three keys, and Anna's first failure at the address and at her name.
    assert world.one("select count(*) from login_failure") == 5


async def test_one_address_cannot_try_every_name(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        admitted = [
            await throttle.admit(connection, f"name{number}", "192.0.2.1")
            for number in range(throttle.PER_ADDRESS + 5)
        ]
    assert sum(admitted) == throttle.PER_ADDRESS


async def test_many_addresses_cannot_guess_at_one_name_for_ever(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        admitted = [
            await throttle.admit(connection, "anna", f"192.0.2.{number}")
            for number in range(throttle.PER_NAME + 5)
        ]
    assert sum(admitted) == throttle.PER_NAME


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_login_form_from_elsewhere_is_refused(browse: Login, token: str) -> None:
    async with browse(None) as client:
        await client.get("/login")
        answer = await client.post(
            "/login", data={"username": "anna", "password": PASSWORD, "csrf": token}
        )
    assert answer.status_code == 403
    assert "session" not in client.cookies


@pytest.mark.parametrize("path", ["/logout", "/alerts/1/acknowledge", "/alerts/1/close"])
@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_form_from_elsewhere_changes_nothing(browse: Login, path: str, token: str) -> None:
    async with browse("anna") as client:
        answer = await client.post(path, data={"csrf": token, "outcome": "other", "seen": "0"})
        assert answer.status_code == 403
        assert "Inget har ändrats" in answer.text
        assert (await client.get("/")).status_code == 200


async def test_logging_out_ends_the_session_on_the_server(world: World, browse: Login) -> None:
    async with browse("anna") as client:
        token = client.cookies["session"]
        assert (await client.submit("/logout")).status_code == 303
        client.cookies.set("session", token)
        answer = await client.get("/")
    assert answer.headers["location"] == "/login?expired=1&next=/"
    assert world.one("select count(*) from login_session") == 0


@pytest.mark.parametrize(
    ("column", "limit"), [("seen_at", session.IDLE_MAX), ("started_at", session.AGE_MAX)]
)
async def test_a_session_ends_by_idling_and_by_age(
    world: World, pool: Pool, column: str, limit: timedelta
) -> None:
    token = await start_session(pool, "anna")
    async with pool.connection() as connection:
        for early, valid in ((timedelta(minutes=1), True), (timedelta(0), False)):
            world.connection.execute(
                f"update login_session set {column} = now() - %s".encode(), [limit - early]
            )
            if column == "started_at":
                world.connection.execute("update login_session set seen_at = now()")
            assert (await session.check(connection, session._hash(token)) is not None) is valid


async def test_use_keeps_a_session_alive_and_an_open_stream_does_not(
    world: World, pool: Pool
) -> None:
    token = await start_session(pool, "anna")
    world.connection.execute("update login_session set seen_at = now() - interval '30 min'")
    idle = "select now() - seen_at > interval '29 min' from login_session"
    async with pool.connection() as connection:
        await session.check(connection, session._hash(token))
        assert world.one(idle)
        await session.find(connection, token)
        assert not world.one(idle)


async def test_an_expired_session_leads_to_the_login_and_back(browse: Login) -> None:
    async with browse(None) as client:
        client.cookies.set("session", "gone")
        answer = await client.get("/patients/7?days=30")
        assert answer.headers["location"] == "/login?expired=1&next=/patients/7%3Fdays%3D30"
        page = await client.get(answer.headers["location"])
        assert "Du har loggats ut" in page.text
        landed = await log_in(client, "anna", next="/patients/7?days=30")
    assert landed.headers["location"] == "/patients/7?days=30"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "//[",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\nSet-Cookie: a=b",
        "evil",
        "",
    ],
)
async def test_a_login_never_leads_elsewhere(browse: Login, elsewhere: str) -> None:
    async with browse(None) as client:
        answer = await log_in(client, "anna", next=elsewhere)
    assert answer.headers["location"] == "/"
