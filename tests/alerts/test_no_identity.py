"""S4: who a patient is stands on pages behind a login, and nowhere else.

A red alert goes its whole way, mail and SMS included, and every link is followed as each kind of
person. Then all that left the process is searched: letters, SMS, addresses, titles, logs.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from email.message import Message as Letter
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from devices.quantity import Quantity
from tests.alerts.conftest import Pool, Served, start_session
from tests.alerts.sending.post import (
    ELKS_PASSWORD,
    ELKS_USER,
    Elks,
    Postbox,
    mail_server,
    sms_provider,
)
from tests.alerts.world import PATIENTS, World

RED = {Quantity.SYSTOLIC: 192.0, Quantity.DIASTOLIC: 101.0, Quantity.PULSE: 88.0}
_HREF = re.compile(r'(?:href|action|src)="([^"]+)"')
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
PAGES_MAX = 60


def canaries(key: str) -> list[str]:
    """Return all by which she could be known, as it could be written."""
    given, family, number, *_ = PATIENTS[key]
    short = number[2:]
    return [
        given,
        family,
        quote(given),
        quote(family),
        number,
        short,
        f"{number[:8]}-{number[8:]}",
        f"{short[:6]}-{short[6:]}",
        "0701740605",
        "070-174 06 05",
        "+46701740605",
    ]


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def elks() -> AsyncIterator[Elks]:
    async with sms_provider() as provider:
        yield provider


@pytest.fixture
def telling(world: World, postbox: Postbox, elks: Elks, tmp_path: Path) -> Iterator[Served]:
    """alerts with ways to reach Märta's nurse by SMS, and Ingrid's by mail."""
    (tmp_path / "elks").write_text(ELKS_PASSWORD)
    (tmp_path / "receipts").write_text("kvitton-bevisas-med-detta")
    served = Served(world, tmp_path)
    said = served.config.read_text().replace("[web]\n", '[web]\npublic_url = "https://e.example"\n')
    served.config.write_text(
        f'{said}\n[mail]\nhost = "127.0.0.1"\nport = {postbox.port}\ntls = "none"\n'
        f'sender = "larm@e.example"\n[sms]\nurl = "{elks.url}"\nusername = "{ELKS_USER}"\n'
        f'password_file = "{tmp_path / "elks"}"\nsender = "Egenmonitor"\n'
        f'callback_secret_file = "{tmp_path / "receipts"}"\n'
    )
    for who, kind, address in (
        ("anna", "sms", "+46700000001"),
        ("lisa", "email", "lisa@e.example"),
    ):
        world.connection.execute(
            "insert into channel (staff_id, kind, address, verified_at) values (%s, %s, %s, now())",
            (world.staff(who), kind, address),
        )
    served.start()
    yield served
    if served.process.poll() is None:
        served.stop()


def words_of(letter: Letter) -> str:
    parts = [part.get_payload(decode=True) for part in letter.walk() if not part.is_multipart()]
    text = " ".join(part.decode() for part in parts if isinstance(part, bytes))
    return f"{letter.as_string()} {text}"


async def crawl(client: httpx.AsyncClient) -> tuple[set[str], list[str]]:
    """Follow every link from the first page; return the addresses and the titles."""
    waiting, seen, titles = ["/"], set[str](), list[str]()
    while waiting and len(seen) < PAGES_MAX:
        path = waiting.pop(0)
        if path in seen or not path.startswith("/") or path.startswith("/static"):
            continue
        seen.add(path)
        if path == "/events":
            continue
        answer = await client.get(path, follow_redirects=True)
        seen.add(str(answer.url))
        titles += _TITLE.findall(answer.text)
        waiting += [link.split("#")[0] for link in _HREF.findall(answer.text)]
    return seen, titles


@pytest.mark.timeout(120)
async def test_who_a_patient_is_leaves_no_trace(
    world: World, pool: Pool, telling: Served, postbox: Postbox, elks: Elks
) -> None:
    """Nothing that leaves the process names her; her own pages and her nurse's do."""
    await world.measure_soon("marta", RED)
    await world.measure_soon("ingrid", RED)
    async with asyncio.timeout(60):
        while not (elks.messages and postbox.letters):  # noqa: ASYNC110 - another process's
            await asyncio.sleep(0.05)
    addresses, titles = set[str](), list[str]()
    named = ""
    for username in ("anna", "marta", None):
        async with httpx.AsyncClient(base_url=telling.address, timeout=30) as client:
            if username is not None:
                client.cookies.set("session", await start_session(pool, username))
            found = await crawl(client)
            addresses |= found[0]
            titles += found[1]
            if username == "anna":
                named = (await client.get(f"/patients/{world.patient('marta')}")).text
    assert await asyncio.to_thread(telling.stop) == 0
    assert "Provlind" in named
    assert len(addresses) > 10
    told = {
        "letters": " ".join(map(words_of, postbox.letters)),
        "recipients": str(postbox.recipients),
        "SMS": str(elks.messages),
        "addresses": " ".join(sorted(addresses)),
        "titles": " ".join(titles),
        "log": telling.log_file.read_text(),
    }
    assert "sending.attempt" in told["log"]
    leaks = [
        (where, canary)
        for where, text in told.items()
        for key in ("marta", "ingrid")
        for canary in canaries(key)
        if canary.casefold() in text.casefold()
    ]
    assert leaks == []
