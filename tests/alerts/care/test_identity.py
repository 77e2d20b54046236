"""A number that can have been given to somebody, or nothing."""

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.care import identity
from alerts.care.identity import Identity, IdentityError, System

TODAY = date(2026, 11, 23)
STOCKHOLM = "1.2.752.97.3.1.3"
VASTRA_GOTALAND = "1.2.752.113.11.0.2.1.1.1"
INERA = "1.2.752.129.2.1.3.2"
# The published examples of each format, and one of a system that nobody here knows.
RESERVES = [
    *((STOCKHOLM, value) for value in ("991981000010", "991945000023", "991993000032")),
    *((VASTRA_GOTALAND, value) for value in ("19810829M071", "19450829K088", "19930829X802")),
    (INERA, "198108320014"),
    ("1.2.752.74.9.2", "19810829SU3A"),
]


@pytest.mark.parametrize("text", ["189001019802", "18900101-9802", "191212121212", "189102279800"])
def test_a_published_test_number_is_accepted(text: str) -> None:
    found = identity.parse(f" {text} ")
    assert found.key == identity.normalize(text) == text.replace("-", "")
    assert found.system == System.PERSONNUMMER
    assert found.shown == f"{found.key[:8]}-{found.key[8:]}"


def test_a_coordination_number_gives_its_day() -> None:
    found = identity.parse("197010632391")
    assert (found.system, found.born_on) == (System.SAMORDNINGSNUMMER, date(1970, 10, 3))
    assert not found.is_reserve


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("189001019803", "check digit"),
        ("189013019802", "date"),
        ("189002309802", "date"),
        ("189001609802", "date"),
        ("9001019802", "twelve digits"),
        ("", "twelve digits"),
        ("1890-01019802", "twelve digits"),
        ("18900101980٢", "twelve digits"),
        ("18900101+9802", "twelve digits"),
        (":189001019802", "no system"),
        ("stockholm:991981000010", "no system"),
        ("1.2.752.١:ABCD", "no system"),
        (f"{STOCKHOLM}:991981000011", "check digit"),
        (f"{STOCKHOLM}:981981000010", "look like"),
        (f"{VASTRA_GOTALAND}:19810829K071", "check digit"),
        (f"{VASTRA_GOTALAND}:19811329M071", "date"),
        (f"{INERA}:198108310014", "look like"),
        (f"{INERA}:198108320015", "check digit"),
        ("1.2.752.74.9.2:1", "look like"),
        ("1.2.752.74.9.2:1981 829SU3A", "look like"),
        (f"{System.PERSONNUMMER}:197010632391", "other kind"),
        (f"{System.SAMORDNINGSNUMMER}:189001019802", "other kind"),
    ],
)
def test_what_cannot_be_a_number_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(IdentityError, match=problem) as refused:
        identity.parse(text)
    assert refused.value.sv.endswith((".", "…"))
    assert not any(len(word) > 9 and word.strip(".:").isdigit() for word in str(refused.value))


@pytest.mark.parametrize(("system", "value"), RESERVES)
def test_a_reserve_number_is_kept_behind_its_system(system: str, value: str) -> None:
    found = identity.parse(f"{system}:{value.lower()}")
    assert found == Identity(system, value)
    assert found.is_reserve
    assert identity.parse(found.key) == found
    assert found.shown == f"{value} (reservnummer)"


def test_only_a_number_with_a_day_in_it_tells_when_somebody_was_born() -> None:
    assert Identity(VASTRA_GOTALAND, "19810829M071").born_on == date(1981, 8, 29)
    assert Identity(STOCKHOLM, "991981000010").born_on is None


def test_the_system_may_stand_before_any_number() -> None:
    assert identity.parse(f"{System.PERSONNUMMER}:189001019802").key == "189001019802"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("121212-1212", "201212121212"),
        ("121212+1212", "191212121212"),
        ("1212121212", "201212121212"),
        ("440813-9089", "194408139089"),
        ("701063-2391", "197010632391"),
        ("900101+9802", "189001019802"),
    ],
)
def test_ten_digits_are_read_by_the_day_they_are_typed_on(text: str, key: str) -> None:
    assert identity.parse(text, TODAY).key == key
    with pytest.raises(IdentityError, match="twelve digits"):
        identity.parse(text)


def test_nobody_is_born_tomorrow() -> None:
    born = date(2012, 12, 12)
    assert identity.parse("121212-1212", born).born_on == born
    assert identity.parse("121212-1212", date(2012, 12, 11)).born_on == date(1912, 12, 12)


def test_a_number_stands_in_no_text_made_for_logs() -> None:
    assert "9802" not in f"{identity.parse('189001019802')!r}"
    assert "9802" not in f"{identity.parse('189001019802')}"


@given(st.text(max_size=40) | st.from_regex(r"[0-9.]{5,20}:[0-9A-Z]{3,14}"))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    with contextlib.suppress(IdentityError):
        found = identity.parse(text, TODAY)
        assert identity.parse(found.key) == found


@given(st.integers(0, 11), st.integers(1, 9))
def test_one_wrong_digit_never_passes(place: int, change: int) -> None:
    digits = [int(digit) for digit in "189001019802"]
    digits[place] = (digits[place] + change) % 10
    text = "".join(map(str, digits))
    if place < 2:  # the century is not part of the check
        return
    with pytest.raises(IdentityError, match=r"check digit|date"):
        identity.parse(text)
