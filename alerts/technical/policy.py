"""When technicians are told of a fault: its tier, and the tier's steps. Pure.

Law of this module: the last step is repeated until somebody takes the fault or it is over.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from alerts.fleet.gateway import Urgency
from alerts.technical.fault import ALL_SILENT, Kind


class Tier(enum.StrEnum):
    """How a fault is told; the worst first. Stands in the database: never rename one."""

    SERVER = "server"  # alerts of everybody may be missing: day and night, and everybody
    SEVERE = "severe"  # what somebody measures does not arrive: at once, to who is at work
    ROUTINE = "routine"  # in working hours

    def is_worse_than(self, other: "Tier") -> bool:
        """Return whether less may be lost by a fault of *other*."""
        return list(Tier).index(self) < list(Tier).index(other)


class Group(enum.Enum):
    """Some of the technicians."""

    AT_WORK = enum.auto()  # in their unit's hours, or on duty; and not away
    PRESENT = enum.auto()  # not away, whatever the hour
    UNITS = enum.auto()  # channels of units in which technicians work, and no nurse


@dataclass(frozen=True, slots=True)
class Step:
    """How long after the step before, who is told, and who if that is nobody."""

    wait: timedelta
    tell: tuple[Group, ...]
    otherwise: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The steps of a tier.

    Attributes:
        steps: In order; the last is repeated.
        again: How long after a repeated step the next is; none: in the morning of the next day
            on which technicians work.
        pause: No message sooner than so long after the last one: what comes meanwhile waits and
            goes in one.
        trust: Who has taken a fault, or said that it is seen to, is believed for so long; if it
            is there still, it is told.
    """

    steps: tuple[Step, ...]
    again: timedelta | None
    pause: timedelta
    trust: timedelta

    @property
    def last(self) -> int:
        """The number of the step that is repeated."""
        return len(self.steps) - 1

    def at(self, number: int) -> Step:
        """Return the step of a number; beyond the last it is the last."""
        return self.steps[min(number, self.last)]

    def wait(self, number: int) -> timedelta | None:
        """Return how long after the one before it the step of that number is; none: next day."""
        return self.again if number > self.last else self.at(number).wait


_AT_ONCE: Final = Step(timedelta(), (Group.AT_WORK,), (Group.UNITS,))
POLICIES: Final[Mapping[Tier, Policy]] = {
    # An hour without alerts is worse than a night without sleep.
    Tier.SERVER: Policy(
        (_AT_ONCE, Step(timedelta(minutes=30), (Group.PRESENT, Group.UNITS))),
        again=timedelta(hours=1),
        pause=timedelta(),
        trust=timedelta(hours=1),
    ),
    # One home's. Its nurse is told after two days; a technician who is not at work sleeps.
    Tier.SEVERE: Policy(
        (_AT_ONCE, Step(timedelta(hours=1), (Group.AT_WORK, Group.UNITS))),
        again=timedelta(hours=4),
        pause=timedelta(minutes=10),
        trust=timedelta(hours=12),  # a working day, and no night: as long as a red alert is held
    ),
    Tier.ROUTINE: Policy(
        (_AT_ONCE,), again=None, pause=timedelta(hours=1), trust=timedelta(days=7)
    ),
}

# Incidents that keep alerts from being made, seen to or told; and of one kind, which.
_OF_EVERYBODY: Final = frozenset({ALL_SILENT, "canary", "clock", "lag", "routing", "rule"})
_NOTHING_SENT: Final = ("sending", "nobody")
# Chores of ingest's clock that keep house: no alert is late without them.
HOUSE: Final = frozenset({"days", "recheck", "retention", "trim"})


def tier(kind: str, detail: Mapping[str, Any], urgency: Urgency, *, is_daily: bool) -> Tier:
    """Return how a fault is told.

    Args:
        kind: Of ``alerts.technical.fault.Kind``.
        detail: Its words.
        urgency: How soon it must be seen to, by now.
        is_daily: It is the gateway of somebody whose plan expects a measurement each day.
    """
    if kind == Kind.INCIDENT:
        return Tier.SERVER if _is_everybodys(detail) else Tier.SEVERE
    if kind == Kind.SILENT_GATEWAY:
        return Tier.SEVERE if is_daily else Tier.ROUTINE
    return Tier.SEVERE if urgency is Urgency.NOW else Tier.ROUTINE


def _is_everybodys(detail: Mapping[str, Any]) -> bool:
    what, which = detail.get("what"), detail.get("which")
    if what == "clock" and which in HOUSE:
        return False
    return what in _OF_EVERYBODY or (what, which) == _NOTHING_SENT
