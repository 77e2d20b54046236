"""Step Counter Activity Summary Data, characteristic 0x2B40 (Physical Activity Monitor Service).

The service cuts a record too long for one packet into segments. The header is read as in the
SIG's other segmented characteristics (bit 0 first, bit 1 last, bits 2–7 a rolling counter); an
early draft of the service had another one. So only a record that says it is whole is decoded,
and how fields fall over segments is not guessed. No device in the shops was found to compare.
"""

import enum
from dataclasses import dataclass
from typing import Final, Self

from devices.gatt.cursor import Cursor, uint

_WHOLE: Final = 0b11  # header bits: first segment, last segment; bits 2–7 count segments
_COUNTER_AT: Final = 2


class Flags(enum.IntFlag):
    """Which optional fields follow, in their order. Reserved bits are ignored."""

    WALKING_STEPS = 1
    INTENSITY_STEPS = 2
    FLOOR_STEPS = 4
    DISTANCE = 8
    WORN_TIME = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCounterSummary:
    """A summary of one sub-session; absent fields are none."""

    segment_counter: int = 0  # 0–63, rolling
    session_id: int
    sub_session_id: int
    relative_time_s: int  # since the session began
    sequence: int
    walking_steps: int | None = None
    intensity_steps: int | None = None
    floor_steps: int | None = None
    distance_m: int | None = None
    worn_time_s: int | None = None

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout, or is one segment of several.
        """
        fields = Cursor(payload, "Step Counter Activity Summary Data")
        header = fields.uint8()
        if header & _WHOLE != _WHOLE:
            fields.refuse(f"one segment of several (header {header:#04x})")
        flags = Flags(fields.uint8())

        def count(flag: Flags) -> int | None:
            return fields.uint24() if flag in flags else None

        summary = cls(
            segment_counter=header >> _COUNTER_AT,
            session_id=fields.uint16(),
            sub_session_id=fields.uint16(),
            relative_time_s=fields.uint32(),
            sequence=fields.uint32(),
            walking_steps=count(Flags.WALKING_STEPS),
            intensity_steps=count(Flags.INTENSITY_STEPS),
            floor_steps=count(Flags.FLOOR_STEPS),
            distance_m=count(Flags.DISTANCE),
            worn_time_s=count(Flags.WORN_TIME),
        )
        fields.end()
        return summary

    def encode(self) -> bytes:
        """Return the characteristic value, as one whole segment."""
        flags = Flags(0)
        counts = b""
        for flag, value in (
            (Flags.WALKING_STEPS, self.walking_steps),
            (Flags.INTENSITY_STEPS, self.intensity_steps),
            (Flags.FLOOR_STEPS, self.floor_steps),
            (Flags.DISTANCE, self.distance_m),
            (Flags.WORN_TIME, self.worn_time_s),
        ):
            if value is not None:
                flags |= flag
                counts += uint(value, 3)
        head = uint(self.segment_counter << _COUNTER_AT | _WHOLE, 1) + uint(flags, 1)
        session = uint(self.session_id, 2) + uint(self.sub_session_id, 2)
        return head + session + uint(self.relative_time_s, 4) + uint(self.sequence, 4) + counts
