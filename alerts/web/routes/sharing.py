"""The patient's own word: with whom she shares what, until when; and who has looked at her."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from psycopg import AsyncConnection

from alerts.access import Scope
from alerts.audit import extract, words
from alerts.audit.entry import Action
from alerts.care import consent, people
from alerts.care.consent import Answer, Holder, How
from alerts.web.guard import OwnForm, Patient, let_in
from alerts.web.pages import page
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from alerts.words import ZONE

router = APIRouter(prefix="/me")

SCOPES: Final = {
    Scope.VALUES: "Mina värden",
    Scope.ALERTS: "Mina larm",
    Scope.PLAN: "Min plan",
    Scope.CONTACT: "Min vårdkontakt",
}
# As far back as a page is read; what is older is in the extract.
LOOK_BACK: Final = timedelta(days=90)
LOOKS_MAX: Final = 300

_SAID: Final = {
    Answer.NOTHING_SHARED: "Kryssa i vad du vill dela. Inget har ändrats.",
    Answer.PERIOD: "Sista dagen har redan varit. Välj en dag som kommer. Inget har ändrats.",
    Answer.NO_HOLDER: "Personen finns inte längre. Inget har ändrats.",
    Answer.FULL: "Du delar redan med så många som får plats. Avsluta en delning först. "
    "Inget har ändrats.",
    Answer.NONE: "Det var redan slut. Du behöver inte göra något.",
}

Number = Annotated[int, Form(ge=1, le=2**63 - 1)]
NumberOrNone = Annotated[int | None, Form(ge=1, le=2**63 - 1)]


@router.get("/delning")
async def sharing_page(
    request: Request, services: Services, found: Patient, klart: str = ""
) -> Response:
    """Show with whom she shares what."""
    said = {"delar": "Sparat. Det gäller nu.", "slut": "Delningen är slut. Det gäller nu."}
    return await _page(request, services, found, done=said.get(klart, ""))


@router.post("/delning/dela", dependencies=[OwnForm])
async def share(
    request: Request,
    services: Services,
    found: Patient,
    *,
    relative_id: Number,
    scope: Annotated[list[Scope], Form()] = [],  # noqa: B006 - FastAPI copies it
    until: Annotated[date | None, Form()] = None,
) -> Response:
    """Share with a relative, in the place of what was shared with her before."""
    until_at = None
    if until is not None and until < date.max:
        until_at = datetime.combine(until + timedelta(1), time(tzinfo=ZONE))
    async with services.pool.connection() as connection:
        answer = await consent.give(
            connection,
            found.viewer,
            _id(found),
            Holder(relative_id=relative_id),
            set(scope),
            how=How.SELF,
            until_at=until_at,
        )
    return await _answer(request, services, found, answer, "delar")


@router.post("/delning/sluta", dependencies=[OwnForm])
async def stop(
    request: Request,
    services: Services,
    found: Patient,
    *,
    relative_id: NumberOrNone = None,
    unit_id: NumberOrNone = None,
) -> Response:
    """Share no more with a relative or a unit, from now on."""
    if (relative_id is None) == (unit_id is None):
        raise HTTPException(422)
    async with services.pool.connection() as connection:
        holder = Holder(relative_id=relative_id, unit_id=unit_id)
        answer = await consent.revoke(connection, found.viewer, _id(found), holder)
    return await _answer(request, services, found, answer, "slut")


@router.get("/logg")
async def looks_page(request: Request, services: Services, found: Patient) -> Response:
    """Show who has looked at her."""
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        patient = await _herself(connection, found)
        looks = await extract.newest(connection, _id(found), now - LOOK_BACK, LOOKS_MAX)
    return page(
        request,
        "looks.html",
        session=found,
        now=now,
        patient=patient,
        looks=looks,
        words=words,
        days=LOOK_BACK.days,
        most=LOOKS_MAX,
    )


async def _answer(
    request: Request, services: ServicesOf, found: Session, answer: Answer, done: str
) -> Response:
    if answer is Answer.DONE:
        return RedirectResponse(f"/me/delning?klart={done}", 303)
    return await _page(request, services, found, refused=_SAID[answer])


async def _page(
    request: Request, services: ServicesOf, found: Session, *, done: str = "", refused: str = ""
) -> Response:
    async with services.pool.connection() as connection:
        patient = await _herself(connection, found)
        held = await consent.held(connection, _id(found))
        relatives = await consent.relatives(connection, _id(found))
    return page(
        request,
        "sharing.html",
        session=found,
        status=409 if refused else 200,
        patient=patient,
        shared={each.relative_id: each for each in held if each.relative_id is not None},
        units=[each for each in held if each.unit_id is not None],
        relatives=relatives,
        scopes=SCOPES,
        done=done,
        refused=refused,
        today=datetime.now(ZONE).date(),
        last_day=_last_day,
    )


def _last_day(until_at: datetime) -> date:
    """Return the last day of a period by the clock on the wall."""
    return (until_at.astimezone(ZONE) - timedelta(microseconds=1)).date()


async def _herself(connection: AsyncConnection, found: Session) -> people.Patient:
    await let_in(connection, found.viewer, _id(found), Action.OWN_PAGE_SEEN)
    patient = await people.known(connection, _id(found))
    assert patient is not None  # she was let in
    return patient


def _id(found: Session) -> int:
    assert found.viewer.patient_id is not None  # Patient lets nobody else in
    return found.viewer.patient_id
