"""The invented people: their numbers are published test numbers, and nothing of theirs is real."""

import re

import pytest

from simulator.people import PEOPLE, Kit, Person, person_named

# 070-174 06 05 to 99: kept for fiction by the Post and Telecom Authority.
FICTION = re.compile(r"070-174 06 (0[5-9]|[1-9]\d)")
# Birth numbers of published test numbers are not told by a rule: these are the ones used.
PUBLISHED = {
    "194408139089",
    "195503071812",
    "196205143248",
    "194903082305",
    "194604123275",
    "193804139149",
    "195110121695",
    "194708313103",
    "195806073077",
    "195205292260",
    "196105162652",
    "194303269049",
}
EVERYONE = pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.key)


def luhn_is_zero(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + position % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def test_there_are_twelve() -> None:
    assert len(PEOPLE) == 12


@EVERYONE
def test_a_personal_number_is_a_published_one_with_its_check_digit(person: Person) -> None:
    assert person.personal_number in PUBLISHED
    assert luhn_is_zero(person.personal_number[2:])
    assert 60 <= 2026 - person.born_on.year <= 90


@EVERYONE
def test_a_telephone_number_belongs_to_nobody(person: Person) -> None:
    assert FICTION.fullmatch(person.phone)


@EVERYONE
def test_limits_are_in_order_and_leave_room_for_the_own_mean(person: Person) -> None:
    for limit in person.limits:
        bounds = [limit.red_low, limit.yellow_low, limit.yellow_high, limit.red_high]
        given = [bound for bound in bounds if bound is not None]
        assert given == sorted(given)


def test_nobody_shares_a_key_a_number_or_a_device() -> None:
    assert len({person.key for person in PEOPLE}) == 12
    assert len({person.personal_number for person in PEOPLE}) == 12
    assert len({person.phone for person in PEOPLE}) == 12
    addresses = [person.address(kit) for person in PEOPLE for kit in Kit]
    assert len(set(addresses)) == 36


def test_addresses_are_static_random_ones() -> None:
    for person in PEOPLE:
        for kit in Kit:
            assert int(person.address(kit)[:2], 16) >> 6 == 0b11


def test_a_person_is_found_by_key() -> None:
    assert person_named("marta").given_name == "Märta"
    with pytest.raises(KeyError):
        person_named("nobody")
