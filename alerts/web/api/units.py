"""Units, and who works at one's own."""

from datetime import datetime

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field

from alerts.care import organisation
from alerts.care.hours import next_opening
from alerts.care.hours_words import sentence
from alerts.care.organisation import Function
from alerts.sending.store import now
from alerts.web.api.document import refusals
from alerts.web.api.entering import Id
from alerts.web.api.example import AT, answers
from alerts.web.api.office import Colleague, own_unit
from alerts.web.api.time import Utc
from alerts.web.services import Services
from alerts.words import ZONE, swedish_order

router = APIRouter(tags=["units"])

_LISTED = {"unit_id": 1, "name": "Provbyns hemsjukvård", "huvudman_name": "Provregionen"}


class ListedUnit(BaseModel):
    """A unit in a list."""

    model_config = answers(**_LISTED)

    unit_id: int
    name: str
    huvudman_name: str = Field(description='The legal body that answers for it; "": not told.')


class Units(BaseModel):
    """Every unit, in the order of their names."""

    model_config = answers(units=[_LISTED])

    units: list[ListedUnit]


class UnitNow(BaseModel):
    """A unit, and whether it is staffed."""

    model_config = answers(
        unit_id=1,
        name="Provbyns hemsjukvård",
        hours="vardagar 8–16",
        has_hours=True,
        is_open=False,
        opens_at=AT,
        has_channel=True,
    )

    unit_id: int
    name: str
    hours: str = Field(description="In Swedish, for people.")
    has_hours: bool = Field(description="It has told its hours; else the usual ones are taken.")
    is_open: bool
    opens_at: Utc = Field(description="When it opens next; the present moment if it is open.")
    has_channel: bool = Field(description="One of its own that works: its queue is told by it.")


_COLLEAGUE = {"staff_id": 1, "name": "Anna Provberg", "role": "distriktssköterska"}


class StaffMember(BaseModel):
    """Somebody who works at the unit."""

    model_config = answers(**_COLLEAGUE, functions=["care"])

    staff_id: int
    name: str
    role: str
    functions: list[Function]


class StaffOfUnit(BaseModel):
    """Who works at the unit, by name; also who is away."""

    model_config = answers(staff=[{**_COLLEAGUE, "functions": ["care"]}])

    staff: list[StaffMember]


_TEAM = {"team_id": 1, "name": "Hjärtteamet", "member_ids": [1, 2]}


class TeamOfUnit(BaseModel):
    """Several who look after patients together; they may be of other units."""

    model_config = answers(**_TEAM)

    team_id: int
    name: str
    member_ids: list[int]


class TeamsOfUnit(BaseModel):
    """The unit's teams, by name."""

    model_config = answers(teams=[_TEAM])

    teams: list[TeamOfUnit]


@router.get("/units", operation_id="listUnits", summary="All units", responses=refusals())
async def listed(services: Services, _found: Colleague) -> Units:
    """Return every unit: to whom a patient can be handed over, whom she can share with."""
    async with services.pool.connection() as connection:
        found = await organisation.listed(connection)
    units = [
        ListedUnit(unit_id=one.unit_id, name=one.name, huvudman_name=one.huvudman) for one in found
    ]
    return Units(units=sorted(units, key=lambda one: swedish_order(one.name)))


@router.get(
    "/units/{unit_id}", operation_id="getUnit", summary="My unit, now", responses=refusals()
)
async def one_unit(services: Services, found: Colleague, unit_id: Id) -> UnitNow:
    """Return one's own unit, and whether it is staffed."""
    own_unit(found, unit_id)
    async with services.pool.connection() as connection:
        at = await now(connection)
        unit = (await organisation.units(connection, [unit_id], at)).get(unit_id)
    if unit is None:
        raise HTTPException(404)
    return _unit(unit, at)


def _unit(unit: organisation.Unit, at: datetime) -> UnitNow:
    opens_at = next_opening(unit.hours, at)
    return UnitNow(
        unit_id=unit.unit_id,
        name=unit.name,
        hours=unit.hours_said or sentence(unit.hours, at.astimezone(ZONE).date()),
        has_hours=unit.has_hours,
        is_open=opens_at <= at,
        opens_at=opens_at,
        has_channel=unit.has_channel,
    )


@router.get(
    "/units/{unit_id}/staff",
    operation_id="listStaff",
    summary="Who works at my unit",
    responses=refusals(),
)
async def staff(services: Services, found: Colleague, unit_id: Id) -> StaffOfUnit:
    """Return who works at one's own unit."""
    own_unit(found, unit_id)
    async with services.pool.connection() as connection:
        at = await now(connection)
        rows = await organisation.colleagues(connection, unit_id, at)
    return StaffOfUnit(
        staff=[
            StaffMember(
                staff_id=one.staff_id,
                name=one.name,
                role=one.role,
                functions=sorted(one.functions),
            )
            for one in rows
        ]
    )


@router.get(
    "/units/{unit_id}/teams",
    operation_id="listTeams",
    summary="The teams of my unit",
    responses=refusals(),
)
async def teams(services: Services, found: Colleague, unit_id: Id) -> TeamsOfUnit:
    """Return the teams of one's own unit."""
    own_unit(found, unit_id)
    async with services.pool.connection() as connection:
        at = await now(connection)
        rows = await organisation.teams(connection, unit_id, at)
    return TeamsOfUnit(
        teams=[
            TeamOfUnit(team_id=one.team_id, name=one.name, member_ids=list(one.members))
            for one in rows
        ]
    )
