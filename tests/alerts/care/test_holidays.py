"""Swedish public holidays, against days as the almanac has them."""

from datetime import date, timedelta

import pytest

from alerts.care.holidays import easter_sunday, holiday

ALMANAC = {
    2025: {
        "01-01": "nyårsdagen",
        "01-06": "trettondedag jul",
        "04-18": "långfredagen",
        "04-20": "påskdagen",
        "04-21": "annandag påsk",
        "05-01": "första maj",
        "05-29": "Kristi himmelsfärdsdag",
        "06-06": "nationaldagen",
        "06-08": "pingstdagen",
        "06-20": "midsommarafton",
        "06-21": "midsommardagen",
        "11-01": "alla helgons dag",
        "12-24": "julafton",
        "12-25": "juldagen",
        "12-26": "annandag jul",
        "12-31": "nyårsafton",
    },
    2026: {
        "01-01": "nyårsdagen",
        "01-06": "trettondedag jul",
        "04-03": "långfredagen",
        "04-05": "påskdagen",
        "04-06": "annandag påsk",
        "05-01": "första maj",
        "05-14": "Kristi himmelsfärdsdag",
        "05-24": "pingstdagen",
        "06-06": "nationaldagen",
        "06-19": "midsommarafton",
        "06-20": "midsommardagen",
        "10-31": "alla helgons dag",
        "12-24": "julafton",
        "12-25": "juldagen",
        "12-26": "annandag jul",
        "12-31": "nyårsafton",
    },
    2027: {
        "01-01": "nyårsdagen",
        "01-06": "trettondedag jul",
        "03-26": "långfredagen",
        "03-28": "påskdagen",
        "03-29": "annandag påsk",
        "05-01": "första maj",
        "05-06": "Kristi himmelsfärdsdag",
        "05-16": "pingstdagen",
        "06-06": "nationaldagen",
        "06-25": "midsommarafton",
        "06-26": "midsommardagen",
        "11-06": "alla helgons dag",
        "12-24": "julafton",
        "12-25": "juldagen",
        "12-26": "annandag jul",
        "12-31": "nyårsafton",
    },
}


@pytest.mark.parametrize("year", ALMANAC)
def test_a_year_has_these_holidays_and_no_other(year: int) -> None:
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(365))
    found = {f"{day:%m-%d}": name for day in days if (name := holiday(day))}
    assert found == ALMANAC[year]


@pytest.mark.parametrize(
    "day",
    [  # with the exceptions of the rule: 1954, 1981, 2049, 2076; the earliest and the latest
        date(1954, 4, 18),
        date(1981, 4, 19),
        date(2000, 4, 23),
        date(2008, 3, 23),
        date(2024, 3, 31),
        date(2038, 4, 25),
        date(2049, 4, 18),
        date(2076, 4, 19),
        date(2285, 3, 22),
    ],
)
def test_easter(day: date) -> None:
    assert easter_sunday(day.year) == day


def test_two_holidays_on_one_day_are_one_holiday() -> None:
    assert holiday(date(2008, 5, 1)) is not None  # Ascension Day too
    assert holiday(date(2008, 5, 2)) is None
