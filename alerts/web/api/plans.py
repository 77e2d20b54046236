"""Plans in force, and those before them: what is judged by, and what she does at each level."""

from datetime import date, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field, ValidationError

from alerts.access import Scope
from alerts.audit.entry import Action
from alerts.care import plan, plan_end, plan_spec
from alerts.care.plan_spec import PlanSpec
from alerts.care.proposal import Answer, How
from alerts.sending.store import now
from alerts.web.api import cursor
from alerts.web.api.deed import Asked, done, speak
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Cursor, Id, Number, Writer, look
from alerts.web.api.example import AT, LATER, answers, takes
from alerts.web.api.problem import Words, refusal
from alerts.web.api.repeat import Kept, Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed
from alerts.web.services import Services

router = APIRouter(tags=["plans"])

PLAN: Final = {
    "limits": [
        {
            "quantity": "systolic",
            "yellow_low": 100.0,
            "yellow_high": 150.0,
            "red_low": 90.0,
            "red_high": 180.0,
        }
    ],
    "rules": [{"kind": "change", "quantity": "body_weight", "days": 3, "up": 2.0}],
    "advice": {"green": "Mät varje morgon.", "yellow": "Ring Anna.", "red": "Ring 1177."},
    "schedule": [{"quantity": "systolic", "part": "morning", "weekdays": [1, 3, 5]}],
    "goals": "Orka till affären.",
    "reference": "SIP 2026-11",
    "review_on": "2027-05-03",
}
_UNCHANGED: Final = "Inget har ändrats."
REFUSED: Final = {
    Answer.NOT_YOURS: (
        403,
        Words(
            "plan-end-not-yours",
            "Så kan planen inte avslutas",
            "Vården avslutar den tillsammans med patienten, per telefon eller vid besök. "
            f"{_UNCHANGED}",
        ),
    ),
    Answer.NO_RELATIVE: (
        422,
        Words(
            "plan-end-no-relative",
            "Den närstående kan inte vara med",
            f"Personen finns inte, eller får inte se planen. {_UNCHANGED}",
        ),
    ),
    Answer.NO_PLAN: (
        409,
        Words(
            "plan-end-none",
            "Det finns ingen plan att avsluta",
            f"Du behöver inte göra något. {_UNCHANGED}",
        ),
    ),
    Answer.NO_TEXT: (
        422,
        Words("plan-end-why", "Det står inte varför", f"Skriv en kort orsak. {_UNCHANGED}"),
    ),
    Answer.IN_THE_PAST: (
        422,
        Words(
            "plan-end-past",
            "Dagen har redan varit",
            f"Det som är bedömt förblir bedömt. Välj i dag eller en dag som kommer. {_UNCHANGED}",
        ),
    ),
    Answer.TOO_FAR: (
        422,
        Words(
            "plan-end-too-far",
            "Dagen ligger för långt fram",
            f"Välj en dag inom ett år. {_UNCHANGED}",
        ),
    ),
}
_SPAN: Final = {
    "plan_version_id": 9,
    "in_force_from": AT,
    "until_at": LATER,
    "agreed_how": "per telefon",
    "ended_why": None,
    "is_in_force": True,
}


class PlanSpan(BaseModel):
    """A version of a plan, and when it was or is in force."""

    model_config = answers(**_SPAN)

    plan_version_id: int
    in_force_from: Utc
    until_at: Utc | None = Field(description="Exclusive; null: no other has followed it.")
    agreed_how: str = Field(description="In Swedish: by telephone, at a visit, by herself.")
    ended_why: str | None = Field(
        description="The plan ended then, and why; nothing is judged by it. Null: it is a plan."
    )
    is_in_force: bool


class PlanSpans(BaseModel):
    """The versions of a patient's plan, the newest first; the first may be to come."""

    model_config = answers(versions=[_SPAN], next_cursor=None)

    versions: list[PlanSpan]
    next_cursor: str | None


class PlanVersion(PlanSpan):
    """A whole version."""

    model_config = answers(**_SPAN, plan=PLAN)

    plan: PlanSpec | None = Field(
        description="Null: the plan ended then; or it is of before a rule of today, and can be "
        "judged by but not be shown."
    )


class EndingPlan(BaseModel):
    """From which day on nothing is judged, why, and how she said so."""

    model_config = takes(
        how="phone",
        why="Frisk igen; har själv valt att sluta.",
        relative_id=None,
        from_day=None,
    )

    how: Literal[How.PHONE, How.VISIT, How.RELATIVE] = Field(
        description="It ends together with her."
    )
    why: str = Field(min_length=1, max_length=plan_end.WHY_CHARS_MAX)
    relative_id: Number | None = Field(None, description="With whom, for `relative`.")
    from_day: date | None = Field(None, description="In Sweden. Null: from now.")


class Plan(BaseModel):
    """The plan that is in force."""

    model_config = answers(version={**_SPAN, "plan": PLAN})

    version: PlanVersion | None = Field(description="Null: she has no plan.")


def _span(one: plan.Span, at: datetime) -> PlanSpan:
    return PlanSpan(
        plan_version_id=one.plan_version_id,
        in_force_from=one.from_at,
        until_at=one.until_at,
        agreed_how=one.agreed_how,
        ended_why=one.ended_why,
        is_in_force=one.from_at <= at and (one.until_at is None or at < one.until_at),
    )


async def _whole(connection: AsyncConnection, one: plan.Span, at: datetime) -> PlanVersion:
    if one.ended_why is not None:
        return PlanVersion(**_span(one, at).model_dump(), plan=None)
    try:
        held = await plan_spec.load(connection, one.plan_version_id)
    except ValidationError:
        held = None
    return PlanVersion(**_span(one, at).model_dump(), plan=held)


@router.get(
    "/patients/{patient_id}/plan",
    operation_id="getPlan",
    summary="Her plan",
    responses=refusals(),
)
async def in_force(services: Services, found: Anyone, patient_id: Id) -> Plan:
    """Return the plan that is in force now, whole."""
    async with services.pool.connection() as connection:
        await look(connection, found.viewer, patient_id, Scope.PLAN)
        at = await now(connection)
        version = await plan_spec.version_at(connection, patient_id, at)
        if version is None:
            return Plan(version=None)
        return Plan(version=await _version(connection, patient_id, version.plan_version_id, at))


@router.get(
    "/patients/{patient_id}/plan-versions",
    operation_id="listPlanVersions",
    summary="Her plan over time",
    responses=refusals(),
)
async def versions(
    services: Services,
    found: Anyone,
    patient_id: Id,
    before: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=plan.VERSIONS_MAX)] = 50,
) -> PlanSpans:
    """Return when which version was in force, the newest first."""
    purpose = f"plan-versions {patient_id}"
    async with services.pool.connection() as connection:
        await look(connection, found.viewer, patient_id, Scope.PLAN)
        position = cursor.moment(found, purpose, before)
        rows = await plan.spans(connection, patient_id, limit_count + 1, position)
        at = await now(connection)
    page, following = cursor.page(found, purpose, rows, limit_count, lambda one: (one.from_at,))
    return PlanSpans(versions=[_span(one, at) for one in page], next_cursor=following)


@router.get(
    "/patients/{patient_id}/plan-versions/{plan_version_id}",
    operation_id="getPlanVersion",
    summary="One version of her plan",
    responses=refusals(),
)
async def one_version(
    services: Services, found: Anyone, patient_id: Id, plan_version_id: Id
) -> PlanVersion:
    """Return a version of a patient's plan, whole."""
    async with services.pool.connection() as connection:
        await look(connection, found.viewer, patient_id, Scope.PLAN)
        return await _version(connection, patient_id, plan_version_id, await now(connection))


@router.post(
    "/patients/{patient_id}/plan/end",
    operation_id="endPlan",
    summary="No plan any more",
    response_model=PlanVersion,
    responses=refusals(403, 409, 413),
)
async def end(
    *, services: Services, found: Writer, patient_id: Id, body: EndingPlan, key: Key = None
) -> Response:
    """End a patient's plan, as who cares for her. Open alerts stay until a person ends them."""

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        ended = await plan_end.end(
            connection,
            found.viewer,
            patient_id,
            body.how,
            why=body.why,
            relative_id=body.relative_id,
            from_day=body.from_day,
            now=now,
        )
        if ended.answer is not Answer.DONE or ended.plan_version_id is None:
            raise refusal(REFUSED, ended.answer)
        return done(await _version(connection, patient_id, ended.plan_version_id, now))

    return await speak(services, Asked(found, patient_id, key), Action.PLAN_ENDED, body, act)


async def _version(
    connection: AsyncConnection, patient_id: int, plan_version_id: int, at: datetime
) -> PlanVersion:
    span = await plan.span(connection, patient_id, plan_version_id)
    if span is None:
        raise Closed
    return await _whole(connection, span, at)
