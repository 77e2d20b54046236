"""Enrolment over HTTP, for boxes; and the authority on its disk."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
import structlog
from fastapi import FastAPI

from alerts.config import WebSettings
from alerts.enrolment import authority as pki
from alerts.enrolment.authority import Authority, AuthorityExists, AuthorityMissing
from alerts.enrolment.codes import new_code
from alerts.enrolment.registrar import Registrar
from alerts.signal import Hub
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from devices.enrolment import (
    BODY_BYTES_MAX,
    ENROL_PATH,
    RENEW_PATH,
    code_keys,
    decode_sealed,
    encode,
    parse_code,
)
from tests.alerts.conftest import Pool
from tests.alerts.enrolling import Box, certificate_in, opened

NOW = datetime.now(UTC)


@pytest.fixture
def enrolling_app(pool: Pool, registrar: Registrar) -> FastAPI:
    return create_app(
        ServicesOf(
            pool=pool,
            hub=Hub(),
            web=WebSettings(cookie_secure=True),
            hashing=anyio.CapacityLimiter(2),
            registrar=registrar,
        )
    )


@pytest.fixture
async def http(enrolling_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(enrolling_app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def log() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_a_box_enrols_and_renews_without_login_or_cookie(
    http: httpx.AsyncClient, pool: Pool, root: Authority, log: list[Any]
) -> None:
    async with pool.connection() as connection:
        made = await new_code(connection)
    box, fresh = Box(), Box()
    answer = await http.post(ENROL_PATH, content=encode(box.enrol(made.code)))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    certificate = certificate_in(opened(decode_sealed(answer.content), made.code).certificate)
    answer = await http.post(RENEW_PATH, content=encode(box.renew(certificate, fresh)))
    assert answer.status_code == 200
    renewed = certificate_in(answer.json()["certificate"])
    renewed.verify_directly_issued_by(root.certificate)
    told = json.dumps(log, default=str)
    keys = code_keys(parse_code(made.code))
    assert "enrolment.issued" in told
    for secret in (made.code, parse_code(made.code), keys.lookup.hex(), keys.request.hex()):
        assert secret not in told


@pytest.mark.parametrize("path", [ENROL_PATH, RENEW_PATH])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[1]", b'{"v":99}', b"csrf=x"])
async def test_what_is_not_of_the_protocol_is_refused_in_it(
    http: httpx.AsyncClient, path: str, body: bytes
) -> None:
    answer = await http.post(path, content=body)
    assert (answer.status_code, answer.json()) == (400, {"v": 1, "reason": "malformed"})


@pytest.mark.parametrize("path", [ENROL_PATH, RENEW_PATH])
async def test_a_body_is_not_read_beyond_its_limit(http: httpx.AsyncClient, path: str) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1024
            yield b" " * 1024

    async with asyncio.timeout(10):
        answer = await http.post(path, content=endless())
    assert answer.status_code == 400
    assert read <= BODY_BYTES_MAX + 4096


async def test_a_refusal_says_why_and_is_logged_without_secrets(
    http: httpx.AsyncClient, pool: Pool, log: list[Any]
) -> None:
    async with pool.connection() as connection:
        made = await new_code(connection, "g-home")
    await http.post(ENROL_PATH, content=encode(Box().enrol(made.code)))
    answer = await http.post(ENROL_PATH, content=encode(Box().enrol(made.code)))
    assert (answer.status_code, answer.json()["reason"]) == (409, "used")
    refused = [entry for entry in log if entry["event"] == "enrolment.refused"]
    assert refused == [
        {
            "event": "enrolment.refused",
            "log_level": "warning",
            "reason": "used",
            "gateway_id": "g-home",
        }
    ]


async def test_guessing_ends_soon_and_does_not_lock_people_out(
    http: httpx.AsyncClient, browse: Any
) -> None:
    codes = [f"0000-0000-0000-{number:04d}" for number in range(60)]
    reasons = [
        (await http.post(ENROL_PATH, content=encode(Box().enrol(code)))).json()["reason"]
        for code in codes
    ]
    assert reasons == ["unknown"] * 50 + ["too_many"] * 10
    async with browse(None) as client:
        page = await client.get("/login")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf is not None
        fields = {"username": "anna", "password": "ett-långt-lösenord", "csrf": csrf[1]}
        assert (await client.post("/login", data=fields)).status_code == 303


async def test_who_proves_himself_is_let_in_though_his_address_is_used_up(
    http: httpx.AsyncClient, pool: Pool
) -> None:
    async with pool.connection() as connection:
        first, second = await new_code(connection), await new_code(connection)
    box, fresh = Box(), Box()
    answer = await http.post(ENROL_PATH, content=encode(box.enrol(first.code)))
    certificate = certificate_in(opened(decode_sealed(answer.content), first.code).certificate)
    unsigned = encode(Box().renew(certificate, fresh))
    unproved = encode(msgspec.structs.replace(Box().enrol(second.code), mac=bytes(32)))
    for number in range(50):
        guess = encode(Box().enrol(f"0000-0000-0000-{number:04d}"))
        assert (await http.post(ENROL_PATH, content=guess)).json()["reason"] == "unknown"
    for path, junk in ((RENEW_PATH, unsigned), (ENROL_PATH, unproved)):
        answer = await http.post(path, content=junk)
        assert (answer.status_code, answer.json()["reason"]) == (429, "too_many")
    renewal, enrolment = encode(box.renew(certificate, fresh)), encode(Box().enrol(second.code))
    for path, content in ((RENEW_PATH, renewal), (ENROL_PATH, enrolment)):
        assert (await http.post(path, content=content)).status_code == 200


async def test_junk_in_a_box_s_name_does_not_keep_it_out(
    http: httpx.AsyncClient, pool: Pool
) -> None:
    async with pool.connection() as connection:
        made = await new_code(connection)
    box, fresh = Box(), Box()
    answer = await http.post(ENROL_PATH, content=encode(box.enrol(made.code)))
    certificate = certificate_in(opened(decode_sealed(answer.content), made.code).certificate)
    unsigned = encode(Box().renew(certificate, fresh))
    reasons = [(await http.post(RENEW_PATH, content=unsigned)).json()["reason"] for _ in range(6)]
    assert reasons == ["unknown"] * 5 + ["too_many"]
    answer = await http.post(RENEW_PATH, content=encode(box.renew(certificate, fresh)))
    assert answer.status_code == 200


async def test_who_proves_himself_counts_nothing_against_his_address(
    http: httpx.AsyncClient, pool: Pool
) -> None:
    async with pool.connection() as connection:
        made = await new_code(connection)
    await http.post(ENROL_PATH, content=encode(Box().enrol(made.code)))
    late = encode(Box().enrol(made.code))
    reasons = {(await http.post(ENROL_PATH, content=late)).json()["reason"] for _ in range(8)}
    assert reasons == {"used"}
    async with pool.connection() as connection:
        counted = await connection.execute("select count(*) from login_failure")
        assert await counted.fetchone() == (0,)


async def test_success_is_no_failure(http: httpx.AsyncClient, pool: Pool) -> None:
    async with pool.connection() as connection:
        made, box = await new_code(connection), Box()
    for _ in range(8):  # more than a name may fail from one address
        answer = await http.post(ENROL_PATH, content=encode(box.enrol(made.code)))
        assert answer.status_code == 200


async def test_where_nobody_is_enrolled_the_answer_says_so(browse: Any) -> None:
    async with browse(None) as client:
        for path in (ENROL_PATH, RENEW_PATH):
            answer = await client.post(path, content=b"{}")
            assert (answer.status_code, answer.json()["reason"]) == (404, "not_here")


# The authority.


def test_the_authority_is_made_once_and_its_key_is_for_one_account(tmp_path: Path) -> None:
    directory = tmp_path / "authority"
    made = pki.create(directory, NOW)
    assert (directory / pki.KEY).stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    assert pki.load(directory).certificate == made.certificate
    with pytest.raises(AuthorityExists):
        pki.create(directory, NOW)
    assert "PRIVATE" not in repr(made)


@pytest.mark.parametrize("harm", ["absent", "no key", "junk", "another's key"])
def test_an_authority_that_cannot_be_used_is_told(tmp_path: Path, harm: str) -> None:
    directory = tmp_path / "authority"
    if harm != "absent":
        pki.create(directory, NOW)
    if harm == "no key":
        (directory / pki.KEY).unlink()
    if harm == "junk":
        (directory / pki.KEY).write_text("junk")
    if harm == "another's key":
        pki.create(tmp_path / "other", NOW)
        (directory / pki.KEY).write_bytes((tmp_path / "other" / pki.KEY).read_bytes())
    with pytest.raises(AuthorityMissing, match=r"→ (make|restore)"):
        pki.load(directory)
