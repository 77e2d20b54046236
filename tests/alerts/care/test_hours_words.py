"""Hours in Swedish words, as the patient reads them."""

from datetime import date, timedelta

import pytest

from alerts.care.hours import Hours, Window
from alerts.care.hours_words import sentence

HOUR = timedelta(hours=1)
WORKING_DAYS = (1, 2, 3, 4, 5)
WEEK = (1, 2, 3, 4, 5, 6, 7)
Days = tuple[int, ...]


def week(*told: tuple[Days, float, float, bool]) -> Hours:
    return Hours(
        week=tuple(
            Window(weekday=day, opens=opens * HOUR, closes=closes * HOUR, on_holidays=holidays)
            for days, opens, closes, holidays in told
            for day in days
        )
    )


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (Hours(), "vardagar 8–16"),
        (week((WORKING_DAYS, 7.5, 16.25, False)), "vardagar 7:30–16:15"),
        (
            week((WORKING_DAYS, 8, 12, False), (WORKING_DAYS, 13, 16, False)),
            "vardagar 8–12 och 13–16",
        ),
        (week((WEEK, 0, 24, True)), "alla dagar dygnet runt"),
        (week((WEEK, 7, 21, False)), "alla dagar 7–21, inte helgdagar"),
        (week((WORKING_DAYS, 8, 16, True)), "måndag–fredag 8–16, även helgdagar"),
        (
            week((WORKING_DAYS[:4], 8, 16, False), ((5,), 8, 15, False)),
            "måndag–torsdag 8–16; fredagar 8–15, inte helgdagar",
        ),
        (
            week((WORKING_DAYS, 8, 16, False), ((6, 7), 10, 14, True)),
            "vardagar 8–16; lördagar och söndagar 10–14, även helgdagar",
        ),
        (week(((1, 3), 8, 16, False)), "måndagar och onsdagar 8–16, inte helgdagar"),
    ],
)
def test_a_week_in_words(hours: Hours, expected: str) -> None:
    assert sentence(hours, date(2026, 11, 23)) == expected


def test_only_what_is_in_force_is_told() -> None:
    change = date(2026, 12, 1)
    hours = Hours(
        week=(
            Window(weekday=1, opens=8 * HOUR, closes=9 * HOUR, until_on=change),
            Window(weekday=2, opens=8 * HOUR, closes=9 * HOUR, from_on=change),
        )
    )
    assert sentence(hours, date(2026, 11, 30)).startswith("måndagar")
    assert sentence(hours, change).startswith("tisdagar")
