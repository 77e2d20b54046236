"""Registrar: decides who gets a certificate. Every answer is committed before it is given."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from psycopg import AsyncConnection

from alerts.enrolment import authority as pki
from alerts.enrolment import certificates
from alerts.enrolment.authority import Authority, NotACsr
from alerts.enrolment.revocation import revoke_certificates
from devices.enrolment import (
    Enrolment,
    EnrolRequest,
    RefusalReason,
    Renewed,
    RenewRequest,
    SealedAnswer,
    answer_mac,
    encode,
    is_same,
    lookup_hash,
    renewal_text,
    request_mac,
)
from devices.wire import VERSION

Connection = AsyncConnection[Any]

# A box has one, two around a renewal. More is somebody who makes them for sport.
CERTIFICATES_MAX: Final = 5

_log = structlog.get_logger()


class Refused(Exception):
    """No certificate.

    Attributes:
        reason: What the box is told.
    """

    def __init__(self, reason: RefusalReason, gateway_id: str = "") -> None:
        self.reason = reason
        self.gateway_id = gateway_id
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True)
class _Code:
    code_id: int
    request_key: bytes
    answer_key: bytes
    gateway_id: str
    is_over: bool
    key_hash: bytes | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Registrar:
    """The authority, and what it tells boxes.

    Attributes:
        authority: Signs.
        broker_host: Where boxes find the broker.
        broker_port: The same.
        lasts: How long a box's certificate is good.
    """

    authority: Authority
    broker_host: str
    broker_port: int
    lasts: timedelta

    async def is_proved(self, connection: Connection, request: EnrolRequest | RenewRequest) -> bool:
        """Return whether the box knows the code, or holds the key, that its request names.

        What it asks for may be refused all the same. Changes and locks nothing.
        """
        if isinstance(request, EnrolRequest):
            key = await _request_key(connection, request.lookup)
            return key is not None and _knows(key, request)
        old = await certificates.by_serial(connection, request.serial)
        return old is not None and _holds_key(old.certificate, request)

    async def enrol(self, connection: Connection, request: EnrolRequest) -> SealedAnswer:
        """Give the first box that knows a code its certificate.

        The same box may ask again, since an answer can be lost: it gets the same certificate.

        Raises:
            Refused: With the reason. That a code is used or over is told to those who know it.
        """
        async with connection.transaction():
            code = await _code(connection, request.lookup)
            if code is None:
                raise Refused(RefusalReason.UNKNOWN)
            if not _knows(code.request_key, request):
                raise Refused(RefusalReason.UNKNOWN, code.gateway_id)
            certificate = await self._for_code(connection, code, request.csr)
        body = encode(
            Enrolment(
                v=VERSION,
                gateway=code.gateway_id,
                certificate=certificate,
                authority=self.authority.pem,
                broker_host=self.broker_host,
                broker_port=self.broker_port,
                at=code.now,
            )
        ).decode()
        return SealedAnswer(v=VERSION, body=body, mac=answer_mac(code.answer_key, body))

    async def renew(self, connection: Connection, request: RenewRequest) -> Renewed:
        """Give a box that has a good certificate its next one.

        Raises:
            Refused: With the reason.
        """
        old = await certificates.by_serial(connection, request.serial)
        if old is None:
            raise Refused(RefusalReason.UNKNOWN)
        if not _holds_key(old.certificate, request):
            raise Refused(RefusalReason.UNKNOWN, old.gateway_id)
        async with connection.transaction():
            now, is_retired = await _hold(connection, old.gateway_id)
            old = await certificates.by_serial(connection, request.serial)
            assert old is not None, "certificates are never deleted"
            if is_retired or old.revoked_at is not None:
                raise Refused(RefusalReason.REVOKED, old.gateway_id)
            if old.not_after <= now:
                raise Refused(RefusalReason.EXPIRED, old.gateway_id)
            certificate = await self._issue(
                connection, old.gateway_id, request.csr, now, renews=old.serial
            )
        return Renewed(v=VERSION, certificate=certificate)

    async def _for_code(self, connection: Connection, code: _Code, csr: str) -> str:
        key = pki.key_hash(_key(csr, code.gateway_id))
        if code.key_hash is not None and code.key_hash != key:
            raise Refused(RefusalReason.USED, code.gateway_id)
        if code.is_over:
            raise Refused(RefusalReason.EXPIRED, code.gateway_id)
        if code.key_hash is None:
            await connection.execute(
                "insert into gateway (gateway_id) values (%s)"
                " on conflict (gateway_id) do update set retired_at = null",
                (code.gateway_id,),
            )
            # One box for one id: whoever held it before is sent away.
            await revoke_certificates(connection, code.gateway_id)
            await connection.execute(
                "update enrolment_code set used_at = now(), key_hash = %s where code_id = %s",
                (key, code.code_id),
            )
        return await self._issue(connection, code.gateway_id, csr, code.now, renews=None)

    async def _issue(
        self, connection: Connection, gateway_id: str, csr: str, now: datetime, renews: str | None
    ) -> str:
        key = _key(csr, gateway_id)
        known = await certificates.by_key(connection, gateway_id, pki.key_hash(key))
        if known is not None:
            if known.revoked_at is not None or known.not_after <= now:
                raise Refused(RefusalReason.REVOKED, gateway_id)  # the box makes another key
            return known.certificate  # the answer was lost on the way
        if await certificates.count_valid(connection, gateway_id) >= CERTIFICATES_MAX:
            raise Refused(RefusalReason.TOO_MANY, gateway_id)
        certificate = self.authority.for_gateway(key, gateway_id, now, self.lasts)
        await certificates.add(connection, gateway_id, certificate, renews=renews)
        _log.info(
            "enrolment.issued",
            gateway_id=gateway_id,
            serial=pki.serial_of(certificate),
            until=certificate.not_valid_after_utc.isoformat(),
            renews=renews,
        )
        return pki.certificate_pem(certificate)


def _key(csr: str, gateway_id: str) -> pki.PublicKey:
    try:
        return pki.requested_key(csr)
    except NotACsr as error:
        raise Refused(RefusalReason.MALFORMED, gateway_id) from error


def _knows(request_key: bytes, request: EnrolRequest) -> bool:
    return is_same(request.mac, request_mac(request_key, request.lookup, request.csr))


def _holds_key(certificate: str, request: RenewRequest) -> bool:
    text = renewal_text(request.serial, request.csr)
    return pki.is_signed_by(certificate, request.signature, text)


async def _request_key(connection: Connection, lookup: bytes) -> bytes | None:
    cursor = await connection.execute(
        "select request_key from enrolment_code where lookup_hash = %s and withdrawn_at is null",
        (lookup_hash(lookup),),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def _code(connection: Connection, lookup: bytes) -> _Code | None:
    """Return a code that was not withdrawn, and hold it until the transaction ends."""
    cursor = await connection.execute(
        "select code_id, request_key, answer_key, gateway_id, expires_at <= now(), key_hash, now()"
        " from enrolment_code where lookup_hash = %s and withdrawn_at is null for update",
        (lookup_hash(lookup),),
    )
    row = await cursor.fetchone()
    return None if row is None else _Code(*row)


async def _hold(connection: Connection, gateway_id: str) -> tuple[datetime, bool]:
    """Keep a gateway from being revoked until the transaction ends; return now and whether it is.

    Without it a revocation could pass by a certificate that is just being issued.
    """
    cursor = await connection.execute(
        "select clock_timestamp(), coalesce(retired_at <= now(), false) from gateway"
        " where gateway_id = %s for update",
        (gateway_id,),
    )
    row = await cursor.fetchone()
    assert row is not None, "gateways are never deleted"
    return row[0], row[1]
