"""Delivery: one MQTT message as it came, and what brings it and takes the answers.

The pipeline knows only these; the MQTT library stands behind ``Consumer``.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class Delivery(NamedTuple):
    """One message of the broker. Held by the broker until ``Consumer.acknowledge``.

    A tuple, for a million of them a minute are made.
    """

    topic: str
    payload: bytes
    correlation: bytes | None
    arrived_at: datetime  # aware UTC, ingest's clock
    handle: object = None  # the consumer's own


class Answer(NamedTuple):
    """A receipt on its way out."""

    topic: str
    payload: bytes
    correlation: bytes | None


class Consumer(Protocol):
    """Brings deliveries and takes their acknowledgements."""

    async def wait(self, wait_s: float) -> bool:
        """Wait until a delivery is there; false if none came in time."""

    @property
    def is_full(self) -> bool:
        """Whether the broker may send no more before something is acknowledged."""

    def take(self, most: int) -> list[Delivery]:
        """Return what is there in the order of arrival, at most so many; perhaps nothing."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Let the broker forget *deliveries*; it hears of them in the order of arrival."""

    def publish(self, answers: Sequence[Answer]) -> None:
        """Hand over receipts. A lost one costs a repeat, so nobody waits until they arrive."""
