"""Reads what is stored near the readings of one batch, into columns.

Each query aggregates its columns into arrays, so the answer is one row whatever its size.
"""

from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from devices.quantity import Quantity
from ingest.batch import DAY, HOUR, Batch, Bools, Int64s
from ingest.history import History
from ingest.pg_binary import Array, read_array
from ingest.plausibility import VALUE_DOUBTS, WEIGHT_WINDOW, Suspicion, pair_group
from ingest.query import arrays

Connection = psycopg.AsyncConnection[Any]

# Readings further apart are looked up one by one: what lies between is no concern of theirs. More
# than the hour that counts, so that nothing is found twice.
RATES_APART: Final = 7 * DAY
assert RATES_APART > HOUR

# "offset 0" keeps the lookup of each row its own, by the index: joined as a whole, a table that
# was small when the statement was planned is read from end to end until it is analyzed again.
_RATES: Final = """
select array_agg(asked.pair), array_agg(r.measured_at), array_agg(r.reading_id)
from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[])
    as asked (pair, patient_id, device_id, later_than, until)
join lateral (
    select measured_at, reading_id from reading
    where patient_id = asked.patient_id and device_id = asked.device_id
        and measured_at > asked.later_than and measured_at <= asked.until
    offset 0
) r on true
"""

_WEIGHTS: Final = """
select array_agg(s.patient_id), array_agg(s.measured_at), array_agg(s.value),
    array_agg(s.reading_id)
from unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[])
    as asked (patient_id, since, before)
join lateral (
    select * from sample
    where patient_id = asked.patient_id and quantity_id = %s
        and measured_at >= asked.since and measured_at < asked.before
        and suspicion & %s = 0 and (suspicion & %s = 0 or suspicion & %s <> 0)
    offset 0
) s on true
"""

_STORED: Final = "select array_agg(reading_id) from reading where reading_id = any (%s::uuid[])"


async def history(connection: Connection, batch: Batch, patient: Int64s, sound: Bools) -> History:
    """Return what is stored near the *sound* readings of the batch."""
    rate = await _rates(connection, batch, patient, sound)
    weight = await _weights(connection, batch, patient, sound)
    return History(
        rate_group=rate[0],
        rate_measured_at=rate[1],
        rate_reading_id=rate[2].astype("S16"),
        weight_patient=weight[0],
        weight_measured_at=weight[1],
        weight_kg=weight[2].astype(np.float64),
        weight_reading_id=weight[3].astype("S16"),
    )


async def stored_ids(connection: Connection, reading_id: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """Return which of the ids are stored already."""
    if not len(reading_id):
        return reading_id
    (found,) = await arrays(connection, _STORED, [Array(reading_id, "uuid")])
    return found.astype("S16")


async def _rates(
    connection: Connection, batch: Batch, patient: Int64s, sound: Bools
) -> list[NDArray[Any]]:
    rows = np.flatnonzero(sound)
    group, at = pair_group(batch, patient)[rows], batch.measured_at[rows]
    order, first, last = _stretches(group, at, RATES_APART)
    row = rows[order[first]]
    if not len(row):
        return [read_array(None)] * 3
    return await arrays(
        connection,
        _RATES,
        [
            Array(group[order[first]], "int8"),
            Array(patient[row], "int8"),
            [batch.devices[index] for index in batch.device[row].tolist()],
            Array(at[order[first]] - HOUR, "timestamptz"),
            Array(at[order[last]], "timestamptz"),
        ],
    )


async def _weights(
    connection: Connection, batch: Batch, patient: Int64s, sound: Bools
) -> list[NDArray[Any]]:
    samples = batch.samples
    is_weight = (samples.quantity == Quantity.BODY_WEIGHT.facts.id) & sound[samples.reading]
    reading = samples.reading[is_weight]
    owner, at = patient[reading], batch.measured_at[reading]
    if not len(owner):
        return [read_array(None)] * 4
    order, first, last = _stretches(owner, at, WEIGHT_WINDOW)
    return await arrays(
        connection,
        _WEIGHTS,
        [
            Array(owner[order[first]], "int8"),
            Array(at[order[first]] - WEIGHT_WINDOW, "timestamptz"),
            Array(at[order[last]], "timestamptz"),
            Quantity.BODY_WEIGHT.facts.id,
            int(Suspicion.SUPERSEDED),
            VALUE_DOUBTS & ~Suspicion.WEIGHT_OFF_MEDIAN,
            int(Suspicion.CONFIRMED),
        ],
    )


def _stretches(
    group: Int64s, at: Int64s, apart: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Divide each group's times into stretches with more than *apart* between them.

    Returns:
        The order by group and time, and where in it each stretch has its first and its last.
    """
    order = np.lexsort((at, group))
    begins = np.ones(len(order), np.bool_)
    begins[1:] = (np.diff(group[order]) != 0) | (np.diff(at[order]) > apart)
    first = np.flatnonzero(begins)
    return order, first, np.append(first[1:], len(order))[: len(first)] - 1
