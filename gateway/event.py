"""GatewayEvent: what happens in the gateway that a light or a buzzer can tell."""

import enum
from collections.abc import Callable


class GatewayEvent(enum.Enum):
    """What somebody in the room may want to know."""

    RECEIVED = "received"  # a new reading is in the outbox
    STORED = "stored"  # a receipt came: ingest has committed a reading
    FAILED = "failed"  # the device said that the measurement failed: try again
    NOT_CONNECTED = "not_connected"  # the broker was lost, or cannot be reached
    CONNECTED = "connected"  # the broker is there, and may be listened to
    PAIR_AGAIN = "pair_again"  # the device does not know its bond any more


OnEvent = Callable[[GatewayEvent], None]


def tell_nobody(_event: GatewayEvent) -> None:
    """Take an event where there is no light."""
