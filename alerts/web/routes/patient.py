"""The patient's own page: how today looks, what to do, whom to call."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from alerts import log, measurements
from alerts.alert import Event
from alerts.care import people, plan
from alerts.today import today
from alerts.web.guard import Patient
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.worklist import open_cases

router = APIRouter()

# Older values are history, not how it looks today.
_LOOK_BACK = timedelta(days=30)


@router.get("/me")
async def my_page(request: Request, services: Services, found: Patient) -> Response:
    """Show a patient her day."""
    assert found.viewer.patient_id is not None
    patient_id = found.viewer.patient_id
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        patient = await people.patient(connection, found.viewer, patient_id)
        cases = await open_cases(connection, patient_id)
        readings = await measurements.readings(connection, patient_id, now - _LOOK_BACK)
        advice = await plan.advice(connection, patient_id)
        entries = await log.entries(connection, patient_id)
    if patient is None:
        raise HTTPException(404)
    active = {case.alert_id for case in cases}
    seen = next((e for e in entries if e.event == Event.SHOWN and e.alert_id in active), None)
    taken = next((case for case in cases if not case.is_open), None)
    return page(
        request,
        "me.html",
        session=found,
        now=now,
        patient=patient,
        today=today(cases, readings, advice, now),
        latest=measurements.latest(readings),
        newest=readings[0] if readings else None,
        seen=seen,
        taken=taken,
        advice=advice,
    )
