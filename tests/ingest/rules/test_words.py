"""The words of sentences: every month, quantity and length of time, in both languages.

Expected words are written with ``~`` for the space that does not break.
"""

from datetime import UTC, datetime

import pytest

from devices.quantity import Panel, Quantity
from ingest.rules import words
from ingest.rules.explain import explain
from ingest.rules.words import ENGLISH, SWEDISH


def _plain(text: str) -> str:
    return text.replace("\u00a0", "~")


@pytest.mark.parametrize(
    ("month", "sv", "en"),
    [
        (1, "januari", "January"),
        (2, "februari", "February"),
        (3, "mars", "March"),
        (4, "april", "April"),
        (5, "maj", "May"),
        (6, "juni", "June"),
        (7, "juli", "July"),
        (8, "augusti", "August"),
        (9, "september", "September"),
        (10, "oktober", "October"),
        (11, "november", "November"),
        (12, "december", "December"),
    ],
)
def test_a_day_by_its_month(month: int, sv: str, en: str) -> None:
    at = datetime(2026, month, 9, 12, tzinfo=UTC)
    assert _plain(words.date(at, SWEDISH)) == f"9~{sv}"
    assert _plain(words.date(at, ENGLISH)) == f"9~{en}"
    assert _plain(words.date(at, SWEDISH, at)) == f"9~{sv}"
    later = datetime(2027, 1, 1, tzinfo=UTC)
    assert _plain(words.date(at, ENGLISH, later)) == f"9~{en} 2026"


def test_the_year_is_that_of_sweden() -> None:
    new_year = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert _plain(words.date(new_year, SWEDISH, datetime(2026, 6, 1, tzinfo=UTC))) == "1~januari"
    assert _plain(words.date(datetime(2026, 6, 1, tzinfo=UTC), SWEDISH, new_year)) == "1~juni"


@pytest.mark.parametrize(
    ("quantity", "the", "of", "en", "unit_sv", "unit_en"),
    [
        (
            Quantity.SYSTOLIC, "det systoliska blodtrycket", "systoliskt blodtryck",
            "systolic blood pressure", "mmHg", "mmHg",
        ),
        (
            Quantity.DIASTOLIC, "det diastoliska blodtrycket", "diastoliskt blodtryck",
            "diastolic blood pressure", "mmHg", "mmHg",
        ),
        (
            Quantity.MEAN_ARTERIAL, "medelartärtrycket", "medelartärtryck",
            "mean arterial pressure", "mmHg", "mmHg",
        ),
        (Quantity.PULSE, "pulsen", "puls", "pulse rate", "slag/min", "bpm"),
        (Quantity.BODY_WEIGHT, "vikten", "vikt", "body weight", "kg", "kg"),
        (Quantity.STEPS, "stegen", "steg", "steps", "steg", "steps"),
        (Quantity.SLEEP, "sömnen", "sömn", "sleep", "h", "h"),
        (Quantity.BODY_FAT, "kroppsfettet", "kroppsfett", "body fat", "%", "%"),
    ],
)  # fmt: skip
def test_every_quantity_has_its_words(  # noqa: PLR0917 - a row of a table
    quantity: Quantity, the: str, of: str, en: str, unit_sv: str, unit_en: str
) -> None:
    named = words.NAMES[quantity]
    assert (named.the_sv, named.of_sv, named.en) == (the, of, en)
    assert _plain(words.unit(quantity, SWEDISH)) == f"~{unit_sv}"
    assert _plain(words.unit(quantity, ENGLISH)) == f"~{unit_en}"
    assert set(words.NAMES) == set(Quantity)


@pytest.mark.parametrize(
    ("panel", "sv", "en"),
    [
        (Panel.BLOOD_PRESSURE, "inget blodtryck", "no blood pressure"),
        (Panel.PULSE, "ingen puls", "no pulse rate"),
        (Panel.BODY_WEIGHT, "ingen vikt", "no body weight"),
        (Panel.BODY_COMPOSITION, "inget kroppsfett", "no body fat"),
        (Panel.STEPS, "inga steg", "no steps"),
        (Panel.SLEEP, "ingen sömn", "no sleep"),
    ],
)
def test_what_was_not_measured(panel: Panel, sv: str, en: str) -> None:
    assert words.NO_MEASUREMENT[panel] == (sv, en)
    assert set(words.NO_MEASUREMENT) == set(Panel)


@pytest.mark.parametrize(
    ("value", "decimals", "sv", "en"),
    [
        (78.4, 1, "78,4", "78.4"),
        (3412, 0, "3~412", "3,412"),
        (1234567.5, 1, "1~234~567,5", "1,234,567.5"),
        (-2.6, 1, "−2,6", "−2.6"),
    ],
)
def test_numbers_are_as_people_write_them(value: float, decimals: int, sv: str, en: str) -> None:
    assert _plain(words.number(value, decimals, SWEDISH)) == sv
    assert words.number(value, decimals, ENGLISH) == en


@pytest.mark.parametrize(
    ("value", "bound", "shown"),
    [
        (135, 135, "135"),  # at the bound
        (134.6, 135, "134,6"),
        (134.96, 135, "134,96"),
        (134.996, 135, "135"),  # no scale tells that
        (134.4, 135, "134"),
        (140.2, 135, "140"),
    ],
)
def test_a_value_is_seen_to_be_beyond_its_bound(value: float, bound: float, shown: str) -> None:
    assert words.beyond(value, bound, 0, SWEDISH) == shown


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, ("0~dagar", "0~days", "0~mätningar", "0~readings", "0~minuter", "0~minutes")),
        (1, ("1~dag", "1~day", "1~mätning", "1~reading", "1~minut", "1~minute")),
        (2, ("2~dagar", "2~days", "2~mätningar", "2~readings", "2~minuter", "2~minutes")),
    ],
)
def test_one_and_many(count: int, expected: tuple[str, ...]) -> None:
    each = [
        told(count, language)
        for told in (words.days, words.readings, words.minutes)
        for language in (SWEDISH, ENGLISH)
    ]
    assert tuple(map(_plain, each)) == expected


@pytest.mark.parametrize(
    ("hours", "sv", "en"),
    [
        (1.9, "1~timme", "1~hour"),
        (2, "2~timmar", "2~hours"),
        (47.9, "47~timmar", "47~hours"),
        (48, "2~dagar", "2~days"),
        (71.9, "2~dagar", "2~days"),
        (72, "3~dagar", "3~days"),
    ],
)
def test_how_long_it_has_been(hours: float, sv: str, en: str) -> None:
    assert _plain(words.since(hours, SWEDISH)) == sv
    assert _plain(words.since(hours, ENGLISH)) == en


@pytest.mark.parametrize(
    ("hours", "sv", "en"),
    [
        (1, "varje timme", "every hour"),
        (2, "varannan timme", "every other hour"),
        (3, "var 3:e timme", "every 3 hours"),
        (24, "varje dag", "every day"),
        (48, "varannan dag", "every other day"),
        (96, "var 4:e dag", "every 4 days"),
        (168, "varje vecka", "every week"),
        (336, "varannan vecka", "every other week"),
        (504, "var 3:e vecka", "every 3 weeks"),
        (2.5, "var 2,5:e timme", "every 2.5 hours"),
    ],
)
def test_how_often_it_is_planned(hours: float, sv: str, en: str) -> None:
    assert words.how_often(hours, SWEDISH) == sv
    assert words.how_often(hours, ENGLISH) == en


def test_swedish_is_said_where_nothing_else_is_asked_for() -> None:
    limit = {"quantity": "pulse", "side": "high", "value": 120, "bound": 100}
    assert _plain(explain("limit", limit)) == "Puls 120~slag/min (gräns 100)"
