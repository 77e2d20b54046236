"""Scale: a bathroom scale of the standard profiles, with body composition if it has it.

Weight Scale Service 1.0.1 and Body Composition Service 1.0.1.
"""

from bumble import gatt
from bumble.core import AdvertisingData

from devices.gatt import uuids
from devices.gatt.body_composition import BodyComposition
from devices.gatt.weight import Feature, WeightMeasurement, WeightScaleFeature
from simulator.devices import attributes
from simulator.devices.recording import Record, RecordingPeripheral

_RESOLUTION_5_G = 7  # the finest code of Weight Scale Feature
# Body Composition Feature, 0x2A9B: time stamp; mass resolution 5 g (code 7 from bit 11).
_COMPOSITION_FEATURE_UUID = uuids.full(0x2A9B)
_COMPOSITION_FEATURE = (0x01 | 7 << 11).to_bytes(4, "little")


class Scale(RecordingPeripheral):
    """Wakes after each weighing and indicates what it remembers."""

    has_composition = False

    def measure(
        self, weight_kg: float, *, user_id: int | None = None, fat_percent: float | None = None
    ) -> bytes:
        """Weigh somebody; return the weight payload it keeps.

        A *fat_percent* needs a ``BodyScale``; it goes on the other characteristic.
        """
        assert fat_percent is None or self.has_composition
        time_stamp = self._time_stamp()
        weight = WeightMeasurement(
            weight=weight_kg, time_stamp=time_stamp, user_id=user_id
        ).encode()
        payloads = {uuids.WEIGHT_MEASUREMENT: weight}
        if fat_percent is not None:
            payloads[uuids.BODY_COMPOSITION_MEASUREMENT] = BodyComposition(
                fat_percent=fat_percent, time_stamp=time_stamp, user_id=user_id
            ).encode()
        self._keep(Record(payloads))
        return weight

    def fail(self) -> bytes:
        """Weigh without a result, as when somebody steps off too soon."""
        failed = WeightMeasurement(weight=None, time_stamp=self._time_stamp()).encode()
        self.record(failed)
        return failed

    def record(self, payload: bytes) -> None:
        """Keep a 0x2A9D payload as it is, from a capture for example."""
        self._keep(Record({uuids.WEIGHT_MEASUREMENT: payload}))

    @property
    def _measures(self) -> tuple[str, ...]:
        return (uuids.WEIGHT_MEASUREMENT,)

    def _measuring_services(self) -> list[gatt.Service]:
        can = Feature.TIME_STAMP | Feature.MULTIPLE_USERS
        feature = WeightScaleFeature(can, weight_resolution=_RESOLUTION_5_G).encode()
        return [
            attributes.service(
                uuids.WEIGHT_SCALE_SERVICE,
                self._measuring[uuids.WEIGHT_MEASUREMENT],
                attributes.constant(uuids.WEIGHT_SCALE_FEATURE, feature),
                *self._clock_beside(),
            )
        ]

    def _advertised(self) -> list[tuple[int, bytes]]:
        service = attributes.advertised_uuid(uuids.WEIGHT_SCALE_SERVICE)
        return [(AdvertisingData.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS, service)]


class BodyScale(Scale):
    """A scale that measures body fat as well, and sends it on a characteristic of its own."""

    has_composition = True

    @property
    def _measures(self) -> tuple[str, ...]:
        return (uuids.WEIGHT_MEASUREMENT, uuids.BODY_COMPOSITION_MEASUREMENT)

    def _measuring_services(self) -> list[gatt.Service]:
        composition = attributes.service(
            uuids.BODY_COMPOSITION_SERVICE,
            self._measuring[uuids.BODY_COMPOSITION_MEASUREMENT],
            attributes.constant(_COMPOSITION_FEATURE_UUID, _COMPOSITION_FEATURE),
        )
        return [*super()._measuring_services(), composition]
