"""Searches in many sorted groups at once. Pure numpy; int64 throughout, so nothing overflows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Int64s = NDArray[np.int64]

_KEY_MAX: Final = 1 << 62


def order_by(group: Int64s, at: Int64s) -> NDArray[np.intp]:
    """Return the stable order by group, then by *at*."""
    return np.lexsort((at, group))


def count_until(group: Int64s, at: Int64s, of_group: Int64s, until: Int64s) -> Int64s:
    """For each query, count the rows of its group with ``at <= until``.

    Args:
        group: (n,) group of each row, in any order.
        at: (n,) key of each row.
        of_group: (k,) group of each query.
        until: (k,) key of each query, inclusive.

    Returns:
        (k,) counts.
    """
    position = _position(group, at, of_group, until)
    return position - _before_group(group, of_group)


def last_until(group: Int64s, at: Int64s, of_group: Int64s, until: Int64s) -> Int64s:
    """For each query, find the last row of its group with ``at <= until``.

    *group* and *at* must be sorted by group, then *at*.

    Returns:
        (k,) index into the rows, -1 where there is none.
    """
    index = _position(group, at, of_group, until) - 1
    found = index >= 0
    found[found] = group[index[found]] == of_group[found]
    return np.where(found, index, -1)


def pairs(start: Int64s, count: Int64s) -> tuple[Int64s, Int64s]:
    """Return every pair of (query, row), where query *i* has *count[i]* rows from *start[i]*.

    Returns:
        Two (sum of counts,) arrays: the query's index, and the row's.
    """
    query = np.repeat(np.arange(len(count), dtype=np.int64), count)
    first = np.repeat(np.cumsum(count) - count, count)
    return query, np.arange(len(query), dtype=np.int64) - first + np.repeat(start, count)


def _position(group: Int64s, at: Int64s, of_group: Int64s, until: Int64s) -> Int64s:
    """Return how many rows sort at or before each query, over all groups."""
    keys = _one_key(group, at, of_group, until)
    if keys is not None:
        return np.searchsorted(np.sort(keys[0]), keys[1], side="right").astype(np.int64)
    rows = len(group)
    is_query = np.zeros(rows + len(of_group), np.int8)
    is_query[rows:] = 1  # after the rows that are equal, which are thereby counted
    order = np.lexsort((is_query, np.concatenate((at, until)), np.concatenate((group, of_group))))
    seen = np.cumsum(is_query[order] == 0)
    position = np.empty(len(order), np.int64)
    position[order] = seen
    return position[rows:]


def _one_key(
    group: Int64s, at: Int64s, of_group: Int64s, until: Int64s
) -> tuple[Int64s, Int64s] | None:
    """Return group and key as one number, of rows and queries; none where it would overflow."""
    if not len(group) or not len(of_group):
        return None
    # In Python's own integers, which do not.
    lowest = min(int(at.min()), int(until.min()))
    span = max(int(at.max()), int(until.max())) - lowest + 1
    first = min(int(group.min()), int(of_group.min()))
    last = max(int(group.max()), int(of_group.max()))
    if span >= _KEY_MAX or (last - first + 1) * span >= _KEY_MAX:
        return None
    return (group - first) * span + (at - lowest), (of_group - first) * span + (until - lowest)


def _before_group(group: Int64s, of_group: Int64s) -> Int64s:
    return np.searchsorted(np.sort(group), of_group, side="left").astype(np.int64)
