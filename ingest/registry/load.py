"""Reads a whole county, slice by slice, so that whoever waits on the event loop gets his turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg

from ingest.query import one_row
from ingest.registry import columns
from ingest.registry.columns import Row, RuleReader, Some, Tables
from ingest.registry.layers import Layered

Connection = psycopg.AsyncConnection[Any]

# A slice takes the server a quarter of a second, and this process some ten milliseconds.
SLICE_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    key: str  # one column, by which an index sorts
    query: str
    first: int | str = np.iinfo(np.int64).min  # lower than any key


_VERSIONS: Final = _Table("plan_version", "patient_id", columns.VERSIONS)
_LIMITS: Final = _Table("plan_limit", "plan_version_id", columns.LIMITS)
_RULES: Final = _Table("plan_rule", "plan_version_id", columns.RULES)
_LOANS: Final = _Table("device_loan", "loan_id", columns.LOANS)
_GATEWAYS: Final = _Table("gateway", "gateway_id", columns.GATEWAYS, "")
_PAUSES: Final = _Table("patient_pause", "pause_id", columns.PAUSES)


async def load(connection: Connection, rules: RuleReader) -> Tables:
    """Return all there is.

    Slices may show different moments. What changes meanwhile must be brought up to one revision
    afterwards (ingest.registry.changes): a row whose patient, device or gateway did not change is
    the same in every slice, and all others are replaced.
    """
    # The largest first: its slices and their whole stand side by side for a moment.
    limits = await _layered(connection, _LIMITS, columns.read_limits)
    return Tables(
        limits=limits,
        versions=await _layered(connection, _VERSIONS, columns.read_versions),
        loans=await _layered(connection, _LOANS, columns.read_loans),
        gateways=await _layered(connection, _GATEWAYS, columns.read_gateways),
        pauses=await _layered(connection, _PAUSES, columns.read_pauses),
        rules=await _rules(connection, rules),
    )


async def _layered(connection: Connection, table: _Table, read: Callable[[Row], Some]) -> Layered:
    parts = [await asyncio.to_thread(read, row) async for row in _slices(connection, table)]
    return await asyncio.to_thread(_joined, parts)


async def _rules(connection: Connection, reader: RuleReader) -> dict[str, Layered]:
    parts: dict[str, list[Some]] = {}
    async for row in _slices(connection, _RULES):
        for kind, some in (await asyncio.to_thread(reader.read, row)).items():
            parts.setdefault(kind, []).append(some)
    return {kind: _joined(some) for kind, some in parts.items()}


async def _slices(connection: Connection, table: _Table) -> AsyncIterator[Row]:
    """Yield what the table's query gives of its rows, in slices that begin and end with a key.

    There is at least one, which is empty for an empty table.
    """
    beyond = f"from {table.name} where {table.key} > %s"
    end_of_slice = f"select {table.key} {beyond} order by 1 offset {SLICE_ROWS} limit 1"
    after: int | str = table.first
    while True:
        cursor = await connection.execute(end_of_slice, [after])
        end = await cursor.fetchone()
        if end is None:
            break
        rows = f"select * {beyond} and {table.key} <= %s"
        yield await one_row(connection, table.query.format(rows=rows), [after, end[0]])
        after = end[0]
    yield await one_row(connection, table.query.format(rows=f"select * {beyond}"), [after])


def _joined(parts: list[Some]) -> Layered:
    """Return the rows of all parts; empties them, column by column, to have one copy only."""
    names = list(parts[0][1])
    key = np.concatenate([key for key, _ in parts])
    whole = {name: np.concatenate([some.pop(name) for _, some in parts]) for name in names}
    return Layered(key, whole)
