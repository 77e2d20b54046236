"""The technicians' list, and what one of them does with a fault on it. No patient is here."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.fleet.gateway import Urgency
from alerts.technical import listed as faults
from alerts.technical import words
from alerts.technical.listed import NOTE_CHARS_MAX, Answer
from alerts.web.api.document import refusals
from alerts.web.api.entering import Id
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.office import Asked, TechnicianWrites, done_once, staff_id
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.guard import Technician
from alerts.web.services import Services

router = APIRouter(tags=["technical"])

GATEWAY: Final = r"^[A-Za-z0-9_-]{1,64}$"
_TAKEN: Final = Words(
    "fault-taken",
    "En annan tekniker har tagit det",
    "Läs listan igen: där står vem. Du behöver inte göra något.",
)
_AWAY: Final = Words(
    "fault-away",
    "Du står som frånvarande",
    "Då kan du inte ta ett fel. Är du tillbaka? Be en samordnare avsluta din frånvaro.",
)
_FAULT: Final = {
    "technical_id": 8,
    "kind": "silent_gateway",
    "urgency": "now",
    "what": "Dosan är tyst.",
    "cure": "Kontrollera ström och nät i hemmet. Har dosan ström sparas mätningarna i den.",
    "more": "",
    "gateway_id": "g-prov",
    "device_id": None,
    "opened_at": AT,
    "taken_name": None,
    "taken_at": None,
}


class Fault(BaseModel):
    """One thing that a technician must see to."""

    model_config = answers(**_FAULT)

    technical_id: int
    kind: str
    urgency: str = Field(description="`now` or `soon`.")
    what: str = Field(description="In Swedish.")
    cure: str = Field(description="What to do, in Swedish.")
    more: str = Field(description='Numbers and names behind it; "": none.')
    gateway_id: str | None = Field(description="Null: at the server, or a gateway nobody knows.")
    device_id: str | None
    opened_at: Utc
    taken_name: str | None
    taken_at: Utc | None


class Faults(BaseModel):
    """What is open, the most urgent first and the oldest of those."""

    model_config = answers(faults=[_FAULT], left_out_count=0)

    faults: list[Fault]
    left_out_count: int


class ClosingFault(BaseModel):
    """What was done about it."""

    model_config = takes(note="Bytte batteri.")

    note: str = Field("", max_length=NOTE_CHARS_MAX)


class FaultState(BaseModel):
    """What has become of a fault."""

    model_config = answers(technical_id=8, state="taken")

    technical_id: int
    state: str = Field(description="`taken`, `left` or `closed`.")


@router.get(
    "/technical", operation_id="listFaults", summary="What is to be seen to", responses=refusals()
)
async def listed(
    services: Services,
    _found: Technician,
    gateway_id: Annotated[
        str | None, Query(pattern=GATEWAY, description="Of one gateway only.")
    ] = None,
) -> Faults:
    """Return what is open, to a technician."""
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        found = await faults.listed(connection, now, gateway_id)
    return Faults(faults=[fault(row, now) for row in found.rows], left_out_count=found.left_out)


def fault(row: faults.Row, now: datetime) -> Fault:
    """Return a fault as the API tells it."""
    told = words.words(row.kind, row.detail)
    return Fault(
        technical_id=row.technical_id,
        kind=row.kind,
        urgency=urgency(row.urgency(now)),
        what=told.what,
        cure=told.cure,
        more=words.more(row.kind, row.detail),
        gateway_id=row.gateway_id,
        device_id=row.device_id,
        opened_at=row.opened_at,
        taken_name=row.taken_name,
        taken_at=row.taken_at,
    )


def urgency(level: Urgency) -> str:
    """Return how soon somebody should see to it, in a word."""
    return level.name.lower()


@router.post(
    "/technical/{technical_id}/take",
    operation_id="takeFault",
    summary="I see to it",
    response_model=FaultState,
    responses=refusals(403, 409),
)
async def take(
    services: Services, found: TechnicianWrites, technical_id: Id, key: Key = None
) -> Response:
    """Take a fault; if another technician was faster, or she is noted as away, 409."""

    async def act(connection: AsyncConnection) -> FaultState:
        return _state(
            await faults.take(connection, staff_id(found), technical_id), technical_id, "taken"
        )

    return await done_once(services, Asked(found, key, f"take_fault {technical_id}"), act)


@router.post(
    "/technical/{technical_id}/leave",
    operation_id="leaveFault",
    summary="Somebody else may",
    response_model=FaultState,
    responses=refusals(403, 409),
)
async def leave(
    services: Services, found: TechnicianWrites, technical_id: Id, key: Key = None
) -> Response:
    """Leave a fault that one has taken to another."""

    async def act(connection: AsyncConnection) -> FaultState:
        return _state(
            await faults.leave(connection, staff_id(found), technical_id), technical_id, "left"
        )

    return await done_once(services, Asked(found, key, f"leave_fault {technical_id}"), act)


@router.post(
    "/technical/{technical_id}/close",
    operation_id="closeFault",
    summary="It is seen to",
    response_model=FaultState,
    responses=refusals(403, 409, 413),
)
async def close(
    *,
    services: Services,
    found: TechnicianWrites,
    technical_id: Id,
    body: ClosingFault,
    key: Key = None,
) -> Response:
    """Say that it is seen to. If it is not, it is back: the worse, the sooner."""

    async def act(connection: AsyncConnection) -> FaultState:
        done = await faults.close(connection, staff_id(found), technical_id, body.note)
        return _state(done, technical_id, "closed")

    return await done_once(services, Asked(found, key, f"close_fault {technical_id}", body), act)


def _state(answer: Answer, technical_id: int, state: str) -> FaultState:
    if answer is Answer.TAKEN:
        raise Refused(409, _TAKEN)
    if answer is Answer.AWAY:
        raise Refused(409, _AWAY)
    if answer is Answer.GONE:
        raise HTTPException(404)
    return FaultState(technical_id=technical_id, state=state)
