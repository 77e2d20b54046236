"""When a unit is staffed: by its wall clock, on holidays, and in the nights of two clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.care.hours import (
    USUAL,
    Day,
    Hours,
    Window,
    after_work,
    is_open,
    is_told,
    next_opening,
)

ZONE = ZoneInfo("Europe/Stockholm")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MONDAY_TO_SUNDAY = range(1, 8)


def clock(text: str) -> timedelta:
    hours, minutes = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def at(text: str, fold: int = 0) -> datetime:
    """Return a moment as the clock on the wall shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZONE, fold=fold)


def every_day(
    *windows: tuple[str, str], on_holidays: bool = True, days: tuple[Day, ...] = ()
) -> Hours:
    return Hours(
        week=tuple(
            Window(weekday=day, opens=clock(opens), closes=clock(closes), on_holidays=on_holidays)
            for day in MONDAY_TO_SUNDAY
            for opens, closes in windows
        ),
        days=days,
    )


ROUND_THE_CLOCK = every_day(("00:00", "24:00"))


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-23 07:59:59", "2026-11-23 08:00"),  # a Monday
        ("2026-11-23 08:00", "2026-11-23 08:00"),
        ("2026-11-23 15:59:59", "2026-11-23 15:59:59"),
        ("2026-11-23 16:00", "2026-11-24 08:00"),
        ("2026-11-27 16:00", "2026-11-30 08:00"),  # over the weekend
        ("2026-06-18 17:00", "2026-06-22 08:00"),  # over midsummer
        ("2026-06-19 23:30", "2026-06-22 08:00"),  # midsummer night
        ("2026-04-02 16:00", "2026-04-07 08:00"),  # over Easter
        ("2026-12-23 16:00", "2026-12-28 08:00"),  # over Christmas
        ("2026-12-30 16:00", "2027-01-04 08:00"),
        ("2027-01-05 16:00", "2027-01-07 08:00"),
    ],
)
def test_who_tells_nothing_works_weekdays_that_are_no_holidays(moment: str, expected: str) -> None:
    now = at(moment)
    assert next_opening(USUAL, now) == at(expected)
    assert next_opening(Hours(), now) == at(expected)
    assert is_open(USUAL, now) == (moment == expected)


def test_a_unit_can_be_open_on_holidays() -> None:
    christmas = at("2026-12-25 10:00")
    assert is_open(every_day(("08:00", "16:00")), christmas)
    assert not is_open(every_day(("08:00", "16:00"), on_holidays=False), christmas)


def test_a_day_that_differs_counts_for_more_than_the_week_and_holidays() -> None:
    planning = Day(day=date(2026, 11, 23), window=None)
    christmas = Day(day=date(2026, 12, 25), window=(clock("10:00"), clock("12:00")))
    hours = Hours(week=USUAL.week, days=(planning, christmas))
    assert next_opening(hours, at("2026-11-23 09:00")) == at("2026-11-24 08:00")
    assert next_opening(hours, at("2026-12-25 09:00")) == at("2026-12-25 10:00")
    assert next_opening(hours, at("2026-12-25 12:00")) == at("2026-12-28 08:00")


def test_hours_change_on_a_day() -> None:
    change = date(2026, 12, 1)  # a Tuesday
    hours = Hours(
        week=(
            *(
                Window(weekday=day, opens=clock("08:00"), closes=clock("16:00"), until_on=change)
                for day in range(1, 6)
            ),
            *(
                Window(weekday=day, opens=clock("07:00"), closes=clock("12:00"), from_on=change)
                for day in range(1, 6)
            ),
        )
    )
    assert not is_open(hours, at("2026-11-30 07:30"))
    assert is_open(hours, at("2026-11-30 15:00"))
    assert is_open(hours, at("2026-12-01 07:30"))
    assert not is_open(hours, at("2026-12-01 15:00"))


def test_hours_that_have_all_ended_are_the_usual_ones() -> None:
    week = Window(
        weekday=7, opens=clock("01:00"), closes=clock("02:00"), until_on=date(2026, 11, 1)
    )
    hours = Hours(week=(week,))
    assert is_told(hours, date(2026, 10, 31))
    assert not is_told(hours, date(2026, 11, 1))
    assert is_open(hours, at("2026-11-23 09:00"))


def test_a_unit_that_would_never_open_does_all_the_same() -> None:
    """Else what waits for its opening would wait for ever."""
    start = date(2026, 11, 20)
    closed = tuple(Day(day=start + timedelta(days=n), window=None) for n in range(500))
    hours = Hours(week=USUAL.week, days=closed)
    assert next_opening(hours, at("2026-11-23 07:00")) == at("2026-11-23 08:00")
    assert is_open(hours, at("2026-11-23 08:00"))
    assert after_work(hours, at("2026-11-23 07:00"), HOUR) == at("2026-11-23 09:00")


def test_a_night_shift_is_two_windows_that_meet() -> None:
    hours = every_day(("00:00", "07:00"), ("21:00", "24:00"))
    assert is_open(hours, at("2026-11-23 23:59:59.999999"))
    assert is_open(hours, at("2026-11-24 00:00"))
    assert not is_open(hours, at("2026-11-24 07:00"))
    assert after_work(hours, at("2026-11-23 22:00"), 8 * HOUR) == at("2026-11-24 06:00")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_the_night_of_two_clocks_has_no_hole(day: str, hours: int) -> None:
    midnight = at(f"{day} 00:00").astimezone(UTC)
    assert all(is_open(ROUND_THE_CLOCK, midnight + n * MINUTE) for n in range(26 * 60))
    next_day = every_day(("00:00", "24:00"), days=(Day(day=date.fromisoformat(day), window=None),))
    assert not is_open(next_day, midnight + hours * HOUR - MINUTE)
    assert is_open(next_day, midnight + hours * HOUR)


@pytest.mark.parametrize(
    ("opens", "closes", "moment", "fold", "expected"),
    [
        # The clock goes from 02:00 to 03:00: 02:30 comes when 03:00 does.
        ("02:30", "08:00", "2026-03-29 01:59", 0, "2026-03-29T01:00Z"),
        ("01:00", "02:30", "2026-03-29 03:00", 0, "2026-03-29T23:00Z"),  # and is over as well
        ("02:15", "02:45", "2026-03-29 00:00", 0, "2026-03-30T00:15Z"),  # there is no such time
        # The clock shows 02:30 twice: opened at the first, closed at the second.
        ("02:30", "08:00", "2026-10-25 02:29", 0, "2026-10-25T00:30Z"),
        ("01:00", "02:30", "2026-10-25 02:29", 1, "2026-10-25T01:29Z"),
        ("01:00", "02:30", "2026-10-25 02:30", 1, "2026-10-26T00:00Z"),
        ("01:00", "02:30", "2026-10-25 02:45", 0, "2026-10-25T00:45Z"),
    ],
)
def test_a_window_that_begins_or_ends_in_the_hour_of_two_clocks(
    opens: str, closes: str, moment: str, fold: int, expected: str
) -> None:
    found = next_opening(every_day((opens, closes)), at(moment, fold))
    assert found == datetime.fromisoformat(expected)


@pytest.mark.parametrize(
    ("since", "work", "expected"),
    [
        ("2026-11-23 09:00", 4 * HOUR, "2026-11-23 13:00"),
        ("2026-11-23 05:00", 4 * HOUR, "2026-11-23 12:00"),
        ("2026-11-23 14:30", 4 * HOUR, "2026-11-24 10:30"),
        ("2026-11-23 12:00", 4 * HOUR, "2026-11-24 08:00"),  # at closing: told at opening
        ("2026-11-23 08:00", 8 * HOUR, "2026-11-24 08:00"),
        ("2026-06-18 15:00", 4 * HOUR, "2026-06-22 11:00"),
        ("2026-11-28 12:00", 0 * HOUR, "2026-11-30 08:00"),
        ("2026-11-23 08:00", 40 * HOUR, "2026-11-30 08:00"),
    ],
)
def test_working_hours_are_counted_while_it_is_staffed(
    since: str, work: timedelta, expected: str
) -> None:
    assert after_work(USUAL, at(since), work) == at(expected)


def test_working_hours_of_more_than_a_year_end_too() -> None:
    assert after_work(USUAL, at("2026-11-23 08:00"), 4000 * HOUR) > at("2028-01-01 00:00")


def test_windows_that_overlap_count_once() -> None:
    hours = every_day(("08:00", "12:00"), ("10:00", "14:00"))
    assert after_work(hours, at("2026-11-23 08:00"), 5 * HOUR) == at("2026-11-23 13:00")


def test_the_same_moment_has_the_same_answer_in_every_zone() -> None:
    utc = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    for hours in (USUAL, ROUND_THE_CLOCK):
        found = {after_work(hours, utc.astimezone(zone), 3 * HOUR) for zone in (UTC, ZONE)}
        assert len(found) == 1


windows = st.builds(
    lambda weekday, bounds, on_holidays: Window(
        weekday=weekday,
        opens=bounds[0] * 15 * MINUTE,
        closes=bounds[1] * 15 * MINUTE,
        on_holidays=on_holidays,
    ),
    st.integers(1, 7),
    st.lists(st.integers(0, 96), min_size=2, max_size=2, unique=True).map(sorted),
    st.booleans(),
)
moments = st.integers(0, 400 * 24 * 60).map(
    lambda minutes: datetime(2026, 3, 1, tzinfo=UTC) + minutes * MINUTE
)


@given(st.lists(windows, max_size=8), moments)
def test_an_opening_is_open_and_nothing_before_it_is(week: list[Window], now: datetime) -> None:
    hours = Hours(week=tuple(week))
    opening = next_opening(hours, now)
    assert opening >= now
    assert is_open(hours, opening)
    assert is_open(hours, now) == (opening == now)
    if opening > now:
        before = opening - timedelta(microseconds=1)
        assert not is_open(hours, before)
        assert not is_open(hours, now + (before - now) / 2)
