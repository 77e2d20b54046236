"""Haul: what a session brought, and what it means when nothing may be listened to."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway.radio import Refusal


@dataclass(frozen=True, slots=True)
class Haul:
    """What a session brought.

    Attributes:
        values: Raw values kept.
        readings: Readings made of them, those told before too.
        new_readings: Those of them that the outbox took.
        new_dated: Those of them that tell when they were made: sent again, they are known.
        may_listen: Whether a subscription was granted; none: the connection went before that.
        refusal: Why it gave nothing, if the device said so.
        first_s: When the first new reading was durable, monotonic seconds.
    """

    values: int = 0
    readings: int = 0
    new_readings: int = 0
    new_dated: int = 0
    may_listen: bool | None = None
    refusal: Refusal | None = None
    first_s: float | None = None


def verdict(refusals: Collection[Refusal | None]) -> Refusal | None:
    """Return what it means that every subscription was refused so; none if nothing for sure."""
    for refusal in (Refusal.BOND_LOST, Refusal.PAIRING_FAILED, Refusal.NOT_PAIRED):
        if refusal in refusals:
            return refusal
    # One that is not there may be an option; none at all is not what such a device is.
    return Refusal.STALE_SERVICES if set(refusals) == {Refusal.STALE_SERVICES} else None
