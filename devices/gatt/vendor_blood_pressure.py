"""Blood Pressure Measurement, 0x2A35, as some makers lay it out instead of BLS 1.1.1.

Each layout is known from what others captured; what does not fit it to the last byte is refused
and kept raw. Nothing is read by the profile here that the device does not send by the profile.
"""

import math
from dataclasses import dataclass, replace
from typing import Final, Self

from devices.gatt.blood_pressure import (
    USER_UNKNOWN,
    BloodPressure,
    Flags,
    MeasurementStatus,
    PressureUnit,
)
from devices.gatt.cursor import Cursor, date_time, sfloat, uint
from devices.gatt.medfloat import decode_sfloat, encode_sfloat

_STATUS_BITS: Final = sum(MeasurementStatus)

# No cuff inflates beyond this (IEC 80601-2-30, 201.12.1.105), and no pulse is counted beyond it.
SBM69_MAX: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BeurerBloodPressure(BloodPressure):
    """As a Beurer BM85 sends it, and by its maker's own list BM48, BM59 and ELITE900 as well.

    Pulse and status have their bytes swapped; a user stands behind the pulse whatever the flags
    say; a mean pressure of 0 is none. Four captures of a BM85: derdilla/blood-pressure-monitor-fl,
    #735 and #737. A record of exactly the profile's length is read by the profile: of the other
    three models nobody has shown the bytes.
    """

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        if len(payload) == _profile_bytes(payload):
            found = super(BeurerBloodPressure, cls).decode(payload)
            return replace(found, mean=found.mean or math.nan)
        fields = Cursor(payload, "Blood Pressure Measurement of a Beurer BM")
        flags = Flags(fields.uint8())
        systolic, diastolic, mean = fields.sfloat(), fields.sfloat(), fields.sfloat()
        time_stamp = fields.date_time() if Flags.TIME_STAMP in flags else None
        pulse = _swapped(fields.uint16()) if Flags.PULSE_RATE in flags else None
        user_id = fields.uint8()
        status = _swapped(fields.uint16()) if Flags.STATUS in flags else None
        fields.end()
        return cls(
            systolic=systolic,
            diastolic=diastolic,
            mean=mean or math.nan,
            unit=PressureUnit.KPA if Flags.KILOPASCAL in flags else PressureUnit.MMHG,
            time_stamp=time_stamp,
            pulse=None if pulse is None else decode_sfloat(pulse),
            user_id=None if user_id == USER_UNKNOWN else user_id,
            status=None if status is None else MeasurementStatus(status & _STATUS_BITS),
        )

    def encode(self) -> bytes:
        """Return the characteristic value in the maker's layout."""
        flags = Flags.KILOPASCAL if self.unit is PressureUnit.KPA else Flags(0)
        mean = 0.0 if math.isnan(self.mean) else self.mean
        fields = sfloat(self.systolic) + sfloat(self.diastolic) + sfloat(mean)
        if self.time_stamp is not None:
            flags |= Flags.TIME_STAMP
            fields += date_time(self.time_stamp)
        if self.pulse is not None:
            flags |= Flags.PULSE_RATE
            fields += uint(_swapped(encode_sfloat(self.pulse)), 2)
        fields += uint(USER_UNKNOWN if self.user_id is None else self.user_id, 1)
        if self.status is not None:
            flags |= Flags.STATUS
            fields += uint(_swapped(int(self.status)), 2)
        return uint(flags, 1) + fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Sbm69BloodPressure(BloodPressure):
    """As a Silvercrest SBM69 sends it: whole numbers where the profile has SFLOAT.

    Told of by ignisf/sbm69 (README); derdilla/blood-pressure-monitor-fl reads one by the profile,
    and both agree below 2046. How it tells of a failed measurement is not known: a number that
    is no pressure or pulse is refused, never taken for one nor for a failure.
    """

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the characteristic value in *payload*.

        Raises:
            MalformedPayload: It does not follow the layout.
        """
        fields = Cursor(payload, "Blood Pressure Measurement of an SBM69")

        def number(name: str) -> float:
            found = fields.uint16()
            if not 0 < found <= SBM69_MAX:
                fields.refuse(f"{name} {found} is not from 1 to {SBM69_MAX}")
            return float(found)

        flags = Flags(fields.uint8())
        if Flags.KILOPASCAL in flags:
            fields.refuse("kPa, of which nobody has shown the layout")
        systolic, diastolic, mean = number("systolic"), number("diastolic"), number("mean")
        time_stamp = fields.date_time() if Flags.TIME_STAMP in flags else None
        pulse = number("pulse") if Flags.PULSE_RATE in flags else None
        user_id = fields.uint8() if Flags.USER_ID in flags else None
        status = fields.uint16() if Flags.STATUS in flags else None
        fields.end()
        return cls(
            systolic=systolic,
            diastolic=diastolic,
            mean=mean,
            time_stamp=time_stamp,
            pulse=pulse,
            user_id=None if user_id == USER_UNKNOWN else user_id,
            status=None if status is None else MeasurementStatus(status & _STATUS_BITS),
        )

    # Encoding is the profile's: an SFLOAT of a whole number up to 300 is that number.


def _profile_bytes(payload: bytes) -> int:
    """Return how long the profile says that a record with these flags is."""
    flags = Flags(payload[0]) if payload else Flags(0)
    lengths = {Flags.TIME_STAMP: 7, Flags.PULSE_RATE: 2, Flags.USER_ID: 1, Flags.STATUS: 2}
    return 7 + sum(size for flag, size in lengths.items() if flag in flags)


def _swapped(number: int) -> int:
    return int.from_bytes(number.to_bytes(2, "little"), "big")
