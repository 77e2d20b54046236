"""Step count of InfiniTime (PineTime), characteristic 00030001-78fc-48fe-8e23-433b3a1942d0.

Source: InfiniTime, doc/MotionService.md: a 32-bit unsigned number of steps since midnight.
"""

from dataclasses import dataclass
from typing import Self

from devices.gatt.cursor import Cursor, uint


@dataclass(frozen=True, slots=True)
class StepCount:
    """Steps of the day so far; falls to 0 at midnight and when the watch restarts."""

    steps: int

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "InfiniTime Step Count")
        steps = fields.uint32()
        fields.end()
        return cls(steps)

    def encode(self) -> bytes:
        """Return the characteristic value."""
        return uint(self.steps, 4)
