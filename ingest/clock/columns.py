"""Columns of a query's one row of arrays as numpy, and moments as the rules count them."""

import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ingest.batch import EPOCH
from ingest.clock.chore import Connection


async def one_row(
    connection: Connection, query: str, parameters: Sequence[Any] | Mapping[str, Any]
) -> list[bytes | None]:
    """Return the values of *query*'s one row as PostgreSQL sends them in binary."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        result = cursor.pgresult
        assert result is not None
        return [result.get_value(0, number) for number in range(result.nfields)]


def texts(raw: bytes | None) -> list[str]:
    """Return a text[] without NULLs; NULL (array_agg of no rows) is an empty list."""
    if raw is None:
        return []
    (dimensions,) = struct.unpack_from("!i", raw)
    found: list[str] = []
    at = 20  # dimensions, nulls, element type, size, lower bound
    while dimensions and at < len(raw):
        (length,) = struct.unpack_from("!i", raw, at)
        assert length >= 0, "array_agg over a column with NULLs; coalesce it"
        at += 4
        found.append(raw[at : at + length].decode())
        at += length
    return found


def microseconds_of(moment: datetime) -> int:
    """Return microseconds since 2000-01-01 UTC, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int) -> datetime:
    """Return the moment of microseconds since 2000-01-01 UTC."""
    return EPOCH + timedelta(microseconds=microseconds)
