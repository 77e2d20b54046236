"""When who is told of an alert: the steps of a level, as a unit has set them or as they come.

A policy is kept with its dates, never overwritten. What is kept and cannot be read, because a
newer version wrote it, is no reason to be silent: then the one that comes with this file holds.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

import structlog
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alerts.alert import Level

# More than six groups of people cannot be told apart.
STEPS_MAX = 10
# Red is the same day: an hour without an answer, and the next must know.
RED_WAIT_MIN_MAX = 60
# A working week; yellow is a matter of days.
YELLOW_WAIT_MIN_MAX = 5 * 8 * 60
# Below it the same people are told faster than they can answer.
AGAIN_MIN_MIN = 10
# Who took a red alert has seen to it within a working day, or it is open again; a yellow one
# within two weeks.
RED_ACKNOWLEDGED_MIN_MAX = 12 * 60
YELLOW_ACKNOWLEDGED_MIN_MAX = 14 * 24 * 60

_log = structlog.get_logger()


class Group(enum.StrEnum):
    """Some of those around a patient."""

    RECEIVER = "receiver"  # whose alert it is: a person, or those of a team, or the unit
    CONTACT = "contact"  # the fixed care contact, if it is a person
    SUBSTITUTES = "substitutes"  # the patient's own and the contact's
    TEAM = "team"  # of the contact, if it is one
    DUTY = "duty"  # on duty for the unit now
    UNIT = "unit"  # the unit's own channel


class Counting(enum.StrEnum):
    """Which time passes."""

    CLOCK = "clock"  # day and night
    WORK = "work"  # while the unit is open; nobody is told outside it


class Step(BaseModel):
    """One step: how long after the one before it, and who is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait_min: Annotated[int, Field(ge=0)] = 0
    tell: Annotated[tuple[Group, ...], Field(min_length=1)]
    otherwise: tuple[Group, ...] = ()  # if there is nobody in those

    @property
    def wait(self) -> timedelta:
        """How long after the step before."""
        return timedelta(minutes=self.wait_min)


class Policy(BaseModel):
    """The steps of one level. The last is repeated until somebody acts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    counting: Counting
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX)]
    again_min: Annotated[int, Field(ge=AGAIN_MIN_MIN)] | None  # none: each working morning
    acknowledged_min: Annotated[int, Field(ge=10)]  # then it is open again

    @model_validator(mode="after")
    def _ends_with_somebody(self) -> Self:
        if self.steps[0].wait_min:
            problem = "steps: the first is at once: its wait_min is 0"
            raise ValueError(problem)
        if self.again_min is None and self.steps[-1].wait_min:
            problem = "steps: what is repeated each working morning has no wait_min"
            raise ValueError(problem)
        last = {*self.steps[-1].tell, *self.steps[-1].otherwise}
        if Group.UNIT not in last:
            problem = "steps: the last is repeated until somebody acts, so it tells the unit too"
            raise ValueError(problem)
        return self

    @property
    def acknowledged(self) -> timedelta:
        """How long an acknowledgement holds without an end."""
        return timedelta(minutes=self.acknowledged_min)

    @property
    def last(self) -> int:
        """The number of the step that is repeated."""
        return len(self.steps) - 1

    def at(self, number: int) -> Step:
        """Return the step of a number; beyond the last it is the last."""
        return self.steps[min(number, self.last)]

    def repeats(self, number: int) -> bool:
        """Return whether the step of that number has been taken before."""
        return number > self.last

    def is_of_mornings(self, number: int) -> bool:
        """Return whether the step of that number waits for the next working morning."""
        return self.again_min is None and 0 < number >= self.last

    def wait(self, number: int) -> timedelta:
        """Return how long after the one before it the step of that number is taken."""
        if self.repeats(number) and self.again_min is not None:
            return timedelta(minutes=self.again_min)
        return self.at(number).wait


class Unfit(Exception):
    """A policy may not be like that; the message says why."""


_EVERYBODY: Final = (
    Group.RECEIVER,
    Group.CONTACT,
    Group.SUBSTITUTES,
    Group.TEAM,
    Group.DUTY,
    Group.UNIT,
)
RED: Final = Policy(
    counting=Counting.CLOCK,
    steps=(
        Step(tell=(Group.RECEIVER,)),
        Step(wait_min=10, tell=(Group.SUBSTITUTES,), otherwise=(Group.TEAM,)),
        Step(wait_min=10, tell=(Group.DUTY,), otherwise=(Group.UNIT,)),
        Step(wait_min=30, tell=_EVERYBODY),
    ),
    again_min=30,
    acknowledged_min=4 * 60,
)
YELLOW: Final = Policy(
    counting=Counting.WORK,
    steps=(
        Step(tell=(Group.RECEIVER,)),
        Step(wait_min=4 * 60, tell=(Group.SUBSTITUTES,), otherwise=(Group.TEAM,)),
        Step(wait_min=4 * 60, tell=(Group.UNIT,)),
        Step(
            tell=(Group.RECEIVER, Group.UNIT),
            otherwise=(Group.SUBSTITUTES, Group.TEAM),
        ),
    ),
    again_min=None,
    acknowledged_min=3 * 24 * 60,
)
DEFAULTS: Final = MappingProxyType({Level.RED: RED, Level.YELLOW: YELLOW})


def check(level: Level, policy: Policy) -> None:
    """Refuse a policy that is too slow for its level.

    Raises:
        Unfit: It says which field and what it may be.
    """
    red = level is Level.RED
    if red and policy.counting is not Counting.CLOCK:
        problem = "counting: a red alert does not wait for opening hours"
        raise Unfit(problem)
    if red and policy.again_min is None:
        problem = "again_min: a red alert does not wait for the morning"
        raise Unfit(problem)
    wait_max = RED_WAIT_MIN_MAX if red else YELLOW_WAIT_MIN_MAX
    if max(step.wait_min for step in policy.steps) > wait_max:
        problem = f"steps: wait_min may be {wait_max} at most"
        raise Unfit(problem)
    if policy.again_min is not None and policy.again_min > wait_max:
        problem = f"again_min: may be {wait_max} at most"
        raise Unfit(problem)
    held_max = RED_ACKNOWLEDGED_MIN_MAX if red else YELLOW_ACKNOWLEDGED_MIN_MAX
    if policy.acknowledged_min > held_max:
        problem = f"acknowledged_min: may be {held_max} at most"
        raise Unfit(problem)


_IN_FORCE: Final = """
select unit_id, level, spec from policy
where unit_id = any (%s::bigint[]) and until_at is null
"""


async def in_force(
    connection: AsyncConnection, unit_ids: Sequence[int]
) -> dict[tuple[int, Level], Policy]:
    """Return the policies of units, by unit and level. Each has one of each level."""
    policies = {(unit_id, level): DEFAULTS[level] for unit_id in unit_ids for level in Level}
    found = await connection.execute(_IN_FORCE, (sorted(set(unit_ids)),))
    for unit_id, level, spec in await found.fetchall():
        if (kept := _read(unit_id, Level(level), spec)) is not None:
            policies[unit_id, Level(level)] = kept
    return policies


@dataclass(frozen=True, slots=True)
class Version:
    """Which policy a unit has set for a level, and since when."""

    policy_id: int
    from_at: datetime


async def version(connection: AsyncConnection, unit_id: int, level: Level) -> Version | None:
    """Return what the unit has set; None: what comes with this file holds."""
    cursor = connection.cursor(row_factory=class_row(Version))
    await cursor.execute(
        "select policy_id, from_at from policy where unit_id = %s and level = %s "
        "and until_at is null",
        (unit_id, level),
    )
    return await cursor.fetchone()


def _read(unit_id: int, level: Level, spec: Any) -> Policy | None:
    """Return what was kept; nothing if this version cannot read it or would not take it."""
    try:
        policy = Policy.model_validate(spec)
        check(level, policy)
    except (ValidationError, Unfit) as error:
        _log.error("alerts.policy_unreadable", unit=unit_id, level=level.name, why=str(error))
        return None
    return policy


async def hold(connection: AsyncConnection, unit_id: int) -> None:
    """Let no other version begin before the end of the transaction."""
    await connection.execute("select from unit where unit_id = %s for no key update", (unit_id,))


async def store(
    connection: AsyncConnection,
    unit_id: int,
    level: Level,
    policy: Policy,
    *,
    staff_id: int | None,
    now: datetime,
) -> None:
    """Let a unit's policy hold from *now* on; the one before it ends and is kept.

    Raises:
        Unfit: It is too slow for its level.
    """
    check(level, policy)
    async with connection.transaction():
        await hold(connection, unit_id)
        await connection.execute(
            "update policy set until_at = %s where unit_id = %s and level = %s "
            "and until_at is null",
            (now, unit_id, level),
        )
        await connection.execute(
            "insert into policy (unit_id, level, from_at, spec, noted_by) "
            "values (%s, %s, %s, %s, %s)",
            (unit_id, level, now, Jsonb(policy.model_dump(mode="json")), staff_id),
        )
