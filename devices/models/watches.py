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
        pairing=Pairing.NONE,
        clocks=(uuids.CURRENT_TIME,),
        sets_clock=True,
        revisit_s=WATCH_REVISIT_S,
        quirks="Tells a running total of the day and no time; its clock begins at 1970 and does "
        "not follow summer time, so it is set: the total begins anew at the watch's midnight. "
        "Always advertises; visited every half hour.",
        tried=Tried.SIMULATED,
        source=(
            "InfiniTimeOrg/InfiniTime: doc/ble.md, doc/gettingStarted, and the firmware's "
            "CurrentTimeService, MotionService (neither wants encryption) and NimbleController"
        ),
    ),
)
