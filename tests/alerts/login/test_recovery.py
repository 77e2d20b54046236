"""Recovery codes: ten, shown once, each good once, for her account alone."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from email.header import decode_header, make_header

import anyio
import httpx
import pytest
import structlog
from fastapi import FastAPI

from alerts import accounts, recovery
from alerts.channels.channel import open_carriers
from alerts.channels.settings import MailSettings
from alerts.config import Local, LoginSettings, WebSettings
from alerts.signal import Hub
from alerts.totp import Seal
from alerts.web import throttle
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from tests.alerts.conftest import Pool
from tests.alerts.login.test_code import browser, code, offered, password, submit
from tests.alerts.sending.post import mail_server
from tests.alerts.world import World


@pytest.fixture
def site(pool: Pool) -> FastAPI:
    """A site where a code is asked for."""
    return create_app(
        ServicesOf(
            pool=pool,
            hub=Hub(),
            web=WebSettings(cookie_secure=False),
            hashing=anyio.CapacityLimiter(2),
            login=LoginSettings.model_construct(local=Local.ALL),
            seal=Seal("k" * 32),
        )
    )


@pytest.fixture
async def client(site: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(site) as opened:
        yield opened


async def set_up(world: World, client: httpx.AsyncClient) -> tuple[str, list[str]]:
    """Set up codes; return what her app has, and what she has on paper."""
    await password(client)
    secret = await offered(client)
    page = await submit(client, "/login/kod/ny", code(world, secret))
    world.connection.execute("update account set totp_last_step = totp_last_step - 10")
    return secret, shown(page)


def shown(page: httpx.Response) -> list[str]:
    return re.findall(r'<li class="code">([^<]+)</li>', page.text)


async def enter(site: FastAPI, said: str) -> int:
    """Return what a browser is answered that has the password and *said*."""
    async with browser(site) as desk:
        await password(desk)
        await desk.get("/login/kod")
        return (await submit(desk, "/login/kod", said)).status_code


async def ask_for_new(desk: httpx.AsyncClient, said: str) -> httpx.Response:
    page = await desk.get("/konto")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert csrf
    return await desk.post("/konto/reservkoder", data={"csrf": csrf[1], "code": said})


def left(world: World) -> int:
    return int(world.one("select count(*) from recovery_code where used_at is null"))


async def test_each_of_the_ten_lets_her_in_once(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    assert len(set(codes)) == recovery.CODES == left(world)
    with structlog.testing.capture_logs() as log:
        assert await enter(site, codes[4]) == 303
    (used,) = [each for each in log if each["event"] == "login.recovery_code_used"]
    assert (used["left"], codes[4] in str(log)) == (9, False)
    assert await enter(site, codes[4]) == 401
    # As a person writes it off paper.
    assert await enter(site, f" {codes[7].lower().replace('-', ' ')} ") == 303
    assert world.rows("select place from recovery_code where used_at is not null order by 1") == [
        (4,),
        (7,),
    ]


async def test_that_one_was_used_is_in_the_access_log_and_told_to_whose_it_is(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    said = "select actor, action, detail ->> 'answer' from access_log order by at"
    anna = f"staff:{world.staff('anna')}"
    assert await enter(site, codes[0]) == 303
    used = (anna, "recovery_code_used", None)
    assert world.rows(said) == [used, ("system", "recovery_code_told", "no_channel")]
    for place, address, verified in ((1, "new@example.org", None), (2, "a@example.org", "now()")):
        world.connection.execute(
            "insert into channel (staff_id, kind, address, place, verified_at)"
            " values (%s, 'email', %s, %s, %s)",
            [world.staff("anna"), address, place, verified],
        )
    async with mail_server() as box:
        mail = MailSettings(host="127.0.0.1", port=box.port, tls="none", sender="x@example.org")
        async with open_carriers(mail, None, "https://egen.example") as carriers:
            site.state.services = replace(site.state.services, carriers=carriers)
            assert await enter(site, codes[1]) == 303
            assert await enter(site, codes[1]) == 401
            box.said_to_rcpt = "550 5.1.1 No such user"
            assert shown(await ask_for_new(client, codes[2])) != []
    assert box.recipients == [["a@example.org"]]
    (letter,) = box.letters
    assert str(make_header(decode_header(letter["Subject"]))) == "En reservkod har använts"
    assert world.rows(said)[2:] == [
        used,
        ("system", "recovery_code_told", "handed_over"),
        used,
        ("system", "recovery_code_told", "failed"),
    ]


async def test_nothing_that_is_kept_is_a_code(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    kept = [row[0] for row in world.rows("select code_hash from recovery_code")]
    assert all(each.startswith("$argon2id$") for each in kept)
    everything = str(world.rows("select * from recovery_code"))
    assert [each for each in codes if recovery.read(each) in everything] == []
    # The page that showed them shows them no more.
    again = await client.get("/konto")
    assert "Du har 10 reservkoder kvar" in again.text
    assert [each for each in codes if each in again.text] == []
    assert shown(await submit(client, "/login/kod/ny", "000000")) == []


async def test_of_two_browsers_with_one_code_one_is_in(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    entered = await asyncio.gather(*(enter(site, codes[0]) for _ in range(3)))
    assert sorted(entered) == [303, 401, 401]


async def test_a_code_is_nobody_elses(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    async with browser(site) as hers:
        await password(hers, "lisa")
        await submit(hers, "/login/kod/ny", code(world, await offered(hers)))
    async with browser(site) as desk:
        await password(desk, "lisa")
        await desk.get("/login/kod")
        assert (await submit(desk, "/login/kod", codes[0])).status_code == 401
    assert await enter(site, codes[0]) == 303


async def test_guesses_of_either_kind_are_counted_together(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    for said in ("000000", "0000-0000-0000", "000000", "1000-0000-0000")[: throttle.PER_ACCOUNT]:
        assert await enter(site, said) == 401
    assert await enter(site, "9000-0000-0000") == 401
    assert await enter(site, codes[0]) == 429
    assert left(world) == recovery.CODES


async def test_new_ones_want_a_code_of_now_and_replace_those_before(
    world: World, site: FastAPI, client: httpx.AsyncClient
) -> None:
    secret, codes = await set_up(world, client)
    refused = await ask_for_new(client, "000000")
    assert refused.headers["location"] == "/konto?fel=kod"
    assert "Koden stämmer inte" in (await client.get("/konto?fel=kod")).text
    assert shown(refused) == []
    new = shown(await ask_for_new(client, code(world, secret)))
    assert len(new) == recovery.CODES
    assert not set(new) & set(codes)
    assert await enter(site, codes[1]) == 401
    assert await enter(site, new[1]) == 303


async def test_for_new_ones_too_a_code_is_guessed_five_times(
    world: World, client: httpx.AsyncClient
) -> None:
    secret, _ = await set_up(world, client)
    for _ in range(throttle.PER_ACCOUNT):
        await ask_for_new(client, "000000")
    answer = await ask_for_new(client, code(world, secret))
    assert answer.headers["location"] == "/konto?fel=ofta"


async def test_without_codes_there_are_none_on_paper(
    world: World, pool: Pool, site: FastAPI, client: httpx.AsyncClient
) -> None:
    _, codes = await set_up(world, client)
    async with pool.connection() as connection:
        known = await accounts.by_username(connection, "anna")
        assert known is not None
        await accounts.reset_code(connection, known.account_id)
    assert left(world) == 0
    async with browser(site) as desk:
        assert (await password(desk)).headers["location"] == "/login/kod/ny"
        refused = await submit(desk, "/login/kod", codes[0])
        assert refused.headers["location"] == "/login?expired=1"
        assert "session" not in desk.cookies


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("3KXQ-7M2P-9ABC", "3KXQ7M2P9ABC"),
        ("3kxq 7m2p 9abc", "3KXQ7M2P9ABC"),
        ("3OIL-7M2P-9ABC", "30117M2P9ABC"),
        ("AKXQ-7M2P-9ABC", ""),
        ("3KXQ-7M2P-9AB", ""),
        ("3KXQ-7M2P-9ABCD", ""),
        ("3KXQ-7M2P-9ABU", ""),
        ("٣KXQ-7M2P-9ABC", ""),
        ("123456", ""),
        ("\0" * 12, ""),
        ("", ""),
    ],
)
def test_what_she_writes_is_read_as_it_was_meant(said: str, read: str) -> None:
    assert recovery.read(said) == read


def test_a_code_reads_as_it_is_shown() -> None:
    for made in recovery.new_codes():
        assert recovery.read(made).isalnum()
        assert re.fullmatch(r"[0-9][0-9A-Z]{3}-[0-9A-Z]{4}-[0-9A-Z]{4}", made)
