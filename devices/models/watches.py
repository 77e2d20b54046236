"""Watches that count steps."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried

# A watch always advertises. At most two readings a visit, and ingest marks more than six an
# hour from one device as suspect: three visits in any hour, both ends counted.
WATCH_REVISIT_S: Final = 1800.0

WATCHES: Final = (
    Model(
        name="infinitime",
        title="PineTime watch with InfiniTime",
        driver="infinitime",
        advertised_names=("InfiniTime",),
        services=(uuids.MOTION_SERVICE,),
        pairing=Pairing.NONE,
        revisit_s=WATCH_REVISIT_S,
        tried=Tried.SIMULATED,
        source="InfiniTime doc/MotionService.md",
    ),
)
