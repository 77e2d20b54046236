"""RSC Measurement, characteristic 0x2A53 (Running Speed and Cadence Service 1.0, section 3.1).

Speed and cadence of the moment; it gives no total of steps. Reserved bits are ignored.
"""

import enum
from dataclasses import dataclass
from typing import Final, Self

from devices.gatt.cursor import Cursor, steps, uint

_SPEED_STEPS_PER_M_S: Final = 256
_STRIDE_STEPS_PER_M: Final = 100
_DISTANCE_STEPS_PER_M: Final = 10


class Flags(enum.IntFlag):
    """Which optional fields follow, and whether the person runs."""

    STRIDE_LENGTH = 1
    TOTAL_DISTANCE = 2
    RUNNING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RscMeasurement:
    """How fast somebody walks or runs."""

    speed_m_s: float
    cadence_per_min: int
    running: bool = False
    stride_m: float | None = None
    distance_m: float | None = None

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "RSC Measurement")
        flags = Flags(fields.uint8())
        speed, cadence = fields.uint16() / _SPEED_STEPS_PER_M_S, fields.uint8()
        stride = distance = None
        if Flags.STRIDE_LENGTH in flags:
            stride = fields.uint16() / _STRIDE_STEPS_PER_M
        if Flags.TOTAL_DISTANCE in flags:
            distance = fields.uint32() / _DISTANCE_STEPS_PER_M
        fields.end()
        return cls(
            speed_m_s=speed,
            cadence_per_min=cadence,
            running=Flags.RUNNING in flags,
            stride_m=stride,
            distance_m=distance,
        )

    def encode(self) -> bytes:
        """Return the characteristic value, numbers rounded to the layout's steps."""
        flags = Flags.RUNNING if self.running else Flags(0)
        fields = steps(self.speed_m_s, _SPEED_STEPS_PER_M_S, 2) + uint(self.cadence_per_min, 1)
        if self.stride_m is not None:
            flags |= Flags.STRIDE_LENGTH
            fields += steps(self.stride_m, _STRIDE_STEPS_PER_M, 2)
        if self.distance_m is not None:
            flags |= Flags.TOTAL_DISTANCE
            fields += steps(self.distance_m, _DISTANCE_STEPS_PER_M, 4)
        return uint(flags, 1) + fields
