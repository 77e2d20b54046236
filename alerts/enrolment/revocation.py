"""Revocation: a gateway that must not speak any more, from the database outwards.

What is decided here is in force for ingest with the commit (it asks ``gateway.retired_at`` for
each batch); for the broker it is carried out by ``files`` and ``warden`` within seconds.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from alerts.enrolment.authority import Revoked
from alerts.enrolment.codes import withdraw

Connection = AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Barred:
    """Who must not be let in.

    Attributes:
        certificates: Revoked, and not over by themselves.
        silent: Ids, in order, of gateways that have no certificate to speak with: connections of
            theirs are left from before.
        lately: Ids of gateways of which one box became so within the time that was asked for.
    """

    certificates: tuple[Revoked, ...]
    silent: tuple[str, ...]
    lately: tuple[str, ...]


class NoSuchGateway(LookupError):
    """No gateway of that id was ever registered."""


async def revoke(connection: Connection, gateway_id: str, *, by: int | None = None) -> int:
    """Retire a gateway: its certificates are revoked, its unused codes withdrawn.

    Returns:
        How many certificates were revoked by this call.

    Raises:
        NoSuchGateway: There is none of that id.
    """
    async with connection.transaction():
        await withdraw(connection, gateway_id)  # codes, gateway, certificates: as enrolment does
        found = await connection.execute(
            "update gateway set retired_at = least(retired_at, now()) where gateway_id = %s",
            (gateway_id,),
        )
        if not found.rowcount:
            raise NoSuchGateway(gateway_id)
        return await revoke_certificates(connection, gateway_id, by=by)


async def revoke_certificates(
    connection: Connection, gateway_id: str, *, by: int | None = None
) -> int:
    """Revoke what a gateway has, and leave it registered: another box takes its place."""
    revoked = await connection.execute(
        "update gateway_certificate set revoked_at = now(), revoked_by = %s"
        " where gateway_id = %s and revoked_at is null and not_after > now()",
        (by, gateway_id),
    )
    return revoked.rowcount


async def barred(connection: Connection, within: timedelta) -> Barred:
    """Return who must not be let in, now.

    Args:
        connection: The database.
        within: What counts as lately.
    """
    cursor = await connection.execute(
        "select serial, revoked_at from gateway_certificate"
        " where revoked_at is not null and not_after > now() order by revoked_at, serial"
    )
    revoked = tuple(Revoked(int(serial, 16), at) for serial, at in await cursor.fetchall())
    cursor = await connection.execute(_ENDED, (within, within))
    gateways: list[tuple[str, bool, bool]] = await cursor.fetchall()
    return Barred(
        revoked,
        tuple(gateway_id for gateway_id, is_silent, _ in gateways if is_silent),
        tuple(gateway_id for gateway_id, _, is_new in gateways if is_new),
    )


# When a gateway fell silent: it was retired, or the last of its certificates ended. One that
# never had a certificate and is not retired is not ours to judge: it has a password, or is not
# there. A gateway that has a new box is not silent, and its old box is sent away all the same.
_ENDED = """
select gateway_id, silent_since <= now(),
    (silent_since <= now() and silent_since > now() - %s) or revoked_at > now() - %s
from (
    select gateway_id, max(revoked_at) as revoked_at,
        least(retired_at, max(least(revoked_at, not_after))) as silent_since
    from gateway left join gateway_certificate using (gateway_id)
    group by gateway_id, retired_at
) as each
where silent_since <= now() or revoked_at is not null
order by gateway_id
"""
