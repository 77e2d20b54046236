"""Searches in many groups at once equal counting by hand, also where numbers are too large."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.search import count_until, last_until, order_by

LARGEST = np.iinfo(np.int64).max
# Some near each other, and some that lie so far apart that no product of theirs fits.
TIMES = st.sampled_from([-LARGEST - 1, -LARGEST, -3, -1, 0, 1, 2, 4, 1 << 50, LARGEST - 1, LARGEST])
GROUPS = st.sampled_from([1, 2, 3, 1 << 40])
ROWS = st.lists(st.tuples(GROUPS, TIMES), max_size=12)


def _columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, np.int64).reshape(len(rows), 2)
    return table[:, 0].copy(), table[:, 1].copy()


@given(rows=ROWS, queries=ROWS)
def test_rows_up_to_a_time_are_counted_in_their_group_alone(
    rows: list[tuple[int, int]], queries: list[tuple[int, int]]
) -> None:
    counts = count_until(*_columns(rows), *_columns(queries))
    assert counts.tolist() == [
        sum(group == wanted and at <= until for group, at in rows) for wanted, until in queries
    ]


@given(rows=ROWS, queries=ROWS)
def test_the_last_row_up_to_a_time_is_of_its_group(
    rows: list[tuple[int, int]], queries: list[tuple[int, int]]
) -> None:
    rows.sort()
    group, at = _columns(rows)
    assert order_by(group, at).tolist() == list(range(len(rows)))
    found = last_until(group, at, *_columns(queries))
    assert found.tolist() == [
        max((n for n, (g, t) in enumerate(rows) if g == wanted and t <= until), default=-1)
        for wanted, until in queries
    ]
