"""The patient's own extract: who has done what with what there is about her."""

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from alerts.audit import extract, words
from alerts.audit.entry import Action
from alerts.audit.look import Look
from alerts.sending.store import now
from alerts.web.api import cursor
from alerts.web.api.document import refusals
from alerts.web.api.entering import Cursor
from alerts.web.api.example import AT, answers
from alerts.web.api.time import Utc
from alerts.web.guard import Patient, let_in
from alerts.web.services import Services

router = APIRouter(tags=["follow-up"])

LOOKS_MAX: Final = 300
_YEARS: Final = timedelta(days=5 * 366)  # as long as it is kept at least
_LOOK: Final = {
    "at": AT,
    "who": "Anna Provberg, distriktssköterska, Provbyns hemsjukvård",
    "action": "patient_seen",
    "what": "öppnade din sida",
    "why": "din fasta vårdkontakt",
}


class OwnLook(BaseModel):
    """Somebody did something with what there is about the patient who asks."""

    model_config = answers(**_LOOK)

    at: Utc
    who: str
    action: str
    what: str = Field(description="In Swedish, to her.")
    why: str = Field(description="Which relation allowed it, or that it was refused.")


class OwnLooks(BaseModel):
    """Who has done what with it, the newest first."""

    model_config = answers(looks=[_LOOK], next_cursor=None)

    looks: list[OwnLook]
    next_cursor: str | None


@router.get(
    "/me/looks",
    operation_id="listOwnLooks",
    summary="Who has looked at me",
    responses=refusals(),
)
async def own(
    services: Services,
    found: Patient,
    before: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=LOOKS_MAX)] = 100,
) -> OwnLooks:
    """Return to a patient who has done what with what there is about her, of five years."""
    viewer = found.viewer
    assert viewer.patient_id is not None  # Patient lets nobody else in
    position = _position(cursor.read(found, "looks", before)) if before else None
    async with services.pool.connection() as connection:
        await let_in(connection, viewer, viewer.patient_id, Action.LOG_EXTRACTED)
        since = await now(connection) - _YEARS
        rows = await extract.newest(
            connection, viewer.patient_id, since, limit_count + 1, before=position
        )
    page, following = cursor.page(
        found, "looks", rows, limit_count, lambda one: (one.at, one.chain, one.number)
    )
    return OwnLooks(looks=[_own(one) for one in page], next_cursor=following)


def _own(look: Look) -> OwnLook:
    return OwnLook(
        at=look.at,
        who=words.who(look),
        action=look.action,
        what=words.done(look.action),
        why=words.why(look.ground),
    )


def _position(text: str) -> extract.Position:
    at, chain, number = text.split(" ")
    return datetime.fromisoformat(at), int(chain), int(number)
