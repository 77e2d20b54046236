"""Where the telling of a fault stands: what it is by now, whose it is, and its next step. Pure.

Law of this module: nothing keeps a fault quiet for longer than the trust of its tier, and whom it
was left to must be there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alerts.fleet.gateway import Urgency
from alerts.technical.crew import Crew, Receiver
from alerts.technical.fault import urgency
from alerts.technical.policy import POLICIES, Policy, Tier, tier


@dataclass(frozen=True, slots=True)
class Standing:
    """A fault that is open, and where its telling stands.

    Attributes:
        tier: As it was; none: never told.
        told_from: Since when it is told; none: it is to be told from the start.
        step: The next one to take.
        due_at: When.
        is_daily: Of a gateway in whose home a measurement is expected each day.
    """

    technical_id: int
    kind: str
    detail: dict[str, Any]
    opened_at: datetime
    taken_by: int | None
    taken_at: datetime | None
    tier: str | None
    told_from: datetime | None
    step: int
    due_at: datetime | None
    is_daily: bool

    @property
    def policy(self) -> Policy:
        """The policy it is told by."""
        return POLICIES[Tier(self.tier or Tier.ROUTINE)]


@dataclass(frozen=True, slots=True)
class Step:
    """One fault that is told now, as which step, and to whom."""

    fault: Standing
    number: int
    receivers: Sequence[Receiver]


def judged(one: Standing, there: Crew, now: datetime) -> Standing:
    """Return where it stands at *now* by its tier of now.

    What is new, worse, left, or held by one who is not there begins again; what has been held for
    too long goes on where it was.
    """
    is_now = _tier(one, now)
    is_worse = one.tier is None or is_now.is_worse_than(Tier(one.tier))
    is_let_go = one.taken_by is not None and one.taken_by not in there.here
    if one.told_from is None or is_worse or is_let_go:
        begun = replace(_free(one), tier=is_now.value, told_from=now, step=0)
        return replace(begun, due_at=_soonest(is_now, there, now))
    was, one = one.tier, replace(one, tier=is_now.value)
    if one.taken_at is not None:
        if now - one.taken_at < one.policy.trust:
            return one
        one = _free(one)  # and nobody's for so long may be worse
        return judged(replace(one, due_at=_soonest(is_now, there, now)), there, now)
    if was != is_now.value:  # less bad: its new policy's time
        due_at = there.works_again_at if one.step else there.opens_at
        return replace(one, due_at=due_at)
    return one


def is_due(one: Standing, there: Crew, now: datetime) -> bool:
    """Return whether it is to be told; what is routine waits until somebody works.

    Whether it was held back past closing, or came back in the evening.
    """
    if one.due_at is None or one.due_at > now:
        return False
    return one.tier != Tier.ROUTINE or _works(there, now)


def step(one: Standing, there: Crew) -> Step:
    """Return who is told; where a step has nobody, it is the next one's turn at once."""
    for number in range(one.step, max(one.step, one.policy.last) + 1):
        receivers = there.of(one.policy.at(number))
        if receivers:
            return Step(one, number, receivers)
    return Step(one, one.step, ())


def after(one: Step, there: Crew, now: datetime) -> Standing:
    """Return where it stands when that step has been told."""
    wait = one.fault.policy.wait(one.number + 1)
    due_at = there.works_again_at if wait is None else now + wait
    return replace(one.fault, step=one.number + 1, due_at=due_at)


def _tier(one: Standing, now: datetime) -> Tier:
    told = one.detail.get("urgency")
    known = Urgency(told) if told in list(Urgency) else Urgency.SOON
    soon = urgency(known, one.opened_at, one.taken_at, now)
    return tier(one.kind, one.detail, soon, is_daily=one.is_daily)


def _free(one: Standing) -> Standing:
    return replace(one, taken_by=None, taken_at=None)


def _soonest(its: Tier, there: Crew, now: datetime) -> datetime:
    return there.opens_at if its is Tier.ROUTINE and not _works(there, now) else now


def _works(there: Crew, now: datetime) -> bool:
    """Return whether a technician is on duty, or a unit of theirs is open."""
    return bool(there.at_work) or there.opens_at <= now
