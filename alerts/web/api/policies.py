"""When who is told of an alert at one's own unit: in force, rehearsed, and a new version."""

import enum
from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, HTTPException, Response
from psycopg import AsyncConnection
from pydantic import BaseModel, Field

from alerts import policy, rehearsal
from alerts.alert import Level
from alerts.care import organisation
from alerts.care.hours import Hours
from alerts.escalation import Because
from alerts.policy import Group, Policy, Unfit
from alerts.sending.store import now
from alerts.web.api.document import refusals
from alerts.web.api.entering import Id
from alerts.web.api.example import AT, answers, takes
from alerts.web.api.office import (
    Asked,
    Colleague,
    CoordinatorWrites,
    done_once,
    own_unit,
    staff_id,
)
from alerts.web.api.problem import Refused, Words
from alerts.web.api.repeat import Key
from alerts.web.api.time import Utc
from alerts.web.services import Services

router = APIRouter(tags=["units"])

_RED: Final = policy.RED.model_dump(mode="json")


class Of(enum.StrEnum):
    """Of which alerts."""

    YELLOW = "yellow"
    RED = "red"


_LEVELS: Final = {Of.YELLOW: Level.YELLOW, Of.RED: Level.RED}
_UNFIT: Final = {
    Level.RED: "Ett rött larm räknar tid dygnet runt. Mellan två steg går högst "
    f"{policy.RED_WAIT_MIN_MAX} minuter, och det sista upprepas minst så ofta. Den som har tagit "
    f"larmet har högst {policy.RED_ACKNOWLEDGED_MIN_MAX // 60} timmar på sig. Ändra det som är "
    "längre. Inget har sparats.",
    Level.YELLOW: "För ett gult larm går högst "
    f"{policy.YELLOW_WAIT_MIN_MAX // 60} timmar mellan två steg, och den som har tagit det har "
    f"högst {policy.YELLOW_ACKNOWLEDGED_MIN_MAX // 1440} dagar på sig. Ändra det som är längre. "
    "Inget har sparats.",
}
_CHANGED: Final = Words(
    "policy-changed",
    "Någon annan har ändrat samtidigt",
    "Larmens väg har ändrats sedan du läste den. Läs den igen och försök sedan. Inget har sparats.",
)

# The hours that a unit has told are of these days.
_FAR: Final = timedelta(days=366)
_TOO_FAR: Final = Words(
    "rehearsal-too-far",
    "Den dagen kan inte prövas",
    f"Välj en tid som är högst {_FAR.days} dagar från i dag. Inget har sparats.",
)


class PolicyInForce(BaseModel):
    """Who is told when, of a level."""

    model_config = answers(level="red", policy_id=None, from_at=None, policy=_RED)

    level: Of
    policy_id: int | None = Field(description="Null: the unit has set none; what comes with us.")
    from_at: Utc | None
    policy: Policy


class PoliciesInForce(BaseModel):
    """Who is told when, of each level."""

    model_config = answers(
        policies=[{"level": "red", "policy_id": None, "from_at": None, "policy": _RED}]
    )

    policies: list[PolicyInForce]


class RehearsingPolicy(BaseModel):
    """A policy to try, and a moment at which an alert opens."""

    model_config = takes(policy=_RED, opened_at=AT)

    policy: Policy
    opened_at: Utc | None = Field(None, description="Null: now.")


class Telling(BaseModel):
    """Somebody would be told."""

    at: Utc
    whom: list[Group]
    why: Because


class PolicyRehearsal(BaseModel):
    """What a policy would do."""

    model_config = answers(
        tellings=[{"at": AT, "whom": ["contact"], "why": "opened"}],
        alerts_count=40,
        told_count=61,
        told_now_count=48,
    )

    tellings: list[Telling] = Field(
        description="Of one alert that nobody answers, with somebody in every group."
    )
    alerts_count: int = Field(
        description="The unit's newest alerts of the level, of the last "
        f"{rehearsal.LOOK_BACK.days} days: at most {rehearsal.REHEARSED_MAX}."
    )
    told_count: int = Field(description="How often somebody would have been told of those.")
    told_now_count: int = Field(description="The same by what is in force now.")


class NewPolicy(BaseModel):
    """A version that is to hold from now on."""

    model_config = takes(policy=_RED, seen_policy_id=None)

    policy: Policy
    seen_policy_id: int | None = Field(
        None, ge=1, le=2**63 - 1, description="The `policy_id` that was read."
    )


@router.get(
    "/units/{unit_id}/policies",
    operation_id="listPolicies",
    summary="When who is told",
    responses=refusals(),
)
async def in_force(services: Services, found: Colleague, unit_id: Id) -> PoliciesInForce:
    """Return when who is told of an alert at one's own unit."""
    own_unit(found, unit_id)
    async with services.pool.connection() as connection:
        return PoliciesInForce(policies=[await _in_force(connection, unit_id, one) for one in Of])


async def _in_force(connection: AsyncConnection, unit_id: int, of: Of) -> PolicyInForce:
    level = _LEVELS[of]
    version = await policy.version(connection, unit_id, level)
    held = (await policy.in_force(connection, [unit_id]))[unit_id, level]
    return PolicyInForce(
        level=of,
        policy_id=None if version is None else version.policy_id,
        from_at=None if version is None else version.from_at,
        policy=held,
    )


@router.post(
    "/units/{unit_id}/policies/{level}/rehearse",
    operation_id="rehearsePolicy",
    summary="What a policy would do",
    responses=refusals(403, 413),
)
async def rehearse(
    services: Services, found: CoordinatorWrites, unit_id: Id, level: Of, body: RehearsingPolicy
) -> PolicyRehearsal:
    """Try a policy on one alert, and on those that the unit has had; nothing is kept."""
    own_unit(found, unit_id)
    of = _LEVELS[level]
    _demand_fit(of, body.policy)
    async with services.pool.connection() as connection:
        at = await now(connection)
        hours = await _hours(connection, unit_id, at)
        alerts = await rehearsal.answered(connection, unit_id, of, at)
        held = (await policy.in_force(connection, [unit_id]))[unit_id, of]
    tellings = rehearsal.unanswered(body.policy, of, hours, _soon(body.opened_at, at))
    return PolicyRehearsal(
        tellings=[Telling(at=one.at, whom=list(one.whom), why=one.why) for one in tellings],
        alerts_count=len(alerts),
        told_count=sum(rehearsal.times_told(body.policy, of, hours, one, at) for one in alerts),
        told_now_count=sum(rehearsal.times_told(held, of, hours, one, at) for one in alerts),
    )


@router.post(
    "/units/{unit_id}/policies/{level}",
    operation_id="setPolicy",
    summary="A new version, from now on",
    response_model=PolicyInForce,
    responses=refusals(403, 409, 413),
)
async def change(
    *,
    services: Services,
    found: CoordinatorWrites,
    unit_id: Id,
    level: Of,
    body: NewPolicy,
    key: Key = None,
) -> Response:
    """Let a policy hold at one's own unit from now on; the one before it is kept with its end."""
    own_unit(found, unit_id)
    of = _LEVELS[level]
    _demand_fit(of, body.policy)

    async def act(connection: AsyncConnection) -> PolicyInForce:
        await policy.hold(connection, unit_id)
        version = await policy.version(connection, unit_id, of)
        if (None if version is None else version.policy_id) != body.seen_policy_id:
            raise Refused(409, _CHANGED)
        await policy.store(
            connection,
            unit_id,
            of,
            body.policy,
            staff_id=staff_id(found),
            now=await now(connection),
        )
        return await _in_force(connection, unit_id, level)

    return await done_once(services, Asked(found, key, f"set_policy {unit_id} {level}", body), act)


def _demand_fit(level: Level, asked: Policy) -> None:
    try:
        policy.check(level, asked)
    except Unfit:
        words = Words("policy-unfit", "Så får larmens väg inte vara", _UNFIT[level])
        raise Refused(422, words) from None


async def _hours(connection: AsyncConnection, unit_id: int, at: datetime) -> Hours:
    unit = (await organisation.units(connection, [unit_id], at)).get(unit_id)
    if unit is None:
        raise HTTPException(404)
    return unit.hours


def _soon(opened_at: datetime | None, at: datetime) -> datetime:
    """Return the moment that is rehearsed: the hours that are told are of this year and the next.

    Raises:
        Refused: It is too far from now.
    """
    if opened_at is None:
        return at
    if abs(opened_at - at) > _FAR:
        raise Refused(422, _TOO_FAR)
    return opened_at
