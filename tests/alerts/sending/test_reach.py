"""When a yellow alert is told of: with others, and not in quiet hours; a clock that jumps too."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sending.reach import GATHER_MAX, QUIET_MAX, USUAL, Reach, send_at
from alerts.words import ZONE

AT_ONCE = Reach(gather=timedelta())
NIGHTS = Reach(gather=timedelta(), quiet_from=time(21), quiet_until=time(7))
LUNCH = Reach(gather=timedelta(), quiet_from=time(12), quiet_until=time(13))
DUSK = Reach(gather=timedelta(minutes=30), quiet_from=time(21), quiet_until=time(7))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.mark.parametrize(
    ("reach", "now", "told_at"),
    [
        (AT_ONCE, "2026-11-22T08:12", "2026-11-22T08:12"),
        (USUAL, "2026-11-22T08:12", "2026-11-22T08:17"),
        (NIGHTS, "2026-11-22T20:59", "2026-11-22T20:59"),
        (NIGHTS, "2026-11-22T21:00", "2026-11-23T07:00"),
        (NIGHTS, "2026-11-23T00:00", "2026-11-23T07:00"),
        (NIGHTS, "2026-11-23T06:59", "2026-11-23T07:00"),
        (NIGHTS, "2026-11-23T07:00", "2026-11-23T07:00"),
        (DUSK, "2026-11-22T20:45", "2026-11-23T07:00"),
        (DUSK, "2026-11-23T06:45", "2026-11-23T07:15"),
        (LUNCH, "2026-11-22T12:30", "2026-11-22T13:00"),
        (LUNCH, "2026-11-22T13:30", "2026-11-22T13:30"),
        (NIGHTS, "2026-03-28T23:00", "2026-03-29T07:00"),  # an hour is lost
        (NIGHTS, "2026-10-24T23:00", "2026-10-25T07:00"),  # an hour comes twice
        (NIGHTS, "2026-12-31T23:00", "2027-01-01T07:00"),
    ],
)
def test_a_yellow_alert_is_told_of_when_she_wants(reach: Reach, now: str, told_at: str) -> None:
    assert send_at(reach, None, local(now).astimezone(UTC)) == local(told_at)


def test_it_joins_those_that_wait_already() -> None:
    now = datetime(2026, 11, 22, 7, 12, tzinfo=UTC)
    later = now + timedelta(minutes=2)
    assert send_at(USUAL, later, now) == later
    assert send_at(USUAL, now, now) == now + USUAL.gather


WISHES = st.builds(
    lambda gather, start, length: Reach(
        gather=timedelta(minutes=gather),
        quiet_from=time(start // 60, start % 60),
        quiet_until=time((start + length) // 60 % 24, (start + length) % 60),
    ),
    st.integers(0, GATHER_MAX // timedelta(minutes=1)),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, QUIET_MAX // timedelta(minutes=1)),
)


@given(WISHES, st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_it_is_told_of_outside_quiet_hours_and_within_a_day(reach: Reach, now: datetime) -> None:
    at = send_at(reach, None, now)
    assert now + reach.gather <= at <= now + reach.gather + QUIET_MAX + timedelta(hours=1)
    assert reach.quiet_from is not None
    clock = at.astimezone(ZONE)
    begins = datetime.combine(clock.date(), reach.quiet_from)
    into = (clock.replace(tzinfo=None, fold=0) - begins) % timedelta(days=1)
    assert into >= reach.quiet


@pytest.mark.parametrize(
    "wish",
    [
        {"gather": timedelta(minutes=61)},
        {"gather": timedelta(minutes=-1)},
        {"quiet_from": time(21)},
        {"quiet_until": time(21)},
        {"quiet_from": time(8), "quiet_until": time(7)},
        {"quiet_from": time(8), "quiet_until": time(8)},
    ],
)
def test_who_would_hear_of_nothing_cannot_wish_for_it(wish: dict[str, timedelta | time]) -> None:
    with pytest.raises(ValueError, match=r"gathered|quiet hours"):
        Reach(**wish)  # type: ignore[arg-type]
