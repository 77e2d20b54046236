"""News: stored samples that the rules have not seen as they are now. Pure.

A batch's new readings, or those that a person or a loan has put in another light.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Batch, Bools, Floats, Ids, Int64s
from ingest.judgement import Judgement
from ingest.registry import Registry

# What is asked of the readings themselves, beside limits, when they come.
_KINDS: Final = ("k_of_n", "change", "repeat")


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """s samples, in any order."""

    found_at: int  # microseconds since 2000: the newest arrival, or when they were looked at again
    reading_id: Ids  # (s,) S16
    patient: Int64s  # (s,)
    quantity: NDArray[np.int16]  # (s,)
    measured_at: Int64s  # (s,)
    arrived_at: Int64s  # (s,)
    value: Floats  # (s,) in the quantity's unit
    status: NDArray[np.int32]  # (s,) Status bits of the reading
    counts: Bools  # (s,) rules use it; or used it, where it is taken back
    is_vouched: Bools  # (s,) a person said so: no repeat is asked for
    is_taken_back: Bools  # (s,) rejected or replaced: windows after it are looked at again

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the samples that an index or mask picks."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})


_COLUMNS: Final = tuple(f.name for f in fields(News) if f.name != "found_at")


def from_batch(registry: Registry, batch: Batch, judgement: Judgement, is_new: Bools) -> News:
    """Return the batch's new samples of patients whose plans ask for more than limits.

    Args:
        registry: As fresh as the judgement.
        batch: What came.
        judgement: Of this batch.
        is_new: (n,) which readings were stored by this transaction.
    """
    asked = np.zeros(len(batch), np.bool_)
    for kind in _KINDS:
        asked |= among(registry.patients_with(kind), judgement.patient)
    asked &= is_new
    rows = np.empty(0, np.int64)
    if asked.any():
        stored = judgement.verdict.sample_reason == 0
        rows = np.flatnonzero(stored & asked[batch.samples.reading])
    reading = batch.samples.reading[rows]
    no = np.zeros(len(rows), np.bool_)
    return News(
        found_at=int(batch.arrived_at.max()) if len(batch) else 0,
        reading_id=batch.reading_id[reading],
        patient=judgement.patient[reading],
        quantity=batch.samples.quantity[rows],
        measured_at=batch.measured_at[reading],
        arrived_at=batch.arrived_at[reading],
        value=batch.samples.value[rows],
        status=batch.status[reading],
        counts=judgement.counted[rows],
        is_vouched=no,
        is_taken_back=no,
    )


def among(ascending: Int64s, values: Int64s) -> Bools:
    """Tell which *values* are in *ascending*, of which there may be a county's worth."""
    if not len(ascending):
        return np.zeros(len(values), np.bool_)
    place = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
    found: Bools = ascending[place] == values
    return found
