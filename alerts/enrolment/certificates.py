"""Certificates of gateways, as the database knows them. Queries only."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.enrolment.authority import certificate_pem, key_hash, serial_of

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """One certificate of a gateway."""

    serial: str
    gateway_id: str
    key_hash: bytes
    certificate: str
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    revoked_at: datetime | None


_COLUMNS = "serial, gateway_id, key_hash, certificate, not_before, not_after, issued_at, revoked_at"


async def certificates_of(connection: Connection, gateway_id: str) -> list[CertificateRow]:
    """Return every certificate a gateway ever had, newest first."""
    return await _find(connection, "gateway_id = %s order by issued_at desc, serial", gateway_id)


async def by_serial(connection: Connection, serial: str) -> CertificateRow | None:
    """Return one certificate."""
    found = await _find(connection, "serial = %s", serial)
    return found[0] if found else None


async def by_key(connection: Connection, gateway_id: str, key: bytes) -> CertificateRow | None:
    """Return the certificate a gateway has for a key."""
    found = await _find(connection, "gateway_id = %s and key_hash = %s", gateway_id, key)
    return found[0] if found else None


async def _find(connection: Connection, where: str, *values: object) -> list[CertificateRow]:
    async with connection.cursor(row_factory=class_row(CertificateRow)) as cursor:
        query = f"select {_COLUMNS} from gateway_certificate where {where}"  # noqa: S608
        await cursor.execute(query.encode(), values)
        return await cursor.fetchall()


async def add(
    connection: Connection, gateway_id: str, certificate: x509.Certificate, *, renews: str | None
) -> None:
    """Note a certificate that is about to be given to its gateway."""
    key = certificate.public_key()
    await connection.execute(
        "insert into gateway_certificate"
        " (serial, gateway_id, key_hash, certificate, not_before, not_after, renews)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        (
            serial_of(certificate),
            gateway_id,
            key_hash(key),  # type: ignore[arg-type]
            certificate_pem(certificate),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
            renews,
        ),
    )


async def count_valid(connection: Connection, gateway_id: str) -> int:
    """Return how many certificates of a gateway the broker would let in now."""
    cursor = await connection.execute(
        "select count(*) from gateway_certificate"
        " where gateway_id = %s and revoked_at is null and not_after > now()",
        (gateway_id,),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
