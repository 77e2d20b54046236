"""The ladder against the slow, obvious way, row by row."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.batch import DAY, HOUR, MINUTE, NO_TIME
from ingest.clock import ladder

NOW = 1_000 * DAY


@dataclass(frozen=True)
class Row:
    expected: int
    grace: int
    same: bool
    step: int
    held_since: int
    is_quiet: bool
    is_silent: bool


ROWS = st.builds(
    Row,
    expected=st.sampled_from([-1, 0, 1]).flatmap(
        lambda side: st.integers(0, 6 * 24).map(lambda hours: NOW + side * hours * HOUR)
    ),
    grace=st.sampled_from([0, 6 * HOUR, 12 * HOUR, 20 * HOUR, 84 * HOUR]),
    same=st.booleans(),
    step=st.integers(0, 3),
    held_since=st.one_of(
        st.just(NO_TIME), st.integers(0, 60).map(lambda hours: NOW - hours * HOUR)
    ),
    is_quiet=st.booleans(),
    is_silent=st.booleans(),
)


def _slow(row: Row, resumed_at: int) -> tuple[int, int, int, bool]:
    """Return (due, step, held_since, told)."""
    if row.expected + row.grace > NOW:
        return row.expected + row.grace, 0, NO_TIME, False
    step = row.step if row.same else 0
    held_since = row.held_since if row.same else NO_TIME
    if row.is_silent and step < 3:
        since = max(NOW if held_since == NO_TIME else held_since, resumed_at)
        steps_end = row.expected + row.grace + 2 * min(max(row.grace, 12 * HOUR), 24 * HOUR)
        is_long = row.same and NOW - max(steps_end, resumed_at) >= 48 * HOUR
        if NOW - since < 48 * HOUR and not is_long:
            return NOW + 15 * MINUTE, step, since, False
        return NOW + 7 * DAY, 3, NO_TIME, True
    if held_since != NO_TIME and not row.is_silent:
        return NOW + 15 * MINUTE, step, NO_TIME, False
    step = 3 if row.is_quiet or step >= 2 else step + 1
    pause = 7 * DAY if step == 3 else min(max(row.grace, 12 * HOUR), 24 * HOUR)
    return NOW + pause, step, NO_TIME, True


@given(rows=st.lists(ROWS, min_size=1), resumed=st.sampled_from([NO_TIME, NOW - 30 * HOUR]))
def test_the_ladder_is_the_slow_one(rows: list[Row], resumed: int) -> None:
    waiting = ladder.Waiting(
        expected=np.array([row.expected for row in rows], np.int64),
        grace=np.array([row.grace for row in rows], np.int64),
        expected_before=np.array([row.expected - (not row.same) for row in rows], np.int64),
        step=np.array([row.step for row in rows], np.int16),
        held_since=np.array([row.held_since for row in rows], np.int64),
        is_quiet=np.array([row.is_quiet for row in rows], np.bool_),
    )
    silent = np.array([row.is_silent for row in rows], np.bool_)
    seen = ladder.look(NOW, waiting, silent, resumed)
    found = zip(
        seen.due.tolist(),
        seen.step.tolist(),
        seen.held_since.tolist(),
        seen.told.tolist(),
        strict=True,
    )
    assert list(found) == [_slow(row, resumed) for row in rows]
