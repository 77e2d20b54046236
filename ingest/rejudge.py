"""Rejudge: readings that are to be judged once more, as of when they were measured.

A confirmed or corrected reading, and one whose device turned out to be lent. What was found
before stays and alerts nobody again. Of what was rejected nothing is judged, but the windows that
held it are.
"""

from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest import consequences, episode
from ingest.batch import Int64s
from ingest.breach import LATE, Breaches, of_limits
from ingest.news import News
from ingest.pg_binary import Array
from ingest.plausibility import Suspicion, counts
from ingest.query import arrays
from ingest.registry import Registry
from ingest.rules import limit

_QUEUED: Final = """
select array_agg(q.reading_id), array_agg(coalesce(r.patient_id, 0))
from (select reading_id from rejudge order by asked_at, reading_id limit %s) q
left join reading r using (reading_id)
"""

# After the patients' rows are locked: another may have done some of them meanwhile.
_TAKE: Final = """
with taken as (
    delete from rejudge where reading_id in (
        select reading_id from rejudge where reading_id = any (%s::uuid[])
        order by reading_id for update skip locked
    )
    returning reading_id
)
update reading r set revision = %s from taken t where r.reading_id = t.reading_id
returning r.reading_id
"""

_SAMPLES: Final = """
select array_agg(s.reading_id), array_agg(s.patient_id), array_agg(s.quantity_id),
    array_agg(s.measured_at), array_agg(r.arrived_at), array_agg(s.value), array_agg(s.suspicion),
    array_agg(r.status)
from reading r join sample s
    on s.patient_id = r.patient_id and s.measured_at = r.measured_at and s.reading_id = r.reading_id
where r.reading_id = any (%s::uuid[])
"""


async def run(connection: psycopg.AsyncConnection[Any], registry: Registry, most: int) -> int:
    """Judge at most *most* readings of the table ``rejudge``; return how many.

    In a transaction of its own (or a part of the caller's). Correct if several do it at once.
    """
    async with connection.transaction():
        queued, patients = await arrays(connection, _QUEUED, [most])
        if not len(queued):
            return 0
        await episode.lock(connection, patients)
        revision = await registry.refresh(connection)
        queued = queued.astype("S16")
        taken = await connection.execute(_TAKE, [Array(queued, "uuid"), revision])
        ids = np.array([row[0].bytes for row in await taken.fetchall()], "S16")
        if len(ids):
            news = await _news(connection, registry.now, ids)
            await consequences.draw(connection, registry, news, _limits(registry, news))
    return len(queued)


async def _news(connection: psycopg.AsyncConnection[Any], now: int, ids: NDArray[Any]) -> News:
    reading, patient, quantity, at, arrived, value, bits, status = await arrays(
        connection, _SAMPLES, [Array(ids, "uuid")]
    )
    suspicion = bits.astype(np.int32)
    is_taken_back = (suspicion & Suspicion.SUPERSEDED) != 0
    return News(
        found_at=now,
        reading_id=reading.astype("S16"),
        patient=patient,
        quantity=quantity.astype(np.int16),
        measured_at=at,
        arrived_at=arrived,
        value=value.astype(np.float64),
        status=status.astype(np.int32),
        counts=counts(suspicion) | is_taken_back,
        is_vouched=(suspicion & Suspicion.CONFIRMED) != 0,
        is_taken_back=is_taken_back,
    )


def _limits(registry: Registry, news: News) -> Breaches:
    """Return which limits *news* breaks; late is what was measured long before now."""
    patient: Int64s = news.patient
    finding = limit.evaluate(
        patient=patient,
        quantity=news.quantity,
        measured_at=news.measured_at,
        value=news.value,
        counts=news.counts & ~news.is_taken_back & ~registry.paused(patient, news.measured_at),
        limits=registry.limits_of(patient),
    )
    rows = np.flatnonzero(finding.level > 0)
    return of_limits(
        reading_id=news.reading_id[rows],
        patient=patient[rows],
        quantity=news.quantity[rows],
        measured_at=news.measured_at[rows],
        level=finding.level[rows],
        side=finding.side[rows],
        value=news.value[rows],
        bound=finding.bound[rows],
        version=finding.version[rows],
        late=news.found_at - news.measured_at[rows] > LATE,
    )
