"""What a rehearsal finds, gathered kind by kind; sentences are made for those that are shown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Int64s
from ingest.rules.catalogue import family

# Makes what a breach's sentence needs (ingest.rules.explain), by the row it was added with.
Tell = Callable[[int], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Breached:
    """b breaches that a proposal would have made."""

    patient: Int64s  # (b,)
    family: Int64s  # (b,) index into families
    at: Int64s  # (b,) microseconds since 2000
    level: NDArray[np.int8]  # (b,) 1 yellow, 2 red
    teller: Int64s  # (b,) index into tellers
    row: Int64s  # (b,) which of its rows
    families: Sequence[str]
    tellers: Sequence[tuple[str, Tell]]  # a rule kind, and what tells of its rows

    def __len__(self) -> int:
        return len(self.patient)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the breaches that an index or mask picks."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(self, **columns)


_COLUMNS = tuple(f.name for f in fields(Breached) if f.name not in {"families", "tellers"})


class Gathering:
    """Takes breaches of one kind after the other."""

    def __init__(self) -> None:
        self._families: dict[str, int] = {}
        self._tellers: list[tuple[str, Tell]] = []
        self._columns: list[tuple[NDArray[Any], ...]] = []

    def add(
        self,
        kind: str,
        tell: Tell,
        *,
        patient: Int64s,
        keys: Sequence[str],
        quantity: NDArray[np.int16],
        at: Int64s,
        level: NDArray[np.int8],
    ) -> None:
        """Take b breaches; those of level 0 are only parts of a composite, and left out.

        Args:
            kind: The rule kind.
            tell: Tells of the i-th of these.
            patient: (b,)
            keys: (b,) rule keys; '' is a limit.
            quantity: (b,)
            at: (b,) microseconds since 2000.
            level: (b,)
        """
        names = map(family, keys, quantity.tolist())
        number = [self._families.setdefault(name, len(self._families)) for name in names]
        row = np.arange(len(patient), dtype=np.int64)
        teller = np.full(len(patient), len(self._tellers), np.int64)
        self._tellers.append((kind, tell))
        columns = (patient, np.array(number, np.int64), at, level, teller, row)
        shown = np.flatnonzero(level > 0)
        self._columns.append(tuple(column[shown] for column in columns))

    def all(self) -> Breached:
        """Return what was taken."""
        columns = [np.concatenate(column) for column in zip(*self._columns, strict=True)]
        none = np.empty(0, np.int64)
        patient, number, at, level, teller, row = columns or [none] * 6
        return Breached(
            patient=patient,
            family=number,
            at=at,
            level=level.astype(np.int8),
            teller=teller,
            row=row,
            families=list(self._families),
            tellers=self._tellers,
        )
