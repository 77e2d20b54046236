"""Devices on loan: what a device, or one user slot of it, measures is hers from then on."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.audit.entry import Action
from alerts.care import lent, loan
from alerts.care.lent import SERIAL_CHARS_MAX, SLOT_MAX, Answer, Device
from alerts.web.api import cursor
from alerts.web.api.deed import Asked, done, is_of, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Cursor, Id, Number, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.problem import Refused, Words, refusal
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Moment, Utc
from alerts.web.services import Services
from alerts.web.session import Session
from alerts.words import when

router = APIRouter(tags=["loans"])

PAGE_MAX: Final = 200
_UNCHANGED: Final = "Inget har ändrats."
_ADDRESS_CHARS_MAX: Final = 64
_LOAN: Final = {
    "loan_id": 6,
    "device_id": "C4:00:00:00:00:05",
    "slot": None,
    "serial": "SN-1007",
    "model": "",
    "lent_from": AT,
    "returned_at": None,
}


def _words(status: int, slug: str, title: str, detail: str) -> tuple[int, Words]:
    return status, Words(f"loan-{slug}", title, f"{detail} {_UNCHANGED}")


REFUSED: Final = {
    Answer.NOT_YOURS: _words(
        403, "not-yours", "Vården skriver in lån", "Be din vårdkontakt, eller ring."
    ),
    Answer.NO_ADDRESS: _words(
        422,
        "address",
        "Det är ingen adress till en mätare",
        "Läs av den på mätaren: sex par av siffror och bokstäver, som C4:00:00:00:00:05.",
    ),
    Answer.NO_MODEL: _words(422, "model", "Modellen finns inte", "Välj en annan, eller ingen."),
    Answer.NO_SLOT: _words(422, "slot", "Platsen finns inte", f"Välj 0 till {SLOT_MAX}."),
    Answer.NO_SERIAL: _words(422, "serial", "Serienumret är för långt", "Läs av det igen."),
    Answer.TOO_FAR: _words(
        422, "too-far", "Tiden ligger för långt bort", "Välj en tid närmare i dag."
    ),
    Answer.LENT: _words(
        409, "lent", "Mätaren är redan utlånad då", "Ta tillbaka den från den som har den först."
    ),
    Answer.LENT_ELSEWHERE: _words(
        409,
        "elsewhere",
        "Mätaren står på en annan dosa",
        "Be en tekniker ta bort den därifrån, och försök sedan igen.",
    ),
    Answer.FULL: _words(
        409, "full", "Dosan har inte plats för fler mätare", "Ta tillbaka en annan först."
    ),
    Answer.RETURNED: _words(
        409, "returned", "Mätaren är redan tillbaka", "Du behöver inte göra något."
    ),
    Answer.SAME: _words(409, "same", "Patienten har redan mätaren", "Du behöver inte göra något."),
}


class Loan(BaseModel):
    """A device, or one user slot of it, with a patient."""

    model_config = answers(**_LOAN)

    loan_id: int
    device_id: str
    slot: int | None = Field(description="Null: whatever slot it names.")
    serial: str
    model: str
    lent_from: Utc
    returned_at: Utc | None = Field(description="Exclusive; null: she has it.")


class Loans(BaseModel):
    """A patient's loans, the newest first."""

    model_config = answers(loans=[_LOAN], next_cursor=None)

    loans: list[Loan]
    next_cursor: str | None


class Lent(BaseModel):
    """What was lent, and whether anything of it can arrive."""

    model_config = answers(loan_id=6, has_gateway=True)

    loan_id: int
    has_gateway: bool = Field(description="Until a gateway stands in her home nothing arrives.")


class Lending(BaseModel):
    """Which device, and from when what it measures is hers."""

    model_config = takes(
        address="C4:00:00:00:00:42", slot=None, serial="SN-1042", model="", from_at=None
    )

    address: str = Field(min_length=1, max_length=_ADDRESS_CHARS_MAX)
    slot: int | None = Field(None, ge=0, le=SLOT_MAX)
    serial: str = Field("", max_length=SERIAL_CHARS_MAX)
    model: str = Field("", max_length=_ADDRESS_CHARS_MAX, description="Empty: it is found.")
    from_at: Moment | None = Field(None, description="Null: now.")

    def device(self) -> Device:
        """Return what is lent."""
        return Device(address=self.address, slot=self.slot, serial=self.serial, model=self.model)


class Returning(BaseModel):
    """When a device was given back."""

    model_config = takes(at=None)

    at: Moment | None = Field(None, description="Null: now.")


class MovingLoan(BaseModel):
    """Who has the device from then on."""

    model_config = takes(to_patient_id=4, at=None)

    to_patient_id: Number
    at: Moment | None = Field(None, description="Null: now.")


def _refusal(found: lent.Done, now: datetime) -> Exception:
    if found.answer is not Answer.HAS_READINGS:
        return refusal(REFUSED, found.answer)
    newest = f", den senaste {when(found.newest_at, now)}" if found.newest_at else ""
    return Refused(
        *_words(
            409,
            "has-readings",
            "Det finns mätningar från den tiden",
            f"De är sparade som någons{newest}. Välj en senare tid, eller flytta dem var för sig.",
        )
    )


async def _owned(connection: AsyncConnection, patient_id: int, loan_id: int) -> None:
    await is_of(
        connection, "select patient_id from device_loan where loan_id = %s", loan_id, patient_id
    )


async def _of(
    connection: AsyncConnection,
    found: Session,
    patient_id: int,
    before: str | None = None,
    limit_count: int = PAGE_MAX,
) -> Loans:
    purpose = f"loans {patient_id}"
    position = cursor.numbered(found, purpose, before)
    rows = await loan.of_patient(connection, found.viewer, patient_id, limit_count + 1, position)
    page, following = cursor.page(
        found, purpose, rows, limit_count, lambda one: (one.lent_from, one.loan_id)
    )
    return Loans(
        loans=[
            Loan(
                loan_id=one.loan_id,
                device_id=one.device_id,
                slot=one.slot,
                serial=one.serial,
                model=one.model,
                lent_from=one.lent_from,
                returned_at=one.returned_at,
            )
            for one in page
        ],
        next_cursor=following,
    )


@router.get(
    "/patients/{patient_id}/loans",
    operation_id="listLoans",
    summary="What she has on loan",
    responses=refusals(),
)
async def listed(
    services: Services,
    found: Anyone,
    patient_id: Id,
    before: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50,
) -> Loans:
    """Return a patient's loans, for herself and for who cares for her."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        return await _of(connection, found, patient_id, before, limit_count)


@router.post(
    "/patients/{patient_id}/loans",
    operation_id="lendDevice",
    summary="Lend a device",
    status_code=201,
    response_model=Lent,
    responses=refusals(403, 409, 413),
)
async def lend(
    *, services: Services, found: Writer, patient_id: Id, body: Lending, key: Key = None
) -> Response:
    """Let what a device measures be hers, as who cares for her."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        made = await loan.lend(
            connection, found.viewer, patient_id, body.device(), from_at=body.from_at, now=now
        )
        return _lent(made, now, 201)

    return await speak(services, Asked(found, patient_id, key), Action.DEVICE_LENT, body, act)


@router.post(
    "/patients/{patient_id}/loans/{loan_id}/return",
    operation_id="returnDevice",
    summary="It is given back",
    response_model=Loans,
    responses=refusals(403, 409, 413),
)
async def give_back(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    loan_id: Id,
    body: Returning,
    key: Key = None,
) -> Response:
    """End a loan, now or at another time."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        await _owned(connection, patient_id, loan_id)
        ended = await loan.give_back(connection, found.viewer, loan_id, at=body.at, now=now)
        if ended.answer is not Answer.DONE:
            raise _refusal(ended, now)
        return done(await _of(connection, found, patient_id))

    asked = Asked(found, patient_id, key, loan_id)
    return await speak(services, asked, Action.DEVICE_RETURNED, body, act)


@router.post(
    "/patients/{patient_id}/loans/{loan_id}/move",
    operation_id="moveLoan",
    summary="Somebody else has it now",
    response_model=Lent,
    responses=refusals(403, 409, 413),
)
async def move(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    loan_id: Id,
    body: MovingLoan,
    key: Key = None,
) -> Response:
    """Let a device be another patient's, whom one cares for too, without a gap or an overlap."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        await _owned(connection, patient_id, loan_id)
        moved = await loan.move(
            connection, found.viewer, loan_id, body.to_patient_id, at=body.at, now=now
        )
        return _lent(moved, now)

    asked = Asked(found, patient_id, key, loan_id)
    return await speak(services, asked, Action.DEVICE_RETURNED, body, act)


def _lent(found: lent.Done, now: datetime, status: int = 200) -> Kept:
    if found.answer is not Answer.DONE or found.loan_id is None:
        raise _refusal(found, now)
    return done(Lent(loan_id=found.loan_id, has_gateway=found.has_gateway), status)
