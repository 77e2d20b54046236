"""Blood Pressure Measurement 0x2A35, Intermediate Cuff Pressure 0x2A36, Feature 0x2A49 (BLS 1.1.1).

Reserved bits are ignored: a later revision may set one, and if it brings a field with it the
payload is longer than this layout and is refused, never guessed at.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from devices.gatt.cursor import Cursor, date_time, sfloat, uint

# 1 mm of mercury of 13.5951 g/cm³ under 9.80665 m/s²: the conventional millimetre of mercury.
MMHG_PER_KPA: Final = 1000 / 133.322387415
# A cuff shows kPa in tenths (0.75 mmHg); more decimals than these say nothing.
_MMHG_DECIMALS: Final = 2

USER_UNKNOWN: Final = 0xFF


class PressureUnit(enum.Enum):
    """The unit of the three pressures; the value is its UCUM code."""

    MMHG = "mm[Hg]"
    KPA = "kPa"

    def to_mmhg(self, pressure: float) -> float:
        """Return *pressure*, in this unit, in mmHg."""
        if self is PressureUnit.MMHG:
            return pressure
        return round(pressure * MMHG_PER_KPA, _MMHG_DECIMALS)


class Flags(enum.IntFlag):
    """Which unit, and which optional fields follow."""

    KILOPASCAL = 1
    TIME_STAMP = 2
    PULSE_RATE = 4
    USER_ID = 8
    STATUS = 16


class MeasurementStatus(enum.IntFlag):
    """Measurement Status: what the cuff noticed. Bits 3–4 are one field, the rate range."""

    BODY_MOVEMENT = 1
    CUFF_LOOSE = 2
    IRREGULAR_PULSE = 4
    PULSE_ABOVE_RANGE = 8
    PULSE_BELOW_RANGE = 16
    IMPROPER_POSITION = 32


_STATUS_BITS: Final = sum(MeasurementStatus)


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodPressure:
    """A Blood Pressure Measurement, or an Intermediate Cuff Pressure, which has its layout.

    Pressures are in ``unit``; nan or ±inf is "no result". Of an intermediate cuff pressure
    only ``systolic`` is used, and it is the pressure in the cuff, not the patient's.
    """

    systolic: float
    diastolic: float
    mean: float
    unit: PressureUnit = PressureUnit.MMHG
    time_stamp: datetime | None = None  # naive, the device's local time
    pulse: float | None = None  # per minute; none if absent, nan if there was no result
    user_id: int | None = None
    status: MeasurementStatus | None = None

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Blood Pressure Measurement")
        flags = Flags(fields.uint8())
        systolic, diastolic, mean = fields.sfloat(), fields.sfloat(), fields.sfloat()
        time_stamp = fields.date_time() if Flags.TIME_STAMP in flags else None
        pulse = fields.sfloat() if Flags.PULSE_RATE in flags else None
        user_id = fields.uint8() if Flags.USER_ID in flags else None
        status = fields.uint16() if Flags.STATUS in flags else None
        fields.end()
        return cls(
            systolic=systolic,
            diastolic=diastolic,
            mean=mean,
            unit=PressureUnit.KPA if Flags.KILOPASCAL in flags else PressureUnit.MMHG,
            time_stamp=time_stamp,
            pulse=pulse,
            user_id=None if user_id == USER_UNKNOWN else user_id,
            status=None if status is None else MeasurementStatus(status & _STATUS_BITS),
        )

    def encode(self) -> bytes:
        """Return the characteristic value; ``ValueError`` if a number has no exact SFLOAT."""
        flags = Flags.KILOPASCAL if self.unit is PressureUnit.KPA else Flags(0)
        fields = sfloat(self.systolic) + sfloat(self.diastolic) + sfloat(self.mean)
        if self.time_stamp is not None:
            flags |= Flags.TIME_STAMP
            fields += date_time(self.time_stamp)
        if self.pulse is not None:
            flags |= Flags.PULSE_RATE
            fields += sfloat(self.pulse)
        if self.user_id is not None:
            flags |= Flags.USER_ID
            fields += uint(self.user_id, 1)
        if self.status is not None:
            flags |= Flags.STATUS
            fields += uint(self.status, 2)
        return uint(flags, 1) + fields


class Feature(enum.IntFlag):
    """What a cuff can notice."""

    BODY_MOVEMENT = 1
    CUFF_FIT = 2
    IRREGULAR_PULSE = 4
    PULSE_RANGE = 8
    POSITION = 16
    MULTIPLE_BONDS = 32


_FEATURE_BITS: Final = sum(Feature)


@dataclass(frozen=True, slots=True)
class BloodPressureFeature:
    """Blood Pressure Feature, 0x2A49."""

    features: Feature

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Blood Pressure Feature")
        features = fields.uint16()
        fields.end()
        return cls(Feature(features & _FEATURE_BITS))

    def encode(self) -> bytes:
        """Return the characteristic value."""
        return uint(self.features, 2)
