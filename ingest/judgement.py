"""Judgement: whose each reading is, whether it can be believed, and which limits it breaks.

Reads what it needs of the devices and patients of the batch; the judging itself is pure.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from ingest import plausibility, tables
from ingest.assignments import assign
from ingest.batch import Batch, Bools, Ids, Int64s
from ingest.breach import Breaches, from_finding
from ingest.plausibility import VALUE_DOUBTS, Verdict
from ingest.quarantine import Reason
from ingest.registry import Registry
from ingest.rules import limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is to become of a batch."""

    patient: Int64s  # (n,) 0 where not assigned
    loan: Int64s  # (n,)
    verdict: Verdict
    stored: Bools  # (n,) refused now, but stored already: a repeat stays one, see ``judge``
    breaches: Breaches  # of limits
    revision: int  # of the registry, that it was judged by
    counted: Bools  # (m,) to be stored, and not doubted: what rules see; also in a pause
    paused: Bools  # (n,) measured while the patient's rules are silent


async def judge(
    connection: psycopg.AsyncConnection[Any], registry: Registry, batch: Batch
) -> Judgement:
    """Judge *batch* by what the database knows in the transaction of *connection*.

    A reading that comes again may be refused now, since its loan has ended or later readings
    have come in between. It is stored, and the gateway is told so.
    """
    reason = plausibility.refuse_readings(batch)
    reason = np.where(
        await _from_unknown_gateway(connection, batch), Reason.UNKNOWN_GATEWAY.code, reason
    )
    assignment = assign(batch, await tables.loans(connection, batch))
    reason = np.where(reason == 0, assignment.reason, reason).astype(np.int8)
    patient = assignment.patient
    history = await tables.history(connection, batch, patient, reason == 0)
    verdict = plausibility.judge(batch, reason, patient, history)
    counted = (
        (verdict.sample_reason == 0)
        & (verdict.reason[batch.samples.reading] == 0)
        & ((verdict.sample_suspicion & VALUE_DOUBTS) == 0)
    )
    return Judgement(
        patient=patient,
        loan=assignment.loan,
        verdict=verdict,
        stored=np.isin(batch.reading_id, await _stored_among(connection, batch, verdict)),
        breaches=await _breaches(connection, batch, patient, verdict),
        revision=registry.revision,
        counted=counted,
        paused=np.zeros(len(batch), np.bool_),
    )


async def _from_unknown_gateway(
    connection: psycopg.AsyncConnection[Any], batch: Batch
) -> NDArray[np.bool_]:
    ids = [origin.gateway_id for origin in batch.origins]
    known = await tables.known_gateways(connection, sorted(set(ids)))
    unknown: NDArray[np.bool_] = np.array([name not in known for name in ids], np.bool_)
    return unknown[batch.origin]


async def _stored_among(
    connection: psycopg.AsyncConnection[Any], batch: Batch, verdict: Verdict
) -> Ids:
    return await tables.stored_ids(connection, batch.reading_id[verdict.reason > 0])


async def _breaches(
    connection: psycopg.AsyncConnection[Any], batch: Batch, patient: Int64s, verdict: Verdict
) -> Breaches:
    samples = batch.samples
    stored = (verdict.sample_reason == 0) & (verdict.reason[samples.reading] == 0)
    finding = limit.evaluate(
        patient=patient[samples.reading],
        quantity=samples.quantity,
        measured_at=batch.measured_at[samples.reading],
        value=samples.value,
        counts=stored & ((verdict.sample_suspicion & VALUE_DOUBTS) == 0),
        limits=await tables.limits(connection, patient[verdict.reason == 0]),
    )
    return from_finding(batch, patient, finding)
