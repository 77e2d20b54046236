"""What waits for a nurse and is no alert: who may take it up, and what the access log keeps of it.

A message or a task that waits too long is open to the patient's unit, by its queue, and nothing
else of her.
"""

from typing import NoReturn

from psycopg import AsyncConnection

from alerts.access import Access, Ground, decide
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.care import messages, tasks
from alerts.care.facts import facts
from alerts.care.people import Viewer
from alerts.web.guard import Closed, let_in


async def enter_thread(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, action: Action
) -> str:
    """Return the ground on which a thread is open; refuse, and log that, if it is not."""
    if not await messages.may_answer(connection, viewer, patient_id):
        await _refuse(connection, viewer, patient_id, action)
    return await ground_of(connection, viewer, patient_id)


async def enter_task(
    connection: AsyncConnection, viewer: Viewer, task_id: int, action: Action
) -> tuple[int, str]:
    """Return whose a task is, and the ground on which it waits for *viewer*, or did.

    Raises:
        Closed: It does not, which is logged; or there is none.
    """
    found = await tasks.whose(connection, viewer, task_id)
    if found is None:
        raise Closed
    if not found.waits:
        await _refuse(connection, viewer, found.patient_id, action)
    return found.patient_id, await ground_of(connection, viewer, found.patient_id)


async def _refuse(
    connection: AsyncConnection, viewer: Viewer, patient_id: int, action: Action
) -> NoReturn:
    await let_in(connection, viewer, patient_id, action, acts=True)
    raise Closed  # a relation came in between: the next try finds it


async def ground_of(connection: AsyncConnection, viewer: Viewer, patient_id: int) -> str:
    """Return the relation that what waits for *viewer* is before her by; else her unit's queue."""
    known = (await facts(connection, viewer, [patient_id])).get(patient_id)
    access = None if known is None else decide(viewer, known)
    own = isinstance(access, Access) and access.may_act
    return access.ground if own and isinstance(access, Access) else Ground.QUEUE


async def note(
    connection: AsyncConnection,
    viewer: Viewer,
    patient_id: int,
    action: Action,
    *,
    ground: str,
    answer: str = "",
) -> None:
    """Keep in the access log what was done, and what came of it."""
    detail = {"answer": answer} if answer else {}
    entry = Entry.by(viewer, action, ground, patient_id=patient_id, detail=detail)
    await append(connection, entry)
