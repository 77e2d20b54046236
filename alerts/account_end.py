"""Ends an account, and the employment it is of, and takes that back.

By the migrator's account: no page may do it.
"""

from typing import Any, Final

import psycopg

# What has ended before keeps its time.
EMPLOYMENT: Final = "update staff set ended_at = least(ended_at, now()) where staff_id = %s"
ACCOUNT: Final = "update account set ended_at = least(ended_at, now()) where account_id = %s"


async def end(
    connection: psycopg.AsyncConnection[Any], account_id: int, *, employment: bool
) -> bool:
    """Let nobody log in by an account from now on; false: it is of no employment to end.

    Who is logged in is logged out by the caller.
    """
    if employment:
        staff_id = await _staff_of(connection, account_id)
        if staff_id is None:
            return False
        await connection.execute(EMPLOYMENT, (staff_id,))
    await connection.execute(ACCOUNT, (account_id,))
    return True


async def reopen(connection: psycopg.AsyncConnection[Any], account_id: int) -> None:
    """Let an account, and the employment it is of, count again: she has come back."""
    staff_id = await _staff_of(connection, account_id)
    await connection.execute("update staff set ended_at = null where staff_id = %s", (staff_id,))
    await connection.execute(
        "update account set ended_at = null where account_id = %s", (account_id,)
    )


async def _staff_of(connection: psycopg.AsyncConnection[Any], account_id: int) -> int | None:
    cursor = await connection.execute(
        "select staff_id from account where account_id = %s", (account_id,)
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]
