"""Store: one batch in one transaction. What is new is copied in; what is there stays as it is.

Readings are copied straight into their table, in the order of their ids, so that two workers with
the same readings do not wait in a circle. One that is stored already makes that fail; then the
batch must be judged again, with the question which are. Breaches and samples follow only for
readings that were new, so nothing is counted twice however often it comes.
"""

from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from devices.quantity import BY_ID
from ingest import consequences, quarantine
from ingest.batch import CLOCKS, NO_BATTERY, NO_SLOT, NO_TIME, OUTCOMES, Batch, Bools
from ingest.judgement import Judgement
from ingest.pg_binary import Column, choice, copy_data, number
from ingest.quarantine import Refused
from ingest.registry import Registry

_READING_COLUMNS: Final = (
    "reading_id, patient_id, loan_id, gateway_id, device_id, slot, outcome, measured_at,"
    " device_time, received_at, sent_at, arrived_at, clock, clock_offset_s, status, suspicion,"
    " battery_percent, source, payload, revision"
)
_SAMPLE_COLUMNS: Final = (
    "patient_id, quantity_id, measured_at, reading_id, value, suspicion, original_value,"
    " original_unit"
)
_COPY_READING: Final = f"copy reading ({_READING_COLUMNS}) from stdin (format binary)"
_COPY_SAMPLE: Final = f"copy sample ({_SAMPLE_COLUMNS}) from stdin (format binary)"

# The constraint that tells "stored already" from every other refusal.
READING_KEY: Final = "reading_pkey"

assert len(BY_ID) < np.iinfo(np.int16).max


async def write(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    batch: Batch,
    judgement: Judgement,
    refused: list[Refused],
) -> Bools:
    """Write what was judged, inside the transaction of *connection*.

    Args:
        connection: As *judgement* had it.
        registry: By which it was judged.
        batch: Each reading id once.
        judgement: Of this batch. If it did not ask which readings are stored, none may be.
        refused: Rows for quarantine.

    Returns:
        (n,) which readings were new.

    Raises:
        psycopg.errors.UniqueViolation: Of ``READING_KEY``: one is stored already.
    """
    is_new: Bools = (judgement.verdict.reason == 0) & ~judgement.stored
    rows = np.flatnonzero(is_new)
    if len(rows):
        rows = rows[np.argsort(batch.reading_id[rows])]
        await _copy(connection, _COPY_READING, _reading_columns(batch, judgement, rows))
        await _write_samples(connection, batch, judgement, is_new)
        await consequences.follow(connection, registry, batch, judgement, is_new)
    await quarantine.insert(connection, refused)
    return is_new


async def _write_samples(
    connection: psycopg.AsyncConnection[Any], batch: Batch, judgement: Judgement, is_new: Bools
) -> None:
    samples = batch.samples
    rows = np.flatnonzero((judgement.verdict.sample_reason == 0) & is_new[samples.reading])
    if not len(rows):
        return
    # In the order of their key, which is a quarter faster: neighbours fall into one page.
    reading = samples.reading[rows]
    patient, at = judgement.patient[reading], batch.measured_at[reading]
    order = np.lexsort((at, samples.quantity[rows], patient))
    rows, reading = rows[order], reading[order]
    original = samples.original_value[rows]
    columns = [
        number(patient[order], ">i8"),
        number(samples.quantity[rows], ">i2"),
        number(at[order], ">i8"),
        Column(batch.reading_id[reading]),
        number(samples.value[rows], ">f8"),
        number(judgement.verdict.sample_suspicion[rows], ">i4"),
        number(original, ">f8", np.isnan(original)),
        choice(batch.units, samples.original_unit[rows]),
    ]
    await _copy(connection, _COPY_SAMPLE, columns)


def _reading_columns(batch: Batch, judgement: Judgement, rows: NDArray[np.intp]) -> list[Column]:
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
        choice(batch.sources, batch.source[rows]),
        Column(batch.payload[rows], batch.payload_length[rows]),
        number(np.full(len(rows), judgement.revision), ">i8"),
    ]


async def _copy(
    connection: psycopg.AsyncConnection[Any], statement: str, columns: list[Column]
) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(copy_data(columns))
