"""How the clock's connections are made, and which of their errors are the world's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import psycopg
from psycopg.conninfo import make_conninfo

from ingest import pg_binary
from ingest.clock.chore import Connection
from ingest.session import session

Conninfo = Callable[[], str]

# A recheck of a night or a retention of a year may take this long; nobody waits for them.
HOUSE_STATEMENT_S_MAX: Final = 3600


@asynccontextmanager
async def connected(
    conninfo: Conninfo, name: str, statement_s_max: int | None = None
) -> AsyncIterator[Connection]:
    """Yield an autocommit connection that takes numpy arrays as parameters."""
    connection = await psycopg.AsyncConnection.connect(
        make_conninfo(conninfo(), **session(name)), autocommit=True
    )
    async with connection:
        pg_binary.register(connection)
        if statement_s_max is not None:
            await connection.execute(f"set statement_timeout = '{int(statement_s_max)}s'")
        yield connection
