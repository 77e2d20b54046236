"""GatewayEvent: what happens in the gateway that a light or a buzzer can tell."""

import enum
from collections.abc import Collection, Sequence
from typing import Protocol
from uuid import UUID

from devices.reading import Outcome, Reading


class GatewayEvent(enum.Enum):
    """What somebody in the room may want to know."""

    RECEIVED = "received"  # new readings are in the outbox: names them
    STORED = "stored"  # a receipt came: ingest has committed readings: names them
    FAILED = "failed"  # the device said that the measurement failed: try again
    NOT_CONNECTED = "not_connected"  # the broker was lost, or cannot be reached
    CONNECTED = "connected"  # the broker is there, and may be listened to
    PAIR_AGAIN = "pair_again"  # the device does not know its bond any more


class OnEvent(Protocol):
    """Takes what happens; never waits, never raises.

    The receipt for an old backlog must not light the lamp of a new measurement: so the readings
    that are received and stored are named.
    """

    def __call__(self, event: GatewayEvent, reading_ids: Collection[UUID] = ()) -> None: ...


def tell_nobody(event: GatewayEvent, reading_ids: Collection[UUID] = ()) -> None:
    """Take an event where there is no light."""


def tell(readings: Sequence[Reading], on_event: OnEvent) -> None:
    """Tell the room of *readings* that are durable, some of them new.

    History comes along with the newest, and a failed measurement of last week is no news: only
    the newest may be a failure that somebody can act on.
    """
    measured = [each.reading_id for each in readings if each.outcome is Outcome.MEASURED]
    if measured:
        on_event(GatewayEvent.RECEIVED, measured)
    newest = max(readings, key=lambda each: each.measured_at)
    if newest.outcome is not Outcome.MEASURED:
        on_event(GatewayEvent.FAILED)
