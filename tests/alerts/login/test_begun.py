"""A login that has begun: it ends with what it rests on; and how many there may be."""

import asyncio

import anyio
import httpx
import psycopg
import pytest
from fastapi import FastAPI

from alerts import password
from alerts.config import Local, LoginSettings, SecondFactor, WebSettings
from alerts.signal import Hub
from alerts.totp import Seal
from alerts.web import steps, throttle
from alerts.web.app import create_app
from alerts.web.oidc import begin
from alerts.web.routes import login
from alerts.web.services import ServicesOf
from tests.alerts.conftest import Login, Pool
from tests.alerts.login import test_code
from tests.alerts.world import World


@pytest.fixture
def hashing() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(2)


@pytest.fixture
def site(pool: Pool, hashing: anyio.CapacityLimiter) -> FastAPI:
    """A site where passwords count, and a code is offered."""
    return create_app(
        ServicesOf(
            pool=pool,
            hub=Hub(),
            web=WebSettings(cookie_secure=False),
            hashing=hashing,
            login=LoginSettings.model_construct(
                local=Local.ALL, second_factor=SecondFactor.OFFERED
            ),
            seal=Seal("k" * 32),
        )
    )


@pytest.fixture
def app(site: FastAPI) -> FastAPI:
    """What ``browse`` visits."""
    return site


def begun(world: World) -> int:
    return int(world.one("select count(*) from login_step"))


@pytest.mark.parametrize("path", ["/logout", "/konto/avsluta-alla"])
async def test_who_logs_out_leaves_no_half_login_behind(
    world: World, browse: Login, path: str
) -> None:
    async with browse("anna") as desk, browse("lisa") as hers:
        for each in (desk, hers):
            sent = await each.submit("/konto/kod")
            assert sent.headers["location"] == "/login/kod/ny"
        secret = await test_code.offered(desk)
        await desk.submit(path)
        # Whoever is at the desk next sees no secret of hers, and sets up no code that leads in.
        answer = await test_code.submit(desk, "/login/kod/ny", test_code.code(world, secret))
        assert answer.headers["location"] == "/login?expired=1"
        assert (await desk.get("/login/kod/ny")).headers["location"] == "/login?expired=1"
        await test_code.offered(hers)
    assert begun(world) == 1


async def test_who_ends_a_login_that_is_not_hers_ends_what_it_began(
    world: World, browse: Login, pool: Pool
) -> None:
    async with browse("anna") as thief, browse("anna") as mine:
        await thief.submit("/konto/kod")
        handle = world.one(
            "select encode(substring(sha256(token_hash) for 12), 'hex') from login_session"
            " order by started_at limit 1"
        )
        await mine.submit("/konto/avsluta", handle=handle)
        assert (await thief.get("/login/kod/ny")).headers["location"] == "/login?expired=1"


@pytest.mark.parametrize("has_code", [True, False])
async def test_a_password_that_is_changed_while_it_is_looked_at_lets_nobody_in(
    world: World, site: FastAPI, monkeypatch: pytest.MonkeyPatch, has_code: bool
) -> None:
    if has_code:
        world.connection.execute(
            "update account set totp_secret = '1:x', totp_confirmed_at = now()"
        )
    really = password.is_password

    def slowly(secret: str, known: str) -> bool:
        world.connection.execute("update account set password_hash = 'another'")
        return really(secret, known)

    monkeypatch.setattr(password, "is_password", slowly)
    async with test_code.browser(site) as desk:
        answer = await test_code.password(desk)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?expired=1")
    assert (begun(world), world.one("select count(*) from login_session")) == (0, 0)


async def test_who_is_logged_out_while_she_is_let_in_is_not_let_in(
    world: World, pool: Pool, site: FastAPI
) -> None:
    """The operator's transaction holds her account; her code comes meanwhile, and waits."""
    async with test_code.browser(site) as desk:
        secret = await set_up(world, desk)
        await desk.get("/login/kod")
        with psycopg.connect(world.dsn) as operator:
            operator.execute("select from account where username = 'anna' for update")
            coming = asyncio.create_task(
                test_code.submit(desk, "/login/kod", test_code.code(world, secret))
            )
            await waits(world)
            operator.execute("delete from login_step")
            operator.execute("delete from login_session")
        answer = await coming
    assert answer.headers["location"] == "/login?expired=1"
    assert world.one("select count(*) from login_session") == 0


async def set_up(world: World, desk: httpx.AsyncClient) -> str:
    """Leave the desk at the page that asks for the code."""
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    (account,) = world.rows("select account_id from account where username = 'anna'")[0]
    world.connection.execute(
        "update account set totp_secret = %s, totp_confirmed_at = now() where account_id = %s",
        [Seal("k" * 32).seal(secret, account), account],
    )
    assert (await test_code.password(desk)).headers["location"] == "/login/kod"
    return secret


async def waits(world: World) -> None:
    """Return when somebody waits for a lock of this database."""
    asked = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while not world.one(asked):  # noqa: ASYNC110 - the database does not tell
            await asyncio.sleep(0)


async def test_of_begun_logins_the_oldest_give_way(
    world: World, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool.connection() as connection:
        account = world.one("select account_id from account where username = 'anna'")
        for _ in range(steps.PER_ACCOUNT_MAX + 2):
            newest = await steps.keep_code(connection, account, "/", None)
        assert begun(world) == steps.PER_ACCOUNT_MAX
        assert await steps.find_code(connection, newest)
        world.connection.execute(
            "insert into login_step (token_hash, next_path, state, nonce, verifier, address_hash)"
            " select n::text::bytea, '/', 'x', 'x', 'x', %s from generate_series(1, %s) n",
            [throttle.of_address("2001:db8::1"), steps.PER_ADDRESS_MAX + 3],
        )
        await steps.keep_provider(connection, begin(), "/", "192.0.2.1")
        mine = begin()
        # The same subscriber of IPv6, whichever of his addresses he takes.
        token = await steps.keep_provider(connection, mine, "/", "2001:db8::ffff:1")
        assert begun(world) == steps.PER_ACCOUNT_MAX + steps.PER_ADDRESS_MAX + 1
        assert await steps.take_provider(connection, token, mine.state)


async def test_however_many_addresses_there_are_the_rows_have_an_end(
    world: World, pool: Pool
) -> None:
    world.connection.execute(
        "insert into login_step (token_hash, next_path, state, nonce, verifier, address_hash)"
        " select n::text::bytea, '/', 'x', 'x', 'x', n::text::bytea"
        " from generate_series(1, %s) n",
        [steps.ALL_MAX + 2],
    )
    async with pool.connection() as connection:
        await steps.keep_provider(connection, begin(), "/", "192.0.2.1")
    assert begun(world) == steps.ALL_MAX


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("", "a socket", False),
    ],
)
def test_a_subscriber_of_ipv6_is_one_address(one: str, other: str, is_same: bool) -> None:
    assert (throttle.of_address(one) == throttle.of_address(other)) == is_same


async def test_guesses_from_one_subscriber_are_counted_together(world: World, pool: Pool) -> None:
    async with pool.connection() as connection:
        tries = [
            await throttle.admit(connection, "anna", f"2001:db8::{n:x}")
            for n in range(throttle.PER_NAME_AND_ADDRESS + 1)
        ]
    assert tries == [True] * throttle.PER_NAME_AND_ADDRESS + [False]


async def test_who_would_wait_too_long_for_her_password_is_told_so_at_once(
    world: World, site: FastAPI, hashing: anyio.CapacityLimiter
) -> None:
    async with test_code.browser(site) as desk, asyncio.TaskGroup() as others:
        for borrower in ("one", "other"):
            hashing.acquire_on_behalf_of_nowait(borrower)
        waiting = [
            others.create_task(hashing.acquire_on_behalf_of(n))
            for n in range(login.HASHING_WAITING_MAX)
        ]
        while hashing.statistics().tasks_waiting < len(waiting):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0)
        answer = await test_code.password(desk)
        assert (answer.status_code, "Många loggar in just nu" in answer.text) == (503, True)
        for task in waiting:
            task.cancel()
    assert world.one("select count(*) from login_failure") == 0  # it does not count as a try
