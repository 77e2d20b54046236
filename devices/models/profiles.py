"""Any device that follows its profile: the rows that come last."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried

CLOCKS: Final = (uuids.CURRENT_TIME, uuids.DATE_TIME)  # the finer first; the first answer stands

HOLD_SV: Final = "Håll in mätarens Bluetooth-knapp i fem sekunder, tills en symbol blinkar."
HOLD_EN: Final = "Hold the device's Bluetooth button for five seconds, until a symbol flashes."

PROFILES: Final = (
    Model(
        name="standard_cuff",
        title="Any cuff of the Blood Pressure Profile",
        driver="blood_pressure",
        services=(uuids.BLOOD_PRESSURE_SERVICE,),
        pairing=Pairing.JUST_WORKS,
        clocks=CLOCKS,
        sets_clock=True,
        how_to_pair_sv=HOLD_SV,
        how_to_pair_en=HOLD_EN,
        tried=Tried.SIMULATED,
        source="Blood Pressure Profile 1.1.1",
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
        how_to_pair_sv="Ställ dig på vågen så att den vaknar.",
        how_to_pair_en="Step on the scale so that it wakes.",
        tried=Tried.SIMULATED,
        source="Weight Scale Profile 1.0.1; User Data Service 1.0",
    ),
)
