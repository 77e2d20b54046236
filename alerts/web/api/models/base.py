"""What many answers share: an example, a level, whom it is about."""

import enum
from datetime import date
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

AT: Final = "2026-11-23T07:12:00Z"


class LevelName(enum.StrEnum):
    """How soon a person must look."""

    NONE = "none"
    YELLOW = "yellow"
    RED = "red"


LEVELS: Final = (LevelName.NONE, LevelName.YELLOW, LevelName.RED)


def example(**values: Any) -> ConfigDict:
    """Return the configuration of a model whose example is *values*."""
    return ConfigDict(json_schema_extra={"examples": [values]})


NAME: Final = {
    "patient_id": 3,
    "given_name": "Greta",
    "family_name": "Exempel",
    "born_on": "1890-01-01",
}


class Name(BaseModel):
    """A patient, as far as one needs to know whom it is about."""

    model_config = example(**NAME)

    patient_id: int
    given_name: str
    family_name: str
    born_on: date
