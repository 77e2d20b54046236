"""What patient and care write to each other."""

from typing import Final

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, ConfigDict, Field

from alerts.access import Ground
from alerts.audit.entry import Action
from alerts.care import messages
from alerts.care.messages import TEXT_CHARS_MAX, Answer
from alerts.web.api import models, shown
from alerts.web.api.deed import Deed, carry_out, done
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Writer
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Kept, Key
from alerts.web.guard import Closed, let_in, let_speak
from alerts.web.services import Services
from alerts.web.waiting import enter_thread, note

router = APIRouter(tags=["messages"])

_KEY_NEEDED: Final = Words(
    "idempotency-key-needed",
    "Nyckeln saknas",
    "Ett meddelande behöver en egen Idempotency-Key, så att det inte skickas två gånger. "
    "Inget har skickats.",
)
_REFUSED: Final = {
    Answer.EMPTY: (422, Words("empty", "Texten är tom", "Skriv något först. Inget har skickats.")),
    Answer.TOO_LONG: (
        422,
        Words("too-long", "Texten är för lång", "Korta den. Inget har skickats."),
    ),
    Answer.TOO_MANY: (
        429,
        Words(
            "too-many-messages",
            "För många meddelanden",
            "Du har skrivit många meddelanden den senaste timmen. Ring i stället. "
            "Det här meddelandet har inte skickats.",
        ),
    ),
}


class Writing(BaseModel):
    """A message to be written."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "Mät i morgon igen.", "seen_message_id": 6}]},
    )

    text: str = Field(min_length=1, max_length=TEXT_CHARS_MAX)
    seen_message_id: int = Field(
        0,
        ge=0,
        le=2**63 - 1,
        description="From care: the newest message that was read; it and those before are "
        "answered by this one. A patient's says nothing here.",
    )


@router.get(
    "/patients/{patient_id}/messages",
    operation_id="listMessages",
    summary="What they wrote",
    responses=refusals(),
)
async def thread(services: Services, found: Anyone, patient_id: Id) -> models.Thread:
    """Return the newest messages; that care has read them is noted, as on the page."""
    viewer, action = found.viewer, Action.MESSAGES_SEEN
    async with services.pool.connection() as connection:
        if viewer.patient_id is not None:
            await let_in(connection, viewer, patient_id, action)
            rows = await messages.thread(connection, patient_id)
        else:
            ground = await enter_thread(connection, viewer, patient_id, action)
            await note(connection, viewer, patient_id, action, ground=ground)
            rows = await messages.thread(connection, patient_id)
            seen = max((one.message_id for one in rows), default=0)
            await messages.read(connection, viewer, patient_id, seen=seen)
    return models.Thread(messages=[shown.message(one) for one in rows])


@router.post(
    "/patients/{patient_id}/messages",
    operation_id="writeMessage",
    summary="Write",
    status_code=201,
    response_model=models.Message,
    responses=refusals(403, 413, 429),
)
async def write(
    *, services: Services, found: Writer, patient_id: Id, body: Writing, key: Key = None
) -> Response:
    """Write as the patient, or as who cares for her. Needs an Idempotency-Key."""
    viewer, action = found.viewer, Action.MESSAGE_WRITTEN
    async with services.pool.connection() as connection:
        ground: str = Ground.SELF
        if viewer.patient_id is not None:
            await let_speak(connection, viewer, patient_id, action)
        else:
            ground = await enter_thread(connection, viewer, patient_id, action)
        deed = Deed(
            found=found,
            action=action,
            patient_id=patient_id,
            ground=ground,
            key=key,
            asked=(f"{action} {patient_id}", body.model_dump(mode="json")),
            is_noted=False,
        )
        return await carry_out(connection, deed, lambda *_: _write(connection, deed, body))


async def _write(connection: AsyncConnection, deed: Deed, body: Writing) -> Kept:
    if deed.key is None:
        raise Refused(400, _KEY_NEEDED)
    viewer, patient_id = deed.found.viewer, deed.patient_id
    text = body.text.replace("\r\n", "\n")
    if viewer.patient_id is not None:
        answer = await messages.ask(connection, patient_id, text)
    else:
        seen = body.seen_message_id
        answer = await messages.answer(connection, viewer, patient_id, text, seen=seen)
    if answer is Answer.NOT_FOUND:  # her relation ended in between
        raise Closed
    if answer is not Answer.DONE:
        raise Refused(*_REFUSED[answer])
    # Nobody else has written since: who writes holds the thread until she commits.
    written = (await messages.thread(connection, patient_id))[-1]
    return done(shown.message(written), 201)
