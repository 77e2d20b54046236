"""Layered: sorted columns that never change, and a small layer of what changed on top.

A county is millions of rows, and a change is one patient's or one device's: it goes into the
small layer, which is rebuilt each time, and hides the rows below that have its key. Now and then
the two become one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Int64s
from ingest.search import pairs

Keys = NDArray[Any]  # int64, or S of any width, ascending
Columns = Mapping[str, NDArray[Any]]

# A change rebuilds the upper layer: a millisecond at this many keys. Making one of the two copies
# the lower one, a fifth of a second for three million rows.
CHANGED_MAX: Final = 16_384
_COPIED_AT_ONCE: Final = 1 << 16  # rows


@dataclass(frozen=True, slots=True)
class Layer:
    """Rows sorted by key; among rows of one key the order they were given in."""

    key: Keys  # (k,)
    columns: dict[str, NDArray[Any]]  # each (k, ...)

    def find(self, wanted: Keys) -> tuple[Int64s, Int64s]:
        """Return every pair of (index into *wanted*, row), in the order of *wanted*, then rows."""
        start = _search(self.key, wanted, "left")
        return pairs(start, _search(self.key, wanted, "right") - start)

    def empty(self) -> "Layer":
        """Return the same columns without rows."""
        return Layer(self.key[:0], {name: column[:0] for name, column in self.columns.items()})


class Layered:
    """Rows by key, many rows a key.

    Args:
        key: (k,) of each row, in any order.
        columns: (k, ...) each; rows of one key keep their order.
    """

    def __init__(self, key: Keys, columns: Columns) -> None:
        self._base = sorted_layer(key, columns)
        self._keys: Keys | None = None  # of the base, once somebody asked
        self._changed: Keys = self._base.key[:0]
        self._top = self._base.empty()

    def __len__(self) -> int:
        return len(self._base.key) + len(self._top.key)

    @property
    def is_due(self) -> bool:
        """Whether so much has changed that ``compact`` pays."""
        return len(self._changed) > CHANGED_MAX

    def keys(self) -> Keys:
        """Return, ascending, every key that has a row."""
        if self._keys is None:
            self._keys = np.unique(self._base.key)
        if not len(self._changed):
            return self._keys
        kept = self._keys[~_isin(self._keys, self._changed)]
        return np.union1d(kept, self._top.key)

    def find(self, wanted: Keys) -> tuple[Int64s, dict[str, NDArray[Any]]]:
        """Return the rows of the keys *wanted*, which are ascending and distinct.

        Returns:
            (r,) index into *wanted*, ascending, and the columns (r, ...); of one key in the order
            they were given in.
        """
        if not len(self._changed):
            owner, row = self._base.find(wanted)
            return owner, {name: column[row] for name, column in self._base.columns.items()}
        is_changed = _isin(wanted, self._changed)
        old, new = np.flatnonzero(~is_changed), np.flatnonzero(is_changed)
        old_owner, old_row = self._base.find(wanted[old])
        new_owner, new_row = self._top.find(wanted[new])
        owner = np.concatenate((old[old_owner], new[new_owner]))
        order = np.argsort(owner, kind="stable")
        return owner[order], {
            name: np.concatenate((column[old_row], self._top.columns[name][new_row]))[order]
            for name, column in self._base.columns.items()
        }

    def replace(self, keys: Keys, key: Keys, columns: Columns) -> None:
        """Put these rows in place of all that *keys* had; some of them may have none now."""
        keys = np.unique(keys)
        kept = ~_isin(self._top.key, keys)
        self._changed = np.union1d(self._changed, keys)
        self._top = sorted_layer(
            np.concatenate((self._top.key[kept], key)),
            {
                name: np.concatenate((column[kept], columns[name]))
                for name, column in self._top.columns.items()
            },
        )

    async def compact(self) -> None:
        """Make one layer of the two, in a thread, so that others go on meanwhile."""
        await asyncio.to_thread(self._compact)

    def _compact(self) -> None:
        base, top = self._base, self._top
        kept = np.flatnonzero(~_isin(base.key, self._changed))
        place = np.searchsorted(base.key[kept], top.key) + np.arange(len(top.key))
        is_old = np.ones(len(kept) + len(top.key), np.bool_)
        is_old[place] = False
        old = np.flatnonzero(is_old)

        def merged(below: NDArray[Any], above: NDArray[Any]) -> NDArray[Any]:
            whole = np.empty((len(is_old), *below.shape[1:]), np.result_type(below, above))
            for start in range(0, len(old), _COPIED_AT_ONCE):
                some = slice(start, start + _COPIED_AT_ONCE)
                whole[old[some]] = below[kept[some]]
            whole[place] = above
            return whole

        # Column by column, so that no second copy of a whole county is there at any time.
        columns = base.columns
        for name in list(columns):
            columns[name] = merged(columns.pop(name), top.columns[name])
        self._base = Layer(merged(base.key, top.key), columns)
        self._keys = None
        self._changed = self._base.key[:0]
        self._top = self._base.empty()


def sorted_layer(key: Keys, columns: Columns) -> Layer:
    """Return the rows sorted by *key*, stable; nothing is copied where they are so already."""
    if not (key[1:] < key[:-1]).any():
        return Layer(key, dict(columns))
    order = np.argsort(key, kind="stable")
    return Layer(key[order], {name: column[order] for name, column in columns.items()})


def _search(key: Keys, wanted: Keys, side: Any) -> Int64s:
    """Return where each of *wanted* would stand in *key*, without copying *key* to a wider type."""
    if key.dtype.kind == "S" and wanted.dtype.itemsize > key.dtype.itemsize:
        # Cut off, a longer one stands just behind the one it begins with.
        cut = wanted.astype(key.dtype)
        longer = cut != wanted
        left, right = np.searchsorted(key, cut, "left"), np.searchsorted(key, cut, "right")
        return np.where(longer, right, left if side == "left" else right).astype(np.int64)
    return np.searchsorted(key, wanted, side).astype(np.int64)


def _isin(some: Keys, ordered: Keys) -> NDArray[np.bool_]:
    """Tell which of *some* stand in *ordered*, which is ascending and distinct."""
    if not len(ordered):
        return np.zeros(len(some), np.bool_)
    place = np.minimum(np.searchsorted(ordered, some), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered[place] == some
    return found
