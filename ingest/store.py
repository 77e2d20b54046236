"""Store: one batch in one transaction. What is new is copied in; what is there stays as it is.

Readings are copied straight into their table. A reading that is stored already makes that
fail, and the batch goes in through a staging table instead; breaches and samples follow
only for readings that were new, so nothing is counted twice however often it comes.
"""

from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from devices.quantity import BY_ID
from ingest import episode, quarantine
from ingest.batch import CLOCKS, NO_BATTERY, NO_SLOT, NO_TIME, OUTCOMES, Batch, Bools, Ids
from ingest.judgement import Judgement
from ingest.pg_binary import Column, choice, copy_blocks, number, read_array, variable
from ingest.quarantine import Refused

_READING_COLUMNS: Final = (
    "reading_id, patient_id, loan_id, gateway_id, device_id, slot, outcome, measured_at,"
    " device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status, suspicion,"
    " battery_percent, source, payload"
)
_SAMPLE_COLUMNS: Final = (
    "patient_id, quantity_id, measured_at, reading_id, value, suspicion, original_value,"
    " original_unit"
)
_COPY_READING: Final = f"copy reading ({_READING_COLUMNS}) from stdin (format binary)"
_COPY_SAMPLE: Final = f"copy sample ({_SAMPLE_COLUMNS}) from stdin (format binary)"

STAGING: Final = """
create temporary table if not exists reading_incoming
    (like reading including defaults) on commit delete rows
"""
_COPY_STAGING: Final = f"copy reading_incoming ({_READING_COLUMNS}) from stdin (format binary)"
# In the order of ids, so that two workers with the same readings do not wait in a circle.
_MERGE: Final = f"""
with new as (
    insert into reading ({_READING_COLUMNS})
    select {_READING_COLUMNS} from reading_incoming order by reading_id
    on conflict (reading_id) do nothing
    returning reading_id
)
select array_agg(reading_id) from new
"""  # noqa: S608 - our own column names

# The constraint that tells "stored already" from every other refusal.
READING_KEY: Final = "reading_pkey"

assert len(BY_ID) < np.iinfo(np.int16).max


async def write(
    connection: psycopg.AsyncConnection[Any],
    batch: Batch,
    judgement: Judgement,
    refused: list[Refused],
    *,
    staged: bool,
) -> int:
    """Write what was judged, inside the transaction of *connection*.

    Args:
        connection: With the table of ``STAGING``, if *staged*.
        batch: Each reading id once.
        judgement: Of this batch.
        refused: Rows for quarantine.
        staged: Whether readings may be stored already. Without it, one that is makes this fail.

    Returns:
        How many readings were new.

    Raises:
        psycopg.errors.UniqueViolation: Of ``READING_KEY``: stored already, and not *staged*.
    """
    rows = np.flatnonzero(judgement.verdict.reason == 0)
    is_new = np.zeros(len(batch), np.bool_)
    is_new[rows] = True
    if len(rows):
        columns = _reading_columns(batch, judgement, rows)
        if staged:
            await _copy(connection, _COPY_STAGING, columns)
            is_new &= np.isin(batch.reading_id, await _merge(connection))
        else:
            await _copy(connection, _COPY_READING, columns)
    await _write_samples(connection, batch, judgement, is_new)
    new_ids = batch.reading_id[is_new]
    breaches = judgement.breaches
    await episode.record(connection, breaches.take(np.isin(breaches.reading_id, new_ids)))
    await quarantine.insert(connection, refused)
    return len(new_ids)


async def _merge(connection: psycopg.AsyncConnection[Any]) -> Ids:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_MERGE)
        result = cursor.pgresult
        assert result is not None
        return read_array(result.get_value(0, 0)).astype("S16")


async def _write_samples(
    connection: psycopg.AsyncConnection[Any], batch: Batch, judgement: Judgement, is_new: Bools
) -> None:
    samples = batch.samples
    rows = np.flatnonzero((judgement.verdict.sample_reason == 0) & is_new[samples.reading])
    if not len(rows):
        return
    reading = samples.reading[rows]
    original = samples.original_value[rows]
    columns = [
        number(judgement.patient[reading], ">i8"),
        number(samples.quantity[rows], ">i2"),
        number(batch.measured_at[reading], ">i8"),
        Column(batch.reading_id[reading]),
        number(samples.value[rows], ">f8"),
        number(judgement.verdict.sample_suspicion[rows], ">i4"),
        number(original, ">f8", np.isnan(original)),
        choice(batch.units, samples.original_unit[rows]),
    ]
    await _copy(connection, _COPY_SAMPLE, columns)


def _reading_columns(batch: Batch, judgement: Judgement, rows: NDArray[np.intp]) -> list[Column]:
    readings = [batch.readings[row] for row in rows.tolist()]
    sources: dict[str, int] = {}
    source = np.array([sources.setdefault(r.source, len(sources)) for r in readings], np.int64)
    slot, battery = batch.slot[rows], batch.battery[rows]
    device_time, offset = batch.device_time[rows], batch.clock_offset_s[rows]
    return [
        Column(batch.reading_id[rows]),
        number(judgement.patient[rows], ">i8"),
        number(judgement.loan[rows], ">i8"),
        choice([origin.gateway_id for origin in batch.origins], batch.origin[rows]),
        choice(batch.devices, batch.device[rows]),
        number(slot, ">i2", slot == NO_SLOT),
        choice(OUTCOMES, batch.outcome[rows]),
        number(batch.measured_at[rows], ">i8"),
        number(device_time, ">i8", device_time == NO_TIME),
        number(batch.received_at[rows], ">i8"),
        number(batch.sent_at[rows], ">i8"),
        number(batch.arrived_at[rows], ">i8"),
        choice(CLOCKS, batch.clock[rows]),
        number(offset, ">f8", np.isnan(offset)),
        number(batch.status[rows], ">i4"),
        number(judgement.verdict.suspicion[rows], ">i4"),
        number(battery, ">i2", battery == NO_BATTERY),
        choice(list(sources), source),
        variable([bytes.fromhex(r.payload) for r in readings]),
    ]


async def _copy(
    connection: psycopg.AsyncConnection[Any], statement: str, columns: list[Column]
) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for block in copy_blocks(columns):
            await copy.write(block)
