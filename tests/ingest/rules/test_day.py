"""Days in Sweden: equal to the standard library's, over both nights when clocks change."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.batch import DAY, EPOCH, HOUR
from ingest.rules.day import day_of, start_of
from tests.ingest.rules.stories import at

_STOCKHOLM = ZoneInfo("Europe/Stockholm")
_FIRST_S = int((datetime(1970, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
_LAST_S = int((datetime(2200, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())


def _day(microseconds: int) -> int:
    local = (EPOCH + timedelta(microseconds=microseconds)).astimezone(_STOCKHOLM)
    return (local.date() - EPOCH.date()).days


@given(
    seconds=st.lists(st.integers(_FIRST_S, _LAST_S), min_size=1, max_size=20),
    microsecond=st.sampled_from([0, 1, 999_999]),
)
def test_a_moment_is_of_the_day_its_clock_says(seconds: list[int], microsecond: int) -> None:
    moments = [second * 1_000_000 + microsecond for second in seconds]
    assert day_of(np.array(moments)).tolist() == [_day(one) for one in moments]


def test_every_day_of_thirty_years_begins_at_its_midnight() -> None:
    days = np.arange(8000, 19000)
    starts = start_of(days)
    assert day_of(starts).tolist() == days.tolist()
    assert day_of(starts - 1).tolist() == (days - 1).tolist()
    lengths, count = np.unique(np.diff(starts), return_counts=True)
    assert lengths.tolist() == [23 * HOUR, DAY, 25 * HOUR]
    assert count[0] == count[2] == 30


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        (at(2026, 3, 28, 22, 59), (2026, 3, 28)),
        (at(2026, 3, 28, 23), (2026, 3, 29)),  # winter: midnight is 23:00 UTC
        (at(2026, 3, 29, 21, 59), (2026, 3, 29)),
        (at(2026, 3, 29, 22), (2026, 3, 30)),  # summer: 22:00 UTC, after 23 hours
        (at(2026, 10, 24, 22), (2026, 10, 25)),
        (at(2026, 10, 25, 22, 59), (2026, 10, 25)),
        (at(2026, 10, 25, 23), (2026, 10, 26)),  # after 25 hours
        (at(1970, 1, 1), (1970, 1, 1)),  # as far as readings go, both ways
        (at(2199, 7, 1, 22), (2199, 7, 2)),
        (at(2199, 12, 31, 22, 59), (2199, 12, 31)),
    ],
)
def test_the_nights_when_clocks_change(moment: int, day: tuple[int, int, int]) -> None:
    expected = (datetime(*day, tzinfo=UTC) - EPOCH).days
    assert day_of(np.array([moment])).tolist() == [expected]
