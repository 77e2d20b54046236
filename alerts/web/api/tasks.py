"""What is to be done that is no alert: listed, taken, done."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, HTTPException, Response
from psycopg import AsyncConnection
from pydantic import BaseModel

from alerts.audit.entry import Action
from alerts.care import tasks
from alerts.care.tasks import Ending
from alerts.web.api import shown
from alerts.web.api.document import refusals
from alerts.web.api.entering import Id, Staff
from alerts.web.api.example import answers, takes
from alerts.web.api.models import Task
from alerts.web.api.models.alert import TASK
from alerts.web.api.office import Asked, CareWrites, done_once
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.guard import note_listed
from alerts.web.routes.thread import ground_of, note
from alerts.web.services import Services
from alerts.words import when

router = APIRouter(tags=["tasks"])


class Tasks(BaseModel):
    """What a staff member is to do, the longest waiting first."""

    model_config = answers(tasks=[TASK])

    tasks: list[Task]


class EndingTask(BaseModel):
    """How it went."""

    model_config = takes(ending="phoned")

    ending: Literal[Ending.PHONED, Ending.DEVICE_CHANGED, Ending.NOT_NEEDED]


class EndedTask(BaseModel):
    """A task that is done."""

    model_config = answers(task_id=5, ending="phoned")

    task_id: int
    ending: Ending


@router.get("/tasks", operation_id="listTasks", summary="What I am to do", responses=refusals())
async def listed(services: Services, found: Staff) -> Tasks:
    """Return what waits for a staff member to do, as her first page shows it."""
    async with services.pool.connection() as connection:
        rows = await tasks.tasks(connection, found.viewer)
        await note_listed(connection, found.viewer, (), {one.patient_id for one in rows})
    return Tasks(tasks=[shown.task(one, datetime.now(UTC)) for one in rows])


@router.post(
    "/tasks/{task_id}/take",
    operation_id="takeTask",
    summary="I do it",
    response_model=Task,
    responses=refusals(403, 409),
)
async def take(services: Services, found: CareWrites, task_id: Id, key: Key = None) -> Response:
    """Say that one does it; for a day, then it is anybody's again."""
    viewer = found.viewer

    async def act(connection: AsyncConnection) -> Task:
        taken = await tasks.take(connection, viewer, task_id)
        if taken.patient_id is None:
            raise _not_hers(taken)
        ground = await ground_of(connection, viewer, taken.patient_id)
        await note(connection, viewer, taken.patient_id, Action.TASK_TAKEN, ground=ground)
        rows = await tasks.tasks(connection, viewer)
        hers = next((one for one in rows if one.task_id == task_id), None)
        if hers is None:  # so many wait that there is no room for it on her list
            raise HTTPException(404)
        return shown.task(hers, datetime.now(UTC))

    return await done_once(services, Asked(found, key, f"take_task {task_id}"), act)


def _not_hers(taken: tasks.Taken) -> Exception:
    if taken.name is None:
        return HTTPException(404)
    at = f" {when(taken.at, datetime.now(UTC))}" if taken.at else ""
    told = f"{taken.name} tog uppgiften{at}. Du behöver inte göra något."
    return Refused(409, Words("task-taken", "Uppgiften är redan tagen", told))


@router.post(
    "/tasks/{task_id}/done",
    operation_id="endTask",
    summary="It is done",
    response_model=EndedTask,
    responses=refusals(403, 413),
)
async def done(
    *, services: Services, found: CareWrites, task_id: Id, body: EndingTask, key: Key = None
) -> Response:
    """End a task, whoever took it. Whose a reading is ends when that is answered."""
    viewer = found.viewer

    async def act(connection: AsyncConnection) -> EndedTask:
        patient_id = await tasks.end(connection, viewer, task_id, body.ending)
        if patient_id is None:
            raise HTTPException(404)
        ground = await ground_of(connection, viewer, patient_id)
        await note(
            connection,
            viewer,
            patient_id,
            Action.TASK_ENDED,
            ground=ground,
            answer=body.ending,
        )
        return EndedTask(task_id=task_id, ending=body.ending)

    return await done_once(services, Asked(found, key, f"end_task {task_id}", body), act)
