"""Numbers and times as people in Sweden say them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from alerts import words
from alerts.words import Language

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday, 13:00 in Sweden


@pytest.mark.parametrize(
    ("at", "swedish", "english"),
    [
        (datetime(2026, 11, 22, 7, 12, tzinfo=UTC), "i dag 08:12", "today 08:12"),
        (datetime(2026, 11, 21, 23, 0, tzinfo=UTC), "i dag 00:00", "today 00:00"),
        (datetime(2026, 11, 21, 22, 59, tzinfo=UTC), "i går 23:59", "yesterday 23:59"),
        (datetime(2026, 11, 20, 8, 0, tzinfo=UTC), "fre 20 nov 09:00", "Fri 20 Nov 09:00"),
        (datetime(2026, 11, 16, 8, 0, tzinfo=UTC), "mån 16 nov 09:00", "Mon 16 Nov 09:00"),
        (datetime(2026, 11, 15, 8, 0, tzinfo=UTC), "15 nov 09:00", "15 Nov 09:00"),
        (datetime(2026, 7, 15, 8, 0, tzinfo=UTC), "15 juli 10:00", "15 Jul 10:00"),
        (datetime(2025, 11, 20, 8, 0, tzinfo=UTC), "20 nov 2025 09:00", "20 Nov 2025 09:00"),
        (datetime(2026, 11, 23, 8, 0, tzinfo=UTC), "23 nov 09:00", "23 Nov 09:00"),
    ],
)
def test_a_moment_is_told_in_swedish_time(at: datetime, swedish: str, english: str) -> None:
    assert words.when(at, NOW) == swedish
    assert words.when(at, NOW, Language.ENGLISH) == english


def test_yesterday_is_a_day_of_the_calendar_on_the_night_the_clocks_change() -> None:
    after = datetime(2026, 10, 25, 23, 30, tzinfo=UTC)  # 00:30 on the 26th; the 25th had 25 h
    assert words.day(datetime(2026, 10, 24, 22, 30, tzinfo=UTC), after) == "i går"
    assert words.day(datetime(2026, 10, 24, 21, 30, tzinfo=UTC), after) == "lör 24 okt"


@pytest.mark.parametrize(
    ("value", "decimals", "swedish", "english"),
    [
        (3412, 0, "3 412", "3,412"),
        (78.44, 1, "78,4", "78.4"),
        (-2.5, 1, "−2,5", "−2.5"),
        (1234567.8, 1, "1 234 567,8", "1,234,567.8"),
        (0, 0, "0", "0"),
    ],
)
def test_a_number_is_told_as_people_write_it(
    value: float, decimals: int, swedish: str, english: str
) -> None:
    assert words.number(value, decimals).replace("\u00a0", " ") == swedish
    assert words.number(value, decimals, Language.ENGLISH) == english


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (timedelta(seconds=59), ""),
        (timedelta(minutes=26), "26 min"),
        (timedelta(minutes=60), "1 h"),
        (timedelta(hours=47), "47 h"),
        (timedelta(hours=49), "2 dygn"),
        (timedelta(seconds=-5), ""),
    ],
)
def test_a_wait_is_told_roughly(span: timedelta, told: str) -> None:
    assert words.lasted(span).replace("\u00a0", " ") == told


def test_age_changes_on_the_birthday_in_sweden() -> None:
    born = date(1944, 11, 23)
    assert words.age(born, datetime(2026, 11, 22, 22, 59, tzinfo=UTC)) == 81
    assert words.age(born, datetime(2026, 11, 22, 23, 0, tzinfo=UTC)) == 82


def test_names_are_sorted_as_swedes_do() -> None:
    names = ["Öberg", "Zetter", "Åkesson", "Ärlig", "Andersson", "Édith", "Efraim"]
    assert sorted(names, key=words.swedish_order) == [
        "Andersson",
        "Édith",
        "Efraim",
        "Zetter",
        "Åkesson",
        "Ärlig",
        "Öberg",
    ]


@pytest.mark.parametrize(
    ("hour", "greeting"), [(2, "Hej"), (8, "God morgon"), (13, "God dag"), (20, "God kväll")]
)
def test_the_greeting_follows_the_swedish_clock(hour: int, greeting: str) -> None:
    assert words.greeting(datetime(2026, 1, 5, hour, tzinfo=words.ZONE)) == greeting
