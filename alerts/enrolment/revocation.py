"""Revocation: a gateway that must not speak any more, from the database outwards.

What is decided here is in force for ingest with the commit (it asks ``gateway.retired_at`` for
each batch); the broker goes by what ``warden`` writes within seconds.
"""

from typing import Any, Final

from psycopg import AsyncConnection

from alerts.enrolment.authority import Revoked
from alerts.enrolment.codes import withdraw

Connection = AsyncConnection[Any]


# No configuration is made any more, so none takes the place of one that has a passkey.
_ENDINGS: Final = (
    """
    update gateway_home set until_at = greatest(now(), from_at)
    where gateway_id = %s and (until_at is null or until_at > greatest(now(), from_at))
    """,
    """
    update pairing_request set ended_at = now(), problem = 'cancelled', passkey = null
    where gateway_id = %s and ended_at is null
    """,
    """
    update gateway_config set content = content #- '{pairing,passkey}'
    where gateway_id = %s and content #> '{pairing,passkey}' is not null
    """,
)


class NoSuchGateway(LookupError):
    """No gateway of that id was ever registered."""


async def revoke(connection: Connection, gateway_id: str, *, by: int | None = None) -> int:
    """Retire a gateway: its certificates are revoked, its unused codes withdrawn.

    It stands nowhere from now on, and a pairing that went on is over. What is lent stays lent.

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
        for ending in _ENDINGS:
            await connection.execute(ending, (gateway_id,))
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


async def revoked_certificates(connection: Connection) -> list[Revoked]:
    """Return the certificates that must not be let in and are not over by themselves.

    Those of a gateway that was retired in another way than here are among them.
    """
    cursor = await connection.execute(
        "select serial, least(revoked_at, retired_at)"
        " from gateway_certificate join gateway using (gateway_id)"
        " where least(revoked_at, retired_at) <= now() and not_after > now()"
        " order by 2, 1"
    )
    return [Revoked(int(serial, 16), at) for serial, at in await cursor.fetchall()]
