"""Work beside patients: who may do it, by her function and her unit; and what she writes, once.

A unit that is not the viewer's does not exist for her: 404, as a patient's page does.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Response
from psycopg import AsyncConnection
from pydantic import BaseModel

from alerts.care.organisation import Function
from alerts.web.api.entering import Anyone, Writer
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Kept, once
from alerts.web.services import ServicesOf
from alerts.web.session import Session

# Who has something to do with a unit's people; a technician has not.
_AT_WORK = frozenset({Function.CARE, Function.COORDINATOR, Function.REVIEWER})


def _only(found: Session, functions: frozenset[Function]) -> Session:
    viewer = found.viewer
    if viewer.staff_id is None or viewer.functions.isdisjoint(functions):
        raise HTTPException(404)
    return found


async def _colleague(found: Anyone) -> Session:
    return _only(found, _AT_WORK)


async def _colleague_writes(found: Writer) -> Session:
    return _only(found, _AT_WORK)


async def _coordinator(found: Anyone) -> Session:
    return _only(found, frozenset({Function.COORDINATOR}))


async def _coordinator_writes(found: Writer) -> Session:
    return _only(found, frozenset({Function.COORDINATOR}))


async def _reviewer(found: Anyone) -> Session:
    return _only(found, frozenset({Function.REVIEWER}))


async def _reviewer_writes(found: Writer) -> Session:
    return _only(found, frozenset({Function.REVIEWER}))


async def _care_writes(found: Writer) -> Session:
    return _only(found, frozenset({Function.CARE}))


async def _technician_writes(found: Writer) -> Session:
    if not found.viewer.is_technician:
        raise HTTPException(404)
    return found


Colleague = Annotated[Session, Depends(_colleague)]
ColleagueWrites = Annotated[Session, Depends(_colleague_writes)]
Coordinator = Annotated[Session, Depends(_coordinator)]
CoordinatorWrites = Annotated[Session, Depends(_coordinator_writes)]
Reviewer = Annotated[Session, Depends(_reviewer)]
ReviewerWrites = Annotated[Session, Depends(_reviewer_writes)]
CareWrites = Annotated[Session, Depends(_care_writes)]
TechnicianWrites = Annotated[Session, Depends(_technician_writes)]


def staff_id(found: Session) -> int:
    """Return the number of a staff member, whom the guards above have let in."""
    assert found.viewer.staff_id is not None
    return found.viewer.staff_id


def own_unit(found: Session, unit_id: int | None) -> int:
    """Return *unit_id*, which is the viewer's own.

    Raises:
        HTTPException: It is another's, or there is none: 404.
    """
    if unit_id is None or unit_id != found.viewer.unit_id:
        raise HTTPException(404)
    return unit_id


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what to be done, and under which key."""

    found: Session
    key: str | None
    what: str  # the operation and whom it is about
    body: BaseModel | None = None

    def request(self) -> tuple[str, Any]:
        """Return what belongs to the key."""
        return self.what, None if self.body is None else self.body.model_dump(mode="json")


async def done_once(
    services: ServicesOf,
    asked: Asked,
    act: Callable[[AsyncConnection], Awaitable[BaseModel]],
    *,
    status: int = 200,
) -> Response:
    """Do it in a transaction with its answer; the same again gets the same answer.

    What *act* refuses, by raising, has changed nothing. A kept answer is given again without
    asking *act*: what is about a patient goes by ``alerts.web.api.deed`` instead, which asks for
    the relation first.
    """

    async def kept(connection: AsyncConnection) -> Kept:
        return Kept(status, "", (await act(connection)).model_dump_json())

    async with services.pool.connection() as connection, connection.transaction():
        done, _ = await once(
            connection, asked.found, asked.key, asked.request(), lambda: kept(connection)
        )
    return done.response()


def refused(noun: str, title: str, refusal: enum.Enum, status: int = 409) -> Refused:
    """Return a refusal of the care record as a problem: its name is the slug, its value is told."""
    name = refusal.name.lower().replace("_", "-")
    return Refused(status, Words(f"{noun}-{name}", title, str(refusal.value)))
