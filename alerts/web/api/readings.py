"""Readings put right: one counts, counts no more, or is somebody else's; asked for, then done."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.care import reading_review
from alerts.care.reading_review import WHY_CHARS_MAX, Answer
from alerts.web.api.deed import Asked, done, is_of, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Number, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.problem import Words, refusal
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from ingest.asked import Verdict

router = APIRouter(tags=["readings"])

_UNCHANGED: Final = "Inget har ändrats."


def _words(status: int, slug: str, title: str, detail: str) -> tuple[int, Words]:
    return status, Words(f"reading-{slug}", title, f"{detail} {_UNCHANGED}")


REFUSED: Final = {
    Answer.NOT_YOURS: _words(
        403, "not-yours", "Vården rättar mätningar", "Skriv till din vårdkontakt, eller ring."
    ),
    Answer.NO_REASON: _words(422, "why", "Det står inte varför", "Skriv en kort orsak."),
    Answer.SAME: _words(
        409, "same", "Mätningen är redan patientens", "Du behöver inte göra något."
    ),
    Answer.NOT_ASKED: _words(
        409,
        "not-asked",
        "Ingen frågar vems mätningen är",
        "Frågan är redan besvarad, eller har inte ställts. Är mätningen fel? Rätta den, och skriv "
        "varför.",
    ),
    Answer.REPLACED: _words(
        409, "replaced", "Mätningen är redan rättad", "Läs patientens mätningar igen."
    ),
    Answer.WAITING: _words(
        409, "waiting", "Någon har redan bett om något", "Läs mätningen igen om en stund."
    ),
}
READING: Final = "5f0c1c1e-6f0e-4f7b-9a55-3c8a1f2a9a10"
ReadingId = Annotated[UUID, Path(examples=[READING])]
ANSWERS: Final[dict[str, Any]] = {"status_code": 202, "responses": refusals(403, 409, 413)}


class State(StrEnum):
    """How it went with what was asked of a reading."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"


class AskedOfReading(BaseModel):
    """It is asked for, and is done within seconds."""

    model_config = answers(request_id=2, alert_ids=[12])

    request_id: int
    alert_ids: list[int] = Field(description="Open alerts that rest on it: a person ends them.")


class ReadingRequest(BaseModel):
    """What was asked of a reading, and how it went."""

    model_config = answers(
        request_id=2,
        reading_id=READING,
        verdict="moved",
        state="done",
        asked_at=AT,
        done_at=AT,
        refused=None,
    )

    request_id: int
    reading_id: UUID
    verdict: Verdict
    state: State
    asked_at: Utc
    done_at: Utc | None
    refused: str | None = Field(description="A stable word: why it was not done.")


class Judging(BaseModel):
    """How one knows, in one's own words."""

    model_config = takes(why="Patienten ringde: hon mätte efter trappan.")

    why: str = Field(min_length=1, max_length=WHY_CHARS_MAX)


class MovingReading(Judging):
    """Whose it is."""

    model_config = takes(to_patient_id=4, why="Det var maken som stod på vågen.")

    to_patient_id: Number


async def is_hers(connection: AsyncConnection, patient_id: int, reading_id: UUID) -> None:
    """Let on what the patient measured; raises Closed for the rest."""
    query = "select patient_id from reading where reading_id = %s"
    await is_of(connection, query, reading_id, patient_id)


def kept(found: reading_review.Done) -> Kept:
    """Return the answer to what is asked for; raise why it is not."""
    if found.answer is not Answer.ASKED or found.request_id is None:
        raise refusal(REFUSED, found.answer)
    made = AskedOfReading(request_id=found.request_id, alert_ids=list(found.alert_ids))
    return done(made, 202)


async def _judge(
    services: ServicesOf,
    asked: Asked,
    reading_id: UUID,
    verdict: Verdict,
    body: Judging,
) -> Response:
    """Ask for what a reading is to be."""
    to_patient_id = body.to_patient_id if isinstance(body, MovingReading) else None

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        await is_hers(connection, asked.patient_id, reading_id)
        return kept(
            await reading_review.ask(
                connection,
                asked.found.viewer,
                reading_id,
                verdict,
                to_patient_id=to_patient_id,
                why=body.why,
                now=now,
            )
        )

    return await speak(services, asked, reading_review.ACTIONS[verdict], body, act)


def of_one(
    found: Session, patient_id: int, reading_id: UUID, key: str | None, to: int | None = None
) -> Asked:
    """Return who wants something done with which reading, and *to* whom it is to go."""
    return Asked(found, patient_id, key, str(reading_id), to)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/confirm",
    operation_id="confirmReading",
    summary="It counts",
    response_model=AskedOfReading,
    **ANSWERS,
)
async def confirm(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    reading_id: ReadingId,
    body: Judging,
    key: Key = None,
) -> Response:
    """Let a doubted reading count, from when it was measured."""
    asked = of_one(found, patient_id, reading_id, key)
    return await _judge(services, asked, reading_id, Verdict.CONFIRMED, body)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/reject",
    operation_id="rejectReading",
    summary="It does not count",
    response_model=AskedOfReading,
    **ANSWERS,
)
async def reject(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    reading_id: ReadingId,
    body: Judging,
    key: Key = None,
) -> Response:
    """Let a reading count no more. It stays, marked."""
    asked = of_one(found, patient_id, reading_id, key)
    return await _judge(services, asked, reading_id, Verdict.REJECTED, body)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/move",
    operation_id="moveReading",
    summary="It is somebody else's",
    response_model=AskedOfReading,
    **ANSWERS,
)
async def move(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    reading_id: ReadingId,
    body: MovingReading,
    key: Key = None,
) -> Response:
    """Let a reading be another patient's, whom one cares for too; rules look at both again."""
    asked = of_one(found, patient_id, reading_id, key, body.to_patient_id)
    return await _judge(services, asked, reading_id, Verdict.MOVED, body)


@router.get(
    "/patients/{patient_id}/reading-requests/{request_id}",
    operation_id="getReadingRequest",
    summary="How it went",
    responses=refusals(),
)
async def request(
    services: Services, found: Anyone, patient_id: Id, request_id: Id
) -> ReadingRequest:
    """Return whether what was asked of a reading is done, or why not."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        one = await reading_review.state(connection, found.viewer, request_id)
    if one is None or one.patient_id != patient_id:
        raise Closed
    state = State.WAITING if one.done_at is None else State.DONE
    return ReadingRequest(
        request_id=one.request_id,
        reading_id=one.reading_id,
        verdict=Verdict(one.verdict),
        state=State.REFUSED if one.refused else state,
        asked_at=one.asked_at,
        done_at=one.done_at,
        refused=one.refused,
    )
