"""Readings put right: one counts, counts no more, or is somebody else's; asked for, then done."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self
from uuid import UUID

from fastapi import APIRouter, Path, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field, model_validator

from alerts.audit.entry import Action
from alerts.care import reading_review, whose_reading
from alerts.care.reading_review import WHY_CHARS_MAX, Answer
from alerts.care.whose_reading import Whose
from alerts.web.api.deed import Asked, done, is_of, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Number, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.problem import Refused, Words
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
    Answer.REPLACED: _words(
        409, "replaced", "Mätningen är redan rättad", "Läs patientens mätningar igen."
    ),
    Answer.WAITING: _words(
        409, "waiting", "Någon har redan bett om något", "Läs mätningen igen om en stund."
    ),
}
_ACTIONS: Final = {
    Verdict.CONFIRMED: Action.READING_CONFIRMED,
    Verdict.REJECTED: Action.READING_REJECTED,
    Verdict.MOVED: Action.READING_MOVED,
}
_WHOSE: Final = {
    Whose.HERS: Action.READING_CONFIRMED,
    Whose.OTHER: Action.READING_MOVED,
    Whose.NOBODY: Action.READING_REJECTED,
}
_READING: Final = "5f0c1c1e-6f0e-4f7b-9a55-3c8a1f2a9a10"
ReadingId = Annotated[UUID, Path(examples=[_READING])]
_ANSWERS: Final[dict[str, Any]] = {"status_code": 202, "responses": refusals(403, 409, 413)}


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
        reading_id=_READING,
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


class AskedWeight(BaseModel):
    """A weight that may be somebody else's: no rule sees it until somebody has said."""

    reading_id: UUID
    measured_at: Utc
    body_weight_kg: float


class AskedWeights(BaseModel):
    """Weights that wait to be told whose they are, the newest first."""

    model_config = answers(
        weights=[{"reading_id": _READING, "measured_at": AT, "body_weight_kg": 92.4}]
    )

    weights: list[AskedWeight]


class Said(BaseModel):
    """The patient has answered."""

    model_config = answers(was_me=False)

    was_me: bool


class Judging(BaseModel):
    """How one knows, in one's own words."""

    model_config = takes(why="Patienten ringde: hon mätte efter trappan.")

    why: str = Field(min_length=1, max_length=WHY_CHARS_MAX)


class MovingReading(Judging):
    """Whose it is."""

    model_config = takes(to_patient_id=4, why="Det var maken som stod på vågen.")

    to_patient_id: Number


class SayingWhose(BaseModel):
    """Who stood on the scale."""

    model_config = takes(whose="hers", to_patient_id=None)

    whose: Whose
    to_patient_id: Number | None = Field(None, description="Who, for `other`; else null.")

    @model_validator(mode="after")
    def _is_somebody(self) -> Self:
        if (self.whose is Whose.OTHER) != (self.to_patient_id is not None):
            problem = "another is somebody, and only another is"
            raise ValueError(problem)
        return self


class WasItMe(BaseModel):
    """Whether it was she who stood on the scale."""

    model_config = takes(was_me=False)

    was_me: bool


async def _is_hers(connection: AsyncConnection, patient_id: int, reading_id: UUID) -> None:
    query = "select patient_id from reading where reading_id = %s"
    await is_of(connection, query, reading_id, patient_id)


def _asked(found: reading_review.Done) -> Kept:
    if found.answer is not Answer.ASKED or found.request_id is None:
        raise _refusal(found.answer)
    made = AskedOfReading(request_id=found.request_id, alert_ids=list(found.alert_ids))
    return done(made, 202)


def _refusal(answer: Answer) -> Exception:
    return Refused(*REFUSED[answer]) if answer in REFUSED else Closed()


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
        await _is_hers(connection, asked.patient_id, reading_id)
        return _asked(
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

    return await speak(services, asked, _ACTIONS[verdict], body, act)


def _one(found: Session, patient_id: int, reading_id: UUID, key: str | None) -> Asked:
    return Asked(found, patient_id, key, str(reading_id))


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/confirm",
    operation_id="confirmReading",
    summary="It counts",
    response_model=AskedOfReading,
    **_ANSWERS,
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
    asked = _one(found, patient_id, reading_id, key)
    return await _judge(services, asked, reading_id, Verdict.CONFIRMED, body)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/reject",
    operation_id="rejectReading",
    summary="It does not count",
    response_model=AskedOfReading,
    **_ANSWERS,
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
    asked = _one(found, patient_id, reading_id, key)
    return await _judge(services, asked, reading_id, Verdict.REJECTED, body)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/move",
    operation_id="moveReading",
    summary="It is somebody else's",
    response_model=AskedOfReading,
    **_ANSWERS,
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
    asked = _one(found, patient_id, reading_id, key)
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


@router.get(
    "/patients/{patient_id}/asked-weights",
    operation_id="listAskedWeights",
    summary="Was it she",
    responses=refusals(),
)
async def asked_weights(services: Services, found: Anyone, patient_id: Id) -> AskedWeights:
    """Return the weights of which somebody must say whose they are."""
    async with services.pool.connection() as connection:
        now = await look_closely(connection, found.viewer, patient_id)
        rows = await whose_reading.of_patient(connection, patient_id, now)
    return AskedWeights(
        weights=[
            AskedWeight(
                reading_id=one.reading_id, measured_at=one.measured_at, body_weight_kg=one.kg
            )
            for one in rows
        ]
    )


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/whose",
    operation_id="sayWhoseReading",
    summary="Who stood on the scale",
    response_model=AskedOfReading,
    **_ANSWERS,
)
async def whose(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    reading_id: ReadingId,
    body: SayingWhose,
    key: Key = None,
) -> Response:
    """Say, as who cares for her, whose a doubted weight is; the task about it ends."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        await _is_hers(connection, patient_id, reading_id)
        return _asked(
            await whose_reading.answer(
                connection,
                found.viewer,
                reading_id,
                body.whose,
                to_patient_id=body.to_patient_id,
                now=now,
            )
        )

    asked = _one(found, patient_id, reading_id, key)
    return await speak(services, asked, _WHOSE[body.whose], body, act)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/was-it-me",
    operation_id="sayWasItMe",
    summary="Was it I",
    response_model=Said,
    **_ANSWERS,
)
async def was_it_me(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    reading_id: ReadingId,
    body: WasItMe,
    key: Key = None,
) -> Response:
    """Say, as the patient, whether it was she. Who else it was she need not know."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        answer = await whose_reading.answer_own(
            connection, found.viewer, reading_id, was_me=body.was_me, now=now
        )
        if answer is not Answer.ASKED:
            raise _refusal(answer)
        return done(Said(was_me=body.was_me), 202)

    action = Action.READING_CONFIRMED if body.was_me else Action.READING_DENIED
    asked = _one(found, patient_id, reading_id, key)
    return await speak(services, asked, action, body, act)
