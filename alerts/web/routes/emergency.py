"""The page on which somebody without a relation says that there is an emergency, and why."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from alerts.care import emergency
from alerts.care.emergency import Answer
from alerts.care.identity import IdentityError
from alerts.web.guard import OwnForm, Staff
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.web.session import Session
from alerts.web.sought import Miss, reason, seek

router = APIRouter()

_STATUS: Final = {Miss.NO_REASON: 422, Miss.NOBODY: 404, Miss.TOO_MANY: 429}


@router.get("/nodatkomst")
async def emergency_page(request: Request, found: Staff) -> Response:
    """Ask for whom, and why."""
    return _page(request, found)


@router.post("/nodatkomst", dependencies=[OwnForm])
async def open_up(
    request: Request,
    services: Services,
    found: Staff,
    number: Annotated[str, Form(max_length=64)] = "",
    why: Annotated[str, Form(max_length=emergency.WHY_CHARS_MAX * 2)] = "",
) -> Response:
    """Open the patient with that number for an hour."""
    told = reason(why)
    async with services.pool.connection() as connection:
        try:
            sought = await seek(connection, found.viewer, number, told)
        except IdentityError as error:
            return _page(request, found, told=error.sv, number=number, why=told, status=422)
        if not isinstance(sought, Miss):
            answer = await emergency.open_up(connection, found.viewer, sought, told)
            if answer is not Answer.NOT_FOUND:
                return RedirectResponse(f"/patients/{sought}", 303)
            sought = Miss.NOBODY
    status = _STATUS[sought]
    return _page(request, found, told=sought.value, number=number, why=told, status=status)


def _page(
    request: Request,
    found: Session,
    *,
    told: str = "",
    number: str = "",
    why: str = "",
    status: int = 200,
) -> Response:
    return page(
        request,
        "emergency.html",
        session=found,
        status=status,
        told=told,
        number=number,
        why=why,
        hours=int(emergency.LASTS.total_seconds() // 3600),
        why_chars=(emergency.WHY_CHARS_MIN, emergency.WHY_CHARS_MAX),
    )
