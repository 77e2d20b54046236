"""A plan is proposed, held against what she has measured, asked about, and agreed, or not."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel

from alerts.audit.entry import Action
from alerts.care import agreement, proposal
from alerts.care.people import Viewer
from alerts.care.proposal import Answer
from alerts.web.api import cursor
from alerts.web.api.deed import Act, Asked, done, is_of, look_closely, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Cursor, Id, Writer
from alerts.web.api.proposal_parts import (
    Agreeing,
    DecliningPlan,
    PlanPreview,
    Proposal,
    Proposals,
    Proposing,
    Questioning,
    refused,
    seen,
    shown,
)
from alerts.web.api.repeat import Kept, Key
from alerts.web.guard import Closed
from alerts.web.services import Services, ServicesOf

router = APIRouter(tags=["plans"])

PAGE_MAX: Final = 50


async def _now_is(
    connection: AsyncConnection, viewer: Viewer, found: proposal.Done, status: int = 200
) -> Kept:
    """Return the proposal as it is after what was done; raise why nothing was."""
    if found.answer is not Answer.DONE or found.proposal_id is None:
        raise refused(found)
    return done(await _one(connection, viewer, found.proposal_id), status)


async def _one(connection: AsyncConnection, viewer: Viewer, proposal_id: int) -> Proposal:
    held = await proposal.find(connection, viewer, proposal_id)
    if held is None:
        raise Closed
    return shown(held.proposal)


async def _is_hers(connection: AsyncConnection, patient_id: int, proposal_id: int) -> None:
    query = "select patient_id from plan_proposal where proposal_id = %s"
    await is_of(connection, query, proposal_id, patient_id)


@router.get(
    "/patients/{patient_id}/proposals",
    operation_id="listProposals",
    summary="What was proposed",
    responses=refusals(),
)
async def listed(
    services: Services,
    found: Anyone,
    patient_id: Id,
    before: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 20,
) -> Proposals:
    """Return what was proposed to a patient, for herself and for who cares for her."""
    purpose = f"proposals {patient_id}"
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        position = cursor.moment(found, purpose, before)
        rows = await proposal.of_patient(
            connection, found.viewer, patient_id, limit_count + 1, position
        )
    page, following = cursor.page(found, purpose, rows, limit_count, lambda one: (one.proposed_at,))
    return Proposals(proposals=[shown(one) for one in page], next_cursor=following)


@router.get(
    "/patients/{patient_id}/proposals/{proposal_id}",
    operation_id="getProposal",
    summary="One proposal",
    responses=refusals(),
)
async def one(services: Services, found: Anyone, patient_id: Id, proposal_id: Id) -> Proposal:
    """Return a proposal and where it stands."""
    async with services.pool.connection() as connection:
        await look_closely(connection, found.viewer, patient_id)
        await _is_hers(connection, patient_id, proposal_id)
        return await _one(connection, found.viewer, proposal_id)


@router.post(
    "/patients/{patient_id}/proposals",
    operation_id="proposePlan",
    summary="Propose a plan",
    status_code=201,
    response_model=Proposal,
    responses=refusals(403, 409, 413),
)
async def propose(
    *, services: Services, found: Writer, patient_id: Id, body: Proposing, key: Key = None
) -> Response:
    """Propose a plan to a patient, as who cares for her; one at a time waits for her answer."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        made = await proposal.propose(
            connection,
            found.viewer,
            patient_id,
            body.plan,
            why=body.why,
            templates=tuple(body.templates),
            now=now,
        )
        return await _now_is(connection, found.viewer, made, 201)

    return await speak(services, Asked(found, patient_id, key), Action.PLAN_PROPOSED, body, act)


async def _about(
    services: ServicesOf, asked: Asked, action: Action, body: BaseModel | None, act: Act
) -> Response:
    """Do something with a proposal, if it is the patient's."""

    async def checked(connection: AsyncConnection, now: datetime) -> Kept:
        await _is_hers(connection, asked.patient_id, int(asked.about))
        return await act(connection, now)

    return await speak(services, asked, action, body, checked)


@router.post(
    "/patients/{patient_id}/proposals/{proposal_id}/preview",
    operation_id="previewProposal",
    summary="What would it have made",
    response_model=PlanPreview,
    responses=refusals(403, 409, 413),
)
async def preview(
    services: Services, found: Writer, patient_id: Id, proposal_id: Id, key: Key = None
) -> Response:
    """Hold a proposal against her own last 90 days, and keep what came of it beside it."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        came, past = await proposal.show_past(connection, found.viewer, proposal_id, now)
        if past is None:
            raise refused(came)
        return done(seen(past))

    asked = Asked(found, patient_id, key, proposal_id)
    return await _about(services, asked, Action.PLAN_PREVIEWED, None, act)


@router.post(
    "/patients/{patient_id}/proposals/{proposal_id}/question",
    operation_id="askAboutProposal",
    summary="I wonder",
    response_model=Proposal,
    responses=refusals(403, 409, 413),
)
async def ask(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    proposal_id: Id,
    body: Questioning,
    key: Key = None,
) -> Response:
    """Ask about a proposal, as the patient; her care finds the question among her messages."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        came = await proposal.ask(connection, found.viewer, proposal_id, body.text, now)
        return await _now_is(connection, found.viewer, came)

    asked = Asked(found, patient_id, key, proposal_id)
    return await _about(services, asked, Action.PLAN_QUESTIONED, body, act)


@router.post(
    "/patients/{patient_id}/proposals/{proposal_id}/agree",
    operation_id="agreeToProposal",
    summary="Yes",
    response_model=Proposal,
    responses=refusals(403, 409, 413),
)
async def agree(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    proposal_id: Id,
    body: Agreeing,
    key: Key = None,
) -> Response:
    """Say yes, as the patient; or note that she did, by telephone, at a visit, with a relative."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        came = await agreement.agree(
            connection,
            found.viewer,
            proposal_id,
            body.how,
            relative_id=body.relative_id,
            from_day=body.from_day,
            now=now,
        )
        return await _now_is(connection, found.viewer, came)

    asked = Asked(found, patient_id, key, proposal_id)
    return await _about(services, asked, Action.PLAN_AGREED, body, act)


@router.post(
    "/patients/{patient_id}/proposals/{proposal_id}/decline",
    operation_id="declineProposal",
    summary="No",
    response_model=Proposal,
    responses=refusals(403, 409, 413),
)
async def decline(
    *,
    services: Services,
    found: Writer,
    patient_id: Id,
    proposal_id: Id,
    body: DecliningPlan,
    key: Key = None,
) -> Response:
    """Say no, or note that she did; the plan of before stays in force."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        came = await proposal.decline(connection, found.viewer, proposal_id, body.how, now)
        return await _now_is(connection, found.viewer, came)

    asked = Asked(found, patient_id, key, proposal_id)
    return await _about(services, asked, Action.PLAN_DECLINED, body, act)


@router.post(
    "/patients/{patient_id}/proposals/{proposal_id}/withdraw",
    operation_id="withdrawProposal",
    summary="Take it back",
    response_model=Proposal,
    responses=refusals(403, 409, 413),
)
async def withdraw(
    services: Services, found: Writer, patient_id: Id, proposal_id: Id, key: Key = None
) -> Response:
    """Take a proposal back before it is answered: another can be made then."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        came = await proposal.withdraw(connection, found.viewer, proposal_id, now)
        return await _now_is(connection, found.viewer, came)

    asked = Asked(found, patient_id, key, proposal_id)
    return await _about(services, asked, Action.PLAN_WITHDRAWN, None, act)
