"""Who stands in: for a colleague with all her patients, or for one patient's contact."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts.access import Ground, Scope
from alerts.audit.chain import append
from alerts.audit.entry import DENIED, Action, Entry
from alerts.care import consent, organisation, substitutes
from alerts.care.organisation import Function
from alerts.care.substitutes import SUBSTITUTES_MAX, Refusal
from alerts.sending.store import now
from alerts.web.api.deed import Deed, carry_out, done
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Id, look
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.office import (
    Asked,
    CareWrites,
    Colleague,
    ColleagueWrites,
    done_once,
    refused,
    staff_id,
)
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed, let_in
from alerts.web.services import Services
from alerts.web.session import Session

router = APIRouter(tags=["units"])

_SUBSTITUTE: Final = {
    "staff_id": 2,
    "name": "Eva Testström",
    "from_at": AT,
    "until_at": None,
}
_CONFLICTS: Final = frozenset(Refusal) - {
    Refusal.TWICE,
    Refusal.TOO_MANY,
    Refusal.HERSELF,
    Refusal.IN_THE_PAST,
}


class Substitute(BaseModel):
    """Somebody who stands in."""

    model_config = answers(**_SUBSTITUTE)

    staff_id: int
    name: str
    from_at: Utc
    until_at: Utc | None = Field(
        description="Exclusive: others are named for later, or the patient's consent ends."
    )


class Substitutes(BaseModel):
    """Who stands in, in the order in which they are asked."""

    model_config = answers(substitutes=[_SUBSTITUTE])

    substitutes: list[Substitute]


class NamingSubstitutes(BaseModel):
    """Who is to stand in, in order, in the place of all who did; nobody is a list too."""

    model_config = takes(staff_ids=[2], from_at=None)

    staff_ids: list[Annotated[int, Field(ge=1, le=2**63 - 1)]] = Field(max_length=SUBSTITUTES_MAX)
    from_at: Utc | None = Field(None, description="Null: from now on.")


@router.get(
    "/staff/{staff_id}/substitutes",
    operation_id="listStaffSubstitutes",
    summary="Who stands in for a colleague",
    responses=refusals(),
)
async def of_colleague(services: Services, found: Colleague, staff_id: Id) -> Substitutes:
    """Return who stands in for somebody of one's own unit, and who is named for later."""
    async with services.pool.connection() as connection:
        await _of_my_unit(connection, found, staff_id)
        at = await now(connection)
        rows = await substitutes.named(connection, at, for_staff_id=staff_id)
    return Substitutes(substitutes=[_shown(one) for one in rows])


@router.post(
    "/staff/{staff_id}/substitutes",
    operation_id="nameStaffSubstitutes",
    summary="Name who stands in for a colleague",
    response_model=Substitutes,
    responses=refusals(403, 409, 413),
)
async def name_of_colleague(
    *,
    services: Services,
    found: ColleagueWrites,
    staff_id: Id,
    body: NamingSubstitutes,
    key: Key = None,
) -> Response:
    """Name them for somebody of one's own unit: a coordinator for all, others for themselves."""
    me = found.viewer
    ground = "herself" if me.staff_id == staff_id else Function.COORDINATOR.value
    if me.staff_id != staff_id and Function.COORDINATOR not in me.functions:
        raise HTTPException(404)

    async def act(connection: AsyncConnection) -> Substitutes:
        await _of_my_unit(connection, found, staff_id)
        at = await now(connection)
        refusal = await substitutes.of_colleague(
            connection,
            staff_id,
            body.staff_ids,
            from_at=body.from_at or at,
            noted_by=me.staff_id,
            now=at,
        )
        if refusal is not None:
            raise _refused(refusal)
        rows = await substitutes.named(connection, at, for_staff_id=staff_id)
        detail = {"for_staff_id": staff_id, "staff_ids": body.staff_ids}
        await append(connection, Entry.by(me, Action.SUBSTITUTES_NAMED, ground, detail=detail))
        return Substitutes(substitutes=[_shown(one) for one in rows])

    return await done_once(services, Asked(found, key, f"name_for_staff {staff_id}", body), act)


@router.get(
    "/patients/{patient_id}/substitutes",
    operation_id="listPatientSubstitutes",
    summary="Who stands in for a patient's contact",
    responses=refusals(),
)
async def of_patient(services: Services, found: Anyone, patient_id: Id) -> Substitutes:
    """Return the patient's own substitutes; those of her contact come after them."""
    async with services.pool.connection() as connection:
        await look(connection, found.viewer, patient_id, Scope.CONTACT)
        at = await now(connection)
        rows = await substitutes.named(connection, at, patient_id=patient_id)
    return Substitutes(substitutes=[_shown(one) for one in rows])


@router.post(
    "/patients/{patient_id}/substitutes",
    operation_id="namePatientSubstitutes",
    summary="Name who stands in for a patient's contact",
    response_model=Substitutes,
    responses=refusals(403, 409, 413),
)
async def name_of_patient(
    *,
    services: Services,
    found: CareWrites,
    patient_id: Id,
    body: NamingSubstitutes,
    key: Key = None,
) -> Response:
    """Name them, as who cares for her lastingly: an alert or a night on duty is not enough."""
    viewer, action = found.viewer, Action.SUBSTITUTES_NAMED

    async def act(connection: AsyncConnection, at: datetime) -> Kept:
        ground = await consent.speaks_for(connection, viewer, patient_id)
        if ground is None:  # her relation ended in between
            raise Closed
        refusal = await substitutes.of_patient(
            connection,
            patient_id,
            body.staff_ids,
            from_at=body.from_at or at,
            noted_by=staff_id(found),
            now=at,
        )
        if refusal is not None:
            raise _refused(refusal)
        rows = await substitutes.named(connection, at, patient_id=patient_id)
        detail = {"staff_ids": body.staff_ids}
        entry = Entry.by(viewer, action, ground, patient_id=patient_id, detail=detail)
        await append(connection, entry)
        return done(Substitutes(substitutes=[_shown(one) for one in rows]))

    async with services.pool.connection() as connection:
        deed = Deed(
            found=found,
            action=action,
            patient_id=patient_id,
            ground=await _lastingly(connection, found, patient_id),
            key=key,
            asked=(f"{action} {patient_id}", body.model_dump(mode="json")),
        )
        return await carry_out(connection, deed, act)


async def _lastingly(connection: AsyncConnection, found: Session, patient_id: int) -> Ground:
    """Return the lasting relation of who names; that she has none is logged.

    Raises:
        Closed: She has none.
    """
    viewer, action = found.viewer, Action.SUBSTITUTES_NAMED
    await let_in(connection, viewer, patient_id, action, acts=True)
    ground = await consent.speaks_for(connection, viewer, patient_id)
    if ground is None:
        detail = {"why": "not_lasting"}
        entry = Entry.by(viewer, action, DENIED, patient_id=patient_id, detail=detail)
        await append(connection, entry)
        raise Closed
    return ground


def _shown(one: substitutes.Named) -> Substitute:
    return Substitute(
        staff_id=one.staff_id, name=one.name, from_at=one.from_at, until_at=one.until_at
    )


async def _of_my_unit(connection: AsyncConnection, found: Session, whom: int) -> None:
    """Let go on if *whom* works at the viewer's unit; for others there is nobody."""
    unit_id = found.viewer.unit_id
    at = await now(connection)
    colleagues = await organisation.colleagues(connection, unit_id or 0, at)
    if whom not in {one.staff_id for one in colleagues}:
        raise HTTPException(404)


def _refused(refusal: Refusal) -> Exception:
    status = 409 if refusal in _CONFLICTS else 422
    return refused("substitutes", "Ersättarna är inte ändrade", refusal, status)
