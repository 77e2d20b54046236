"""Templates: plans for a diagnosis that a clinician has approved, and one plan made of several."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field, ValidationError

from alerts.care import template
from alerts.care.merge import MergeError, Named
from alerts.care.plan_spec import PlanSpec
from alerts.care.template import NoTemplateError, Refusal
from alerts.sending.store import now
from alerts.web.api.document import refusals
from alerts.web.api.entering import Staff, Writer
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.office import Asked, done_once
from alerts.web.api.plans import PLAN
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.guard import Closed
from alerts.web.services import Services
from alerts.web.session import Session

router = APIRouter(tags=["plans"])

KEY_PATTERN: Final = r"^[a-z0-9_]{1,40}$"
_MERGED_MAX: Final = 10
_NAME_CHARS_MAX: Final = 100
_ABSENT: Final = Words(
    "template-absent",
    "Mallen finns inte",
    "En mall finns inte, eller så är den inte godkänd. Läs listan igen.",
)
_OUTDATED: Final = Words(
    "template-outdated",
    "Mallen är för gammal",
    "Den godkändes när en annan regel gällde. Godkänn en ny version av den först.",
)
_CHANGED: Final = Words(
    "template-changed",
    "Någon annan har ändrat mallen",
    "En annan version är i bruk än den du såg. Läs listan igen och försök sedan. "
    "Inget har ändrats.",
)
_TEMPLATE: Final = {
    "key": "heart_failure",
    "version": 2,
    "name": "Hjärtsvikt",
    "approved_by": "Anna Provberg, distriktssköterska",
    "approved_at": AT,
    "plan": PLAN,
}
TemplateKey = Annotated[str, Path(pattern=KEY_PATTERN, examples=["heart_failure"])]


class Template(BaseModel):
    """A plan for a diagnosis."""

    model_config = answers(**_TEMPLATE)

    key: str
    version: int
    name: str
    approved_by: str
    approved_at: Utc
    plan: PlanSpec | None = Field(description="Null: it was approved when another rule held.")


class Templates(BaseModel):
    """The templates in use, by name."""

    model_config = answers(templates=[_TEMPLATE])

    templates: list[Template]


class MergedPlan(BaseModel):
    """One plan of several templates, to be edited and proposed."""

    model_config = answers(
        plan=PLAN,
        notes=["Systoliskt blodtryck: gul från 150, den strängare av Hjärtsvikt (150)."],
        templates=["heart_failure:2", "blood_pressure:1"],
    )

    plan: PlanSpec
    notes: list[str] = Field(description="In Swedish: what was decided on the way.")
    templates: list[str] = Field(description="Key and version of each: goes into the proposal.")


class Approving(BaseModel):
    """A plan for a diagnosis, read and found good."""

    model_config = takes(name="Hjärtsvikt", plan=PLAN, seen_version=2)

    name: str = Field(min_length=1, max_length=_NAME_CHARS_MAX)
    plan: PlanSpec
    seen_version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="The `version` that it follows; null: there is none."
    )


class Retiring(BaseModel):
    """Which version is to be used no more."""

    model_config = takes(seen_version=2)

    seen_version: int = Field(ge=1, le=2**31 - 1, description="The `version` that was read.")


class ApprovedTemplate(BaseModel):
    """The version that is in use from now on."""

    model_config = answers(key="heart_failure", version=3)

    key: str
    version: int


class RetiredTemplate(BaseModel):
    """A template that is in use no more; plans that came of it stay as they are."""

    model_config = answers(key="heart_failure")

    key: str


async def _approver(found: Writer) -> Session:
    """Let go on who approves templates; for others there are none to approve."""
    if not template.is_approver(found.viewer):
        raise Closed
    return found


Approver = Annotated[Session, Depends(_approver)]


def _plan(one: template.Template) -> PlanSpec | None:
    try:
        return one.named().spec
    except ValidationError:
        return None


@router.get(
    "/plan-templates",
    operation_id="listTemplates",
    summary="Plans to begin with",
    responses=refusals(),
)
async def listed(services: Services, found: Staff) -> Templates:
    """Return the approved templates of one's own huvudman."""
    async with services.pool.connection() as connection:
        rows = await template.in_use(connection, found.viewer)
    return Templates(
        templates=[
            Template(
                key=one.key,
                version=one.version,
                name=one.name,
                approved_by=one.approved_by,
                approved_at=one.approved_at,
                plan=_plan(one),
            )
            for one in rows
        ]
    )


@router.get(
    "/plan-templates/merged",
    operation_id="mergeTemplates",
    summary="One plan of several",
    responses=refusals(409),
)
async def merged(
    services: Services,
    found: Staff,
    key: Annotated[list[str], Query(min_length=1, max_length=_MERGED_MAX)],
) -> MergedPlan:
    """Make one plan of templates, by the stricter of their limits; it says what it decided."""
    async with services.pool.connection() as connection:
        try:
            made = await template.combine(connection, found.viewer, key)
        except NoTemplateError:
            raise Refused(422, _ABSENT) from None
        except MergeError as error:
            told = f"{' '.join(error.reasons)} Välj själv, eller utgå från bara en av dem."
            raise Refused(409, Words("templates-differ", "Mallarna går inte ihop", told)) from None
        except ValidationError:
            raise Refused(409, _OUTDATED) from None
    return MergedPlan(
        plan=made.merged.spec, notes=list(made.merged.notes), templates=list(made.origins)
    )


@router.post(
    "/plan-templates/{template_key}/approve",
    operation_id="approveTemplate",
    summary="This is good",
    status_code=201,
    response_model=ApprovedTemplate,
    responses=refusals(403, 409, 413),
)
async def approve(
    *,
    services: Services,
    found: Approver,
    template_key: TemplateKey,
    body: Approving,
    key: Key = None,
) -> Response:
    """Put a template in use, as a coordinator who gives care, for one's own huvudman.

    It follows the version that was seen.
    """

    async def act(connection: AsyncConnection) -> ApprovedTemplate:
        version = await template.approve(
            connection,
            found.viewer,
            template_key,
            Named(body.name, body.plan),
            seen_version=body.seen_version,
            now=await now(connection),
        )
        if isinstance(version, Refusal):
            raise _refused(version)
        return ApprovedTemplate(key=template_key, version=version)

    asked = Asked(found, key, f"approve {template_key}", body)
    return await done_once(services, asked, act, status=201)


@router.post(
    "/plan-templates/{template_key}/retire",
    operation_id="retireTemplate",
    summary="Not this one any more",
    response_model=RetiredTemplate,
    responses=refusals(403, 409, 413),
)
async def retire(
    *,
    services: Services,
    found: Approver,
    template_key: TemplateKey,
    body: Retiring,
    key: Key = None,
) -> Response:
    """Take a template out of use. Plans that came of it are their patients' and stay."""

    async def act(connection: AsyncConnection) -> RetiredTemplate:
        refusal = await template.retire(
            connection,
            found.viewer,
            template_key,
            seen_version=body.seen_version,
            now=await now(connection),
        )
        if refusal is not None:
            raise _refused(refusal)
        return RetiredTemplate(key=template_key)

    return await done_once(services, Asked(found, key, f"retire {template_key}", body), act)


def _refused(refusal: Refusal) -> Exception:
    return Refused(409, _CHANGED) if refusal is Refusal.CHANGED else Closed()
