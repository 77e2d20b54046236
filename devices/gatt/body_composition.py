"""Body Composition Measurement, characteristic 0x2A9C (BCS 1.0.1, section 3.2).

A measurement too long for one indication comes as two, both marked multiple-packet and both
with the body fat percentage; putting them together is the driver's. Reserved bits are ignored:
a field they might bring makes the payload longer than this layout, and then it is refused.
The Xiaomi body scales send frames of their own under this UUID, which are refused likewise.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from devices.gatt.cursor import Cursor, date_time, steps, uint
from devices.gatt.mass import MassUnit
from devices.gatt.weight import USER_UNKNOWN, height_steps

UNSUCCESSFUL: Final = 0xFFFF
_TENTHS: Final = 10


class Flags(enum.IntFlag):
    """Which units, and which optional fields follow, in their order."""

    IMPERIAL = 1 << 0
    TIME_STAMP = 1 << 1
    USER_ID = 1 << 2
    BASAL_METABOLISM = 1 << 3
    MUSCLE_PERCENTAGE = 1 << 4
    MUSCLE_MASS = 1 << 5
    FAT_FREE_MASS = 1 << 6
    SOFT_LEAN_MASS = 1 << 7
    BODY_WATER_MASS = 1 << 8
    IMPEDANCE = 1 << 9
    WEIGHT = 1 << 10
    HEIGHT = 1 << 11
    MULTIPLE_PACKET = 1 << 12


# An IntFlag keeps each number it was ever made of: reserved bits are left out of it.
_FLAG_BITS: Final = sum(Flags)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyComposition:
    """A Body Composition Measurement. Masses are in ``unit`` (kg or lb), none where absent."""

    fat_percent: float | None  # none: the device says the measurement was unsuccessful
    unit: MassUnit = MassUnit.KG
    time_stamp: datetime | None = None  # naive, the device's local time
    user_id: int | None = None
    basal_metabolism_kj: int | None = None
    muscle_percent: float | None = None
    muscle_mass: float | None = None
    fat_free_mass: float | None = None
    soft_lean_mass: float | None = None
    body_water_mass: float | None = None
    impedance_ohm: float | None = None
    weight: float | None = None
    height: float | None = None  # m, or inches with lb
    multiple_packet: bool = False

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Body Composition Measurement")
        flags = Flags(fields.uint16() & _FLAG_BITS)
        unit = MassUnit.LB if Flags.IMPERIAL in flags else MassUnit.KG
        fat = fields.uint16()
        time_stamp = fields.date_time() if Flags.TIME_STAMP in flags else None
        user_id = fields.uint8() if Flags.USER_ID in flags else None

        def field(flag: Flags, steps_per_unit: int) -> float | None:
            return fields.uint16() / steps_per_unit if flag in flags else None

        composition = cls(
            fat_percent=None if fat == UNSUCCESSFUL else fat / _TENTHS,
            unit=unit,
            time_stamp=time_stamp,
            user_id=None if user_id == USER_UNKNOWN else user_id,
            basal_metabolism_kj=fields.uint16() if Flags.BASAL_METABOLISM in flags else None,
            muscle_percent=field(Flags.MUSCLE_PERCENTAGE, _TENTHS),
            muscle_mass=field(Flags.MUSCLE_MASS, unit.steps_per_unit),
            fat_free_mass=field(Flags.FAT_FREE_MASS, unit.steps_per_unit),
            soft_lean_mass=field(Flags.SOFT_LEAN_MASS, unit.steps_per_unit),
            body_water_mass=field(Flags.BODY_WATER_MASS, unit.steps_per_unit),
            impedance_ohm=field(Flags.IMPEDANCE, _TENTHS),
            weight=field(Flags.WEIGHT, unit.steps_per_unit),
            height=field(Flags.HEIGHT, height_steps(unit)),
            multiple_packet=Flags.MULTIPLE_PACKET in flags,
        )
        fields.end()
        return composition

    def encode(self) -> bytes:
        """Return the characteristic value, numbers rounded to the layout's steps."""
        flags = Flags.IMPERIAL if self.unit is MassUnit.LB else Flags(0)
        flags |= Flags.MULTIPLE_PACKET if self.multiple_packet else Flags(0)
        fat = self.fat_percent
        fields = uint(UNSUCCESSFUL, 2) if fat is None else steps(fat, _TENTHS, 2)
        if self.time_stamp is not None:
            flags |= Flags.TIME_STAMP
            fields += date_time(self.time_stamp)
        if self.user_id is not None:
            flags |= Flags.USER_ID
            fields += uint(self.user_id, 1)
        for flag, value, steps_per_unit in self._optional_fields():
            if value is not None:
                flags |= flag
                fields += steps(value, steps_per_unit, 2)
        return uint(flags, 2) + fields

    def _optional_fields(self) -> list[tuple[Flags, float | None, int]]:
        per_mass = self.unit.steps_per_unit
        return [
            (Flags.BASAL_METABOLISM, self.basal_metabolism_kj, 1),
            (Flags.MUSCLE_PERCENTAGE, self.muscle_percent, _TENTHS),
            (Flags.MUSCLE_MASS, self.muscle_mass, per_mass),
            (Flags.FAT_FREE_MASS, self.fat_free_mass, per_mass),
            (Flags.SOFT_LEAN_MASS, self.soft_lean_mass, per_mass),
            (Flags.BODY_WATER_MASS, self.body_water_mass, per_mass),
            (Flags.IMPEDANCE, self.impedance_ohm, _TENTHS),
            (Flags.WEIGHT, self.weight, per_mass),
            (Flags.HEIGHT, self.height, height_steps(self.unit)),
        ]
