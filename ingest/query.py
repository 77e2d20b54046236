"""Query: rows of arrays into numpy columns."""

from typing import Any

import psycopg
from numpy.typing import NDArray

from ingest.pg_binary import read_array


async def arrays(
    connection: psycopg.AsyncConnection[Any], query: str, parameters: list[Any]
) -> list[NDArray[Any]]:
    """Return the columns of the one row that *query* gives, each of them an ``array_agg``.

    No rows to aggregate are empty int64 arrays, whatever the column.
    """
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        result = cursor.pgresult
        assert result is not None
        return [read_array(result.get_value(0, column)) for column in range(result.nfields)]
