"""Any device that follows its profile: the rows that come last."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried
from devices.models.watches import WATCH_REVISIT_S

CLOCKS: Final = (uuids.CURRENT_TIME, uuids.DATE_TIME)  # the finer first; the first answer stands

PROFILES: Final = (
    Model(
        name="standard_cuff",
        title="Any cuff of the Blood Pressure Profile",
        driver="blood_pressure",
        services=(uuids.BLOOD_PRESSURE_SERVICE,),
        pairing=Pairing.JUST_WORKS,
        clocks=CLOCKS,
        sets_clock=True,
        quirks="Nothing is known of it but the profile.",
        how_to_pair_sv="Håll in mätarens Bluetooth-knapp i fem sekunder, tills en symbol blinkar.",
        how_to_pair_en="Hold the cuff's Bluetooth button for five seconds, until a symbol flashes.",
        tried=Tried.CAPTURED,
        source=(
            "Blood Pressure Profile 1.1.1; a failed measurement of a shop cuff: "
            "derdilla/blood-pressure-monitor-fl#80"
        ),
    ),
    Model(
        name="standard_scale",
        title="Any scale of the Weight Scale Profile",
        driver="weight_scale",
        services=(uuids.WEIGHT_SCALE_SERVICE, uuids.BODY_COMPOSITION_SERVICE),
        pairing=Pairing.JUST_WORKS,
        clocks=CLOCKS,
        sets_clock=True,
        consent=True,
        quirks="Nothing is known of it but the profile. Where it has a User Control Point, a user "
        "is registered.",
        how_to_pair_sv="Ställ dig på vågen så att den vaknar, och kliv av igen.",
        how_to_pair_en="Step on the scale so that it wakes, and step off again.",
        tried=Tried.SIMULATED,
        source="Weight Scale Profile 1.0.1; User Data Service 1.0",
    ),
    Model(
        name="standard_watch",
        title="Any watch with InfiniTime's Motion Service",
        driver="infinitime",
        services=(uuids.MOTION_SERVICE,),
        pairing=Pairing.NONE,
        clocks=(uuids.CURRENT_TIME,),
        sets_clock=True,
        revisit_s=WATCH_REVISIT_S,
        quirks="As InfiniTime under another name. The Bluetooth SIG's own profiles are not served: "
        "Running Speed and Cadence has no step total, and Physical Activity Monitor counts a "
        "session's steps, not a day's.",
        tried=Tried.SIMULATED,
        source="InfiniTimeOrg/InfiniTime, doc/MotionService.md",
    ),
)
