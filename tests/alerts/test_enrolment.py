"""Who gets a certificate: codes, renewal, revocation, over HTTP and at once."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import psycopg
import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from alerts.config import WebSettings
from alerts.enrolment import authority as pki
from alerts.enrolment.authority import Authority, AuthorityExists, AuthorityMissing
from alerts.enrolment.certificates import certificates_of
from alerts.enrolment.codes import NotAGatewayId, new_code, pending_codes
from alerts.enrolment.registrar import CERTIFICATES_MAX, Refused, Registrar
from alerts.enrolment.revocation import NoSuchGateway, revoke, revoked_certificates
from alerts.signal import Hub
from alerts.web.app import create_app
from alerts.web.services import ServicesOf
from devices.enrolment import (
    BODY_BYTES_MAX,
    ENROL_PATH,
    RENEW_PATH,
    Enrolment,
    RefusalReason,
    SealedAnswer,
    answer_mac,
    code_keys,
    decode_enrolment,
    decode_sealed,
    encode,
    parse_code,
)
from tests.alerts.conftest import Pool
from tests.alerts.enrolling import Box
from tests.alerts.world import World

NOW = datetime.now(UTC)


@pytest.fixture
def root(tmp_path: Path) -> Authority:
    return pki.create(tmp_path / "authority", NOW)


@pytest.fixture
def registrar(root: Authority) -> Registrar:
    return Registrar(root, "mqtt.example", 8883, timedelta(days=90))


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with pool.connection() as opened:
        yield opened


Connection = psycopg.AsyncConnection[Any]


def opened(sealed: SealedAnswer, code: str) -> Enrolment:
    """Return what a box that knows *code* believes."""
    assert sealed.mac == answer_mac(code_keys(parse_code(code)).answer, sealed.body)
    return decode_enrolment(sealed.body.encode())


def certificate_in(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


async def test_a_box_with_a_code_gets_a_certificate_and_its_gateway_a_row(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    made = await new_code(connection)
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", made.code)
    assert world.one("select count(*) from gateway where gateway_id = %s", made.gateway_id) == 0
    box = Box()
    told = opened(await registrar.enrol(connection, box.enrol(made.code)), made.code)
    assert (told.gateway, told.broker_host, told.broker_port) == (
        made.gateway_id,
        "mqtt.example",
        8883,
    )
    certificate = certificate_in(told.certificate)
    certificate.verify_directly_issued_by(certificate_in(told.authority))
    assert certificate.public_key() == box.key.public_key()
    assert certificate.subject.rfc4514_string() == f"CN={made.gateway_id}"
    life = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=89) < life <= timedelta(days=90)
    assert (
        world.one("select retired_at from gateway where gateway_id = %s", made.gateway_id) is None
    )


async def test_a_gateway_certificate_serves_for_a_client_and_for_nothing_else(
    connection: Connection, registrar: Registrar
) -> None:
    made = await new_code(connection)
    told = opened(await registrar.enrol(connection, Box().enrol(made.code)), made.code)
    extensions = certificate_in(told.certificate).extensions
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


async def test_a_code_is_kept_only_as_hashes(connection: Connection, world: World) -> None:
    made = await new_code(connection)
    keys = code_keys(parse_code(made.code))
    row = world.connection.execute("select * from enrolment_code").fetchone()
    kept = [bytes(each) for each in row or () if isinstance(each, bytes | memoryview)]
    kept += [str(each).encode() for each in row or ()]
    for secret in (made.code.encode(), parse_code(made.code).encode(), keys.lookup):
        assert not any(secret in each for each in kept)
    assert made.code not in repr(made)
    assert repr(keys) == "CodeKeys()"


async def test_of_two_boxes_with_one_code_at_once_one_wins(
    pool: Pool, registrar: Registrar, world: World
) -> None:
    async with pool.connection() as connection:
        made = await new_code(connection)

    async def ask(box: Box) -> RefusalReason | None:
        async with pool.connection() as connection:
            try:
                opened(await registrar.enrol(connection, box.enrol(made.code)), made.code)
            except Refused as refused:
                return refused.reason
            return None

    answers = await asyncio.gather(*(ask(Box()) for _ in range(6)))
    assert sorted(answers, key=str) == [None, *[RefusalReason.USED] * 5]
    assert world.one("select count(*) from gateway_certificate") == 1


async def test_a_box_whose_answer_was_lost_gets_the_same_certificate_again(
    connection: Connection, registrar: Registrar
) -> None:
    made, box = await new_code(connection), Box()
    first = opened(await registrar.enrol(connection, box.enrol(made.code)), made.code)
    again = opened(await registrar.enrol(connection, box.enrol(made.code)), made.code)
    assert again.certificate == first.certificate


async def refusal(awaited: Any) -> RefusalReason:
    with pytest.raises(Refused) as caught:
        await awaited
    return caught.value.reason


async def test_a_code_that_nobody_made_or_that_was_replaced_is_unknown(
    connection: Connection, registrar: Registrar
) -> None:
    made = await new_code(connection, "g-home")
    newer = await new_code(connection, "g-home")
    assert [code.gateway_id for code in await pending_codes(connection)] == ["g-home"]
    for code in ("0000-0000-0000-0000", made.code):
        asked = registrar.enrol(connection, Box().enrol(code))
        assert await refusal(asked) is RefusalReason.UNKNOWN
    opened(await registrar.enrol(connection, Box().enrol(newer.code)), newer.code)
    assert await pending_codes(connection) == []


async def test_who_saw_the_lookup_but_not_the_code_gets_nothing_and_spoils_nothing(
    connection: Connection, registrar: Registrar
) -> None:
    made = await new_code(connection)
    overheard, stranger = Box().enrol(made.code), Box()
    forged = type(overheard)(v=1, lookup=overheard.lookup, csr=stranger.csr(), mac=overheard.mac)
    assert await refusal(registrar.enrol(connection, forged)) is RefusalReason.UNKNOWN
    opened(await registrar.enrol(connection, Box().enrol(made.code)), made.code)


async def test_an_expired_code_is_told_as_such(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    made = await new_code(connection, lasts=timedelta(seconds=0))
    asked = registrar.enrol(connection, Box().enrol(made.code))
    assert await refusal(asked) is RefusalReason.EXPIRED
    assert world.one("select count(*) from gateway where gateway_id = %s", made.gateway_id) == 0


async def test_a_code_lives_a_day_and_never_more_than_a_month(connection: Connection) -> None:
    usual = await new_code(connection)
    assert timedelta(hours=23) < usual.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    longest = await new_code(connection, lasts=timedelta(days=400))
    assert longest.expires_at - datetime.now(UTC) <= timedelta(days=30)


async def test_a_weak_key_or_a_request_not_signed_by_its_key_is_malformed(
    connection: Connection, registrar: Registrar
) -> None:
    weak = Box(ec.generate_private_key(ec.SECP192R1()))
    for csr in (weak.csr(), Box().csr().replace("B", "C"), "", "-----BEGIN"):
        made = await new_code(connection)
        box = Box()
        box.csr = lambda csr=csr: csr  # type: ignore[method-assign,misc]
        assert await refusal(registrar.enrol(connection, box.enrol(made.code))) is (
            RefusalReason.MALFORMED
        )


@pytest.mark.parametrize("gateway_id", ["", "a b", "service.ingest", "g/1", "x" * 65, "+", "#"])
async def test_a_code_is_made_only_for_what_can_be_an_id(
    connection: Connection, gateway_id: str
) -> None:
    with pytest.raises(NotAGatewayId):
        await new_code(connection, gateway_id)


async def test_another_box_for_a_gateway_shuts_out_the_one_before(
    connection: Connection, registrar: Registrar
) -> None:
    for _ in range(2):
        made = await new_code(connection, "g-home")
        opened(await registrar.enrol(connection, Box().enrol(made.code)), made.code)
    newer, older = await certificates_of(connection, "g-home")
    assert (newer.revoked_at, older.revoked_at is None) == (None, False)
    found = await revoked_certificates(connection)
    assert [each.serial for each in found] == [int(older.serial, 16)]


class Enrolled:
    """A box with its certificate."""

    def __init__(self, box: Box, certificate: x509.Certificate) -> None:
        self.box = box
        self.certificate = certificate


async def enrolled(
    connection: Connection, registrar: Registrar, gateway_id: str = "g-home"
) -> Enrolled:
    made, box = await new_code(connection, gateway_id), Box()
    told = opened(await registrar.enrol(connection, box.enrol(made.code)), made.code)
    return Enrolled(box, certificate_in(told.certificate))


async def test_a_renewed_certificate_is_for_the_new_key_and_the_old_one_stays_good(
    connection: Connection, registrar: Registrar, root: Authority
) -> None:
    old, fresh = await enrolled(connection, registrar), Box()
    asked = old.box.renew(old.certificate, fresh)
    renewed = certificate_in((await registrar.renew(connection, asked)).certificate)
    renewed.verify_directly_issued_by(root.certificate)
    assert renewed.public_key() == fresh.key.public_key()
    assert renewed.subject == old.certificate.subject
    assert [each.revoked_at for each in await certificates_of(connection, "g-home")] == [None] * 2
    again = await registrar.renew(connection, old.box.renew(old.certificate, fresh))
    assert certificate_in(again.certificate) == renewed


async def test_only_the_old_key_renews(connection: Connection, registrar: Registrar) -> None:
    old, thief = await enrolled(connection, registrar), Box()
    asked = registrar.renew(connection, thief.renew(old.certificate, thief))
    assert await refusal(asked) is RefusalReason.UNKNOWN
    other = await enrolled(connection, registrar, "g-other")
    asked = registrar.renew(connection, other.box.renew(old.certificate, Box()))
    assert await refusal(asked) is RefusalReason.UNKNOWN


async def test_a_request_to_renew_cannot_be_turned_to_another_key(
    connection: Connection, registrar: Registrar
) -> None:
    old = await enrolled(connection, registrar)
    overheard = old.box.renew(old.certificate, Box())
    forged = type(overheard)(
        v=1, serial=overheard.serial, csr=Box().csr(), signature=overheard.signature
    )
    assert await refusal(registrar.renew(connection, forged)) is RefusalReason.UNKNOWN


async def test_what_is_over_or_revoked_is_not_renewed(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    old = await enrolled(connection, registrar)
    world.connection.execute("update gateway_certificate set not_after = now()")
    asked = old.box.renew(old.certificate, Box())
    assert await refusal(registrar.renew(connection, asked)) is RefusalReason.EXPIRED
    old = await enrolled(connection, registrar)
    assert await revoke(connection, "g-home") == 1
    asked = old.box.renew(old.certificate, Box())
    assert await refusal(registrar.renew(connection, asked)) is RefusalReason.REVOKED


async def test_a_gateway_that_others_retired_is_not_renewed(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    old = await enrolled(connection, registrar)
    world.connection.execute("update gateway set retired_at = now()")
    asked = old.box.renew(old.certificate, Box())
    assert await refusal(registrar.renew(connection, asked)) is RefusalReason.REVOKED


async def test_nobody_makes_certificates_without_end(
    connection: Connection, registrar: Registrar
) -> None:
    old = await enrolled(connection, registrar)
    for _ in range(CERTIFICATES_MAX - 1):
        await registrar.renew(connection, old.box.renew(old.certificate, Box()))
    asked = registrar.renew(connection, old.box.renew(old.certificate, Box()))
    assert await refusal(asked) is RefusalReason.TOO_MANY


async def test_a_revocation_bars_every_certificate_and_every_code(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    old = await enrolled(connection, registrar)
    await registrar.renew(connection, old.box.renew(old.certificate, Box()))
    waiting = await new_code(connection, "g-home")
    assert await revoke(connection, "g-home", by=world.staff("anna")) == 2
    assert world.one("select retired_at <= now() from gateway where gateway_id = 'g-home'")
    assert len(await revoked_certificates(connection)) == 2
    asked = registrar.enrol(connection, Box().enrol(waiting.code))
    assert await refusal(asked) is RefusalReason.UNKNOWN
    assert await revoke(connection, "g-home") == 0  # harmless to repeat


async def test_a_revoked_gateway_comes_back_with_a_new_code_only(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    await enrolled(connection, registrar)
    await revoke(connection, "g-home")
    await enrolled(connection, registrar)
    assert world.one("select retired_at from gateway where gateway_id = 'g-home'") is None
    assert len(await revoked_certificates(connection)) == 1


async def test_a_gateway_that_others_retired_is_on_the_list_too(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    old = await enrolled(connection, registrar)
    assert await revoked_certificates(connection) == []
    world.connection.execute("update gateway set retired_at = now() + interval '1 day'")
    assert await revoked_certificates(connection) == []
    world.connection.execute("update gateway set retired_at = now()")
    found = await revoked_certificates(connection)
    assert [each.serial for each in found] == [old.certificate.serial_number]


async def test_what_is_over_is_not_on_the_list(
    connection: Connection, registrar: Registrar, world: World
) -> None:
    await enrolled(connection, registrar)
    await revoke(connection, "g-home")
    world.connection.execute("update gateway_certificate set not_after = now()")
    assert await revoked_certificates(connection) == []


async def test_nobody_revokes_what_is_not_there(connection: Connection) -> None:
    with pytest.raises(NoSuchGateway):
        await revoke(connection, "g-nowhere")


async def test_a_renewal_cannot_slip_past_a_revocation(
    pool: Pool, registrar: Registrar, world: World
) -> None:
    """The renewal is held open while the gateway is revoked: what it issued is revoked too."""
    async with pool.connection() as connection:
        old = await enrolled(connection, registrar)
    async with pool.connection() as renewing, pool.connection() as revoking:
        async with renewing.transaction():
            await registrar.renew(renewing, old.box.renew(old.certificate, Box()))
            revoked = asyncio.create_task(revoke(revoking, "g-home"))
            waits = "select count(*) from pg_locks where not granted"
            async with asyncio.timeout(10):
                while not world.one(waits):  # noqa: ASYNC110 - the server tells of locks no other way
                    await asyncio.sleep(0.01)
        assert await revoked == 2


# Over HTTP.


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
