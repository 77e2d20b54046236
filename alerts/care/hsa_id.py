"""HSA-id: by which staff and units are known in Swedish health care (Inera, HSA).

``SE``, the organisation's number of ten digits, ``-``, and a part of its own.
"""

import re
from typing import Final

_FORM: Final = re.compile(r"SE([0-9]{10})-[0-9A-Z]{1,18}", re.ASCII)  # 31 characters at most
_NUMBERS: Final = 9  # of ten digits, the last is the check digit


def normalize(text: str) -> str:
    """Return *text* as it is kept: capital letters, nothing around it.

    Raises:
        ValueError: It can be nobody's.
    """
    found = _FORM.fullmatch(text.strip().upper())
    if found is None:
        problem = "must be SE, ten digits, - and letters or digits: SE2321000016-1003"
        raise ValueError(problem)
    number = found[1]
    if _check_digit(number[:_NUMBERS]) != int(number[_NUMBERS]):
        problem = "holds an organisation's number with the wrong check digit"
        raise ValueError(problem)
    return found[0]


def _check_digit(digits: str) -> int:
    """Return Luhn's digit, as in every Swedish organisation's number (Skatteverket, SKV 709)."""
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(digits))
    return -sum(number // 10 + number % 10 for number in doubled) % 10
