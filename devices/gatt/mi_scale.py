"""Xiaomi Mi Scale: advertised service data of v1 (0x181D, 10 bytes) and v2 (0x181B, 13 bytes).

The layouts are not published; these are the ones open projects agree on and captures show
(custom-components/ble_monitor; wiecosystem/Bluetooth; openScale's wiki). Control bits not
named here are set by real scales with no known meaning and are ignored, but a payload that
names no unit, or two, is refused.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from devices.gatt.cursor import Cursor, date_time, steps, uint
from devices.gatt.mass import MassUnit


class ControlV1(enum.IntFlag):
    """The control byte of a v1. KG_OR_LB is set in every capture of either unit."""

    LB = 1
    KG_OR_LB = 2
    JIN = 16
    STABILISED = 32
    REMOVED = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class MiScaleV1:
    """What a v1 advertises. Only a stabilised weight that is still on the scale counts."""

    weight: float  # in ``unit``
    unit: MassUnit = MassUnit.KG
    stabilised: bool
    removed: bool
    time_stamp: datetime | None = None  # naive, the scale's local time

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the service data in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Mi Scale v1")
        control = ControlV1(fields.uint8())
        weight, time_stamp = fields.uint16(), fields.date_time()
        fields.end()
        if ControlV1.LB in control and ControlV1.JIN in control:
            fields.refuse("names two units, lb and jin,")
        unit = MassUnit.KG
        if ControlV1.LB in control:
            unit = MassUnit.LB
        elif ControlV1.JIN in control:
            unit = MassUnit.JIN
        return cls(
            weight=weight / unit.steps_per_unit,
            unit=unit,
            stabilised=ControlV1.STABILISED in control,
            removed=ControlV1.REMOVED in control,
            time_stamp=time_stamp,
        )

    @property
    def counts(self) -> bool:
        """Whether this is a weight: settled, and with somebody on the scale."""
        return self.stabilised and not self.removed

    def encode(self) -> bytes:
        """Return the service data, the weight rounded to the scale's steps."""
        control = {
            MassUnit.KG: ControlV1.KG_OR_LB,
            MassUnit.LB: ControlV1.KG_OR_LB | ControlV1.LB,
            MassUnit.JIN: ControlV1.KG_OR_LB | ControlV1.JIN,
        }[self.unit]
        control |= ControlV1.STABILISED if self.stabilised else ControlV1(0)
        control |= ControlV1.REMOVED if self.removed else ControlV1(0)
        weight = steps(self.weight, self.unit.steps_per_unit, 2)
        return uint(control, 1) + weight + date_time(self.time_stamp)


class ControlV2(enum.IntFlag):
    """The second control byte of a v2. SENT is set in every capture."""

    IMPEDANCE = 2
    SENT = 4
    STABILISED = 32
    JIN = 64
    REMOVED = 128


# The first control byte of a v2; with JIN in the second it has been seen with either value.
_UNIT_V2: Final = {2: MassUnit.KG, 3: MassUnit.LB}
_UNIT_CODE_V2: Final = {MassUnit.KG: 2, MassUnit.LB: 3, MassUnit.JIN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class MiScaleV2:
    """What a v2 advertises. Only a stabilised weight that is still on the scale counts."""

    weight: float  # in ``unit``
    unit: MassUnit = MassUnit.KG
    stabilised: bool
    removed: bool
    time_stamp: datetime | None = None  # naive, the scale's local time
    impedance_ohm: int | None = None  # foot to foot; none until the scale has measured it

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the service data in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Mi Scale v2")
        unit_code, control = fields.uint8(), ControlV2(fields.uint8())
        time_stamp, impedance, weight = fields.date_time(), fields.uint16(), fields.uint16()
        fields.end()
        unit = MassUnit.JIN if ControlV2.JIN in control else _UNIT_V2.get(unit_code)
        if unit is None:
            fields.refuse(f"unit code {unit_code} is not known")
        return cls(
            weight=weight / unit.steps_per_unit,
            unit=unit,
            stabilised=ControlV2.STABILISED in control,
            removed=ControlV2.REMOVED in control,
            time_stamp=time_stamp,
            impedance_ohm=impedance if ControlV2.IMPEDANCE in control else None,
        )

    @property
    def counts(self) -> bool:
        """Whether this is a weight: settled, and with somebody on the scale."""
        return self.stabilised and not self.removed

    def encode(self) -> bytes:
        """Return the service data, the weight rounded to the scale's steps."""
        control = ControlV2.SENT
        control |= ControlV2.JIN if self.unit is MassUnit.JIN else ControlV2(0)
        control |= ControlV2.STABILISED if self.stabilised else ControlV2(0)
        control |= ControlV2.REMOVED if self.removed else ControlV2(0)
        control |= ControlV2.IMPEDANCE if self.impedance_ohm is not None else ControlV2(0)
        head = bytes((_UNIT_CODE_V2[self.unit], control)) + date_time(self.time_stamp)
        weight = steps(self.weight, self.unit.steps_per_unit, 2)
        return head + uint(self.impedance_ohm or 0, 2) + weight
