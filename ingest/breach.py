"""Breach: what a rule of a patient's plan found, with what it rests on; what alerts reads."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ingest.batch import DAY, Batch, Bools, Floats, Ids, Int64s
from ingest.rules.catalogue import family
from ingest.rules.limit import Finding

# Measured longer ago than this when it was found: too late for "now", so judged and marked.
LATE: Final = DAY
SIDES: Final = ("", "low", "high")

# Of plan_rule.kind, and the limits, which have a table of their own. Index 0 is the limit.
KINDS: Final = (
    "limit",
    "repeat",
    "k_of_n",
    "change",
    "rolling_mean",
    "baseline",
    "missing",
    "composite",
)
LIMIT: Final = KINDS.index("limit")
REPEAT: Final = KINDS.index("repeat")

# What the clock finds belongs to no reading. No reading has this id: it is no UUID of any version.
NO_READING: Final = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaches:
    """b breaches as columns, of any kinds."""

    kind: NDArray[np.int8]  # (b,) index into KINDS
    keys: Sequence[str]  # distinct keys of rules; "" for limits
    key: Int64s  # (b,) index into keys
    reading_id: Ids  # (b,) S16, that of the anchor; NO_READING: found by the clock
    patient: Int64s  # (b,)
    quantity: NDArray[np.int16]  # (b,)
    measured_at: Int64s  # (b,) of the anchor, or the time that the clock evaluated
    level: NDArray[np.int8]  # (b,) 0 only a part of a composite, 1 yellow, 2 red
    side: NDArray[np.int8]  # (b,) index into SIDES
    value: Floats  # (b,)
    bound: Floats  # (b,)
    version: Int64s  # (b,)
    late: Bools  # (b,)
    held: Bools  # (b,) a fact without an alert until a repeat decides
    detail: NDArray[np.object_]  # (b,) dict for the sentence, see ingest.rules.explain
    readings: NDArray[np.object_]  # (b,) Ids: all it rests on, where that is more than reading_id

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the breaches that an index or mask picks."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def holding(self, held: Bools) -> Self:
        """Return the same breaches, those of the mask *held*."""
        return replace(self, held=held) if held.any() else self

    def rules(self) -> list[str]:
        """Return the family of each breach, (b,): what opens one alert at a time."""
        return [
            family(self.keys[key], number)
            for key, number in zip(self.key.tolist(), self.quantity.tolist(), strict=True)
        ]

    def rule_keys(self) -> list[str]:
        """Return the rule's key of each breach, (b,)."""
        return [self.keys[key] for key in self.key.tolist()]


_COLUMNS: Final = tuple(f.name for f in fields(Breaches) if f.name != "keys")


def objects(values: Sequence[Any]) -> NDArray[np.object_]:
    """Return *values* as a column of objects; numpy would make a table of equal lengths."""
    column = np.empty(len(values), np.object_)
    for row, value in enumerate(values):
        column[row] = value
    return column


def concatenate(parts: Sequence[Breaches]) -> Breaches:
    """Return the breaches of all *parts*, one after the other. At least one part."""
    keys = sorted({key for part in parts for key in part.keys})
    number = {key: index for index, key in enumerate(keys)}
    renumbered = [
        np.array([number[key] for key in part.keys], np.int64)[part.key]
        if len(part)
        else np.empty(0, np.int64)
        for part in parts
    ]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in _COLUMNS
        if name != "key"
    }
    return Breaches(keys=keys, key=np.concatenate(renumbered), **columns)


def from_finding(batch: Batch, patient: Int64s, finding: Finding) -> Breaches:
    """Return the breaches of limits among the batch's samples; none of them held.

    Args:
        batch: The samples that were held against their limits.
        patient: (n,) whose each reading is.
        finding: (m,) what the rule says of each sample.
    """
    rows = np.flatnonzero(finding.level > 0)
    reading = batch.samples.reading[rows]
    return of_limits(
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


def of_limits(**columns: Any) -> Breaches:
    """Return breaches of limits: *columns* are those that are not the same for all of them."""
    size = len(columns["patient"])
    return Breaches(
        kind=np.full(size, LIMIT, np.int8),
        keys=("",),
        key=np.zeros(size, np.int64),
        held=np.zeros(size, np.bool_),
        detail=np.full(size, None, np.object_),
        readings=np.full(size, None, np.object_),
        **columns,
    )
