"""Pauses: a patient's rules are silent while she is in hospital or travels; always with an end."""

from datetime import datetime
from typing import Final

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.audit.entry import Action
from alerts.care import pause
from alerts.care.pause import LASTS_MAX, REASON_CHARS_MAX, Answer
from alerts.web.api.deed import Asked, done, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, Writer
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.problem import Words, refusal
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Moment, Utc
from alerts.web.services import Services

router = APIRouter(tags=["pauses"])

_UNCHANGED: Final = "Inget har ändrats."
REFUSED: Final = {
    Answer.NOT_YOURS: (
        403,
        Words(
            "pause-not-yours",
            "Vården börjar en paus",
            f"Skriv till din vårdkontakt, eller ring. {_UNCHANGED}",
        ),
    ),
    Answer.NO_REASON: (
        422,
        Words("pause-reason", "Det står inte varför", f"Skriv en kort orsak. {_UNCHANGED}"),
    ),
    Answer.IN_THE_PAST: (
        422,
        Words(
            "pause-past",
            "Tiden har redan varit",
            f"Det som är bedömt förblir bedömt. Välj en tid från och med nu. {_UNCHANGED}",
        ),
    ),
    Answer.NO_END: (
        422,
        Words(
            "pause-no-end",
            "Pausen slutar innan den börjar",
            f"Välj ett slut som ligger efter början. {_UNCHANGED}",
        ),
    ),
    Answer.TOO_LONG: (
        422,
        Words(
            "pause-too-long",
            "Pausen är för lång",
            f"Högst {LASTS_MAX.days} dagar, så att ingen glöms bort. Förläng senare med en paus "
            f"till. {_UNCHANGED}",
        ),
    ),
    Answer.TOO_FAR: (
        422,
        Words(
            "pause-too-far",
            "Pausen börjar för långt fram",
            f"Skriv in den när det är mindre än ett år kvar. {_UNCHANGED}",
        ),
    ),
    Answer.COVERED: (
        409,
        Words(
            "pause-covered",
            "Det är redan paus då",
            f"En paus som varar minst lika länge finns. Du behöver inte göra något. {_UNCHANGED}",
        ),
    ),
    Answer.NO_PAUSE: (
        409,
        Words(
            "pause-over",
            "Pausen är redan slut då",
            f"Läs pauserna igen. Du behöver inte göra något. {_UNCHANGED}",
        ),
    ),
}
_PAUSE: Final = {
    "pause_id": 5,
    "from_at": AT,
    "until_at": LATER,
    "reason": "Inlagd på sjukhus",
    "is_on": True,
}


class Pause(BaseModel):
    """A time when no rule alerts. What is measured then is stored all the same."""

    model_config = answers(**_PAUSE)

    pause_id: int
    from_at: Utc
    until_at: Utc = Field(description="Rules judge again what is measured from then on.")
    reason: str
    is_on: bool


class Pauses(BaseModel):
    """Pauses that are on or to come, by when they begin."""

    model_config = answers(pauses=[_PAUSE])

    pauses: list[Pause]


class Pausing(BaseModel):
    """From when to when rules are to be silent, and why."""

    model_config = takes(from_at=None, until_at=LATER, reason="Inlagd på sjukhus")

    from_at: Moment | None = Field(None, description="Null: now.")
    until_at: Moment
    reason: str = Field(min_length=1, max_length=REASON_CHARS_MAX)


class EndingPause(BaseModel):
    """From when rules are to judge again."""

    model_config = takes(at=None)

    at: Moment | None = Field(None, description="Null: now. It can be brought forward only.")


def _shown(rows: list[pause.Pause], now: datetime) -> Pauses:
    return Pauses(
        pauses=[
            Pause(
                pause_id=one.pause_id,
                from_at=one.from_at,
                until_at=one.until_at,
                reason=one.reason,
                is_on=one.is_on(now),
            )
            for one in rows
        ]
    )


@router.get(
    "/patients/{patient_id}/pauses",
    operation_id="listPauses",
    summary="When her rules are silent",
    responses=refusals(),
)
async def listed(services: Services, found: Anyone, patient_id: Id) -> Pauses:
    """Return a patient's pauses, for herself and for who cares for her."""
    async with services.pool.connection() as connection:
        now = await look_closely(connection, found.viewer, patient_id)
        return _shown(await pause.of_patient(connection, found.viewer, patient_id, now), now)


@router.post(
    "/patients/{patient_id}/pauses",
    operation_id="beginPause",
    summary="Let her rules be silent",
    status_code=201,
    response_model=Pauses,
    responses=refusals(403, 409, 413),
)
async def begin(
    *, services: Services, found: Writer, patient_id: Id, body: Pausing, key: Key = None
) -> Response:
    """Begin a pause, as who cares for her; answer with all that are on or to come."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        begun = await pause.begin(
            connection,
            found.viewer,
            patient_id,
            from_at=body.from_at,
            until_at=body.until_at,
            reason=body.reason,
            now=now,
        )
        if begun.answer is not Answer.DONE:
            raise refusal(REFUSED, begun.answer)
        rows = await pause.of_patient(connection, found.viewer, patient_id, now)
        return done(_shown(rows, now), 201)

    return await speak(services, Asked(found, patient_id, key), Action.PAUSE_BEGUN, body, act)


@router.post(
    "/patients/{patient_id}/pauses/{pause_id}/end",
    operation_id="endPause",
    summary="Let her rules judge again",
    response_model=Pauses,
    responses=refusals(403, 409, 413),
)
async def end(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    pause_id: Id,
    body: EndingPause,
    key: Key = None,
) -> Response:
    """Bring forward the end of a pause, and of those it meets; she herself may as well."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        ended = await pause.end(connection, found.viewer, patient_id, pause_id, at=body.at, now=now)
        if ended.answer is not Answer.DONE:
            raise refusal(REFUSED, ended.answer)
        rows = await pause.of_patient(connection, found.viewer, patient_id, now)
        return done(_shown(rows, now))

    asked = Asked(found, patient_id, key, pause_id)
    return await speak(services, asked, Action.PAUSE_ENDED, body, act)
