"""What many answers share: a level, whom it is about."""

import enum
from datetime import date
from typing import Final

from pydantic import BaseModel

from alerts.web.api.example import answers


class LevelName(enum.StrEnum):
    """How soon a person must look."""

    NONE = "none"
    YELLOW = "yellow"
    RED = "red"


LEVELS: Final = (LevelName.NONE, LevelName.YELLOW, LevelName.RED)


NAME: Final = {
    "patient_id": 3,
    "given_name": "Greta",
    "family_name": "Exempel",
    "born_on": "1890-01-01",
}


class Name(BaseModel):
    """A patient, as far as one needs to know whom it is about."""

    model_config = answers(**NAME)

    patient_id: int
    given_name: str
    family_name: str
    born_on: date
