"""What every rule kind takes and gives: rules, series of samples, findings, all as columns.

Rules of one kind are rows of ``RuleRows``; what a kind's parameters mean, and their order, stands
in its own file as ``PARAMS``. A ``Series`` holds the samples of any number of patients. Times are
int64 microseconds since 2000-01-01 UTC, as in ingest.batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Bools, Floats, Ids, Int64s

NO_ANCHOR: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRows:
    """k rules of one kind, each of one plan version of one patient."""

    patient: Int64s  # (k,)
    in_force_from: Int64s  # (k,) inclusive: of the plan version
    in_force_until: Int64s  # (k,) exclusive: the next version's; the largest int64 while it lasts
    version: Int64s  # (k,)
    keys: Sequence[str]  # distinct rule keys
    key: Int64s  # (k,) index into keys
    quantity: NDArray[np.int16]  # (k,) quantity id; of a panel its first, see the kind
    level: NDArray[np.int8]  # (k,) 0: only a part of a composite; 1 yellow; 2 red
    params: Floats  # (k, p) by the kind's PARAMS; NaN: not given

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the rules that an index or mask picks."""
        return replace(self, **{name: getattr(self, name)[rows] for name in _RULE_COLUMNS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """s samples, sorted by (patient, quantity, measured_at, reading_id); each reading once."""

    patient: Int64s  # (s,)
    quantity: NDArray[np.int16]  # (s,)
    measured_at: Int64s  # (s,)
    reading_id: Ids  # (s,) S16
    value: Floats  # (s,) in the quantity's unit; never NaN where it counts
    counts: Bools  # (s,) not doubted, or confirmed; what does not count is in no window
    status: NDArray[np.int32]  # (s,) Status bits of the reading

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the samples that an index or mask picks; the order must be kept."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """f breaches of rules of one kind."""

    rule: Int64s  # (f,) row of the RuleRows
    anchor: Int64s  # (f,) row of the Series it fired at; NO_ANCHOR: found by the clock
    at: Int64s  # (f,) measured_at of the anchor, or the time that was evaluated
    side: NDArray[np.int8]  # (f,) index into ingest.breach.SIDES
    level: NDArray[np.int8]  # (f,) the rule's, or by the kind less
    value: Floats  # (f,) what was held against the bound: a change, a mean, a count
    bound: Floats  # (f,)
    first: Int64s  # (f,) the samples it rests on: rows [first, stop) of the Series that count
    stop: Int64s  # (f,)
    extra: Floats  # (f, e) further numbers for the sentence, by the kind's EXTRA

    def __len__(self) -> int:
        return len(self.rule)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the findings that an index or mask picks."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


_RULE_COLUMNS: Final = tuple(f.name for f in fields(RuleRows) if f.name != "keys")
