"""Codecs of GATT characteristics and advertised service data, one file each.

``CODECS`` is every codec there is, for whoever wants all of them: the fuzzer does.
"""

from typing import Final, Protocol, Self

from devices.gatt.battery import BatteryLevel
from devices.gatt.blood_pressure import BloodPressure, BloodPressureFeature
from devices.gatt.body_composition import BodyComposition
from devices.gatt.date_time import CurrentTime, DateTime
from devices.gatt.device_information import DeviceInformation
from devices.gatt.infinitime import StepCount
from devices.gatt.mi_scale import MiScaleV1, MiScaleV2
from devices.gatt.rsc import RscMeasurement
from devices.gatt.step_counter import StepCounterSummary
from devices.gatt.user_control_point import UserControlRequest, UserControlResponse
from devices.gatt.vendor_blood_pressure import BeurerBloodPressure, Sbm69BloodPressure
from devices.gatt.weight import WeightMeasurement, WeightScaleFeature

__all__ = ["CODECS", "Codec"]


class Codec(Protocol):
    """A decoded payload."""

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return what *payload* says; ``MalformedPayload`` is the only thing it raises."""

    def encode(self) -> bytes:
        """Return a payload that says the same; ``ValueError`` if no payload can."""


CODECS: Final[dict[str, type[Codec]]] = {
    "battery": BatteryLevel,
    "blood_pressure": BloodPressure,
    "blood_pressure_beurer": BeurerBloodPressure,
    "blood_pressure_feature": BloodPressureFeature,
    "blood_pressure_sbm69": Sbm69BloodPressure,
    "body_composition": BodyComposition,
    "current_time": CurrentTime,
    "date_time": DateTime,
    "device_information": DeviceInformation,
    "infinitime_steps": StepCount,
    "mi_scale_v1": MiScaleV1,
    "mi_scale_v2": MiScaleV2,
    "rsc": RscMeasurement,
    "step_counter": StepCounterSummary,
    "user_control_request": UserControlRequest,
    "user_control_response": UserControlResponse,
    "weight": WeightMeasurement,
    "weight_scale_feature": WeightScaleFeature,
}
