"""Proposed rules as the columns that judging takes: the same for each patient of a cohort."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from devices.quantity import Quantity
from devices.reading import Status
from ingest.batch import Int64s
from ingest.rules.catalogue import KINDS, columns
from ingest.rules.limit import IDS_MAX, Limits
from ingest.rules.model import Composite
from ingest.rules.plan import LimitRow, RuleRow, Rules
from ingest.rules.table import RuleRows

_FOR_EVER: Final = np.iinfo(np.int64).max
_LIMITS_SINCE: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One set of rules, as if it had been in force since a moment."""

    since: int  # microseconds since 2000-01-01 UTC
    limits: Sequence[LimitRow]
    rules: Sequence[RuleRow]
    composites: Sequence[Composite]

    @classmethod
    def of(cls, rules: Rules, since: int) -> Self:
        """Take validated rules apart."""
        limits, others = rules.dump()
        composites = tuple(rule for rule in rules.rules if isinstance(rule, Composite))
        return cls(since=since, limits=limits, rules=others, composites=composites)

    @property
    def asks_for_status(self) -> bool:
        """Whether a rule looks at what the device noticed, and not at values alone."""
        return any(row.spec.get("status") == int(Status.IRREGULAR_PULSE) for row in self.rules)

    @property
    def quantities(self) -> list[int]:
        """The ids of all quantities that are held against something."""
        named = {row.quantity_id for row in self.limits}
        named |= {Quantity(str(row.spec["quantity"])).facts.id for row in self.rules}
        return sorted(named)

    def reach(self) -> int:
        """Return how far before its beginning samples are needed; microseconds."""
        reaches = [0]
        for kind in {row.kind for row in self.rules}:
            rows = self.rows(kind, np.zeros(1, np.int64))
            reaches += KINDS[kind].module.reach(rows)[0].tolist()
        return max(reaches)

    def rows(self, kind: str, patients: Int64s) -> RuleRows:
        """Return the rules of one kind for each of *patients*, ascending by patient."""
        mine = [row for row in self.rules if row.kind == kind]
        read = [columns(kind, row.spec) for row in mine]
        n, k = len(patients), len(mine)
        return RuleRows(
            patient=np.repeat(patients, k),
            in_force_from=np.full(n * k, self.since, np.int64),
            in_force_until=np.full(n * k, _FOR_EVER, np.int64),
            version=np.zeros(n * k, np.int64),
            keys=[row.rule_key for row in mine],
            key=np.tile(np.arange(k, dtype=np.int64), n),
            quantity=np.tile(np.array([quantity for quantity, _ in read], np.int16), n),
            level=np.tile(np.array([row.level for row in mine], np.int8), n),
            params=np.tile(_table([params for _, params in read], KINDS[kind].params), (n, 1)),
        )

    def limits_of(self, patients: Int64s) -> Limits:
        """Return the limits for each of *patients*, in force for ever."""
        n, k = len(patients), len(self.limits)
        of_version = np.arange(n, dtype=np.int64)
        quantity = np.array([row.quantity_id for row in self.limits], np.int64)
        order = np.argsort(quantity)
        bounds = _table([row[1:] for row in self.limits], LimitRow._fields[1:])[order]
        low, high, red_low, red_high = (np.tile(bounds[:, side], n) for side in range(4))
        return Limits(
            patient=patients,
            in_force_from=np.full(n, _LIMITS_SINCE, np.int64),
            version=of_version,
            key=np.repeat(of_version * IDS_MAX, k) + np.tile(quantity[order], n),
            yellow_low=low,
            yellow_high=high,
            red_low=red_low,
            red_high=red_high,
        )


def _table(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> Any:
    """Return a table of numbers; None is NaN. A kind without rules has its columns all the same."""
    filled = [[np.nan if one is None else float(one) for one in row] for row in rows]
    return np.array(filled, np.float64).reshape(len(rows), len(names))
