"""Twelve digits with a date and a check digit, or nothing."""

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.care import personal_number


@pytest.mark.parametrize("text", ["189001019802", "18900101-9802", "191212121212", "189102279800"])
def test_a_published_test_number_is_accepted(text: str) -> None:
    assert personal_number.normalize(text) == text.replace("-", "")


def test_a_coordination_number_gives_its_day() -> None:
    assert personal_number.born_on("197010632391") == date(1970, 10, 3)
    assert personal_number.normalize("197010632391") == "197010632391"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("189001019803", "check digit"),
        ("189013019802", "date"),
        ("189002309802", "date"),
        ("9001019802", "twelve digits"),
        ("", "twelve digits"),
        ("1890-01019802", "twelve digits"),
        ("18900101980٢", "twelve digits"),
    ],
)
def test_what_cannot_be_a_number_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        personal_number.normalize(text)


@given(st.text(max_size=14))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert len(personal_number.normalize(text)) == 12


@given(st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_never_passes(place: int, change: int) -> None:
    digits = [int(digit) for digit in "189001019802"]
    digits[place] = (digits[place] + change) % 10
    text = "".join(map(str, digits))
    if place < 2:  # the century is not part of the check
        return
    with pytest.raises(ValueError, match=r"check digit|date"):
        personal_number.normalize(text)
