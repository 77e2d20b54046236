"""Query: one row in PostgreSQL's binary format, and rows of arrays into numpy columns."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from numpy.typing import NDArray

from ingest.pg_binary import read_array


async def one_row(
    connection: psycopg.AsyncConnection[Any],
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
) -> list[bytes | None]:
    """Return the values of the one row that *query* gives, as PostgreSQL sends them in binary."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        result = cursor.pgresult
        assert result is not None
        return [result.get_value(0, column) for column in range(result.nfields)]


async def arrays(
    connection: psycopg.AsyncConnection[Any],
    query: str,
    parameters: Sequence[Any] | Mapping[str, Any] = (),
) -> list[NDArray[Any]]:
    """Return the columns of the one row that *query* gives, each of them an ``array_agg``.

    No rows to aggregate are empty int64 arrays, whatever the column.
    """
    return [read_array(value) for value in await one_row(connection, query, parameters)]
