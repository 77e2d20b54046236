"""Ends an account, and the employment it is of. By the migrator's account: no page may do it."""

from typing import Any

import psycopg


async def end(
    connection: psycopg.AsyncConnection[Any], account_id: int, *, employment: bool
) -> bool:
    """Let nobody log in by an account from now on; false: it is of no employment to end.

    What has ended before keeps its time. Logins that await a code are over too.
    """
    if employment:
        done = await connection.execute(
            "update staff s set ended_at = least(s.ended_at, now()) from account a "
            "where a.account_id = %s and s.staff_id = a.staff_id",
            (account_id,),
        )
        if not done.rowcount:
            return False
    await connection.execute(
        "update account set ended_at = least(ended_at, now()) where account_id = %s", (account_id,)
    )
    await connection.execute("delete from login_step where account_id = %s", (account_id,))
    return True
