"""The patient's own page: how today looks, what to do, whom to call."""

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from alerts import measurements
from alerts.audit.entry import Action
from alerts.care import people, plan, receipt_line, whose_reading
from alerts.today import today
from alerts.web.guard import Patient, let_in
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
        await let_in(connection, found.viewer, patient_id, Action.OWN_PAGE_SEEN)
        patient = await people.known(connection, patient_id)
        cases = await open_cases(connection, patient_id)
        readings = await measurements.readings(connection, patient_id, now - _LOOK_BACK)
        advice = await plan.advice(connection, patient_id)
        bands = await plan.bands(connection, patient_id)
        receipt = await receipt_line.newest(connection, patient_id)
        weighed = await whose_reading.of_patient(connection, patient_id, now)
    if patient is None:
        raise HTTPException(404)
    limited = {band.quantity for band in bands if band.is_in_force(now)}
    return page(
        request,
        "me.html",
        session=found,
        now=now,
        patient=patient,
        today=today(cases, readings, advice, limited, now),
        latest=measurements.latest(readings),
        receipt=receipt_line.line(receipt, now) if receipt else "",
        advice=advice,
        weighed=weighed,
        was_answered="besvarad" in request.query_params,
    )
