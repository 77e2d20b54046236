"""Judgement: whose each reading is, whether it can be believed, and which limits it breaks.

Reads what it needs of the devices and patients of the batch; the judging itself is pure.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from ingest import household, plausibility, tables
from ingest.assignments import assign
from ingest.batch import Batch, Bools, Int64s
from ingest.breach import Breaches, from_finding
from ingest.plausibility import Verdict
from ingest.quarantine import Reason
from ingest.registry import Registry
from ingest.rules import limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to become of a batch."""

    patient: Int64s  # (n,) 0 where not assigned
    loan: Int64s  # (n,)
    verdict: Verdict
    stored: Bools  # (n,) stored already; of those not refused, only if ``judge`` was told to ask
    breaches: Breaches  # of limits
    revision: int  # of the registry, that it was judged by
    counted: Bools  # (m,) to be stored, and not doubted: what rules see; also in a pause
    paused: Bools  # (n,) measured while the patient's rules are silent


async def judge(
    connection: psycopg.AsyncConnection[Any],
    registry: Registry,
    batch: Batch,
    *,
    ask: bool = False,
) -> Judgement:
    """Judge *batch* by what the database knows in the transaction of *connection*.

    A reading that comes again may be refused now, since its loan has ended or later readings
    have come in between. It is stored, and the gateway is told so.

    Args:
        connection: In a transaction at READ COMMITTED.
        registry: Is brought up to the revision that the transaction sees.
        batch: Each reading id once.
        ask: Whether to ask of all readings if they are stored, and not of the refused only.
    """
    revision = await registry.refresh(connection)
    reason = np.where(batch.fault > 0, batch.fault, plausibility.refuse_readings(batch))
    reason = np.where(_from_unknown_gateway(registry, batch), Reason.UNKNOWN_GATEWAY.code, reason)
    assignment = assign(batch, registry.loans_of(batch.devices))
    reason = np.where(reason == 0, assignment.reason, reason).astype(np.int8)
    patient = assignment.patient
    history = await tables.history(connection, batch, patient, reason == 0)
    verdict = plausibility.judge(batch, reason, patient, history)
    verdict = await household.doubt(connection, batch, patient, verdict)
    counted = (
        (verdict.sample_reason == 0)
        & (verdict.reason[batch.samples.reading] == 0)
        & plausibility.counts(verdict.sample_suspicion)
    )
    paused = registry.paused(patient, batch.measured_at)
    return Judgement(
        patient=patient,
        loan=assignment.loan,
        verdict=verdict,
        stored=await _stored_among(connection, batch, (verdict.reason > 0) | ask),
        breaches=_breaches(registry, batch, patient, counted & ~paused[batch.samples.reading]),
        revision=revision,
        counted=counted,
        paused=paused,
    )


def _from_unknown_gateway(registry: Registry, batch: Batch) -> Bools:
    ids = [origin.gateway_id for origin in batch.origins]
    known = registry.known_gateways(ids)
    unknown = np.array([name not in known for name in ids], np.bool_)
    return unknown[batch.origin]


async def _stored_among(
    connection: psycopg.AsyncConnection[Any], batch: Batch, asked: Bools
) -> Bools:
    """Return (n,) which of the readings *asked* for are stored."""
    stored = np.zeros(len(batch), np.bool_)
    rows = np.flatnonzero(asked)
    if len(rows):
        ids = batch.reading_id[rows]
        stored[rows] = np.isin(ids, await tables.stored_ids(connection, ids))
    return stored


def _breaches(registry: Registry, batch: Batch, patient: Int64s, counts: Bools) -> Breaches:
    samples = batch.samples
    finding = limit.evaluate(
        patient=patient[samples.reading],
        quantity=samples.quantity,
        measured_at=batch.measured_at[samples.reading],
        value=samples.value,
        counts=counts,
        limits=registry.limits_of(patient),
    )
    return from_finding(batch, patient, finding)
