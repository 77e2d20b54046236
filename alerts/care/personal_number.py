"""Swedish personal identity numbers: personnummer and samordningsnummer, twelve digits.

Layout and check digit: Skatteverket, SKV 704 and SKV 707. A samordningsnummer has 60 added
to its day.
"""

from datetime import date

_DIGITS = 12
_COORDINATION_DAYS = 60


def normalize(text: str) -> str:
    """Return *text* as twelve digits; a ``-`` before the last four is accepted.

    Raises:
        ValueError: It is not a number that can have been given to anybody.
    """
    digits = text.replace("-", "", 1) if text[-5:-4] == "-" else text
    if len(digits) != _DIGITS or not (digits.isascii() and digits.isdigit()):
        problem = "must be twelve digits, YYYYMMDDNNNN"
        raise ValueError(problem)
    born_on(digits)
    if _luhn(digits[2:-1]) != int(digits[-1]):
        problem = "has the wrong check digit"
        raise ValueError(problem)
    return digits


def born_on(digits: str) -> date:
    """Return the date of birth in a number of twelve digits.

    Raises:
        ValueError: There is no such day.
    """
    day = int(digits[6:8])
    try:
        return date(
            int(digits[:4]),
            int(digits[4:6]),
            day - _COORDINATION_DAYS if day > _COORDINATION_DAYS else day,
        )
    except ValueError as error:
        problem = "does not begin with a date"
        raise ValueError(problem) from error


def _luhn(digits: str) -> int:
    doubled = [int(digit) * (2 - index % 2) for index, digit in enumerate(digits)]
    return -sum(number // 10 + number % 10 for number in doubled) % 10
