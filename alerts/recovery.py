"""Recovery codes: ten on paper, each good once, for the day when her telephone is gone.

A code is twelve letters and digits. The first tells which of the ten is meant, so that one hash is
looked at and not ten; the others are 55 random bits. Only argon2id hashes are kept: who has the
database has no code, and nobody is shown one twice.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from psycopg import AsyncConnection

from alerts import password

CODES: Final = 10
# Crockford's base 32: what looks alike is read as one.
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ALIKE: Final = str.maketrans("OIL", "011", " -")
_CHARS: Final = 12
_GROUP: Final = 4


def new_codes() -> tuple[str, ...]:
    """Return ten codes, as they are shown."""
    return tuple(_new_code(place) for place in range(CODES))


def hashed(codes: Sequence[str]) -> list[str]:
    """Return what to keep instead of *codes*. Takes half a second: not in the event loop."""
    return [password.hash_password(read(code)) for code in codes]


def read(said: str) -> str:
    """Return a code as it is hashed; "" if it cannot be one."""
    code = said.strip().upper().translate(_ALIKE)
    is_one = len(code) == _CHARS and code[0].isdigit() and all(each in _LETTERS for each in code)
    return code if is_one and code.isascii() else ""


async def keep(connection: AsyncConnection, account_id: int, hashes: Sequence[str]) -> None:
    """Let these be the codes of the account; those before count no more. In a transaction."""
    await forget(connection, account_id)
    await connection.execute(
        "insert into recovery_code (account_id, place, code_hash)"
        " select %s, place - 1, code_hash"
        " from unnest(%s::text[]) with ordinality as made (code_hash, place)",
        (account_id, list(hashes)),
    )


async def forget(connection: AsyncConnection, account_id: int) -> None:
    """Let the account have no codes."""
    await connection.execute("delete from recovery_code where account_id = %s", (account_id,))


async def hash_of(connection: AsyncConnection, account_id: int, code: str) -> str | None:
    """Return the hash that *code* must be of, unless that one was used."""
    cursor = await connection.execute(
        "select code_hash from recovery_code"
        " where account_id = %s and place = %s and used_at is null",
        (account_id, int(code[0])),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def use(connection: AsyncConnection, account_id: int, code_hash: str) -> bool:
    """Use up the code of this hash; false: it was used, or replaced, a moment ago."""
    done = await connection.execute(
        "update recovery_code set used_at = now()"
        " where account_id = %s and code_hash = %s and used_at is null",
        (account_id, code_hash),
    )
    return done.rowcount == 1


async def left(connection: AsyncConnection, account_id: int) -> int:
    """Return how many codes of the account still count."""
    cursor = await connection.execute(
        "select count(*) from recovery_code where account_id = %s and used_at is null",
        (account_id,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


def _new_code(place: int) -> str:
    code = str(place) + "".join(secrets.choice(_LETTERS) for _ in range(_CHARS - 1))
    return "-".join(code[at : at + _GROUP] for at in range(0, _CHARS, _GROUP))
