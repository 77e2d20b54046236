"""Who is logged in, and the token of her writes."""

from fastapi import APIRouter

from alerts.care.people import Viewer
from alerts.web.api import models
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone
from alerts.web.api.models import Kind

router = APIRouter(tags=["me"])


@router.get("/me", operation_id="getMe", summary="Who am I", responses=refusals())
async def me(found: Anyone) -> models.Me:
    """Return who is logged in, and the token that every POST carries."""
    viewer = found.viewer
    return models.Me(
        kind=_kind(viewer),
        name=viewer.name,
        role=viewer.role,
        unit_name=viewer.unit_name,
        staff_id=viewer.staff_id,
        unit_id=viewer.unit_id,
        patient_id=viewer.patient_id,
        relative_id=viewer.relative_id,
        method=found.method,
        assurance=found.assurance,
        csrf_token=found.csrf_token,
    )


def _kind(viewer: Viewer) -> Kind:
    if viewer.patient_id is not None:
        return Kind.PATIENT
    if viewer.relative_id is not None:
        return Kind.RELATIVE
    return Kind.TECHNICIAN if viewer.is_technician else Kind.STAFF
