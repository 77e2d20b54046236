"""Logins that have begun and are not complete: at the provider, or awaiting a one-time code.

Each belongs to one browser, by a cookie of which only a hash is kept, and to ten minutes.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from alerts.web import throttle
from alerts.web.oidc import BEGUN_MAX, Begun

_TOKEN_BYTES = 32
# How many are kept. Anybody may begin one at the provider, as often as he likes: the oldest give
# way, so that there is no end of rows, and nobody is locked out for longer than that lasts. A
# region may share one address: at the change of shifts some hundreds are under way.
PER_ADDRESS_MAX = 2_000
ALL_MAX = 50_000
# Her password is known to who begins these.
PER_ACCOUNT_MAX = 5
_GIVE_WAY = """
delete from login_step where token_hash in (
    select token_hash from login_step where {} order by began_at desc offset {})
"""
_OF_ADDRESS = _GIVE_WAY.format("address_hash = %s", PER_ADDRESS_MAX - 1).encode()
_OF_ACCOUNT = _GIVE_WAY.format("account_id = %s", PER_ACCOUNT_MAX - 1).encode()
_OF_ALL = _GIVE_WAY.format("state is not null", ALL_MAX - 1).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeStep:
    """Somebody's password was right; a code decides."""

    account_id: int
    next_path: str
    # Sealed; offered to her now: she has none yet.
    totp_secret: str | None = field(repr=False)


async def keep_provider(
    connection: AsyncConnection, begun: Begun, next_path: str, address: str
) -> str:
    """Keep a login that goes to the provider; return the cookie that it belongs to."""
    token = await _clear(connection)
    asked_from = throttle.of_address(address)
    await connection.execute(_OF_ADDRESS, (asked_from,))
    await connection.execute(_OF_ALL)
    await connection.execute(
        "insert into login_step (token_hash, next_path, state, nonce, verifier, address_hash)"
        " values (%s, %s, %s, %s, %s, %s)",
        (_hash(token), next_path, begun.state, begun.nonce, begun.verifier, asked_from),
    )
    return token


async def take_provider(
    connection: AsyncConnection, token: str, state: str
) -> tuple[Begun, datetime, str] | None:
    """Return the login that *state* answers, when it began, and where it leads.

    It is good for one answer.
    """
    if not state.isascii() or not state.isprintable():
        return None  # none of ours; and a text with a zero in it cannot be asked for
    cursor = await connection.execute(
        "delete from login_step where token_hash = %s and state = %s and began_at > now() - %s"
        " returning state, nonce, verifier, began_at, next_path",
        (_hash(token), state, BEGUN_MAX),
    )
    row = await cursor.fetchone()
    return None if row is None else (Begun(*row[:3]), row[3], row[4])


async def keep_code(
    connection: AsyncConnection, account_id: int, next_path: str, totp_secret: str | None
) -> str:
    """Keep a login that awaits a code; return the cookie that it belongs to."""
    token = await _clear(connection)
    await connection.execute(_OF_ACCOUNT, (account_id,))
    await connection.execute(
        "insert into login_step (token_hash, next_path, account_id, totp_secret)"
        " values (%s, %s, %s, %s)",
        (_hash(token), next_path, account_id, totp_secret),
    )
    return token


async def find_code(connection: AsyncConnection, token: str) -> CodeStep | None:
    """Return the login of *token* that awaits a code, if it is not over."""
    cursor = connection.cursor(row_factory=class_row(CodeStep))
    await cursor.execute(
        "select account_id, next_path, totp_secret from login_step"
        " where token_hash = %s and account_id is not null and began_at > now() - %s",
        (_hash(token), BEGUN_MAX),
    )
    return await cursor.fetchone()


async def finish(connection: AsyncConnection, token: str) -> bool:
    """End a login that awaited a code; false if it was over."""
    done = await connection.execute(
        "delete from login_step where token_hash = %s and account_id is not null", (_hash(token),)
    )
    return done.rowcount == 1


async def _clear(connection: AsyncConnection) -> str:
    """Clear away what is over; return a new cookie."""
    await connection.execute("delete from login_step where began_at <= now() - %s", (BEGUN_MAX,))
    return secrets.token_urlsafe(_TOKEN_BYTES)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
