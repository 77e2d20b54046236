"""Samples for rules that the clock looks at: one query a chunk of patients."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import numpy as np

from ingest.batch import NO_TIME, Int64s
from ingest.clock.chore import Connection
from ingest.clock.columns import moment_of
from ingest.pg_binary import Array, read_array
from ingest.plausibility import Suspicion, counts
from ingest.query import one_row
from ingest.rules.limit import IDS_MAX
from ingest.rules.table import RuleRows, Series
from ingest.search import last_until

# The outer bounds are those of all asked, known before the query is planned: chunks of a
# hypertable beyond them are never opened.
_BETWEEN: Final = """
with asked as (
    select patient_id, quantity_id, min(since) as since, max(until) as until
    from unnest(%s::bigint[], %s::smallint[], %s::timestamptz[], %s::timestamptz[])
        as a (patient_id, quantity_id, since, until)
    group by patient_id, quantity_id
),
sample_between as (
    select s.* from asked a
    cross join lateral (
        select * from sample s
        where s.patient_id = a.patient_id and s.quantity_id = a.quantity_id
            and s.measured_at >= a.since and s.measured_at <= a.until
            and s.measured_at >= %s and s.measured_at <= %s
        offset 0  -- as in ingest.tables
    ) s
),
"""

_ARRAYS: Final = """
select array_agg(patient_id), array_agg(quantity_id), array_agg(measured_at),
    array_agg(reading_id), array_agg(value), array_agg(suspicion)
from found
"""

_SAMPLES: Final = f"""{_BETWEEN}
found as (
    select * from sample_between order by patient_id, quantity_id, measured_at, reading_id
)
{_ARRAYS}"""  # noqa: S608 - our own text

# A counter is read many times a day, and only the day's highest is looked at: of equal ones the
# last, as ingest.rules.baseline takes them.
_DAILY: Final = f"""{_BETWEEN}
highest as (
    select distinct on (
        patient_id, quantity_id, (measured_at at time zone 'Europe/Stockholm')::date
    ) *
    from sample_between
    where sample_counts(suspicion)
    order by patient_id, quantity_id, (measured_at at time zone 'Europe/Stockholm')::date,
        value desc, measured_at desc, reading_id desc
),
found as (
    select * from highest order by patient_id, quantity_id, measured_at, reading_id
)
{_ARRAYS}"""  # noqa: S608 - our own text

# Doubted ones too: she has measured. The newest is found from the end of the index.
_LAST: Final = f"""
with asked as (
    select patient_id, quantity_id, min(since) as since
    from unnest(%s::bigint[], %s::smallint[], %s::timestamptz[])
        as a (patient_id, quantity_id, since)
    group by patient_id, quantity_id
),
found as (
    select s.* from asked a
    cross join lateral (
        select * from sample s
        where s.patient_id = a.patient_id and s.quantity_id = a.quantity_id
            and s.measured_at >= a.since and s.measured_at >= %s and s.measured_at <= %s
            and s.suspicion & %s = 0
        order by s.measured_at desc limit 1
    ) s
    order by s.patient_id, s.quantity_id
)
{_ARRAYS}"""  # noqa: S608 - our own text


async def last(connection: Connection, rules: RuleRows, since: Int64s, until: int) -> Series:
    """Return the last sample in [since, until] of each rule's patient and quantity, if any.

    Args:
        connection: In the transaction that has locked the due rows.
        rules: k rules.
        since: (k,) how far back to look; of rules of one patient and quantity the earliest.
        until: For all.
    """
    if not len(rules):
        return series([None] * 6)
    parameters = [
        Array(rules.patient, "int8"),
        Array(rules.quantity, "int2"),
        Array(since, "timestamptz"),
        moment_of(int(since.min())),
        moment_of(until),
        int(Suspicion.SUPERSEDED),
    ]
    return series(await one_row(connection, _LAST, parameters))


def merged(one: Series, other: Series) -> Series:
    """Return the samples of both, which have no patient and quantity in common."""
    both = Series(
        **{
            f.name: np.concatenate((getattr(one, f.name), getattr(other, f.name)))
            for f in fields(Series)
        }
    )
    return both.take(np.lexsort((both.measured_at, both.quantity, both.patient)))


def newest(found: Series, rules: RuleRows) -> Int64s:
    """Return when the last sample of each rule was measured, NO_TIME where there is none; (k,)."""
    row = last_until(
        found.patient * IDS_MAX + found.quantity,
        found.measured_at,
        rules.patient * IDS_MAX + rules.quantity,
        np.full(len(rules), np.iinfo(np.int64).max, np.int64),
    )
    at = np.full(len(rules), NO_TIME, np.int64)
    at[row >= 0] = found.measured_at[row[row >= 0]]
    return at


async def between(
    connection: Connection, rules: RuleRows, since: Int64s, until: Int64s, *, daily: bool = False
) -> Series:
    """Return the samples of each rule's patient and quantity in [since, until], (k,) each.

    *daily*: of those that count, the highest of each local day only.
    """
    if not len(rules):
        return series([None] * 6)
    parameters = [
        Array(rules.patient, "int8"),
        Array(rules.quantity, "int2"),
        Array(since, "timestamptz"),
        Array(until, "timestamptz"),
        moment_of(int(since.min())),
        moment_of(int(until.max())),
    ]
    return series(await one_row(connection, _DAILY if daily else _SAMPLES, parameters))


def series(raw: Sequence[bytes | None]) -> Series:
    """Return arrays of patient, quantity, time, reading, value and suspicion as a series.

    They must be sorted as a series is. The status bits are not fetched: no rule of the clock's
    looks at them.
    """
    patient, quantity, measured_at, reading_id, value, suspicion = map(_array, raw)
    return Series(
        patient=patient.astype(np.int64),
        quantity=quantity.astype(np.int16),
        measured_at=measured_at.astype(np.int64),
        reading_id=reading_id.astype("S16"),
        value=value.astype(np.float64),
        counts=counts(suspicion.astype(np.int32)),
        status=np.zeros(len(patient), np.int32),
    )


def _array(raw: bytes | None) -> Any:
    return read_array(raw)
