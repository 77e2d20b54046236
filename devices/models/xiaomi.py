"""Xiaomi's scales: never connected to, their advertisements say it all."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried

_CLOCK: Final = (
    "Its clock begins at 1970 with new batteries, is set by the maker's program, and was seen in "
    "UTC; what is advertised was weighed just now, so that time is placed by the receipt. Names "
    "nobody."
)

XIAOMI: Final = (
    Model(
        name="mi_scale_v1",
        title="Xiaomi Mi Scale (v1) and Mi Smart Scale 2",
        driver="mi_scale_v1",
        advertised_names=("MI_SCALE", "MI SCALE2"),
        advertised_source=uuids.WEIGHT_SCALE_SERVICE,
        advertised_bytes=10,
        pairing=Pairing.NONE,
        quirks=_CLOCK,
        tried=Tried.CAPTURED,
        source="custom-components/ble_monitor (captures) and #292; oliexdev/openScale#37, #923",
    ),
    Model(
        name="mi_scale_v2",
        title="Xiaomi Mi Body Composition Scale (v2)",
        driver="mi_scale_v2",
        advertised_names=("MIBCS", "MIBFS"),
        advertised_source=uuids.BODY_COMPOSITION_SERVICE,
        advertised_bytes=13,
        pairing=Pairing.NONE,
        quirks=_CLOCK + " Impedance is kept raw, no fat is derived from it.",
        tried=Tried.CAPTURED,
        source="custom-components/ble_monitor (captures); oliexdev/openScale#627",
    ),
)
