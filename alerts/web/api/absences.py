"""Who is away: noted by a coordinator of the unit, or by herself; withdrawn, cut short."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.care import absence, organisation
from alerts.care.absence import LISTED_MAX, Refusal
from alerts.care.organisation import Function
from alerts.sending.store import now
from alerts.web.api import cursor
from alerts.web.api.document import refusals
from alerts.web.api.entering import Cursor, Id
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.office import (
    Asked,
    Colleague,
    ColleagueWrites,
    done_once,
    own_unit,
    refused,
    staff_id,
)
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.services import Services
from alerts.web.session import Session

router = APIRouter(tags=["units"])

_ABSENCE: Final = {
    "absence_id": 4,
    "staff_id": 1,
    "staff_name": "Anna Provberg",
    "from_at": AT,
    "until_at": LATER,
}
_UNFIT: Final = (Refusal.ENDS_BEFORE_IT_BEGINS, Refusal.IS_OVER, Refusal.TOO_LONG)


class Absence(BaseModel):
    """A time when somebody is away."""

    model_config = answers(**_ABSENCE)

    absence_id: int
    staff_id: int
    staff_name: str
    from_at: Utc
    until_at: Utc = Field(description="She is back then.")


class Absences(BaseModel):
    """Who is away or is going to be, the first to go first."""

    model_config = answers(absences=[_ABSENCE], next_cursor=None)

    absences: list[Absence]
    next_cursor: str | None


class NotingAbsence(BaseModel):
    """Who is away, and when."""

    model_config = takes(staff_id=1, from_at=AT, until_at=LATER)

    staff_id: int = Field(ge=1, le=2**63 - 1)
    from_at: Utc
    until_at: Utc


class NotedAbsence(BaseModel):
    """It is noted, and what somebody should see to now."""

    model_config = answers(absence_id=4, uncovered_patients_count=2, duties_count=1)

    absence_id: int
    uncovered_patients_count: int = Field(
        description="Patients whose alerts go to the unit's queue at some time of it: nobody "
        "stands in for them."
    )
    duties_count: int = Field(description="Her duties in that time: somebody else must take them.")


class ComingBack(BaseModel):
    """When somebody is back, sooner than was noted."""

    model_config = takes(at=AT)

    at: Utc


class WithdrawnAbsence(BaseModel):
    """An absence that holds no more, or ends sooner."""

    model_config = answers(absence_id=4, is_withdrawn=True)

    absence_id: int
    is_withdrawn: bool = Field(
        description="As it was noted; what has been of it, or is left, is kept."
    )


@router.get(
    "/units/{unit_id}/absences",
    operation_id="listAbsences",
    summary="Who is away",
    responses=refusals(),
)
async def listed(
    services: Services,
    found: Colleague,
    unit_id: Id,
    after: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 200,
) -> Absences:
    """Return who of one's own unit is away, or is going to be."""
    own_unit(found, unit_id)
    purpose = f"absences {unit_id}"
    position = cursor.numbered(found, purpose, after)
    async with services.pool.connection() as connection:
        at = await now(connection)
        rows = await absence.listed(connection, unit_id, at, most=limit_count + 1, after=position)
    page, following = cursor.page(
        found, purpose, rows, limit_count, lambda one: (one.from_at, one.absence_id)
    )
    return Absences(absences=[_shown(one) for one in page], next_cursor=following)


def _shown(one: absence.Listed) -> Absence:
    return Absence(
        absence_id=one.absence_id,
        staff_id=one.staff_id,
        staff_name=one.staff_name,
        from_at=one.from_at,
        until_at=one.until_at,
    )


@router.post(
    "/units/{unit_id}/absences",
    operation_id="noteAbsence",
    summary="Somebody is away",
    status_code=201,
    response_model=NotedAbsence,
    responses=refusals(403, 409, 413),
)
async def note(
    *,
    services: Services,
    found: ColleagueWrites,
    unit_id: Id,
    body: NotingAbsence,
    key: Key = None,
) -> Response:
    """Note that somebody of one's own unit is away: a coordinator for all, others themselves.

    The same again changes nothing and gets the same answer.
    """
    own_unit(found, unit_id)
    _may(found, body.staff_id)

    async def act(connection: AsyncConnection) -> NotedAbsence:
        at = await now(connection)
        await _works_here(connection, unit_id, body.staff_id, at)
        done = await absence.note(
            connection,
            staff_id=body.staff_id,
            from_at=body.from_at,
            until_at=body.until_at,
            noted_by=staff_id(found),
            now=at,
        )
        if isinstance(done, Refusal):
            raise _refused(done)
        return NotedAbsence(
            absence_id=done.absence_id,
            uncovered_patients_count=len(done.uncovered),
            duties_count=done.duties,
        )

    asked = Asked(found, key, f"note_absence {unit_id}", body)
    return await done_once(services, asked, act, status=201)


@router.post(
    "/absences/{absence_id}/withdraw",
    operation_id="withdrawAbsence",
    summary="She is there after all",
    response_model=WithdrawnAbsence,
    responses=refusals(403, 409),
)
async def withdraw(
    services: Services, found: ColleagueWrites, absence_id: Id, key: Key = None
) -> Response:
    """Take an absence back: from now on, if it has begun."""

    async def act(connection: AsyncConnection) -> WithdrawnAbsence:
        at = await now(connection)
        await _hers(connection, found, absence_id, at)
        return _ended(
            absence_id,
            await absence.withdraw(connection, absence_id, by=staff_id(found), now=at),
        )

    return await done_once(services, Asked(found, key, f"withdraw_absence {absence_id}"), act)


@router.post(
    "/absences/{absence_id}/cut-short",
    operation_id="cutAbsenceShort",
    summary="She is back sooner",
    response_model=WithdrawnAbsence,
    responses=refusals(403, 409, 413),
)
async def cut_short(
    *,
    services: Services,
    found: ColleagueWrites,
    absence_id: Id,
    body: ComingBack,
    key: Key = None,
) -> Response:
    """Let somebody be back before her absence ends."""

    async def act(connection: AsyncConnection) -> WithdrawnAbsence:
        at = await now(connection)
        await _hers(connection, found, absence_id, at)
        done = await absence.cut_short(
            connection, absence_id, at=body.at, by=staff_id(found), now=at
        )
        return _ended(absence_id, done)

    return await done_once(
        services, Asked(found, key, f"cut_absence_short {absence_id}", body), act
    )


def _may(found: Session, whose: int) -> None:
    """Let a coordinator write of her unit's staff, and everybody of herself."""
    if whose != found.viewer.staff_id and Function.COORDINATOR not in found.viewer.functions:
        raise HTTPException(404)


async def _works_here(connection: AsyncConnection, unit_id: int, whose: int, at: datetime) -> None:
    colleagues = await organisation.colleagues(connection, unit_id, at)
    if whose not in {one.staff_id for one in colleagues}:
        raise _refused(Refusal.UNKNOWN)


async def _hers(connection: AsyncConnection, found: Session, absence_id: int, at: datetime) -> None:
    """Let go on who may write of this absence; for others there is none."""
    known = await absence.one(connection, absence_id, at)
    if known is None:
        raise HTTPException(404)
    own_unit(found, known.unit_id)
    _may(found, known.staff_id)


def _ended(absence_id: int, refusal: Refusal | None) -> WithdrawnAbsence:
    if refusal is not None:
        raise _refused(refusal)
    return WithdrawnAbsence(absence_id=absence_id, is_withdrawn=True)


def _refused(refusal: Refusal) -> Exception:
    status = 422 if refusal in _UNFIT else 409
    return refused("absence", "Frånvaron är inte ändrad", refusal, status)
