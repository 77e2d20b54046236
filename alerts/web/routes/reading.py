"""A reading is put right: by her care, and, of a weight that may be another's, by the patient."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response
from psycopg import AsyncConnection

from alerts.audit.entry import Action
from alerts.care import people, reading_review, whose_reading
from alerts.care.people import Viewer
from alerts.care.reading_review import ACTIONS, WHY_CHARS_MAX, Answer
from alerts.care.reading_seen import Seen, seen
from alerts.care.whose_reading import VERDICTS, Whose
from alerts.sending.store import now
from alerts.web.guard import Closed, OwnForm, Patient, Staff, let_speak
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.web.session import Session
from alerts.web.text import one_line
from alerts.web.waiting import note
from alerts.words import swedish_order
from ingest.asked import Verdict

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
To = Annotated[int | None, Form(ge=1, le=2**63 - 1)]

_REFUSED: Final = {
    Answer.NO_REASON: f"Skriv hur du vet det, med högst {WHY_CHARS_MAX} tecken. Inget är ändrat.",
    Answer.SAME: "Mätningen är redan hens. Inget är ändrat.",
    Answer.REPLACED: "Någon annan har redan rättat mätningen. Du behöver inte göra något.",
    Answer.WAITING: "Någon annan har just sagt något om mätningen. Vänta några sekunder och läs "
    "sedan om sidan.",
}
_NOT_SAVED: Final = "Ditt svar sparades inte."
_WHOSE_REFUSED: Final = {
    **_REFUSED,
    Answer.NOT_ASKED: "Frågan är redan besvarad, eller ställs inte längre. Läs här på sidan vad "
    "som gäller för mätningen. Stämmer det inte? Tala med den som svarade.",
}
_NOTHING: Final = "Välj vad som gäller för mätningen. Inget är ändrat."
_A_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


@router.get("/patients/{patient_id}/matningar/{reading_id}")
async def reading_page(
    request: Request, services: Services, found: Staff, patient_id: Id, reading_id: UUID
) -> Response:
    """Show a reading, what is odd about it, and what can be said of it."""
    async with services.pool.connection() as connection:
        one = await _let_in(connection, found, patient_id, reading_id)
        return await _page(request, connection, found, one)


@router.post("/patients/{patient_id}/matningar/{reading_id}", dependencies=[OwnForm])
async def put_right(
    *,
    request: Request,
    services: Services,
    found: Staff,
    patient_id: Id,
    reading_id: UUID,
    verdict: Annotated[str, Form()] = "",
    to: To = None,
    why: Annotated[str, Form(max_length=WHY_CHARS_MAX * 2)] = "",
) -> Response:
    """Say that it counts, that it does not, or whose it is; ingest does it within seconds."""
    is_whole = verdict in list(Verdict) and (verdict != Verdict.MOVED or to is not None)
    async with services.pool.connection() as connection:
        if not is_whole:
            one = await _let_in(connection, found, patient_id, reading_id)
            return await _page(request, connection, found, one, refused=_NOTHING, why=why)
        to_patient_id = to if verdict == Verdict.MOVED else None
        tried = _Try(found.viewer, patient_id, ACTIONS[Verdict(verdict)], to_patient_id)
        one = await _enter(connection, tried, reading_id)
        done = await reading_review.ask(
            connection,
            found.viewer,
            reading_id,
            Verdict(verdict),
            to_patient_id=to_patient_id,
            why=one_line(why),
            now=await now(connection),
        )
        if done.answer is Answer.ASKED:
            return RedirectResponse(f"/patients/{patient_id}/matningar/{reading_id}", 303)
        await _refuse(connection, tried, done.answer)
        refused = _REFUSED[done.answer]
        return await _page(request, connection, found, one, refused=refused, why=why)


@router.post("/patients/{patient_id}/matningar/{reading_id}/vems", dependencies=[OwnForm])
async def say_whose(
    *,
    request: Request,
    services: Services,
    found: Staff,
    patient_id: Id,
    reading_id: UUID,
    whose: Annotated[str, Form()] = "",
) -> Response:
    """Answer who stood on the scale: ``hers``, ``nobody``, or the number of another patient.

    An answer that does not count is said, with the reading as it is now.
    """
    other = int(whose) if _A_NUMBER.fullmatch(whose) else None
    is_known = other is not None or whose in {Whose.HERS, Whose.NOBODY}
    async with services.pool.connection() as connection:
        if not is_known:
            await _let_in(connection, found, patient_id, reading_id)
            raise HTTPException(422)
        said = Whose(whose) if other is None else Whose.OTHER
        tried = _Try(found.viewer, patient_id, ACTIONS[VERDICTS[said]], other)
        await _enter(connection, tried, reading_id)
        done = await whose_reading.answer(
            connection,
            found.viewer,
            reading_id,
            said,
            to_patient_id=other,
            now=await now(connection),
        )
        if done.answer is Answer.ASKED:
            return RedirectResponse("/", 303)
        await _refuse(connection, tried, done.answer)
        one = await _let_in(connection, found, patient_id, reading_id)
        refused = f"{_NOT_SAVED} {_WHOSE_REFUSED[done.answer]}"
        return await _page(request, connection, found, one, refused=refused, status=409)


@router.post("/me/matningar/{reading_id}", dependencies=[OwnForm])
async def say_was_me(
    services: Services, found: Patient, reading_id: UUID, was_me: Annotated[bool, Form()]
) -> Response:
    """Answer, as the patient, whether it was she who stood on the scale.

    If somebody was faster her page says so.
    """
    viewer = found.viewer
    assert viewer.patient_id is not None  # Patient lets nobody else in
    action = Action.READING_CONFIRMED if was_me else Action.READING_DENIED
    async with services.pool.connection() as connection:
        answer = await whose_reading.answer_own(
            connection, viewer, reading_id, was_me=was_me, now=await now(connection)
        )
        if answer is not Answer.ASKED:
            await _refuse(connection, _Try(viewer, viewer.patient_id, action), answer)
            return RedirectResponse("/me?besvarad", 303)
    return RedirectResponse("/me", 303)


@dataclass(frozen=True, slots=True)
class _Try:
    """Who wants to say what of a reading: whose it is, and to whom it is to go."""

    viewer: Viewer
    patient_id: int
    action: Action
    to_patient_id: int | None = None


async def _enter(connection: AsyncConnection, tried: _Try, reading_id: UUID) -> Seen:
    """Return the reading, for who cares for whose it is; that she may not is logged."""
    await let_speak(connection, tried.viewer, tried.patient_id, tried.action)
    one = await seen(connection, reading_id)
    if one is None or one.patient_id != tried.patient_id:
        await _refuse(connection, tried, Answer.NOT_FOUND)
        raise Closed
    return one


async def _refuse(connection: AsyncConnection, tried: _Try, answer: Answer) -> None:
    """Keep in the access log that it was tried, of everybody whom it is about.

    Raises:
        Closed: Her relation ended in between, or to whom it was to go is not hers.
    """
    access = await let_speak(connection, tried.viewer, tried.patient_id, tried.action)
    await note(
        connection,
        tried.viewer,
        tried.patient_id,
        tried.action,
        ground=access.ground,
        answer=answer.value,
    )
    if answer is Answer.NOT_FOUND:
        if tried.to_patient_id is not None:
            await let_speak(connection, tried.viewer, tried.to_patient_id, tried.action)
        raise Closed


async def _let_in(
    connection: AsyncConnection, found: Session, patient_id: int, reading_id: UUID
) -> Seen:
    """Return the reading, for who cares for whose it is; that she looks is logged."""
    await let_speak(connection, found.viewer, patient_id, Action.READING_SEEN, reads=True)
    one = await seen(connection, reading_id)
    if one is None or one.patient_id != patient_id:
        raise Closed
    return one


async def _page(
    request: Request,
    connection: AsyncConnection,
    found: Session,
    one: Seen,
    *,
    refused: str = "",
    why: str = "",
    status: int = 422,
) -> Response:
    """Show the reading; *status* is that of a page on which something is *refused*."""
    patient = await people.known(connection, one.patient_id)
    if patient is None:
        raise HTTPException(404)
    mates = await whose_reading.home(connection, found.viewer, one.reading_id)
    near = {mate.patient_id for mate in mates} | {one.patient_id}
    others = await people.patients(connection, found.viewer)
    return page(
        request,
        "reading.html",
        session=found,
        status=status if refused else 200,
        now=datetime.now(UTC),
        patient=patient,
        reading=one,
        mates=mates,
        others=sorted(
            (other for other in others if other.patient_id not in near),
            key=lambda other: swedish_order(f"{other.family_name} {other.given_name}"),
        ),
        refused=refused,
        why=why,
        most=WHY_CHARS_MAX,
    )
