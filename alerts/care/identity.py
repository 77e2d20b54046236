"""Who somebody is in the registers: a number, and the system that gave it out.

Personnummer and samordningsnummer: Skatteverket, SKV 704 and SKV 707; a samordningsnummer has 60
added to its day. Reserve numbers are given by a region to who has neither, each in a system of its
own (an OID). The formats of those that are known here: Inera, Personuppgiftstjänsten, "Lokala
reservid". Of any other system a value is taken as it stands.

A number is shown to few: it stands in no text that is made for logs.
"""

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Final

_COORDINATION_DAYS: Final = 60
_CENTURY: Final = 100


class System(enum.StrEnum):
    """Who gave the number, by OID."""

    PERSONNUMMER = "1.2.752.129.2.1.3.1"
    SAMORDNINGSNUMMER = "1.2.752.129.2.1.3.3"
    NATIONAL_RESERVE = "1.2.752.74.9.1"  # Inera's
    INERA_RESERVE = "1.2.752.129.2.1.3.2"  # the one before
    STOCKHOLM_RESERVE = "1.2.752.97.3.1.3"
    VASTRA_GOTALAND_RESERVE = "1.2.752.113.11.0.2.1.1.1"


_OF_SKATTEVERKET: Final = frozenset({System.PERSONNUMMER, System.SAMORDNINGSNUMMER})
_OID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,15})){2,20}", re.ASCII)
_RESERVE: Final = re.compile(r"[0-9A-Z]{4,20}", re.ASCII)
_TWELVE: Final = re.compile(r"[0-9]{12}", re.ASCII)
_TEN: Final = re.compile(r"[0-9]{6}[-+]?[0-9]{4}", re.ASCII)


class Problem(enum.Enum):
    """Why a number was given to nobody, in English and Swedish."""

    FORM = (
        "must be twelve digits, YYYYMMDDNNNN, or a reserve number behind its system",
        "Numret skrivs med tolv siffror: ÅÅÅÅMMDD-NNNN.",
    )
    NO_DAY = (
        "does not begin with a date",
        "Numret börjar inte med en födelsedag som finns.",
    )
    OTHER_KIND = (
        "is of the other kind of number",
        "Numret är av annat slag: ett samordningsnummer har 60 lagt till dagen.",
    )
    NO_SYSTEM = (
        "names no system: an OID stands before the colon",
        "Före kolon står vem som har gett numret, som OID: 1.2.752.…",
    )
    NO_RESERVE = (
        "does not look like a reserve number of its system",
        "Reservnumret ser inte ut som den regionens nummer. Läs av det en gång till.",
    )
    CHECK_DIGIT = (
        "has the wrong check digit",
        "Kontrollsiffran stämmer inte: någon siffra är fel. Läs av numret en gång till.",
    )


class IdentityError(ValueError):
    """The number was given to nobody; says why, and never which.

    Attributes:
        problem: Why.
        sv: The same, for who reads Swedish.
    """

    def __init__(self, problem: Problem) -> None:
        en, self.sv = problem.value
        super().__init__(en)
        self.problem = problem


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A number that can have been given to somebody; no other can be made.

    Raises:
        IdentityError: It cannot.
    """

    system: str
    value: str

    def __post_init__(self) -> None:
        _CHECKS.get(self.system, _check_other)(self)

    def __repr__(self) -> str:
        return f"Identity({self.system})"

    @property
    def is_reserve(self) -> bool:
        """A region gave it, to who has no number from Skatteverket."""
        return self.system not in _OF_SKATTEVERKET

    @property
    def key(self) -> str:
        """How it is kept: twelve digits, or a reserve number behind its system."""
        return f"{self.system}:{self.value}" if self.is_reserve else self.value

    @property
    def shown(self) -> str:
        """How a person reads it."""
        if self.is_reserve:
            return f"{self.value} (reservnummer)"
        return f"{self.value[:8]}-{self.value[8:]}"

    @property
    def born_on(self) -> date | None:
        """The day of birth, where the number tells it."""
        if self.is_reserve:
            dated = self.system == System.VASTRA_GOTALAND_RESERVE
            return _day(self.value[:8]) if dated else None
        return _day(self.value[:8], less=_COORDINATION_DAYS)


def parse(text: str, today: date | None = None) -> Identity:
    """Read a number as a person types it, or as ``key`` keeps it.

    Args:
        text: Twelve digits, ``-`` allowed before the last four; a reserve number behind its system
            and a colon; or, where *today* is given, ten digits.
        today: The day in Sweden. Of ten digits ``+`` means a hundred years or more.

    Raises:
        IdentityError: It can have been given to nobody.
    """
    text = text.strip()
    system, colon, value = text.rpartition(":")
    if colon:
        return Identity(system, value.upper())
    if today is not None and _TEN.fullmatch(text):
        return _of_digits(_with_century(text, today))
    digits = text.replace("-", "", 1) if text[-5:-4] == "-" else text
    if not _TWELVE.fullmatch(digits):
        raise IdentityError(Problem.FORM)
    return _of_digits(digits)


def normalize(text: str) -> str:
    """Return *text* as it is kept; raises IdentityError."""
    return parse(text).key


def _of_digits(digits: str) -> Identity:
    is_coordination = int(digits[6:8]) > _COORDINATION_DAYS
    return Identity(System.SAMORDNINGSNUMMER if is_coordination else System.PERSONNUMMER, digits)


def _with_century(text: str, today: date) -> str:
    """Return the twelve digits of ten: born before *today*, or with ``+`` a century before that."""
    digits = text.replace("-", "").replace("+", "")
    year = today.year - today.year % _CENTURY + int(digits[:2])
    day = int(digits[4:6]) % _COORDINATION_DAYS
    if (year, int(digits[2:4]), day) > (today.year, today.month, today.day):
        year -= _CENTURY
    return f"{year - _CENTURY * ('+' in text)}{digits[2:]}"


def _check_skatteverket(identity: Identity) -> None:
    value = identity.value
    if not _TWELVE.fullmatch(value):
        raise IdentityError(Problem.FORM)
    is_coordination = int(value[6:8]) > _COORDINATION_DAYS
    _day(value[:8], less=_COORDINATION_DAYS)
    if is_coordination != (identity.system == System.SAMORDNINGSNUMMER):
        raise IdentityError(Problem.OTHER_KIND)
    _check_digit(value[2:])


def _check_stockholm(identity: Identity) -> None:
    _shaped(identity.value, r"99[0-9]{10}")
    _check_digit(identity.value[4:])


def _check_vastra_gotaland(identity: Identity) -> None:
    _shaped(identity.value, r"[0-9]{8}[KMX][0-9]{3}")
    _day(identity.value[:8])
    _check_digit(identity.value[2:].translate(str.maketrans("KMX", "578")))


def _check_inera(identity: Identity) -> None:
    _shaped(identity.value, r"[0-9]{4}(0[1-9]|1[0-2])(3[2-9]|[45][0-9])[0-9]{4}")
    _check_digit(identity.value[2:])


def _check_other(identity: Identity) -> None:
    if not _OID.fullmatch(identity.system):
        raise IdentityError(Problem.NO_SYSTEM)
    _shaped(identity.value, _RESERVE.pattern)


_CHECKS: Final[dict[str, Callable[[Identity], None]]] = {
    System.PERSONNUMMER: _check_skatteverket,
    System.SAMORDNINGSNUMMER: _check_skatteverket,
    System.STOCKHOLM_RESERVE: _check_stockholm,
    System.VASTRA_GOTALAND_RESERVE: _check_vastra_gotaland,
    System.INERA_RESERVE: _check_inera,
}


def _shaped(value: str, pattern: str) -> None:
    if not re.fullmatch(pattern, value, re.ASCII):
        raise IdentityError(Problem.NO_RESERVE)


def _day(digits: str, less: int = 0) -> date:
    day = int(digits[6:8])
    try:
        return date(int(digits[:4]), int(digits[4:6]), day - less if less and day > less else day)
    except ValueError as error:
        raise IdentityError(Problem.NO_DAY) from error


def _check_digit(digits: str) -> None:
    """Refuse digits whose last is not the one that the others make (modulus 10)."""
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(digits[:-1])]
    if -sum(number // 10 + number % 10 for number in doubled) % 10 != int(digits[-1]):
        raise IdentityError(Problem.CHECK_DIGIT)
