"""Who gets a certificate: codes, renewal, revocation."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from alerts.enrolment.authority import Authority
from alerts.enrolment.certificates import certificates_of
from alerts.enrolment.codes import NotAGatewayId, new_code, pending_codes
from alerts.enrolment.registrar import CERTIFICATES_MAX, Refused, Registrar
from alerts.enrolment.revocation import NoSuchGateway, revoke, revoked_certificates
from devices.enrolment import (
    RefusalReason,
    code_keys,
    parse_code,
)
from tests.alerts.conftest import Pool
from tests.alerts.enrolling import Box, certificate_in, opened
from tests.alerts.world import World


@pytest.fixture
async def connection(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with pool.connection() as opened:
        yield opened


Connection = psycopg.AsyncConnection[Any]


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
