"""A patient goes over to another unit: offered, and until it is accepted the giver keeps all."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final, Self

from fastapi import APIRouter, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field, model_validator

from alerts.access import Ground
from alerts.audit.chain import append
from alerts.audit.entry import DENIED, Action, Entry
from alerts.care import handover, move
from alerts.care.handover import MESSAGE_CHARS_MAX, OFFERS_MAX, Refusal, Refused
from alerts.web.api import cursor, problem
from alerts.web.api.deed import Asked, Deed, carry_out, done, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Cursor, Id, Number, Staff, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.problem import Words
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed, note_listed
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from alerts.words import when

router = APIRouter(tags=["handovers"])

# What is not there for who asks is no problem of its own.
REFUSED: Final = {
    Refusal.NOT_YOURS: (403, "Du kan inte lämna över patienten"),
    Refusal.SAME_UNIT: (409, "Patienten hör redan till enheten"),
    Refusal.NO_UNIT: (422, "Enheten finns inte"),
    Refusal.ALREADY_OFFERED: (409, "Patienten är redan erbjuden"),
    Refusal.NO_CONSENT: (409, "Samtycke saknas"),
    Refusal.BLOCKED: (409, "Patienten har spärrat enheten"),
    Refusal.NO_CONTACT: (422, "Den kan inte vara fast vårdkontakt"),
    Refusal.WHY_MISSING: (422, "Det står inte varför"),
    Refusal.MESSAGE_TOO_LONG: (422, "Meddelandet är för långt"),
    Refusal.ANSWERED: (409, "Överlämningen är besvarad"),
    Refusal.MOVED: (409, "Patienten har bytt enhet"),
}
_OFFER: Final = {
    "handover_id": 3,
    "patient_id": 3,
    "given_name": "Greta",
    "family_name": "Exempel",
    "born_on": "1890-01-01",
    "from_unit_id": 1,
    "from_unit_name": "Provbyns hemsjukvård",
    "to_unit_id": 2,
    "to_unit_name": "Provbyns hälsocentral",
    "offered_name": "Anna Provberg",
    "offered_at": AT,
    "message": "Flyttar hem till dottern på fredag.",
}


class Offer(BaseModel):
    """A handover without an answer."""

    model_config = answers(**_OFFER)

    handover_id: int
    patient_id: int
    given_name: str
    family_name: str
    born_on: date
    from_unit_id: int
    from_unit_name: str
    to_unit_id: int
    to_unit_name: str
    offered_name: str | None
    offered_at: Utc
    message: str


class Offers(BaseModel):
    """What waits for an answer of the viewer's unit, the oldest first."""

    model_config = answers(offers=[_OFFER], next_cursor=None)

    offers: list[Offer]
    next_cursor: str | None


class PatientOffer(BaseModel):
    """Whether a patient is on her way to another unit."""

    model_config = answers(offer=_OFFER)

    offer: Offer | None = Field(description="Null: she is offered to nobody.")


class Offering(BaseModel):
    """To which unit, and what it should know."""

    model_config = takes(to_unit_id=2, message="Flyttar hem till dottern på fredag.")

    to_unit_id: Number
    message: str = Field("", max_length=MESSAGE_CHARS_MAX)


class Accepting(BaseModel):
    """Who is to be her fixed care contact: a person of the unit, or a team of it."""

    model_config = takes(staff_id=2, team_id=None)

    staff_id: Number | None = None
    team_id: Number | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.staff_id is None) == (self.team_id is None):
            problem = "a person or a team"
            raise ValueError(problem)
        return self


class Declining(BaseModel):
    """Why a unit does not take her."""

    model_config = takes(message="Vi har ingen plats före januari.")

    message: str = Field(min_length=1, max_length=MESSAGE_CHARS_MAX)


class Answered(BaseModel):
    """A handover has ended."""

    model_config = answers(handover_id=3, answer="accepted")

    handover_id: int
    answer: str = Field(description="`accepted`, `declined` or `withdrawn`.")


def _shown(one: handover.Offer) -> Offer:
    return Offer(**{name: getattr(one, name) for name in Offer.model_fields})


def _refusal(refused: Refused, now: datetime) -> Exception:
    if refused.why not in REFUSED:
        return Closed()
    status, title = REFUSED[refused.why]
    told = refused.why.value
    if refused.name and refused.at:
        told = f"{told} {refused.name} svarade {when(refused.at, now)}."
    slug = refused.why.name.lower().replace("_", "-")
    return problem.Refused(status, Words(f"handover-{slug}", title, told))


@router.get(
    "/handovers",
    operation_id="listHandovers",
    summary="Who is offered to my unit",
    responses=refusals(),
)
async def listed(
    services: Services,
    found: Staff,
    after: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=OFFERS_MAX)] = 50,
) -> Offers:
    """Return what waits for an answer of the viewer's unit; that she saw them is logged."""
    async with services.pool.connection() as connection:
        position = cursor.numbered(found, "handovers", after)
        rows = await handover.offered_to(connection, found.viewer, limit_count + 1, position)
        page, following = cursor.page(
            found, "handovers", rows, limit_count, lambda one: (one.offered_at, one.handover_id)
        )
        await note_listed(connection, found.viewer, (), {one.patient_id for one in page})
    return Offers(offers=[_shown(one) for one in page], next_cursor=following)


@router.get(
    "/patients/{patient_id}/handover",
    operation_id="getHandover",
    summary="To whom she is offered",
    responses=refusals(),
)
async def one_offer(services: Services, found: Anyone, patient_id: Id) -> PatientOffer:
    """Return the patient's offer that waits for an answer, if there is one."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        row = await handover.offer_of(connection, patient_id)
    return PatientOffer(offer=None if row is None else _shown(row))


@router.post(
    "/patients/{patient_id}/handover",
    operation_id="offerPatient",
    summary="Offer her to another unit",
    status_code=201,
    response_model=PatientOffer,
    responses=refusals(403, 409, 413),
)
async def offer(
    *, services: Services, found: Writer, patient_id: Id, body: Offering, key: Key = None
) -> Response:
    """Offer a patient to another unit; who offers keeps her and her alerts until it accepts."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        made = await handover.offer(
            connection, found.viewer, patient_id, body.to_unit_id, message=body.message, now=now
        )
        if isinstance(made, Refused):
            raise _refusal(made, now)
        row = await handover.offer_of(connection, patient_id)
        return done(PatientOffer(offer=None if row is None else _shown(row)), 201)

    return await speak(services, Asked(found, patient_id, key), Action.HANDOVER_OFFERED, body, act)


@router.post(
    "/patients/{patient_id}/handover/withdraw",
    operation_id="withdrawHandover",
    summary="Take the offer back",
    response_model=Answered,
    responses=refusals(403, 409, 413),
)
async def withdraw(
    *, services: Services, found: Writer, patient_id: Id, key: Key = None
) -> Response:
    """Take the offer back that waits for an answer; the giver keeps her, as all along."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        row = await handover.offer_of(connection, patient_id)
        if row is None:
            raise _refusal(Refused(why=Refusal.ANSWERED), now)
        refused = await handover.withdraw(connection, found.viewer, row.handover_id, now=now)
        if refused is not None:
            raise _refusal(refused, now)
        return done(Answered(handover_id=row.handover_id, answer="withdrawn"))

    asked = Asked(found, patient_id, key)
    return await speak(services, asked, Action.HANDOVER_WITHDRAWN, None, act)


@router.post(
    "/handovers/{handover_id}/accept",
    operation_id="acceptHandover",
    summary="We take her",
    response_model=Answered,
    responses=refusals(403, 409, 413),
)
async def accept(
    *, services: Services, found: Writer, handover_id: Id, body: Accepting, key: Key = None
) -> Response:
    """Let the viewer's unit answer for the patient from now on; her alerts go to the contact."""
    contact = move.Contact(staff_id=body.staff_id, team_id=body.team_id)
    return await _answer(
        services,
        _Answering(found, handover_id, key, "accepted", Action.HANDOVER_ACCEPTED, body),
        lambda connection, now: handover.accept(
            connection, found.viewer, handover_id, contact, now=now
        ),
    )


@router.post(
    "/handovers/{handover_id}/decline",
    operation_id="declineHandover",
    summary="We do not take her",
    response_model=Answered,
    responses=refusals(403, 409, 413),
)
async def decline(
    *, services: Services, found: Writer, handover_id: Id, body: Declining, key: Key = None
) -> Response:
    """Say no for the viewer's unit, and why."""
    return await _answer(
        services,
        _Answering(found, handover_id, key, "declined", Action.HANDOVER_DECLINED, body),
        lambda connection, now: handover.decline(
            connection, found.viewer, handover_id, message=body.message, now=now
        ),
    )


@dataclass(frozen=True, slots=True)
class _Answering:
    """Who answers which offer, and how."""

    found: Session
    handover_id: int
    key: str | None
    answer: str
    action: Action
    body: BaseModel


_Answer = Callable[[AsyncConnection, datetime], Awaitable[Refused | None]]


async def _answer(services: ServicesOf, asked: _Answering, say: _Answer) -> Response:
    """Let the receiving unit answer; for all others there is no such offer."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        refused = await say(connection, now)
        if refused is not None:
            raise _refusal(refused, now)
        return done(Answered(handover_id=asked.handover_id, answer=asked.answer))

    async with services.pool.connection() as connection:
        deed = Deed(
            found=asked.found,
            action=asked.action,
            patient_id=await _offered(connection, asked),
            ground=Ground.QUEUE,
            key=asked.key,
            asked=(f"{asked.action} {asked.handover_id}", asked.body.model_dump(mode="json")),
            about=(("handover_id", asked.handover_id),),
        )
        return await carry_out(connection, deed, act)


async def _offered(connection: AsyncConnection, asked: _Answering) -> int:
    """Return whom the viewer's unit was offered; that somebody else asks is logged."""
    found = await connection.execute(
        "select patient_id, to_unit_id from handover where handover_id = %s", (asked.handover_id,)
    )
    patient_id, unit_id = await found.fetchone() or (None, None)
    viewer = asked.found.viewer
    if patient_id is None:
        raise Closed
    if not viewer.gives_care or viewer.unit_id != unit_id:
        await append(connection, Entry.by(viewer, asked.action, DENIED, patient_id=patient_id))
        raise Closed
    return int(patient_id)
