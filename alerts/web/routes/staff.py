"""The nurse's pages: the worklist, a patient's page, and what she does with an alert."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup
from psycopg import AsyncConnection

from alerts import actions, log, measurements
from alerts.access import Scope
from alerts.actions import Answer, Done
from alerts.alert import Outcome
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care import messages, people, plan, tasks, whose_reading
from alerts.trend import Lane, Point, Window, figure, legend_day
from alerts.web.guard import Anyone, OwnForm, Staff, let_in, note_listed
from alerts.web.pages import page
from alerts.web.rows import row_contexts
from alerts.web.services import Services
from alerts.web.session import Session
from alerts.words import swedish_order, when
from alerts.worklist import Place, ended_cases, open_cases, worklist
from devices.quantity import Panel, Quantity

router = APIRouter()

# Days shown in a trend, and their names.
PERIODS: Final = {7: "7 dagar", 30: "30 dagar", 365: "1 år"}

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/")
async def first_page(
    request: Request,
    services: Services,
    found: Anyone,
    after: Annotated[str, Query(alias="efter", max_length=60)] = "",
) -> Response:
    """Show a staff member her worklist; send a patient and a technician to their own pages."""
    viewer = found.viewer
    if viewer.relative_id is not None:
        return RedirectResponse("/narstaende", 303)
    if viewer.staff_id is None:
        return RedirectResponse("/me", 303)
    if viewer.is_technician:
        return RedirectResponse("/teknik", 303)
    if not viewer.gives_care:
        return RedirectResponse("/konto", 303)
    async with services.pool.connection() as connection:
        place = _place(after)
        listed = await worklist(connection, viewer, after=place)
        await log.append_shown(connection, viewer.staff_id, [row.alert_id for row in listed.rows])
        everybody = await people.patients(connection, viewer)
        letters = await messages.waiting(connection, viewer)
        todo = await tasks.tasks(connection, viewer)
        asked = await whose_reading.asking(connection, viewer, todo)
        own = {row.patient_id for row in listed.rows} | {one.patient_id for one in everybody}
        waiting = {one.patient_id for one in letters} | {one.patient_id for one in todo}
        await note_listed(connection, viewer, own, waiting)
    everybody.sort(key=lambda one: swedish_order(f"{one.family_name} {one.given_name}"))
    return page(
        request,
        "worklist.html",
        session=found,
        worklist=listed,
        is_first=place is None,
        rows=row_contexts(listed, viewer),
        patients=everybody,
        letters=letters,
        todo=todo,
        asked=asked,
        closed="closed" in request.query_params,
    )


def _place(text: str) -> Place | None:
    """Return where the page before ended; an address that nobody was given begins anew."""
    try:
        return Place.read(text)
    except ValueError:
        return None


@router.get("/patients/{patient_id}")
async def patient_page(
    request: Request,
    services: Services,
    found: Staff,
    patient_id: Id,
    days: Annotated[int, Query()] = 30,
) -> Response:
    """Show a patient: why there is an alert, her trend, and what was done."""
    async with services.pool.connection() as connection:
        return await _patient_page(request, connection, found, patient_id, days=days)


@router.post("/alerts/{alert_id}/acknowledge", dependencies=[OwnForm])
async def acknowledge(
    *,
    request: Request,
    services: Services,
    found: Staff,
    alert_id: Id,
    seen: Annotated[int, Form(ge=0, le=2**63 - 1)],
) -> Response:
    """Take an alert; if somebody was faster, say who; refuse if it became red unseen."""
    async with services.pool.connection() as connection:
        async with _acting(connection, found, alert_id, Action.ALERT_ACKNOWLEDGED) as said:
            said.done = await actions.acknowledge(
                connection, found.viewer, alert_id, seen_breach_id=seen
            )
        return await _answer(request, connection, found, alert_id, said.done)


@router.post("/alerts/{alert_id}/close", dependencies=[OwnForm])
async def close(
    *,
    request: Request,
    services: Services,
    found: Staff,
    alert_id: Id,
    outcome: Annotated[Outcome, Form()],
    seen: Annotated[int, Form(ge=0, le=2**63 - 1)],
    note: Annotated[str, Form(max_length=actions.NOTE_CHARS_MAX * 2)] = "",
) -> Response:
    """End an alert with an outcome; refuse if a value came that was not on the page."""
    plain = _plain(note)
    if len(plain) > actions.NOTE_CHARS_MAX:
        raise HTTPException(413)
    async with services.pool.connection() as connection:
        async with _acting(connection, found, alert_id, Action.ALERT_CLOSED) as said:
            said.done = await actions.close(
                connection, found.viewer, alert_id, outcome=outcome, note=plain, seen_breach_id=seen
            )
        if said.done.answer is Answer.DONE:
            return RedirectResponse("/?closed", 303)
        return await _answer(request, connection, found, alert_id, said.done, note=plain)


@dataclass
class _Said:
    """What became of an action."""

    done: Done = field(default_factory=lambda: Done(Answer.NOT_FOUND))


@asynccontextmanager
async def _acting(
    connection: AsyncConnection, found: Session, alert_id: int, action: Action
) -> AsyncIterator[_Said]:
    """Let in who may act on the alert, and log what came of it in the same transaction."""
    row = await (
        await connection.execute("select patient_id from alert where alert_id = %s", (alert_id,))
    ).fetchone()
    if row is None:
        raise HTTPException(404)
    access = await let_in(connection, found.viewer, row[0], action, acts=True)
    said = _Said()
    async with connection.transaction():
        yield said
        detail = {"alert_id": alert_id, "answer": said.done.answer.value}
        entry = Entry.by(found.viewer, action, access.ground, patient_id=row[0], detail=detail)
        await append(connection, entry)


def _plain(note: str) -> str:
    """Return *note* without control characters, which the database or a page would refuse."""
    lines = note.replace("\r\n", "\n").split("\n")
    return "\n".join("".join(filter(str.isprintable, line)) for line in lines).strip()


async def _answer(
    request: Request,
    connection: AsyncConnection,
    found: Session,
    alert_id: int,
    done: Done,
    *,
    note: str = "",
) -> Response:
    """Show the patient's page again, with what became of the action if it was not done.

    What was written in the *note* is still there: it may be the only trace of a call.
    """
    if done.patient_id is None:
        raise HTTPException(404)
    if done.answer in (Answer.DONE, Answer.ALREADY_YOURS):
        return RedirectResponse(f"/patients/{done.patient_id}#alert-{alert_id}", 303)
    return await _patient_page(
        request,
        connection,
        found,
        done.patient_id,
        notice=_said(done),
        notes={alert_id: note},
        status=409,
    )


def _said(done: Done) -> str:
    at = when(done.at, datetime.now(UTC)) if done.at else ""
    return {
        Answer.TAKEN: f"{done.name} tog larmet {at}. Du behöver inte göra något.",
        Answer.CLOSED: f"{done.name or 'Egenmonitor'} avslutade larmet {at}.",
        Answer.NEW_VALUE: "Ett nytt värde har kommit. Läs det först; larmet är kvar.",
    }[done.answer]


async def _patient_page(
    request: Request,
    connection: AsyncConnection,
    found: Session,
    patient_id: int,
    *,
    days: int = 30,
    notice: str = "",
    notes: Mapping[int, str] = MappingProxyType({}),
    status: int = 200,
) -> Response:
    viewer = found.viewer
    if days not in PERIODS:
        raise HTTPException(404)
    access = await let_in(connection, viewer, patient_id, Action.PATIENT_SEEN)
    patient = await people.known(connection, patient_id)
    if patient is None or viewer.staff_id is None:
        raise HTTPException(404)
    now = datetime.now(UTC)
    window = Window.of_days(days, now)
    active = await open_cases(connection, patient_id) if access.sees(Scope.ALERTS) else []
    if access.may_act:  # a look from outside is not the care that she waits for
        await log.append_shown(connection, viewer.staff_id, [case.alert_id for case in active])
    points = {}
    if access.sees(Scope.VALUES):
        points = await measurements.points(connection, patient_id, window.from_at, window.until_at)
    bands = await plan.bands(connection, patient_id) if access.sees(Scope.PLAN) else []
    entries = await log.entries(connection, patient_id) if access.sees(Scope.ALERTS) else []
    return page(
        request,
        "patient.html",
        session=found,
        status=status,
        now=now,
        notice=notice,
        notes=notes,
        patient=patient,
        cases=active,
        access=access,
        ended=await ended_cases(connection, patient_id) if access.sees(Scope.ALERTS) else [],
        fired=await measurements.fired(connection, [case.alert_id for case in active]),
        advice=await plan.advice(connection, patient_id),
        ruled=await plan.families(connection, patient_id),
        entries=entries,
        readings=(
            await measurements.readings(connection, patient_id, window.from_at)
            if access.sees(Scope.VALUES)
            else []
        ),
        figures=_figures(
            points, bands, window, now, first={case.rule.partition(":")[2] for case in active}
        ),
        periods=PERIODS,
        days=days,
        span=legend_day(window, now),
    )


def _figures(
    points: dict[Quantity, list[Point]],
    bands: list[plan.Band],
    window: Window,
    now: datetime,
    *,
    first: Collection[str],
) -> list[Markup]:
    """Return a figure for each panel that has values or limits; those with an alert *first*.

    A composite is of several panels: its name is none of them, and puts none first.
    """
    limited = {band.quantity for band in bands}
    figures = []
    for panel in sorted(Panel, key=lambda panel: panel not in first):
        lanes = [
            Lane(
                quantity,
                points.get(quantity, []),
                [band for band in bands if band.quantity is quantity],
            )
            for quantity in Quantity
            if quantity.facts.panel is panel
            and quantity is not Quantity.MEAN_ARTERIAL  # follows from the other two
            and (quantity in points or quantity in limited)
        ]
        if lanes:
            figures.append(figure(panel, lanes, window, now))
    return figures
