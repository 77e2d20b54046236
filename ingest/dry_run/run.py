"""Dry run: read what was measured, some patients at a time, and rehearse the proposal on it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest import pg_binary
from ingest.batch import EPOCH, Ids, Int64s, microseconds
from ingest.dry_run.proposal import Proposal
from ingest.dry_run.rehearse import rehearse
from ingest.dry_run.report import DryRun, Tally
from ingest.pg_binary import Array
from ingest.plausibility import Suspicion, counts
from ingest.query import arrays
from ingest.rules.plan import Rules
from ingest.rules.table import Series

DAYS: Final = 90
# So many have about half a million samples in half a year: a hundred megabytes as columns.
PATIENTS_AT_ONCE: Final = 500

_SAMPLES: Final = """
select array_agg(patient_id), array_agg(quantity_id), array_agg(measured_at),
    array_agg(reading_id), array_agg(value), array_agg(suspicion)
from sample
where patient_id = any (%s::bigint[]) and quantity_id = any (%s::smallint[])
    and measured_at >= %s and measured_at < %s
"""
# The few with a bit set; asked for where a rule looks at it.
_STATUS: Final = """
select array_agg(reading_id), array_agg(status) from reading
where patient_id = any (%s::bigint[]) and measured_at >= %s and measured_at < %s and status <> 0
"""
_PAUSES: Final = """
select array_agg(patient_id), array_agg(from_at), array_agg(until_at)
from patient_pause where patient_id = any (%s::bigint[]) and until_at > %s and from_at < %s
"""


async def dry_run(
    connection: psycopg.AsyncConnection[Any],
    patient_ids: Sequence[int],
    rules: Rules,
    *,
    until: datetime,
    days: int = DAYS,
) -> DryRun:
    """Say how many alerts *rules* would have made of what these patients measured.

    Args:
        connection: Any; nothing is written.
        patient_ids: One patient, or a template's whole cohort.
        rules: The proposed plan, validated.
        until: The end, exclusive; aware.
        days: How many times 24 hours before it.
    """
    pg_binary.register(connection)
    since, end = microseconds([until - timedelta(days=days), until]).tolist()
    proposal = Proposal.of(rules, since)
    patients = np.unique(np.array(patient_ids, np.int64))
    tally = Tally()
    for first in range(0, len(patients), PATIENTS_AT_ONCE):
        some = patients[first : first + PATIENTS_AT_ONCE]
        series = await _series(connection, some, proposal, end)
        pauses = await _pauses(connection, some, since, end)
        tally.add(rehearse(series, some, proposal, end, pauses), len(series))
    return tally.result(len(patients), days)


async def _series(
    connection: psycopg.AsyncConnection[Any], patients: Int64s, proposal: Proposal, until: int
) -> Series:
    span = np.array([proposal.since - proposal.reach(), until], np.int64)
    asked = Array(patients, "int8")
    quantities = Array(np.array(proposal.quantities, np.int64), "int2")
    patient, quantity, at, reading, value, suspicion = await arrays(
        connection, _SAMPLES, [asked, quantities, *_moments(span)]
    )
    reading, suspicion = reading.astype("S16"), suspicion.astype(np.int32)
    status = np.zeros(len(reading), np.int32)
    if proposal.asks_for_status:
        noticed, bits = await arrays(connection, _STATUS, [asked, *_moments(span)])
        status = _matched(reading, noticed.astype("S16"), bits.astype(np.int32))
    there = np.flatnonzero((suspicion & int(Suspicion.SUPERSEDED)) == 0)
    order = there[np.lexsort((reading[there], at[there], quantity[there], patient[there]))]
    return Series(
        patient=patient[order],
        quantity=quantity[order].astype(np.int16),
        measured_at=at[order],
        reading_id=reading[order],
        value=value[order].astype(np.float64),
        counts=counts(suspicion[order]),
        status=status[order],
    )


def _matched(reading: Ids, noticed: Ids, bits: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the bits of each reading; 0 for those not *noticed*."""
    if not len(noticed):
        return np.zeros(len(reading), np.int32)
    order = np.argsort(noticed)
    place = np.minimum(np.searchsorted(noticed[order], reading), len(noticed) - 1)
    found: NDArray[np.int32] = np.where(noticed[order][place] == reading, bits[order][place], 0)
    return found


async def _pauses(
    connection: psycopg.AsyncConnection[Any], patients: Int64s, since: int, until: int
) -> NDArray[np.int64]:
    span = np.array([since, until], np.int64)
    columns = await arrays(connection, _PAUSES, [Array(patients, "int8"), *_moments(span)])
    return np.column_stack(columns).astype(np.int64).reshape(-1, 3)


def _moments(span: Int64s) -> list[datetime]:
    return [EPOCH + timedelta(microseconds=one) for one in span.tolist()]
