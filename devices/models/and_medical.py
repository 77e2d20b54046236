"""A&D Medical: cuffs and scales made for remote monitoring."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried

AND_MEDICAL: Final = (
    Model(
        name="and_ua651ble",
        title="A&D UA-651BLE",
        driver="blood_pressure",
        advertised_names=("UA-651BLE",),
        advertised_prefixes=("A&D_UA-651BLE",),
        pairing=Pairing.JUST_WORKS,
        pairs_before_discovery=True,
        clocks=(uuids.DATE_TIME,),
        sets_clock=True,
        quirks="Switches off (E 10) when its services are discovered unencrypted. Tells its name "
        "and delivers only to the one it is paired with; sends what it has not sent yet, and "
        "hangs up by itself. Its clock stands in the blood pressure service.",
        how_to_pair_sv="Håll in startknappen tills displayen visar Pr.",
        how_to_pair_en="Hold the START button until the display shows Pr.",
        tried=Tried.SIMULATED,
        source=(
            "andengineering/AndroidSampleCode#1 (switches off); obniz/obniz, parts/Ble/UA651BLE "
            "(name, Pr, clock, delivers to one only; there it is said to deliver without keys once "
            "it is paired). That it pairs with nothing to type is not confirmed"
        ),
    ),
    Model(
        name="and_uc352ble",
        title="A&D UC-352BLE",
        driver="weight_scale",
        advertised_names=("UC-352BLE",),
        advertised_prefixes=("A&D_UC-352BLE",),
        pairing=Pairing.JUST_WORKS,
        pairs_before_discovery=True,
        clocks=(uuids.DATE_TIME,),
        sets_clock=True,
        quirks="Weight only. Its clock stands in the weight scale service.",
        how_to_pair_sv="Håll in knappen på vågens undersida tills displayen visar Pr.",
        how_to_pair_en="Hold the button under the scale until the display shows Pr.",
        tried=Tried.SIMULATED,
        source=(
            "HEADS-project/ThingML-BLE, AND_Medical_UC352BLE.md (services; the clock can be read "
            "and written). Name, pairing and button are taken over from UA-651BLE, not confirmed"
        ),
    ),
)
