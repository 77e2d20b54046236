"""Reads a whole county, slice by slice, so that whoever waits on the event loop gets his turn."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import psycopg

from ingest.registry import columns
from ingest.registry.columns import Row, RuleReader, Some, Tables
from ingest.registry.layers import Layered

Connection = psycopg.AsyncConnection[Any]

# A slice takes the server a quarter of a second, and this process some ten milliseconds.
SLICE_ROWS: Final = 200_000


async def load(connection: Connection, rules: RuleReader) -> Tables:
    """Return all there is.

    Slices may show different moments. What changes meanwhile must be brought up to one revision
    afterwards (ingest.registry.changes): a row whose patient, device or gateway did not change is
    the same in every slice, and all others are replaced.
    """
    return Tables(
        # The largest first: its slices and their whole stand side by side for a moment.
        limits=await _layered(
            connection, "plan_limit", "plan_version_id", (columns.LIMITS, columns.read_limits)
        ),
        versions=await _layered(
            connection, "plan_version", "patient_id", (columns.VERSIONS, columns.read_versions)
        ),
        loans=await _layered(
            connection, "device_loan", "loan_id", (columns.LOANS, columns.read_loans)
        ),
        gateways=await _layered(
            connection, "gateway", "gateway_id", (columns.GATEWAYS, columns.read_gateways), first=""
        ),
        pauses=await _layered(
            connection, "patient_pause", "pause_id", (columns.PAUSES, columns.read_pauses)
        ),
        rules=await _rules(connection, rules),
    )


async def _layered(
    connection: Connection,
    table: str,
    key: str,
    query: str,
    read: Callable[[Row], Some],
    first: int | str = np.iinfo(np.int64).min,
) -> Layered:
    parts = [
        await asyncio.to_thread(read, row)
        async for row in _slices(connection, table, key, query, first)
    ]
    return await asyncio.to_thread(_joined, parts)


async def _rules(connection: Connection, reader: RuleReader) -> dict[str, Layered]:
    parts: dict[str, list[Some]] = {}
    first = np.iinfo(np.int64).min
    async for row in _slices(connection, "plan_rule", "plan_version_id", columns.RULES, first):
        for kind, some in reader.read(row).items():
            parts.setdefault(kind, []).append(some)
    return {kind: _joined(some) for kind, some in parts.items()}


async def _slices(
    connection: Connection, table: str, key: str, query: str, first: int | str
) -> AsyncIterator[Row]:
    """Yield what *query* gives of the rows, in slices that begin and end with a key.

    There is at least one, which is empty for an empty table.
    """
    last_of_slice = (
        f"select {key} from {table} where {key} > %s"  # noqa: S608 - our own names
        f" order by {key} offset {SLICE_ROWS} limit 1"
    )
    is_last = False
    while not is_last:
        cursor = await connection.execute(last_of_slice, [first])
        found = await cursor.fetchone()
        is_last = found is None
        rows = f"select * from {table} where {key} > %s"  # noqa: S608
        limits: list[Any] = [first]
        if found is not None:
            rows += f" and {key} <= %s"
            limits.append(found[0])
            first = found[0]
        yield await one_row(connection, query.format(rows=rows), limits)


async def one_row(
    connection: Connection, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
) -> Row:
    """Return the one row that *query* gives, in binary."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        result = cursor.pgresult
        assert result is not None
        return [result.get_value(0, column) for column in range(result.nfields)]


def _joined(parts: list[Some]) -> Layered:
    """Return the rows of all parts; empties them, column by column, to have one copy only."""
    names = list(parts[0][1])
    key = np.concatenate([key for key, _ in parts])
    whole = {name: np.concatenate([some.pop(name) for _, some in parts]) for name in names}
    return Layered(key, whole)
