"""Breach: one value at or beyond a bound of its patient's plan; what alerts reads."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from devices.quantity import BY_ID
from ingest.batch import DAY, Batch, Bools, Floats, Ids, Int64s
from ingest.rules.limit import Finding

# Measured longer ago than this when it arrived: too late for "now", so judged and marked.
LATE: Final = DAY
SIDES: Final = ("", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaches:
    """b breaches as columns."""

    reading_id: Ids  # (b,) S16
    patient: Int64s  # (b,)
    quantity: NDArray[np.int16]  # (b,)
    measured_at: Int64s  # (b,)
    level: NDArray[np.int8]  # (b,) 1 yellow, 2 red
    side: NDArray[np.int8]  # (b,) index into SIDES
    value: Floats  # (b,)
    bound: Floats  # (b,)
    version: Int64s  # (b,)
    late: Bools  # (b,)

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the breaches that an index or mask picks."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def rules(self) -> list[str]:
        """Return the rule of each breach: what is measured in one act is one rule."""
        return [f"limit:{BY_ID[number].facts.panel}" for number in self.quantity.tolist()]


def from_finding(batch: Batch, patient: Int64s, finding: Finding) -> Breaches:
    """Return the breaches among the batch's samples.

    Args:
        batch: The samples that were held against their limits.
        patient: (n,) whose each reading is.
        finding: (m,) what the rule says of each sample.
    """
    rows = np.flatnonzero(finding.level > 0)
    reading = batch.samples.reading[rows]
    return Breaches(
        reading_id=batch.reading_id[reading],
        patient=patient[reading],
        quantity=batch.samples.quantity[rows],
        measured_at=batch.measured_at[reading],
        level=finding.level[rows],
        side=finding.side[rows],
        value=batch.samples.value[rows],
        bound=finding.bound[rows],
        version=finding.version[rows],
        late=batch.arrived_at[reading] - batch.measured_at[reading] > LATE,
    )
