"""How the pages and the work are connected: nothing hangs, and nobody keeps what she has locked."""

from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg_pool import AsyncConnectionPool

CONNECT_S_MAX: Final = 5
# Pages hold a connection for milliseconds: 8 serve some thousand requests a second. Each part of
# the work holds one at a time, and the senders one more while they write.
POOL_MAX: Final = 8
POOL_WAIT_S_MAX: Final = 5.0

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]
Value = TypeVar("Value")

# A peer that vanished without a word is noticed within half a minute: here, and by the server.
_KEEPALIVES: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
_SERVERS: Final = {
    # No page or claim takes longer; what does is stuck.
    "statement_timeout": "10s",
    # Who is frozen in a transaction loses what it has locked, long before a pulse is missed.
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    # A zone with summer time makes moments of one night add and compare by the wall.
    "timezone": "UTC",
    # A plan that is kept from a quiet night would read whole tables, row by row, in a wave.
    "plan_cache_mode": "force_custom_plan",
}
# Of whoever connects without a pool.
OPTIONS: Final = " ".join(f"-c {name}={value}" for name, value in _SERVERS.items())


class _Connection(psycopg.AsyncConnection[Any]):
    """One that tells a worker, when it wakes from a long sleep, that the database was away.

    psycopg calls what the server said meanwhile an error of our own.
    """

    async def wait(self, gen: PQGen[Value], *of: Any, **how: Any) -> Value:
        """Wait for what the server says.

        Raises:
            OperationalError: It has ended this connection, which was silent in a transaction.
        """
        try:
            return await super().wait(gen, *of, **how)
        except psycopg.errors.IdleInTransactionSessionTimeout as error:
            raise psycopg.OperationalError(*error.args) from error


def connections(conninfo: str) -> Pool:
    """Return a pool of them that is not open yet."""
    return AsyncConnectionPool(
        conninfo,
        connection_class=_Connection,
        min_size=2,
        max_size=POOL_MAX,
        timeout=POOL_WAIT_S_MAX,
        open=False,
        kwargs={
            "autocommit": True,
            "connect_timeout": CONNECT_S_MAX,
            **_KEEPALIVES,
            "options": OPTIONS,
        },
    )
