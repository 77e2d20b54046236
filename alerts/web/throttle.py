"""How often a login may fail, held in the database: over restarts and over processes.

An attempt counts before its password is looked at, so a hundred at once are no way round.
"""

import hashlib
from datetime import timedelta

from psycopg import AsyncConnection

WINDOW = timedelta(minutes=15)
# A person mistypes some times; a ward shares one address.
PER_NAME_AND_ADDRESS = 5
PER_ADDRESS = 50
# From many addresses at one name. Above the first, so that a guesser far away does not lock
# the owner out at once.
PER_NAME = 30


def _keys(username: str, address: str) -> dict[bytes, int]:
    """Return hashed keys and how many failures each may have within ``WINDOW``."""
    return {
        _hash("both", username, address): PER_NAME_AND_ADDRESS,
        _hash("address", address): PER_ADDRESS,
        _hash("name", username): PER_NAME,
    }


def _hash(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(parts).encode()).digest()


async def admit(connection: AsyncConnection, username: str, address: str) -> bool:
    """Return whether a login may be tried now; it then counts as failed until ``forgive``."""
    limits = _keys(username, address)
    async with connection.transaction():
        for key in sorted(limits):  # in one order, so that two attempts cannot wait for each other
            await connection.execute(
                "select pg_advisory_xact_lock(%s)", (int.from_bytes(key[:8], signed=True),)
            )
        await connection.execute("delete from login_failure where at <= now() - %s", (WINDOW,))
        counted = await connection.execute(
            "select key, count(*) from login_failure where key = any(%s) group by key",
            (list(limits),),
        )
        if any(count >= limits[bytes(key)] for key, count in await counted.fetchall()):
            return False
        await connection.execute(
            "insert into login_failure (key) select unnest(%s::bytea[])", (list(limits),)
        )
    return True


async def forgive(connection: AsyncConnection, username: str, address: str) -> None:
    """Forget the failures of one who knew the password after all."""
    both, at_address, by_name = _keys(username, address)
    await connection.execute("delete from login_failure where key = %s", (both,))
    for key in (at_address, by_name):  # the one just counted, not those of others
        await connection.execute(
            "delete from login_failure where ctid = "
            "(select ctid from login_failure where key = %s order by at desc limit 1)",
            (key,),
        )
