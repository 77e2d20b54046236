"""Codes: what a person reads to a box, once. Shown when made, and never again."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import class_row

from devices.enrolment import (
    ALPHABET,
    CODE_CHARACTERS,
    code_keys,
    format_code,
    lookup_hash,
)
from devices.wire import is_gateway_id

Connection = AsyncConnection[Any]

# A technician makes it in the morning and is in the home before the next.
CODE_LASTS: Final = timedelta(hours=24)
CODE_LASTS_MAX: Final = timedelta(days=30)
# 50 bits: no two boxes are given one id, and an id tells nothing.
_ID_CHARACTERS: Final = 10


class NotAGatewayId(ValueError):
    """The text cannot name a gateway."""


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that was just made.

    Attributes:
        code: In groups of four. For one person's eyes: never logged, never kept.
        gateway_id: Who the box will be.
        expires_at: Until when it can be used.
    """

    code: str = field(repr=False)
    gateway_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PendingCode:
    """A code that nobody has used yet."""

    gateway_id: str
    made_at: datetime
    expires_at: datetime


async def new_code(
    connection: Connection,
    gateway_id: str | None = None,
    *,
    made_by: int | None = None,
    lasts: timedelta = CODE_LASTS,
) -> NewCode:
    """Make a code for a box; a gateway's earlier unused codes are worth nothing from then on.

    Args:
        connection: The database.
        gateway_id: Who the box is to be; a new random id if none. A gateway that has a box gets
            another one: enrolling it revokes the certificates of the one before.
        made_by: The staff member who asked.
        lasts: How long it can be used, at most ``CODE_LASTS_MAX``.

    Raises:
        NotAGatewayId: That cannot be an id.
    """
    if gateway_id is None:
        gateway_id = "g-" + _random(_ID_CHARACTERS).lower()
    if not is_gateway_id(gateway_id):
        problem = f"{gateway_id!r}: an id has 1 to 64 letters, digits, _ or -"
        raise NotAGatewayId(problem)
    code = _random(CODE_CHARACTERS)
    keys = code_keys(code)
    async with connection.transaction():
        await withdraw(connection, gateway_id)
        cursor = await connection.execute(
            "insert into enrolment_code"
            " (lookup_hash, request_key, answer_key, gateway_id, made_by, expires_at)"
            " values (%s, %s, %s, %s, %s, now() + %s) returning expires_at",
            (
                lookup_hash(keys.lookup),
                keys.request,
                keys.answer,
                gateway_id,
                made_by,
                min(lasts, CODE_LASTS_MAX),
            ),
        )
        row = await cursor.fetchone()
    assert row is not None
    return NewCode(format_code(code), gateway_id, row[0])


async def withdraw(connection: Connection, gateway_id: str) -> None:
    """Make a gateway's unused codes worthless."""
    await connection.execute(
        "update enrolment_code set withdrawn_at = now()"
        " where gateway_id = %s and used_at is null and withdrawn_at is null",
        (gateway_id,),
    )


async def pending_codes(connection: Connection) -> list[PendingCode]:
    """Return the codes that can be used now, newest first."""
    async with connection.cursor(row_factory=class_row(PendingCode)) as cursor:
        await cursor.execute(
            "select gateway_id, made_at, expires_at from enrolment_code"
            " where used_at is null and withdrawn_at is null and expires_at > now()"
            " order by made_at desc"
        )
        return await cursor.fetchall()


def _random(characters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))
