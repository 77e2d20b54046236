"""Who answers outside a unit's hours, and when nobody does: for the unit's coordinator."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.care import duty
from alerts.care.duty import LISTED_MAX, LOOKED_AT_MAX, Refusal
from alerts.sending.store import now
from alerts.web.api import cursor
from alerts.web.api.document import refusals
from alerts.web.api.entering import Cursor, Id
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.office import (
    Asked,
    Colleague,
    CoordinatorWrites,
    done_once,
    own_unit,
    refused,
    staff_id,
)
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.services import Services

router = APIRouter(tags=["units"])

# Shown if it is not said: a rota is made month by month.
_USUAL: Final = timedelta(days=31)
_DUTY: Final = {
    "duty_id": 9,
    "staff_id": 1,
    "staff_name": "Anna Provberg",
    "from_at": AT,
    "until_at": LATER,
}
_UNFIT: Final = (Refusal.ENDS_BEFORE_IT_BEGINS, Refusal.IS_OVER, Refusal.TOO_LONG)
_PERIOD: Final = Words(
    "period-unfit",
    "Så lång tid kan inte visas",
    f"Välj en tid som slutar efter att den börjar och är högst {LOOKED_AT_MAX.days} dagar.",
)


class Duty(BaseModel):
    """A time when somebody answers for the unit's patients."""

    model_config = answers(**_DUTY)

    duty_id: int
    staff_id: int
    staff_name: str
    from_at: Utc
    until_at: Utc


class Gap(BaseModel):
    """A time outside the unit's hours when nobody who is there is on duty."""

    model_config = answers(from_at=AT, until_at=LATER)

    from_at: Utc
    until_at: Utc


class Rota(BaseModel):
    """Who is on duty in a time, and when nobody is."""

    model_config = answers(
        duties=[_DUTY], gaps=[{"from_at": AT, "until_at": LATER}], next_cursor=None
    )

    duties: list[Duty]
    gaps: list[Gap] = Field(
        description="Of the whole time. Alerts go to the unit's queue then, with a warning."
    )
    next_cursor: str | None


class NotingDuty(BaseModel):
    """Who is on duty, and when."""

    model_config = takes(staff_id=1, from_at=AT, until_at=LATER)

    staff_id: int = Field(ge=1, le=2**63 - 1)
    from_at: Utc
    until_at: Utc


class NotedDuty(BaseModel):
    """A duty that is noted, or withdrawn."""

    model_config = answers(duty_id=9, is_withdrawn=False)

    duty_id: int
    is_withdrawn: bool


@router.get(
    "/units/{unit_id}/duties",
    operation_id="getRota",
    summary="Who is on duty, and when nobody is",
    responses=refusals(),
)
async def rota(
    *,
    services: Services,
    found: Colleague,
    unit_id: Id,
    from_at: Annotated[
        Utc | None, Query(description="Now, if it is not given.", examples=[AT])
    ] = None,
    until_at: Annotated[
        Utc | None, Query(description="31 days later, if not given.", examples=[LATER])
    ] = None,
    after: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=LISTED_MAX)] = 200,
) -> Rota:
    """Return the rota of one's own unit in a time of at most 92 days."""
    own_unit(found, unit_id)
    purpose = f"duties {unit_id}"
    position = cursor.numbered(found, purpose, after)
    async with services.pool.connection() as connection:
        try:
            first = from_at or await now(connection)
            last = until_at or first + _USUAL
        except OverflowError:
            raise Refused(422, _PERIOD) from None
        if not timedelta() < last - first <= LOOKED_AT_MAX:
            raise Refused(422, _PERIOD)
        rows = await duty.listed(
            connection, unit_id, first, last, most=limit_count + 1, after=position
        )
        try:
            gaps = await duty.gaps(connection, unit_id, first, last)
        except OverflowError:  # the calendar ends before a rota there could
            raise Refused(422, _PERIOD) from None
    page, following = cursor.page(
        found, purpose, rows, limit_count, lambda one: (one.from_at, one.duty_id)
    )
    return Rota(
        duties=[
            Duty(
                duty_id=one.duty_id,
                staff_id=one.staff_id,
                staff_name=one.staff_name,
                from_at=one.from_at,
                until_at=one.until_at,
            )
            for one in page
        ],
        gaps=[Gap(from_at=one.from_at, until_at=one.until_at) for one in gaps],
        next_cursor=following,
    )


@router.post(
    "/units/{unit_id}/duties",
    operation_id="noteDuty",
    summary="Somebody is on duty",
    status_code=201,
    response_model=NotedDuty,
    responses=refusals(403, 409, 413),
)
async def note(
    *,
    services: Services,
    found: CoordinatorWrites,
    unit_id: Id,
    body: NotingDuty,
    key: Key = None,
) -> Response:
    """Note who answers for one's own unit. The same again is once.

    She may be of another unit of the same huvudman.
    """
    own_unit(found, unit_id)

    async def act(connection: AsyncConnection) -> NotedDuty:
        done = await duty.note(
            connection,
            unit_id=unit_id,
            staff_id=body.staff_id,
            from_at=body.from_at,
            until_at=body.until_at,
            noted_by=staff_id(found),
            now=await now(connection),
        )
        if isinstance(done, Refusal):
            raise _refused(done)
        return NotedDuty(duty_id=done.duty_id, is_withdrawn=False)

    asked = Asked(found, key, f"note_duty {unit_id}", body)
    return await done_once(services, asked, act, status=201)


@router.post(
    "/duties/{duty_id}/withdraw",
    operation_id="withdrawDuty",
    summary="She is not on duty after all",
    response_model=NotedDuty,
    responses=refusals(403, 409),
)
async def withdraw(
    services: Services, found: CoordinatorWrites, duty_id: Id, key: Key = None
) -> Response:
    """Take somebody off duty for one's own unit: from now on, if it has begun."""

    async def act(connection: AsyncConnection) -> NotedDuty:
        at = await now(connection)
        known = await duty.one(connection, duty_id, at)
        if known is None:
            raise HTTPException(404)
        own_unit(found, known.unit_id)
        refusal = await duty.withdraw(connection, duty_id, by=staff_id(found), now=at)
        if refusal is not None:
            raise _refused(refusal)
        return NotedDuty(duty_id=duty_id, is_withdrawn=True)

    return await done_once(services, Asked(found, key, f"withdraw_duty {duty_id}"), act)


def _refused(refusal: Refusal) -> Exception:
    status = 422 if refusal in _UNFIT else 409
    return refused("duty", "Jouren är inte ändrad", refusal, status)
