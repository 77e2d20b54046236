"""Logged out at the provider is logged out here, and the other way round: by who may say so."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from alerts.config import Local, LoginSettings, ProviderSettings, WebSettings
from alerts.signal import Hub
from alerts.web import session, throttle
from alerts.web.app import create_app
from alerts.web.oidc import Provider
from alerts.web.services import ServicesOf
from alerts.web.session import Method
from tests.alerts.conftest import Pool
from tests.alerts.login.liar import Claims, Liar, as_json
from tests.alerts.world import World

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture(scope="module")
def server() -> Iterator[Liar]:
    with Liar() as running:
        yield running


@pytest.fixture
def liar(server: Liar) -> Liar:
    """The server, honest until told otherwise."""
    server.key = ECKey.generate_key("P-256", {"kid": "first", "use": "sig"})
    server.replies.clear()
    server.asked.clear()
    return server


@pytest.fixture
async def provider(liar: Liar, tmp_path: Path) -> AsyncIterator[Provider]:
    secret = tmp_path / "secret"
    secret.write_text("a secret that both know")
    made = Provider(
        ProviderSettings(
            issuer=liar.issuer,
            client_id="egenmonitor",
            client_secret_file=secret,
            acr_values=("loa3",),
        ),
        "http://test",
    )
    yield made
    await made.close()


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def app(pool: Pool, provider: Provider, hub: Hub) -> FastAPI:
    """The application, with the provider beside its own accounts."""
    return create_app(
        ServicesOf(
            pool=pool,
            hub=hub,
            web=WebSettings(cookie_secure=False),
            hashing=anyio.CapacityLimiter(2),
            login=LoginSettings.model_construct(local=Local.ALL, provider=provider.settings),
            provider=provider,
        )
    )


@pytest.fixture(autouse=True)
async def sessions(world: World, pool: Pool, liar: Liar) -> None:
    """Anna is there twice by the provider and once by her password; Lisa once by the provider."""
    for username in ("anna", "lisa"):
        world.connection.execute(
            "update account set subject = %s where username = %s",
            (f"{liar.issuer} {username}", username),
        )
    for username, method, sid in (
        ("anna", Method.PROVIDER, "desk"),
        ("anna", Method.PROVIDER, "phone"),
        ("anna", Method.PASSWORD_CODE, ""),
        ("lisa", Method.PROVIDER, "ward"),
    ):
        account = world.one("select account_id from account where username = %s", username)
        async with pool.connection() as connection:
            await session.start(connection, account, method, "loa3", sid)


ALL = [("anna", ""), ("anna", "desk"), ("anna", "phone"), ("lisa", "ward")]


def there(world: World) -> list[tuple[Any, ...]]:
    return world.rows(
        "select username, provider_sid from login_session join account using (account_id)"
        " order by 1, 2"
    )


def honest(liar: Liar) -> Claims:
    now = int(time.time())
    return {
        "iss": liar.issuer,
        "aud": "egenmonitor",
        "iat": now,
        "exp": now + 120,
        "jti": "1",
        "sub": "anna",
        "events": {EVENT: {}},
    }


async def tell(app: FastAPI, token: str) -> int:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as provider:
        answer = await provider.post("/login/oidc/utloggad", data={"logout_token": token})
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code


@pytest.mark.parametrize(
    ("claims", "left"),
    [
        ({"sub": "anna"}, [("anna", ""), ("lisa", "ward")]),
        ({"sub": "anna", "sid": "desk"}, [("anna", ""), ("anna", "phone"), ("lisa", "ward")]),
        ({"sub": None, "sid": "desk"}, [("anna", ""), ("anna", "phone"), ("lisa", "ward")]),
        ({"sub": "anna", "sid": "ward"}, ALL),  # not hers
        ({"sub": "nobody"}, ALL),
        ({"sub": None, "sid": "nowhere"}, ALL),
        ({"aud": ["another", "egenmonitor"]}, [("anna", ""), ("lisa", "ward")]),
    ],
)
async def test_who_is_logged_out_there_is_so_here(
    world: World, app: FastAPI, liar: Liar, claims: Claims, left: list[Any]
) -> None:
    assert there(world) == ALL
    assert await tell(app, liar.signed({**honest(liar), **claims})) == 200
    assert there(world) == left


async def test_a_session_whose_number_there_is_unknown_ends_with_any_of_hers(
    world: World, app: FastAPI, liar: Liar
) -> None:
    world.connection.execute("update login_session set provider_sid = ''")
    assert await tell(app, liar.signed({**honest(liar), "sid": "desk"})) == 200
    assert there(world) == [("anna", ""), ("lisa", "")]
    assert world.one("select count(*) from login_session where method = 'password_code'") == 1


async def test_a_token_that_is_played_again_ends_nothing_that_began_later(
    world: World, app: FastAPI, liar: Liar
) -> None:
    token = liar.signed({**honest(liar), "iat": int(time.time()) - 100})
    world.connection.execute(
        "update login_session set started_at = now() - interval '2 minutes'"
        " where provider_sid = 'desk'"
    )
    assert await tell(app, token) == 200
    assert there(world) == [each for each in ALL if each != ("anna", "desk")]
    assert await tell(app, token) == 200
    assert len(there(world)) == 3


WRONG: dict[str, Claims] = {
    "for another": {"aud": "another"},
    "for nobody": {"aud": None},
    "by another": {"iss": "https://login.example"},
    "expired": {"exp": int(time.time()) - 120},
    "without end": {"exp": None},
    "of tomorrow": {"iat": int(time.time()) + 86400},
    "without events": {"events": None},
    "of another event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "an event that is no object": {"events": {EVENT: True}},
    "an ID token": {"nonce": "x"},
    "of nobody": {"sub": None, "sid": None},
    "of an odd name": {"sub": "anna\0"},
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_token_that_is_wrong_ends_nothing(
    world: World, app: FastAPI, liar: Liar, name: str
) -> None:
    claims = {**honest(liar), **WRONG[name]}
    token = liar.signed({key: value for key, value in claims.items() if value is not None})
    assert await tell(app, token) == 400
    assert there(world) == ALL


async def test_who_has_not_the_providers_key_ends_nothing(
    world: World, app: FastAPI, liar: Liar
) -> None:
    claims = honest(liar)
    other = ECKey.generate_key("P-256", {"kid": "first", "use": "sig"})
    known = OctKey.import_key("a secret that both know")
    for token in (
        jwt.encode({"alg": "ES256", "kid": "first"}, claims, other),
        jwt.encode({"alg": "HS256"}, claims, known),
        "e30.e30.",
        "",
        "å" * 100,
    ):
        assert await tell(app, token) == 400
    assert there(world) == ALL


async def test_guesses_have_an_end_and_what_is_believed_does_not_count(
    world: World, app: FastAPI, liar: Liar
) -> None:
    world.connection.execute(
        "insert into login_failure (key) select %s from generate_series(1, %s)",
        [next(iter(throttle.of_provider("127.0.0.1"))), throttle.PROVIDER_PER_ADDRESS - 1],
    )
    for _ in range(2):
        assert await tell(app, liar.signed(honest(liar))) == 200
    assert await tell(app, "x") == 400
    assert await tell(app, liar.signed(honest(liar))) == 429


async def test_a_provider_that_is_away_is_told_to_come_again(
    world: World, app: FastAPI, liar: Liar
) -> None:
    liar.replies["/keys"] = lambda: as_json({"error": "away"}, 503)
    assert await tell(app, liar.signed(honest(liar))) == 503
    assert there(world) == ALL


async def leave(world: World, app: FastAPI, pool: Pool, method: Method) -> httpx.Response:
    """Log out in a browser that logged in that way."""
    account = world.one("select account_id from account where username = 'anna'")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as desk:
        async with pool.connection() as connection:
            token = await session.start(connection, account, method)
            found = await session.find(connection, token)
        assert found is not None
        desk.cookies.set("session", token)
        answer = await desk.post("/logout", data={"csrf": found.csrf_token})
        assert 'session=""' in answer.headers["set-cookie"]
    assert there(world) == ALL
    return answer


async def test_who_came_by_the_provider_is_led_there_to_log_out(
    world: World, app: FastAPI, pool: Pool, liar: Liar
) -> None:
    answer = await leave(world, app, pool, Method.PROVIDER)
    address = (
        f"{liar.issuer}/end?of=1&amp;client_id=egenmonitor&amp;"
        "post_logout_redirect_uri=http%3A%2F%2Ftest%2Flogin&amp;ui_locales=sv"
    )
    assert f'content="0; url={address}"' in answer.text
    assert f'href="{address}"' in answer.text


async def test_who_came_by_a_password_is_not(
    world: World, app: FastAPI, pool: Pool, liar: Liar
) -> None:
    answer = await leave(world, app, pool, Method.PASSWORD_CODE)
    assert answer.headers["location"] == "/login"
    assert liar.asked == []


@pytest.mark.parametrize("is_away", [True, False])
async def test_a_provider_that_logs_nobody_out_is_said(
    world: World, app: FastAPI, pool: Pool, liar: Liar, is_away: bool
) -> None:
    told = {**liar.metadata(), "end_session_endpoint": ""}
    status = 503 if is_away else 200
    liar.replies["/.well-known/openid-configuration"] = lambda: as_json(told, status)
    answer = await leave(world, app, pool, Method.PROVIDER)
    assert answer.headers["location"] == "/login?kvar=1"
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as desk:
        assert "Stäng webbläsaren" in (await desk.get("/login?kvar=1")).text


async def test_open_streams_end_with_it(world: World, app: FastAPI, liar: Liar) -> None:
    account = world.one("select account_id from account where username = 'anna'")
    world.connection.execute("listen worklist")
    await tell(app, liar.signed(honest(liar)))
    told = [each.payload for each in world.connection.notifies(timeout=5, stop_after=1)]
    assert any(session.topic(account) in each for each in told)
