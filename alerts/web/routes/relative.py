"""A relative's page: exactly what the patient shares, for as long as she shares it."""

from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from alerts import measurements
from alerts.access import Scope
from alerts.audit.entry import Action
from alerts.care import people, plan
from alerts.web.guard import Closed, Relative, let_in
from alerts.web.pages import page
from alerts.web.services import Services
from alerts.worklist import open_cases

router = APIRouter()

# As on the patient's own page: older values are history.
_LOOK_BACK: Final = timedelta(days=30)


@router.get("/narstaende")
async def relatives_page(request: Request, services: Services, found: Relative) -> Response:
    """Show a relative what the patient shares with her now."""
    viewer = found.viewer
    now = datetime.now(UTC)
    async with services.pool.connection() as connection:
        row = await (
            await connection.execute(
                "select patient_id from relative where relative_id = %s", (viewer.relative_id,)
            )
        ).fetchone()
        assert row is not None  # the account refers to it
        patient_id: int = row[0]
        try:
            access = await let_in(connection, viewer, patient_id, Action.RELATIVE_PAGE_SEEN)
        except Closed:
            return page(
                request,
                "error.html",
                session=found,
                status=404,
                heading="Ingen delar något med dig just nu",
                told="Den du hjälper väljer själv vad du får se, och hur länge. Prata med henne "
                "eller honom om du tror att det är fel. Är det akut: ring 112.",
            )
        patient = await people.known(connection, patient_id)
        assert patient is not None  # she was let in to her
        sees = access.sees
        readings = (
            await measurements.readings(connection, patient_id, now - _LOOK_BACK)
            if sees(Scope.VALUES)
            else []
        )
        cases = await open_cases(connection, patient_id) if sees(Scope.ALERTS) else []
        advice = await plan.advice(connection, patient_id) if sees(Scope.PLAN) else None
    return page(
        request,
        "relative.html",
        session=found,
        now=now,
        patient=patient,
        access=access,
        latest=measurements.latest(readings),
        cases=cases,
        advice=advice,
    )
