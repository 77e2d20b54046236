"""Spot checks of who has looked at whom, and emergencies: by the unit's reviewer."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.audit import review
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.audit.look import Look
from alerts.audit.review import NOTE_CHARS_MAX, SAMPLE_MAX, Answer, Verdict
from alerts.care import emergency
from alerts.care.emergency import WHY_CHARS_MAX
from alerts.web.api import cursor
from alerts.web.api.document import refusals
from alerts.web.api.entering import Id
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.office import (
    Asked,
    Reviewer,
    ReviewerWrites,
    done_once,
    own_unit,
    staff_id,
)
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.services import Services

router = APIRouter(tags=["follow-up"])

_DRAWN: Final = {
    "at": AT,
    "who": "Anna Provberg, distriktssköterska, Provbyns hemsjukvård",
    "action": "patient_seen",
    "ground": "contact",
    "patient_id": 3,
    "listed_count": 0,
}
_EMERGENCY: Final = {
    "access_id": 2,
    "patient_id": 3,
    "staff_name": "Lisa Testek",
    "why": "Hittad medvetslös hemma.",
    "from_at": AT,
    "until_at": LATER,
}
_PERIOD: Final = Words(
    "period-unfit",
    "Den tiden kan inte granskas",
    "Välj en tid som har varit och som slutar efter att den börjar.",
)
_SIGNED: Final = {
    Answer.NO_NOTE: Words(
        "review-note-needed", "Det saknas vad du fann", "Skriv vad du fann. Inget har sparats."
    ),
    Answer.PERIOD: _PERIOD,
}
_REVIEWED: Final = {
    emergency.Answer.NO_REASON: (
        422,
        Words("review-note-needed", "Det saknas vad du fann", "Skriv vad du fann och vem du "
              "talade med. Inget har sparats."),
    ),
    emergency.Answer.OWN: (
        409,
        Words("review-own", "Du öppnade den själv", "Be någon annan som granskar. "
              "Inget har sparats."),
    ),
    emergency.Answer.ALREADY: (
        409,
        Words("review-done", "Den är redan granskad", "Du behöver inte göra något."),
    ),
}  # fmt: skip


class DrawnLook(BaseModel):
    """A line of the access log that a reviewer judges."""

    model_config = answers(**_DRAWN)

    at: Utc
    who: str
    action: str
    ground: str
    patient_id: int | None
    listed_count: int = Field(description="How many patients a list showed.")


class Sample(BaseModel):
    """What was drawn, and what it was drawn from."""

    model_config = answers(looks=[_DRAWN], entries_count=812, sample="c2FtcGxl")

    looks: list[DrawnLook]
    entries_count: int
    sample: str = Field(description="Names this sample when it is signed, in this login.")


class SigningReview(BaseModel):
    """What came of judging a sample."""

    model_config = takes(sample="c2FtcGxl", verdict="nothing", note="")

    sample: str = Field(max_length=cursor.CHARS_MAX)
    verdict: Verdict
    note: str = Field("", max_length=NOTE_CHARS_MAX)


class SignedReview(BaseModel):
    """It is signed."""

    model_config = answers(entries_count=812, sampled_count=20, verdict="nothing")

    entries_count: int
    sampled_count: int
    verdict: Verdict


class Emergency(BaseModel):
    """An access in an emergency that nobody has looked at."""

    model_config = answers(**_EMERGENCY)

    access_id: int
    patient_id: int
    staff_name: str
    why: str
    from_at: Utc
    until_at: Utc


class Emergencies(BaseModel):
    """Those of the unit's staff, the oldest first."""

    model_config = answers(emergencies=[_EMERGENCY])

    emergencies: list[Emergency]


class ReviewingEmergency(BaseModel):
    """What came of looking at it."""

    model_config = takes(said="Rimligt: ambulans hämtade henne.")

    said: str = Field(min_length=1, max_length=WHY_CHARS_MAX)


class ReviewedEmergency(BaseModel):
    """It has been looked at."""

    model_config = answers(access_id=2)

    access_id: int


@router.get(
    "/units/{unit_id}/looks",
    operation_id="drawLooks",
    summary="A spot check of my unit",
    responses=refusals(),
)
async def drawn(
    *,
    services: Services,
    found: Reviewer,
    unit_id: Id,
    from_at: Annotated[Utc, Query(examples=[AT])],
    until_at: Annotated[Utc, Query(examples=[LATER])],
    size: Annotated[int, Query(ge=1, le=SAMPLE_MAX)] = 20,
) -> Sample:
    """Draw from what one's own unit's staff did, emergencies and refusals first; that is logged."""
    own_unit(found, unit_id)
    if until_at <= from_at:
        raise Refused(422, _PERIOD)
    async with services.pool.connection() as connection:
        detail = {"drawn_unit_id": unit_id}
        entry = Entry.by(found.viewer, Action.LOG_SAMPLED, "reviewer", detail=detail)
        await append(connection, entry)
        sample = await review.sample(
            connection, unit_id, from_at, until_at, size=size, reviewer=staff_id(found)
        )
    told = f"{from_at.isoformat()} {until_at.isoformat()} {sample.entries} {len(sample.looks)}"
    return Sample(
        looks=[_drawn(one) for one in sample.looks],
        entries_count=sample.entries,
        sample=cursor.write(found, f"sample {unit_id}", told),
    )


def _drawn(look: Look) -> DrawnLook:
    return DrawnLook(
        at=look.at,
        who=look.who,
        action=look.action,
        ground=look.ground,
        patient_id=look.patient_id,
        listed_count=look.listed,
    )


@router.post(
    "/units/{unit_id}/reviews",
    operation_id="signReview",
    summary="I have judged it",
    status_code=201,
    response_model=SignedReview,
    responses=refusals(403, 413),
)
async def sign(
    *,
    services: Services,
    found: ReviewerWrites,
    unit_id: Id,
    body: SigningReview,
    key: Key = None,
) -> Response:
    """Sign what came of judging a sample that was drawn in this login."""
    own_unit(found, unit_id)
    told = cursor.read(found, f"sample {unit_id}", body.sample).split(" ")
    from_at, until_at = map(datetime.fromisoformat, told[:2])
    entries, sampled = map(int, told[2:])

    async def act(connection: AsyncConnection) -> SignedReview:
        answer = await review.sign(
            connection,
            found.viewer,
            unit_id,
            from_at,
            until_at,
            entries=entries,
            sampled=sampled,
            verdict=body.verdict,
            note=body.note.replace("\0", ""),
        )
        if answer is Answer.NO_REVIEWER:  # she was one a moment ago
            raise HTTPException(404)
        if answer is not Answer.DONE:
            raise Refused(422, _SIGNED[answer])
        return SignedReview(entries_count=entries, sampled_count=sampled, verdict=body.verdict)

    asked = Asked(found, key, f"sign_review {unit_id}", body)
    return await done_once(services, asked, act, status=201)


@router.get(
    "/units/{unit_id}/emergencies",
    operation_id="listEmergencies",
    summary="Emergencies that nobody has looked at",
    responses=refusals(),
)
async def emergencies(services: Services, found: Reviewer, unit_id: Id) -> Emergencies:
    """Return those that one's own unit's staff opened."""
    own_unit(found, unit_id)
    async with services.pool.connection() as connection:
        rows = await emergency.unreviewed(connection, unit_id)
    return Emergencies(
        emergencies=[
            Emergency(
                access_id=one.access_id,
                patient_id=one.patient_id,
                staff_name=one.staff_name,
                why=one.why,
                from_at=one.from_at,
                until_at=one.until_at,
            )
            for one in rows
        ]
    )


@router.post(
    "/units/{unit_id}/emergencies/{access_id}/review",
    operation_id="reviewEmergency",
    summary="I have looked at it",
    response_model=ReviewedEmergency,
    responses=refusals(403, 409, 413),
)
async def reviewed(
    *,
    services: Services,
    found: ReviewerWrites,
    unit_id: Id,
    access_id: Id,
    body: ReviewingEmergency,
    key: Key = None,
) -> Response:
    """Write what came of looking at an emergency; who opened it cannot."""
    own_unit(found, unit_id)

    async def act(connection: AsyncConnection) -> ReviewedEmergency:
        await _opened_here(connection, unit_id, access_id)
        said = body.said.replace("\0", "")
        answer = await emergency.review(connection, found.viewer, access_id, said)
        if answer in _REVIEWED:
            raise Refused(*_REVIEWED[answer])
        if answer is not emergency.Answer.DONE:
            raise HTTPException(404)
        return ReviewedEmergency(access_id=access_id)

    asked = Asked(found, key, f"review_emergency {access_id}", body)
    return await done_once(services, asked, act)


async def _opened_here(connection: AsyncConnection, unit_id: int, access_id: int) -> None:
    """Let go on if it was opened by somebody of the unit; else it is not there."""
    found = await connection.execute(
        "select from emergency_access e join staff s using (staff_id) "
        "where e.access_id = %s and s.unit_id = %s",
        (access_id, unit_id),
    )
    if await found.fetchone() is None:
        raise HTTPException(404)
