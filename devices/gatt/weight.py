"""Weight Measurement, characteristic 0x2A9D, and Weight Scale Feature, 0x2A9E (WSS 1.0.1).

Reserved bits are ignored: a field they might bring makes the payload longer than this layout,
and then it is refused.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from devices.gatt.cursor import Cursor, date_time, steps, uint
from devices.gatt.mass import MassUnit

UNSUCCESSFUL: Final = 0xFFFF
USER_UNKNOWN: Final = 0xFF
BMI_STEPS_PER_UNIT: Final = 10
HEIGHT_STEPS_PER_M: Final = 1000
HEIGHT_STEPS_PER_INCH: Final = 10


class Flags(enum.IntFlag):
    """Which units, and which optional fields follow."""

    IMPERIAL = 1
    TIME_STAMP = 2
    USER_ID = 4
    BMI_AND_HEIGHT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightMeasurement:
    """A Weight Measurement. Weight is in ``unit`` (kg or lb), height in m or inches with it."""

    weight: float | None  # none: the scale says the measurement was unsuccessful
    unit: MassUnit = MassUnit.KG
    time_stamp: datetime | None = None  # naive, the scale's local time
    user_id: int | None = None
    bmi: float | None = None  # kg/m²; with height or not at all
    height: float | None = None

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Weight Measurement")
        flags = Flags(fields.uint8())
        unit = MassUnit.LB if Flags.IMPERIAL in flags else MassUnit.KG
        weight = fields.uint16()
        time_stamp = fields.date_time() if Flags.TIME_STAMP in flags else None
        user_id = fields.uint8() if Flags.USER_ID in flags else None
        bmi = height = None
        if Flags.BMI_AND_HEIGHT in flags:
            bmi = fields.uint16() / BMI_STEPS_PER_UNIT
            height = fields.uint16() / height_steps(unit)
        fields.end()
        return cls(
            weight=None if weight == UNSUCCESSFUL else weight / unit.steps_per_unit,
            unit=unit,
            time_stamp=time_stamp,
            user_id=None if user_id == USER_UNKNOWN else user_id,
            bmi=bmi,
            height=height,
        )

    def encode(self) -> bytes:
        """Return the characteristic value, numbers rounded to the scale's steps."""
        flags = Flags.IMPERIAL if self.unit is MassUnit.LB else Flags(0)
        fields = mass(self.weight, self.unit)
        if self.time_stamp is not None:
            flags |= Flags.TIME_STAMP
            fields += date_time(self.time_stamp)
        if self.user_id is not None:
            flags |= Flags.USER_ID
            fields += uint(self.user_id, 1)
        if self.bmi is not None and self.height is not None:
            flags |= Flags.BMI_AND_HEIGHT
            fields += steps(self.bmi, BMI_STEPS_PER_UNIT, 2)
            fields += steps(self.height, height_steps(self.unit), 2)
        return uint(flags, 1) + fields


def height_steps(unit: MassUnit) -> int:
    """Return how many steps of height make one: 1000 a metre, or 10 an inch."""
    return HEIGHT_STEPS_PER_INCH if unit is MassUnit.LB else HEIGHT_STEPS_PER_M


def mass(weight: float | None, unit: MassUnit) -> bytes:
    """Return a mass field; none is "unsuccessful", which no weight may look like."""
    if weight is None:
        return uint(UNSUCCESSFUL, 2)
    field = steps(weight, unit.steps_per_unit, 2)
    if field == uint(UNSUCCESSFUL, 2):
        problem = f"{weight} {unit.value} would read as unsuccessful"
        raise ValueError(problem)
    return field


class Feature(enum.IntFlag):
    """Which fields a scale can send."""

    TIME_STAMP = 1
    MULTIPLE_USERS = 2
    BMI = 4


_FEATURE_BITS: Final = sum(Feature)
_WEIGHT_RESOLUTION_AT: Final = 3
_WEIGHT_RESOLUTION_MASK: Final = 0x0F
_HEIGHT_RESOLUTION_AT: Final = 7
_HEIGHT_RESOLUTION_MASK: Final = 0x07


@dataclass(frozen=True, slots=True)
class WeightScaleFeature:
    """Weight Scale Feature, 0x2A9E; a resolution is a code, 0 not specified, higher is finer."""

    features: Feature
    weight_resolution: int = 0  # 0–15; 1 is 0.5 kg or 1 lb … 7 is 0.005 kg or 0.01 lb
    height_resolution: int = 0  # 0–7; 1 is 0.01 m or 1 inch … 3 is 0.001 m or 0.1 inch

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Weight Scale Feature")
        bits = fields.uint32()
        fields.end()
        return cls(
            Feature(bits & _FEATURE_BITS),
            bits >> _WEIGHT_RESOLUTION_AT & _WEIGHT_RESOLUTION_MASK,
            bits >> _HEIGHT_RESOLUTION_AT & _HEIGHT_RESOLUTION_MASK,
        )

    def encode(self) -> bytes:
        """Return the characteristic value."""
        weight = (self.weight_resolution & _WEIGHT_RESOLUTION_MASK) << _WEIGHT_RESOLUTION_AT
        height = (self.height_resolution & _HEIGHT_RESOLUTION_MASK) << _HEIGHT_RESOLUTION_AT
        return uint(self.features | weight | height, 4)
