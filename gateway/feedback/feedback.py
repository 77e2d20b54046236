"""Feedback: from events to the output, off the path of the readings."""

from gateway.config import FeedbackConfig
from gateway.event import GatewayEvent
from gateway.health import Health


class Feedback:
    """Tells the room what happens.

    Args:
        config: Which output.
        health: Where an output that does not work is told.
    """

    def __init__(self, config: FeedbackConfig, *, health: Health) -> None:
        raise NotImplementedError

    def tell(self, event: GatewayEvent) -> None:
        """Note *event*; never waits, never raises."""
        raise NotImplementedError

    async def run(self) -> None:
        """Drive the output until cancelled; leave it dark."""
        raise NotImplementedError
