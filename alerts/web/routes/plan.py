"""A patient's plan ends."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response
from psycopg import AsyncConnection

from alerts.audit.entry import Action
from alerts.care import agreement, people, plan_end
from alerts.care.people import Viewer
from alerts.care.plan_end import WHY_CHARS_MAX
from alerts.care.proposal import Answer, How
from alerts.sending.store import now
from alerts.web.guard import OwnForm, Staff, let_speak
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.web.session import Session
from alerts.web.text import one_line
from alerts.web.waiting import note
from alerts.words import ZONE

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]

HOW: Final = {
    How.PHONE: "i telefon",
    How.VISIT: "vid ett besök",
    How.SELF: "på annat sätt, själv",
}
# A relative is chosen by her number: "relative:3".
_RELATIVE: Final = re.compile(r"relative:([1-9][0-9]{0,17})")
_REFUSED: Final = {
    Answer.NOT_YOURS: "Välj hur ni kom överens om det. Planen gäller fortfarande.",
    Answer.NO_RELATIVE: "Den närstående får inte se planen. Välj något annat. Planen gäller "
    "fortfarande.",
    Answer.NO_TEXT: f"Skriv varför, med högst {WHY_CHARS_MAX} tecken. Planen gäller fortfarande.",
    Answer.IN_THE_PAST: "Dagen har varit. Välj i dag eller senare. Planen gäller fortfarande.",
    Answer.TOO_FAR: "Dagen är mer än ett år bort. Välj en närmare. Planen gäller fortfarande.",
    Answer.NO_PLAN: "Det finns ingen plan som gäller. Du behöver inte göra något.",
}
_NO_DAY: Final = "Dagen går inte att läsa. Skriv den som 2027-05-03. Planen gäller fortfarande."


@router.get("/patients/{patient_id}/plan/slut")
async def end_page(request: Request, services: Services, found: Staff, patient_id: Id) -> Response:
    """Ask why a plan ends, how that was agreed, and from when."""
    async with services.pool.connection() as connection:
        await let_speak(connection, found.viewer, patient_id, Action.PATIENT_SEEN, reads=True)
        return await _page(request, connection, found, patient_id)


@router.post("/patients/{patient_id}/plan/slut", dependencies=[OwnForm])
async def end(
    *,
    request: Request,
    services: Services,
    found: Staff,
    patient_id: Id,
    how: Annotated[str, Form()] = "",
    why: Annotated[str, Form(max_length=WHY_CHARS_MAX * 2)] = "",
    day: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """End the plan; what is refused is shown again with what was written."""
    viewer, action = found.viewer, Action.PLAN_ENDED
    async with services.pool.connection() as connection:
        access = await let_speak(connection, viewer, patient_id, action)
        answer = await _end(connection, viewer, patient_id, how=how, why=one_line(why), day=day)
        if answer is Answer.DONE:
            return RedirectResponse(f"/patients/{patient_id}", 303)
        said = "no_day" if answer is None else answer.value
        await note(connection, viewer, patient_id, action, ground=access.ground, answer=said)
        if answer is not None and answer not in _REFUSED:  # her relation ended in between
            raise HTTPException(404)
        refused = _NO_DAY if answer is None else _REFUSED[answer]
        return await _page(
            request, connection, found, patient_id, refused=refused, how=how, why=why, day=day
        )


async def _end(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, *, how: str, why: str, day: str
) -> Answer | None:
    """End it as the form says; none: nobody can read the day."""
    relative = _RELATIVE.fullmatch(how)
    if how not in HOW and relative is None:
        return Answer.NOT_YOURS
    try:
        from_day = date.fromisoformat(day) if day else None
    except ValueError:
        return None
    done = await plan_end.end(
        connection,
        viewer,
        patient_id,
        How(how) if relative is None else How.RELATIVE,
        why=why,
        relative_id=None if relative is None else int(relative[1]),
        from_day=from_day,
        now=await now(connection),
    )
    return done.answer


async def _page(
    request: Request,
    connection: AsyncConnection,
    found: Session,
    patient_id: int,
    *,
    refused: str = "",
    how: str = "",
    why: str = "",
    day: str = "",
) -> Response:
    patient = await people.known(connection, patient_id)
    if patient is None:
        raise HTTPException(404)
    company = await agreement.company(connection, patient_id, await now(connection))
    together = {
        f"relative:{one.relative_id}": f"tillsammans med {one.name}"
        + (f" ({one.relation})" if one.relation else "")
        for one in company.values()
    }
    return page(
        request,
        "plan_end.html",
        session=found,
        status=422 if refused else 200,
        now=datetime.now(UTC),
        patient=patient,
        refused=refused,
        how=how,
        hows=HOW | together,
        why=why,
        day=day or datetime.now(ZONE).date().isoformat(),
        most=WHY_CHARS_MAX,
    )
