"""Reads what is stored near the readings of one batch, into columns.

Each query aggregates its columns into arrays, so the answer is one row whatever its size.
"""

from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from devices.quantity import Quantity
from ingest.batch import HOUR, Batch, Bools, Int64s
from ingest.history import History
from ingest.pg_binary import Array, read_array
from ingest.plausibility import VALUE_DOUBTS, WEIGHT_WINDOW, Suspicion, pair_group

Connection = psycopg.AsyncConnection[Any]

_RATES: Final = """
select array_agg(asked.pair), array_agg(r.measured_at), array_agg(r.reading_id)
from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[])
    as asked (pair, patient_id, device_id, later_than, until)
join lateral (
    select measured_at, reading_id from reading
    where patient_id = asked.patient_id and device_id = asked.device_id
        and measured_at > asked.later_than and measured_at <= asked.until
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
    (found,) = await _columns(connection, _STORED, [Array(reading_id, "uuid")])
    return found.astype("S16")


async def _rates(
    connection: Connection, batch: Batch, patient: Int64s, sound: Bools
) -> list[NDArray[Any]]:
    group = pair_group(batch, patient)[sound]
    pair, first = np.unique(group, return_index=True)
    earliest, latest = _spans(group, pair, batch.measured_at[sound])
    names = [batch.devices[index] for index in batch.device[sound][first].tolist()]
    return await _columns(
        connection,
        _RATES,
        [
            Array(pair, "int8"),
            Array(patient[sound][first], "int8"),
            names,
            Array(earliest - HOUR, "timestamptz"),
            Array(latest, "timestamptz"),
        ],
        ask=len(pair) > 0,
        count=3,
    )


async def _weights(
    connection: Connection, batch: Batch, patient: Int64s, sound: Bools
) -> list[NDArray[Any]]:
    samples = batch.samples
    is_weight = (samples.quantity == Quantity.BODY_WEIGHT.facts.id) & sound[samples.reading]
    reading = samples.reading[is_weight]
    owner = np.unique(patient[reading])
    earliest, latest = _spans(patient[reading], owner, batch.measured_at[reading])
    return await _columns(
        connection,
        _WEIGHTS,
        [
            Array(owner, "int8"),
            Array(earliest - WEIGHT_WINDOW, "timestamptz"),
            Array(latest, "timestamptz"),
            Quantity.BODY_WEIGHT.facts.id,
            int(Suspicion.SUPERSEDED),
            VALUE_DOUBTS & ~Suspicion.WEIGHT_OFF_MEDIAN,
            int(Suspicion.CONFIRMED),
        ],
        ask=len(owner) > 0,
        count=4,
    )


def _spans(group: Int64s, distinct: Int64s, at: Int64s) -> tuple[Int64s, Int64s]:
    """Return the earliest and the latest time of each distinct group."""
    if not len(distinct):
        return at, at
    order = np.lexsort((at, group))
    first = np.searchsorted(group[order], distinct, side="left")
    last = np.searchsorted(group[order], distinct, side="right") - 1
    return at[order][first], at[order][last]


async def _columns(
    connection: Connection,
    query: str,
    parameters: list[Any],
    *,
    ask: bool = True,
    count: int = 0,
) -> list[NDArray[Any]]:
    """Return the one row of arrays that *query* gives; *count* empty ones without asking."""
    if not ask:
        return [read_array(None)] * count
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query, parameters)
        result = cursor.pgresult
        assert result is not None
        return [read_array(result.get_value(0, column)) for column in range(result.nfields)]
