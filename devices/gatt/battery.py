"""Battery Level, characteristic 0x2A19 (BAS 1.1, section 3.1)."""

from dataclasses import dataclass
from typing import Final, Self

from devices.gatt.cursor import Cursor, uint

PERCENT_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class BatteryLevel:
    """How full the battery is. Levels over 100 are reserved, and refused: 255 is no level."""

    percent: int

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Battery Level")
        percent = fields.uint8()
        fields.end()
        if percent > PERCENT_MAX:
            fields.refuse(f"level {percent} is over {PERCENT_MAX} %")
        return cls(percent)

    def encode(self) -> bytes:
        """Return the characteristic value."""
        return uint(self.percent, 1)
