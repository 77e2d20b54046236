"""Without a relation, in an emergency: at once, with a reason, and looked at afterwards."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.access import Access, Ground, decide
from alerts.audit.chain import append
from alerts.audit.entry import Action
from alerts.care import emergency
from alerts.care.emergency import WHY_CHARS_MAX, WHY_CHARS_MIN, Answer
from alerts.care.facts import facts
from alerts.care.identity import IdentityError
from alerts.sending.store import now
from alerts.web.api.deed import Deed, carry_out, done
from alerts.web.api.document import refusals
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.office import CareWrites
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed
from alerts.web.services import Services
from alerts.web.sought import Miss, reason, seek

router = APIRouter(tags=["sharing"])

REFUSED: Final = {
    Miss.NO_REASON: (422, Words("emergency-reason", "Skälet saknas", Miss.NO_REASON.value)),
    Miss.NOBODY: (404, Words("emergency-nobody", "Ingen har numret", Miss.NOBODY.value)),
    Miss.TOO_MANY: (
        429,
        Words("emergency-too-many", "För många nummer", Miss.TOO_MANY.value),
    ),
}
_NUMBER_CHARS_MAX: Final = 64


class Opening(BaseModel):
    """Whom one must see now, and why."""

    model_config = takes(personal_number="18900101-9802", why="Hittad medvetslös i hemmet.")

    personal_number: str = Field(min_length=1, max_length=_NUMBER_CHARS_MAX)
    why: str = Field(min_length=WHY_CHARS_MIN, max_length=WHY_CHARS_MAX)


class Opened(BaseModel):
    """The patient is open to look at, and not to act."""

    model_config = answers(patient_id=3, until_at=AT)

    patient_id: int
    until_at: Utc | None = Field(description="Null: she was open already, by a relation.")


@router.post(
    "/emergency-access",
    operation_id="openInEmergency",
    summary="I must see her now",
    status_code=201,
    response_model=Opened,
    responses=refusals(403, 413, 429),
)
async def open_up(
    services: Services, found: CareWrites, body: Opening, key: Key = None
) -> Response:
    """Open a patient for an hour. Somebody else looks afterwards at why."""
    viewer, why = found.viewer, reason(body.why)
    async with services.pool.connection() as connection:
        try:
            sought = await seek(connection, viewer, body.personal_number, why)
        except IdentityError as error:
            told = Words("emergency-number", "Det är inget personnummer", error.sv)
            raise Refused(422, told) from None
        if isinstance(sought, Miss):
            raise Refused(*REFUSED[sought])
        patient_id = sought
        deed = Deed(
            found=found,
            action=Action.EMERGENCY_OPENED,
            patient_id=patient_id,
            ground=Ground.EMERGENCY,
            key=key,
            asked=(Action.EMERGENCY_OPENED, body.model_dump(mode="json")),
        )

        async def act(connection: AsyncConnection, _now: datetime) -> Kept:
            answer = await emergency.open_up(connection, viewer, patient_id, why)
            facts_of = await facts(connection, viewer, [patient_id], await now(connection))
            access = decide(viewer, facts_of[patient_id]) if patient_id in facts_of else None
            if not isinstance(access, Access):
                raise Closed
            if answer is Answer.NOT_NEEDED:
                await append(connection, deed.entry(answer))
            return done(Opened(patient_id=patient_id, until_at=access.until), 201)

        return await carry_out(connection, deed, act)
