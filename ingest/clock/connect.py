"""How the clock's connections are made."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ingest import pg_binary
from ingest.clock.chore import Connection
from ingest.session import session

Conninfo = Callable[[], str]

# So that the server notices a worker that vanished without a word as soon as it would notice the
# server: what it has locked is free again within half a minute.
_VANISHED: Final = {
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "idle_in_transaction_session_timeout": "60s",
}


@asynccontextmanager
async def connected(
    conninfo: Conninfo, name: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Connection]:
    """Yield an autocommit connection that takes numpy arrays as parameters.

    Args:
        conninfo: Gives the connection string.
        name: What the server's own views show.
        settings: The server's, for this connection.
    """
    connection = await psycopg.AsyncConnection.connect(
        make_conninfo(conninfo(), **session(name)), autocommit=True
    )
    async with connection:
        pg_binary.register(connection)
        for setting, value in {**_VANISHED, **(settings or {})}.items():
            await connection.execute(
                sql.SQL("set {} = {}").format(sql.Identifier(setting), sql.Literal(value))
            )
        yield connection
