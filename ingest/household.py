"""Household: a weight that is nearer another's of the home than her own may be the other's.

It is doubted as one that is far from her own weights is: stored, kept out of rules, and asked about
(``alerts.care.whose_reading``). Only of a weight that is somewhat off her own is anything asked of
the database: that is seldom, and costs the batch one query.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import numpy as np
import psycopg

from devices.quantity import Quantity
from ingest.batch import Batch, Int64s
from ingest.pg_binary import Array
from ingest.plausibility import VALUE_DOUBTS, WEIGHT_WINDOW, WEIGHTS_MIN, Suspicion, Verdict
from ingest.query import arrays

# The least change that a default rule looks for, and what one person's weight moves by in a few
# days. Nearer her own than this it alerts nobody, so there is nothing to ask.
APART_KG_MIN: Final = 2.0
# More patients at one gateway are a ward, in which somebody always weighs about as much.
HOME_PATIENTS_MAX: Final = 4

_WINDOW: Final = timedelta(microseconds=WEIGHT_WINDOW)

# Who else lives where she does: has the same device on loan, or the same gateway at home. Their
# weights count as hers do, but for those of the same batch.
_NEARER: Final = """
select array_agg(asked.number)
from unnest(%s::bigint[], %s::bigint[], %s::text[],
    %s::timestamptz[], %s::float8[], %s::float8[])
    as asked (number, patient_id, device_id, measured_at, kg, apart)
where exists (
    select from (
        select l.patient_id from device_loan l
        where l.device_id = asked.device_id and l.lent_from <= asked.measured_at
            and coalesce(l.returned_at, 'infinity') > asked.measured_at
        union
        select o.patient_id from gateway_home h join gateway_home o using (gateway_id)
        where h.patient_id = asked.patient_id and h.until_at is null and o.until_at is null
            and (
                select count(*) from gateway_home a
                where a.gateway_id = h.gateway_id and a.until_at is null
            ) <= %s
    ) other
    cross join lateral (
        select percentile_cont(0.5) within group (order by s.value) as median, count(*) as weights
        from sample s
        where s.patient_id = other.patient_id and s.quantity_id = %s
            and s.measured_at >= asked.measured_at - %s::interval
            and s.measured_at < asked.measured_at and sample_counts(s.suspicion)
    ) hers
    where other.patient_id <> asked.patient_id and hers.weights >= %s
        and abs(asked.kg - hers.median) < asked.apart
    offset 0
)
"""


async def doubt(
    connection: psycopg.AsyncConnection[Any], batch: Batch, patient: Int64s, verdict: Verdict
) -> Verdict:
    """Return *verdict*, with those weights doubted that are nearer another's of the home.

    Args:
        connection: In the transaction that judges.
        batch: What came.
        patient: (n,) whose each reading is.
        verdict: By the patients' own values.
    """
    asked = np.flatnonzero(
        (verdict.weight_apart > APART_KG_MIN)  # NaN is not
        & ((verdict.sample_suspicion & VALUE_DOUBTS) == 0)
    )
    if not len(asked):
        return verdict
    samples = batch.samples
    reading = samples.reading[asked]
    (nearer,) = await arrays(
        connection,
        _NEARER,
        [
            Array(asked.astype(np.int64), "int8"),
            Array(patient[reading], "int8"),
            [batch.devices[index] for index in batch.device[reading].tolist()],
            Array(batch.measured_at[reading], "timestamptz"),
            Array(samples.value[asked], "float8"),
            Array(verdict.weight_apart[asked], "float8"),
            HOME_PATIENTS_MAX,
            Quantity.BODY_WEIGHT.facts.id,
            _WINDOW,
            WEIGHTS_MIN,
        ],
    )
    of_sample, of_reading = verdict.sample_suspicion.copy(), verdict.suspicion.copy()
    of_sample[nearer] |= Suspicion.WEIGHT_OFF_MEDIAN
    of_reading[samples.reading[nearer]] |= Suspicion.WEIGHT_OFF_MEDIAN
    return replace(verdict, suspicion=of_reading, sample_suspicion=of_sample)
