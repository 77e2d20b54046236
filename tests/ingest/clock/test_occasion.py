"""Six o'clock in Sweden, against the library that knows the zone."""

from datetime import date, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.batch import EPOCH
from ingest.clock import occasion
from ingest.clock.columns import microseconds_of, moment_of
from ingest.clock.turn import LOCAL, newest_occasion

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2034, 1, 1)).map(  # noqa: DTZ001
    lambda moment: EPOCH + (moment - datetime(2000, 1, 1))  # noqa: DTZ001
)


def _six(day: date) -> datetime:
    return datetime.combine(day, time(6), LOCAL)


@given(now=MOMENTS, start=MOMENTS, days=st.sampled_from([1, occasion.WEEK]))
def test_every_occasion_is_six_oclock_on_the_weekday_of_the_start(
    now: datetime, start: datetime, days: int
) -> None:
    starts = np.array([microseconds_of(start)], np.int64)
    newest, following = (
        moment_of(int(function(microseconds_of(now), starts, days)[0])).astimezone(LOCAL)
        for function in (occasion.newest, occasion.following)
    )
    assert newest.timestamp() == _six(newest.date()).timestamp()
    assert following.timestamp() == _six(following.date()).timestamp()
    assert newest <= now < following
    assert following.date() - newest.date() == timedelta(days=days)
    assert (newest.date() - start.astimezone(LOCAL).date()).days % days == 0


@given(now=MOMENTS)
def test_a_daily_chore_has_its_hour_once_a_day(now: datetime) -> None:
    newest = newest_occasion(time(3, 30), now)
    assert newest.timestamp() <= now.timestamp()
    assert now.timestamp() - newest.timestamp() < 25 * 3600 + 1


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2026-03-29T01:29:59+00:00", "2026-03-28T02:30:00+00:00"),
        ("2026-03-29T01:30:00+00:00", "2026-03-29T01:30:00+00:00"),  # 03:30 of summer
        ("2026-10-25T02:29:59+00:00", "2026-10-24T01:30:00+00:00"),
        ("2026-10-25T02:30:00+00:00", "2026-10-25T02:30:00+00:00"),  # 03:30 of winter
    ],
)
def test_the_nights_when_clocks_change(utc: str, expected: str) -> None:
    found = newest_occasion(time(3, 30), datetime.fromisoformat(utc))
    assert found.timestamp() == datetime.fromisoformat(expected).timestamp()
