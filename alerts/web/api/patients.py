"""Whom the viewer follows, and what they measure. A patient follows herself."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query

from alerts.access import Access, Ground, Scope
from alerts.care import people
from alerts.web.api import cursor, models, queries, shown
from alerts.web.api.document import refusals
from alerts.web.api.entering import Anyone, Cursor, Id, Staff, look
from alerts.web.guard import Closed, note_listed
from alerts.web.services import Services
from alerts.words import swedish_order

router = APIRouter(tags=["patients"])

PAGE_MAX: Final = 200
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="At most so many a page.")]


@router.get(
    "/patients",
    operation_id="listPatients",
    summary="Whom I follow",
    responses=refusals(),
)
async def listed(services: Services, found: Staff) -> models.Patients:
    """Return the patients a staff member follows, as on her first page."""
    async with services.pool.connection() as connection:
        followed = await people.patients(connection, found.viewer)
        await note_listed(connection, found.viewer, [one.patient_id for one in followed])
    followed.sort(key=lambda one: swedish_order(f"{one.family_name} {one.given_name}"))
    return models.Patients(patients=[shown.listed(one) for one in followed])


@router.get(
    "/patients/{patient_id}",
    operation_id="getPatient",
    summary="One patient",
    responses=refusals(),
)
async def one_patient(services: Services, found: Anyone, patient_id: Id) -> models.Patient:
    """Return who a patient is, who cares for her, and how much of her is open."""
    async with services.pool.connection() as connection:
        access = await look(connection, found.viewer, patient_id)
        known = await people.known(connection, patient_id)
    if known is None:
        raise Closed
    return _patient(known, access)


def _patient(known: people.Patient, access: Access) -> models.Patient:
    needs = access.ground is not Ground.RELATIVE  # she knows whom she helps
    reaches = access.sees(Scope.CONTACT)
    return models.Patient(
        **shown.name_of(known).model_dump(),
        personal_number=known.personal_number if needs else None,
        phone=known.phone if needs else None,
        diagnosis=known.diagnosis if access.sees(Scope.PLAN) else None,
        unit_name=known.unit_name,
        unit_phone=known.unit_phone,
        unit_hours=known.unit_hours,
        contact_name=known.contact_name if reaches else None,
        contact_role=known.contact_role if reaches else None,
        contact_phone=known.contact_phone if reaches else None,
        ground=access.ground,
        scopes=sorted(access.scopes),
        may_act=access.may_act,
    )


@router.get(
    "/patients/{patient_id}/readings",
    operation_id="listReadings",
    summary="What she measured",
    responses=refusals(),
)
async def readings(
    services: Services,
    found: Anyone,
    patient_id: Id,
    before: Cursor = None,
    limit_count: Limit = 50,
) -> models.Readings:
    """Return what a patient has measured, the newest first."""
    purpose = f"readings {patient_id}"
    async with services.pool.connection() as connection:
        await look(connection, found.viewer, patient_id, Scope.VALUES)
        position = _position(cursor.read(found, purpose, before)) if before else None
        rows = await queries.readings(connection, patient_id, position, most=limit_count + 1)
    page, following = cursor.page(
        found, purpose, rows, limit_count, lambda one: (one.measured_at, one.reading_id)
    )
    return models.Readings(readings=[shown.reading(one) for one in page], next_cursor=following)


def _position(text: str) -> tuple[datetime, str]:
    at, _, reading_id = text.partition(" ")
    return datetime.fromisoformat(at), reading_id


@router.get(
    "/patients/{patient_id}/alerts",
    operation_id="listPatientAlerts",
    summary="Her alerts",
    responses=refusals(),
)
async def alerts(
    services: Services,
    found: Anyone,
    patient_id: Id,
    before: Cursor = None,
    limit_count: Limit = 50,
) -> models.Alerts:
    """Return a patient's alerts, those that have ended too, the newest first."""
    purpose = f"alerts {patient_id}"
    async with services.pool.connection() as connection:
        await look(connection, found.viewer, patient_id, Scope.ALERTS)
        number = int(cursor.read(found, purpose, before)) if before else queries.FIRST
        rows = await queries.alerts(connection, patient_id, before=number, most=limit_count + 1)
    page, following = cursor.page(found, purpose, rows, limit_count, lambda one: (one.alert_id,))
    return models.Alerts(
        alerts=[shown.alert(case, found.viewer) for case in page], next_cursor=following
    )
