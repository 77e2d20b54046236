"""The worklist, an alert and its log."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Response

from alerts import log
from alerts.access import Scope
from alerts.care import messages, tasks
from alerts.web.api import cursor, models, queries, shown
from alerts.web.api.document import refusals, with_etag
from alerts.web.api.entering import Anyone, Cursor, Id, Staff, alert_patient, look
from alerts.web.api.etag import etag, is_same
from alerts.web.api.repeat import Kept
from alerts.web.guard import Closed, note_listed
from alerts.web.services import Services
from alerts.worklist import Place, worklist

router = APIRouter(tags=["alerts"])

ENTRIES_MAX: Final = 200

IfNoneMatch = Annotated[
    str,
    Header(
        alias="If-None-Match",
        max_length=400,
        description="The ETag of the alert as it was read: if nothing has changed, 304.",
        examples=['"17.0f343b0931126a20f133d67c2b018a3b"'],
    ),
]


@router.get(
    "/worklist",
    operation_id="getWorklist",
    summary="What waits for me",
    responses=refusals(),
)
async def my_worklist(services: Services, found: Staff, after: Cursor = None) -> models.Worklist:
    """Return a staff member's alerts, messages and tasks, as her first page shows them."""
    viewer = found.viewer
    assert viewer.staff_id is not None
    async with services.pool.connection() as connection:
        place = Place.read(cursor.read(found, "worklist", after)) if after else None
        listed = await worklist(connection, viewer, after=place)
        await log.append_shown(connection, viewer.staff_id, [row.alert_id for row in listed.rows])
        letters = await messages.waiting(connection, viewer)
        todo = await tasks.tasks(connection, viewer)
        waiting = {one.patient_id for one in letters} | {one.patient_id for one in todo}
        await note_listed(connection, viewer, {row.patient_id for row in listed.rows}, waiting)
    now = datetime.now(UTC)
    return models.Worklist(
        red_count=listed.red,
        yellow_count=listed.yellow,
        left_out_count=listed.left_out,
        alerts=[shown.alert(row, viewer) for row in listed.rows],
        messages=[shown.waiting(one) for one in letters],
        tasks=[shown.task(one, now) for one in todo],
        next_cursor=cursor.write(found, "worklist", str(listed.next)) if listed.next else None,
    )


@router.get(
    "/alerts/{alert_id}",
    operation_id="getAlert",
    summary="One alert",
    response_model=models.Alert,
    responses=with_etag(with_etag(refusals()), 304),
)
async def one_alert(
    services: Services,
    found: Anyone,
    alert_id: Id,
    if_none_match: IfNoneMatch = "",
) -> Response:
    """Return an alert and its version, which If-Match names; 304 if the client has that one."""
    viewer = found.viewer
    async with services.pool.connection() as connection:
        patient_id = await alert_patient(connection, alert_id)
        access = await look(connection, viewer, patient_id, Scope.ALERTS)
        if access.may_act and viewer.staff_id is not None:
            await log.append_shown(connection, viewer.staff_id, [alert_id])
        case = await queries.alert(connection, alert_id)
        if case is None:
            raise Closed
        now = await etag(connection, case, viewer)
    if is_same(now, if_none_match):
        return Response(status_code=304, headers={"ETag": now})
    return Kept(200, now, shown.alert(case, viewer).model_dump_json()).response()


@router.get(
    "/alerts/{alert_id}/log",
    operation_id="getAlertLog",
    summary="What happened to an alert",
    responses=refusals(),
)
async def alert_log(
    services: Services,
    found: Staff,
    alert_id: Id,
    before: Cursor = None,
    limit_count: Annotated[int, Query(ge=1, le=ENTRIES_MAX)] = 50,
) -> models.AlertLog:
    """Return what happened to an alert, for those who care; the newest first."""
    purpose = f"log {alert_id}"
    async with services.pool.connection() as connection:
        patient_id = await alert_patient(connection, alert_id)
        await look(connection, found.viewer, patient_id, Scope.ALERTS)
        number = int(cursor.read(found, purpose, before)) if before else queries.FIRST
        rows = await queries.entries(connection, alert_id, before=number, most=limit_count + 1)
    page, following = cursor.page(found, purpose, rows, limit_count, lambda one: (one.entry_id,))
    return models.AlertLog(entries=[shown.entry(one) for one in page], next_cursor=following)
