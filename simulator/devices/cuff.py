"""Cuff: a blood-pressure monitor for the upper arm, of the standard profile (BLS 1.1.1)."""

import math

from bumble import gatt
from bumble.core import AdvertisingData

from devices.gatt import uuids
from devices.gatt.blood_pressure import (
    BloodPressure,
    BloodPressureFeature,
    Feature,
    MeasurementStatus,
)
from simulator.devices import attributes
from simulator.devices.recording import Record, RecordingPeripheral

_MEAN_DECIMALS = 0  # cuffs send whole mmHg


class Cuff(RecordingPeripheral):
    """Wakes after each measurement and indicates what it remembers."""

    def measure(
        self,
        systolic: float,
        diastolic: float,
        pulse: float | None = None,
        *,
        user_id: int | None = None,
        status: MeasurementStatus | None = None,
    ) -> bytes:
        """Take a blood pressure, in mmHg and beats per minute; return the payload it keeps."""
        mean = round(diastolic + (systolic - diastolic) / 3, _MEAN_DECIMALS)
        payload = BloodPressure(
            systolic=systolic,
            diastolic=diastolic,
            mean=mean,
            time_stamp=self._time_stamp(),
            pulse=pulse,
            user_id=user_id,
            status=status or MeasurementStatus(0),
        ).encode()
        self.record(payload)
        return payload

    def fail(self) -> bytes:
        """Measure without a result, as with a loose cuff: a record of no numbers."""
        loose = MeasurementStatus.CUFF_LOOSE
        return self.measure(math.nan, math.nan, math.nan, status=loose)

    def record(self, payload: bytes) -> None:
        """Keep a 0x2A35 payload as it is, from a capture for example."""
        self._keep(Record({uuids.BLOOD_PRESSURE_MEASUREMENT: payload}))

    @property
    def _measures(self) -> tuple[str, ...]:
        return (uuids.BLOOD_PRESSURE_MEASUREMENT,)

    def _measuring_services(self) -> list[gatt.Service]:
        noticed = Feature.BODY_MOVEMENT | Feature.CUFF_FIT | Feature.IRREGULAR_PULSE
        feature = BloodPressureFeature(noticed).encode()
        return [
            attributes.service(
                uuids.BLOOD_PRESSURE_SERVICE,
                *self._measuring.values(),
                attributes.constant(uuids.BLOOD_PRESSURE_FEATURE, feature),
                *self._clock_beside(),
            )
        ]

    def _advertised(self) -> list[tuple[int, bytes]]:
        service = attributes.advertised_uuid(uuids.BLOOD_PRESSURE_SERVICE)
        return [(AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, service)]
