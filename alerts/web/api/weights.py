"""Weights that may be somebody else's: her care says whose, or she herself whether it was she."""

from datetime import datetime
from typing import Self
from uuid import UUID

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field, model_validator

from alerts.audit.entry import Action
from alerts.care import whose_reading
from alerts.care.reading_review import ACTIONS, Answer
from alerts.care.whose_reading import VERDICTS, Whose
from alerts.web.api.deed import done, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Number, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.problem import refusal
from alerts.web.api.readings import (
    ANSWERS,
    READING,
    REFUSED,
    AskedOfReading,
    ReadingId,
    is_hers,
    kept,
    of_one,
)
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.services import Services

router = APIRouter(tags=["readings"])


class AskedWeight(BaseModel):
    """A weight that may be somebody else's: no rule sees it until somebody has said."""

    reading_id: UUID
    measured_at: Utc
    body_weight_kg: float


class AskedWeights(BaseModel):
    """Weights that wait to be told whose they are, the newest first."""

    model_config = answers(
        weights=[{"reading_id": READING, "measured_at": AT, "body_weight_kg": 92.4}]
    )

    weights: list[AskedWeight]


class Said(BaseModel):
    """The patient has answered."""

    model_config = answers(was_me=False)

    was_me: bool


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
    **ANSWERS,
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
        await is_hers(connection, patient_id, reading_id)
        return kept(
            await whose_reading.answer(
                connection,
                found.viewer,
                reading_id,
                body.whose,
                to_patient_id=body.to_patient_id,
                now=now,
            )
        )

    asked = of_one(found, patient_id, reading_id, key, body.to_patient_id)
    return await speak(services, asked, ACTIONS[VERDICTS[body.whose]], body, act)


@router.post(
    "/patients/{patient_id}/readings/{reading_id}/was-it-me",
    operation_id="sayWasItMe",
    summary="Was it I",
    response_model=Said,
    **ANSWERS,
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
            raise refusal(REFUSED, answer)
        return done(Said(was_me=body.was_me), 202)

    action = Action.READING_CONFIRMED if body.was_me else Action.READING_DENIED
    asked = of_one(found, patient_id, reading_id, key)
    return await speak(services, asked, action, body, act)
