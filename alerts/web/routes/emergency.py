"""The page on which somebody without a relation says that there is an emergency, and why."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from alerts.care import emergency, identity
from alerts.care.emergency import Answer
from alerts.care.identity import IdentityError
from alerts.web import throttle
from alerts.web.guard import OwnForm, Staff
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.web.session import Session

router = APIRouter()

_NOBODY: Final = (
    "Ingen patient här har det numret. Läs av det en gång till. Du kan inte vänta: ring 112."
)
_TOO_MANY: Final = (
    "Du har sökt efter för många nummer som ingen har här. Vänta en kvart. "
    "Du kan inte vänta: ring 112, eller be en kollega öppna patienten."
)
_NO_REASON: Final = (
    f"Skriv varför, med minst {emergency.WHY_CHARS_MIN} tecken. Någon annan läser det efteråt."
)


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
    reason = "".join(letter if letter.isprintable() else " " for letter in why).strip()
    try:
        key = identity.normalize(number)
    except IdentityError as error:
        return _page(request, found, told=error.sv, number=number, why=reason, status=422)
    if not emergency.is_reason(reason):  # before anybody is looked for: it would tell who is here
        return _page(request, found, told=_NO_REASON, number=number, why=reason, status=422)
    limits = throttle.of_missed(found.viewer.staff_id or 0)
    async with services.pool.connection() as connection:
        if not await throttle.admit_within(connection, limits):
            return _page(request, found, told=_TOO_MANY, number=number, why=reason, status=429)
        row = await (
            await connection.execute(
                "select patient_id from person where personal_number = %s", (key,)
            )
        ).fetchone()
        answer = Answer.NOT_FOUND
        if row is not None:
            answer = await emergency.open_up(connection, found.viewer, row[0], reason)
            await throttle.forgive_one(connection, limits)
        else:
            await emergency.miss(connection, found.viewer)
    if row is None or answer is Answer.NOT_FOUND:
        return _page(request, found, told=_NOBODY, number=number, why=reason, status=404)
    return RedirectResponse(f"/patients/{row[0]}", 303)


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
