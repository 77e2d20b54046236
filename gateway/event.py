"""GatewayEvent: what happens in the gateway that a light or a buzzer can tell."""

import enum
from collections.abc import Collection
from typing import Protocol
from uuid import UUID


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
