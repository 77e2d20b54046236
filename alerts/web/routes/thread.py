"""What patient and care write to each other, and what a nurse is to do that is no alert."""

import contextlib
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Path, Request
from fastapi.responses import RedirectResponse, Response
from psycopg import AsyncConnection

from alerts.audit.entry import Action
from alerts.care import messages, people, tasks
from alerts.care.messages import TEXT_CHARS_MAX, Answer
from alerts.care.tasks import Ending
from alerts.web.guard import Closed, OwnForm, Patient, Staff, let_in
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.web.session import Session
from alerts.web.waiting import enter_task, enter_thread, note

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Seen = Annotated[int, Form(ge=0, le=2**63 - 1)]
# What is longer is refused with words that keep the text; what is far longer is none of ours.
Text = Annotated[str, Form(max_length=TEXT_CHARS_MAX * 2)]

_REFUSED: Final = {
    Answer.EMPTY: "Skriv något först. Inget har skickats.",
    Answer.TOO_LONG: f"Texten är för lång. Den får ha {TEXT_CHARS_MAX} tecken. Inget har skickats.",
    Answer.TOO_MANY: "Du har skrivit många meddelanden den senaste timmen. Ring i stället. "
    "Det här meddelandet har inte skickats.",
}


@router.get("/patients/{patient_id}/meddelanden")
async def thread_page(
    request: Request, services: Services, found: Staff, patient_id: Id
) -> Response:
    """Show a nurse what she and the patient have written."""
    async with services.pool.connection() as connection:
        ground = await enter_thread(connection, found.viewer, patient_id, Action.MESSAGES_SEEN)
        await note(connection, found.viewer, patient_id, Action.MESSAGES_SEEN, ground=ground)
        return await _thread_page(request, connection, found, patient_id)


@router.post("/patients/{patient_id}/meddelanden", dependencies=[OwnForm])
async def answer(
    *,
    request: Request,
    services: Services,
    found: Staff,
    patient_id: Id,
    text: Text = "",
    seen: Seen = 0,
) -> Response:
    """Write to the patient; what was on the page is answered by it."""
    viewer, action = found.viewer, Action.MESSAGE_WRITTEN
    plain = _plain(text)
    async with services.pool.connection() as connection:
        ground = await enter_thread(connection, viewer, patient_id, action)
        async with connection.transaction():
            done = await messages.answer(connection, viewer, patient_id, plain, seen=seen)
            await note(connection, viewer, patient_id, action, ground=ground, answer=done.value)
        if done is Answer.NOT_FOUND:  # her relation ended in between
            raise HTTPException(404)
        if done is not Answer.DONE:
            return await _thread_page(
                request, connection, found, patient_id, refused=_REFUSED[done], text=plain
            )
    return RedirectResponse(f"/patients/{patient_id}/meddelanden", 303)


@router.post("/patients/{patient_id}/meddelanden/klart", dependencies=[OwnForm])
async def see_to(services: Services, found: Staff, patient_id: Id, seen: Seen = 0) -> Response:
    """Say that what was on the page has been answered in another way."""
    viewer, action = found.viewer, Action.MESSAGE_SEEN_TO
    async with services.pool.connection() as connection:
        ground = await enter_thread(connection, viewer, patient_id, action)
        async with connection.transaction():
            done = await messages.see_to(connection, viewer, patient_id, seen=seen)
            await note(connection, viewer, patient_id, action, ground=ground, answer=done.value)
    if done is not Answer.DONE:
        raise HTTPException(404)
    return RedirectResponse("/", 303)


@router.post("/uppgifter/{task_id}", dependencies=[OwnForm])
async def end_task(
    services: Services, found: Staff, task_id: Id, ending: Annotated[str, Form()] = ""
) -> Response:
    """End a task; one that has ended already is gone from the list, and that is all there is."""
    viewer, action = found.viewer, Action.TASK_ENDED
    if ending in list(tasks.BY_HAND):
        async with services.pool.connection() as connection:
            with contextlib.suppress(Closed):  # it is not hers any more; that she tried is kept
                patient_id, ground = await enter_task(connection, viewer, task_id, action)
                async with connection.transaction():
                    if await tasks.end(connection, viewer, task_id, Ending(ending)) is not None:
                        await note(
                            connection, viewer, patient_id, action, ground=ground, answer=ending
                        )
    return RedirectResponse("/", 303)


@router.post("/uppgifter/{task_id}/ta", dependencies=[OwnForm])
async def take_task(services: Services, found: Staff, task_id: Id) -> Response:
    """Say that she does it; if a colleague was faster, the list says who."""
    viewer, action = found.viewer, Action.TASK_TAKEN
    async with services.pool.connection() as connection:
        with contextlib.suppress(Closed):
            patient_id, ground = await enter_task(connection, viewer, task_id, action)
            async with connection.transaction():
                taken = await tasks.take(connection, viewer, task_id)
                if taken.patient_id is not None:
                    await note(connection, viewer, patient_id, action, ground=ground)
    return RedirectResponse("/", 303)


@router.get("/me/meddelanden")
async def my_thread(request: Request, services: Services, found: Patient) -> Response:
    """Show a patient what she and her care have written."""
    patient_id = _own(found)
    async with services.pool.connection() as connection:
        await let_in(connection, found.viewer, patient_id, Action.MESSAGES_SEEN)
        return await _my_thread(request, connection, found)


@router.post("/me/meddelanden", dependencies=[OwnForm])
async def ask(request: Request, services: Services, found: Patient, text: Text = "") -> Response:
    """Write as the patient."""
    patient_id, plain = _own(found), _plain(text)
    async with services.pool.connection() as connection:
        await let_in(connection, found.viewer, patient_id, Action.MESSAGE_WRITTEN)
        done = await messages.ask(connection, patient_id, plain)
        if done is not Answer.DONE:
            return await _my_thread(request, connection, found, refused=_REFUSED[done], text=plain)
    return RedirectResponse("/me/meddelanden", 303)


async def _thread_page(
    request: Request,
    connection: AsyncConnection,
    found: Session,
    patient_id: int,
    *,
    refused: str = "",
    text: str = "",
) -> Response:
    thread = await messages.thread(connection, patient_id)
    seen = max((one.message_id for one in thread), default=0)
    await messages.read(connection, found.viewer, patient_id, seen=seen)
    patient = await people.known(connection, patient_id)
    if patient is None:
        raise HTTPException(404)
    return page(
        request,
        "thread.html",
        session=found,
        status=422 if refused else 200,
        now=datetime.now(UTC),
        patient=patient,
        thread=thread,
        seen=seen,
        waits=any(one.staff_id is None and one.answered_at is None for one in thread),
        refused=refused,
        text=text,
        most=TEXT_CHARS_MAX,
    )


async def _my_thread(
    request: Request,
    connection: AsyncConnection,
    found: Session,
    *,
    refused: str = "",
    text: str = "",
) -> Response:
    patient = await people.known(connection, _own(found))
    if patient is None:
        raise HTTPException(404)
    return page(
        request,
        "my_thread.html",
        session=found,
        status=422 if refused else 200,
        now=datetime.now(UTC),
        patient=patient,
        thread=await messages.thread(connection, _own(found)),
        refused=refused,
        text=text,
        most=TEXT_CHARS_MAX,
    )


def _own(found: Session) -> int:
    if found.viewer.patient_id is None:
        raise HTTPException(404)
    return found.viewer.patient_id


def _plain(text: str) -> str:
    """Return *text* with the line ends of a page's form as we keep them."""
    return text.replace("\r\n", "\n")
