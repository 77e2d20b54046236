"""Why a rule cannot be, in the words of who writes plans: Swedish, and English."""

from dataclasses import dataclass
from typing import Final, NoReturn

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

_TYPE: Final = "impossible_rule"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason, and where in what was given it lies (``rules.2.change``; '' for the whole)."""

    where: str
    sv: str
    en: str


def refuse(sv: str, en: str) -> NoReturn:
    """Refuse a rule in a validator, for a person to read."""
    # Braces would be read as fields of the message; numbers and names have none.
    raise PydanticCustomError(_TYPE, "{en}", {"sv": sv, "en": en})


def require(possible: bool, sv: str, en: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse a rule unless it is *possible*."""
    if not possible:
        refuse(sv, en)


def refusals(error: ValidationError) -> list[Refusal]:
    """Return every reason of *error*; one that is about the form names the field."""
    found = []
    for one in error.errors(include_url=False):
        where = ".".join(str(part) for part in one["loc"])
        if one["type"] == _TYPE:
            context = one["ctx"]
            found.append(Refusal(where, context["sv"], context["en"]))
        else:
            found.append(
                Refusal(where, f"Fältet {where} kan inte läsas.", f"{where}: {one['msg']}.")
            )
    return found
