"""What is to be done that is no alert: listed, taken, done."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter, Response
from psycopg import AsyncConnection
from pydantic import BaseModel

from alerts.audit.entry import Action
from alerts.care import tasks
from alerts.care.tasks import Ending
from alerts.web.api import shown
from alerts.web.api.deed import Act, Deed, carry_out
from alerts.web.api.deed import done as kept
from alerts.web.api.document import refusals
from alerts.web.api.entering import Id, Staff
from alerts.web.api.example import answers, takes
from alerts.web.api.models import Task
from alerts.web.api.models.alert import TASK
from alerts.web.api.office import CareWrites
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Kept, Key
from alerts.web.guard import Closed, note_listed
from alerts.web.services import Services, ServicesOf
from alerts.web.session import Session
from alerts.web.waiting import enter_task
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

    async def act(connection: AsyncConnection, now: datetime) -> Kept:
        taken = await tasks.take(connection, viewer, task_id)
        if taken.patient_id is None:
            raise _not_hers(taken)
        rows = await tasks.tasks(connection, viewer)
        hers = next((one for one in rows if one.task_id == task_id), None)
        if hers is None:  # so many wait that there is no room for it on her list
            raise Closed
        return kept(shown.task(hers, now))

    return await _carry_out(services, found, _Asked(task_id, Action.TASK_TAKEN, key), act)


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

    async def act(connection: AsyncConnection, _now: datetime) -> Kept:
        if await tasks.end(connection, found.viewer, task_id, body.ending) is None:
            raise Closed
        return kept(EndedTask(task_id=task_id, ending=body.ending))

    asked = _Asked(task_id, Action.TASK_ENDED, key, body.ending)
    return await _carry_out(services, found, asked, act)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be done with which task, and under which key."""

    task_id: int
    action: Action
    key: str | None
    ending: str = ""


async def _carry_out(services: ServicesOf, found: Session, asked: _Asked, act: Act) -> Response:
    """Do it for whom the task waits; so is asked before a kept answer is given again, too."""
    async with services.pool.connection() as connection:
        patient_id, ground = await enter_task(connection, found.viewer, asked.task_id, asked.action)
        deed = Deed(
            found=found,
            action=asked.action,
            patient_id=patient_id,
            ground=ground,
            key=asked.key,
            asked=(f"{asked.action} {asked.task_id}", asked.ending),
            about=(("ending", asked.ending),) if asked.ending else (),
            is_noted=False,
        )
        return await carry_out(connection, deed, act)


def _not_hers(taken: tasks.Taken) -> Exception:
    if taken.name is None:
        return Closed()
    at = f" {when(taken.at, datetime.now(UTC))}" if taken.at else ""
    told = f"{taken.name} tog uppgiften{at}. Du behöver inte göra något."
    return Refused(409, Words("task-taken", "Uppgiften är redan tagen", told))
