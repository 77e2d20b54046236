"""What a technician does with a fault on her list: take it, leave it, say that it is seen to."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Path
from fastapi.responses import RedirectResponse, Response

from alerts.technical import listed
from alerts.technical.listed import NOTE_CHARS_MAX, Answer
from alerts.web.guard import OwnForm, Technician
from alerts.web.services import Services
from alerts.web.session import Session

router = APIRouter(prefix="/teknik/fel")

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]

# What the list says after it; of an answer that is not here there is nothing to say.
TOLD = {
    Answer.TAKEN: "fault_taken",
    Answer.AWAY: "fault_away",
    Answer.GONE: "fault_gone",
}


@router.post("/{technical_id}/ta", dependencies=[OwnForm])
async def take(services: Services, found: Technician, technical_id: Id) -> Response:
    """Take a fault; if another technician was faster, say so."""
    async with services.pool.connection() as connection:
        answer = await listed.take(connection, _staff_id(found), technical_id)
    return _back(answer)


@router.post("/{technical_id}/lamna", dependencies=[OwnForm])
async def leave(services: Services, found: Technician, technical_id: Id) -> Response:
    """Leave it to another."""
    async with services.pool.connection() as connection:
        answer = await listed.leave(connection, _staff_id(found), technical_id)
    return _back(answer)


@router.post("/{technical_id}/klart", dependencies=[OwnForm])
async def close(
    services: Services,
    found: Technician,
    technical_id: Id,
    note: Annotated[str, Form(max_length=NOTE_CHARS_MAX)] = "",
) -> Response:
    """Say that it is seen to."""
    async with services.pool.connection() as connection:
        answer = await listed.close(connection, _staff_id(found), technical_id, note)
    return _back(answer)


def _staff_id(found: Session) -> int:
    if found.viewer.staff_id is None:  # a technician is one of the staff
        raise HTTPException(404)
    return found.viewer.staff_id


def _back(answer: Answer) -> Response:
    told = TOLD.get(answer)
    return RedirectResponse(f"/teknik?klart={told}" if told else "/teknik", 303)
