"""What patient and care write to each other."""

from typing import Final

from pydantic import BaseModel, Field

from alerts.web.api.example import AT, answers
from alerts.web.api.time import Utc

_MESSAGE: Final = {
    "message_id": 7,
    "text": "Mät i morgon igen.",
    "written_at": AT,
    "is_by_care": True,
    "writer_name": "Anna Provberg",
    "read_at": None,
    "read_name": None,
    "answered_at": None,
}


class Message(BaseModel):
    """One message between a patient and her care."""

    model_config = answers(**_MESSAGE)

    message_id: int
    text: str
    written_at: Utc
    is_by_care: bool
    writer_name: str | None = Field(description="Null: the patient herself.")
    read_at: Utc | None = Field(description="Of what the patient wrote.")
    read_name: str | None
    answered_at: Utc | None


class Thread(BaseModel):
    """The newest messages of a patient, the oldest of them first."""

    model_config = answers(messages=[_MESSAGE])

    messages: list[Message]
