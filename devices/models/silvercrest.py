"""Silvercrest: what Lidl sells under the name HealthForYou."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried

SILVERCREST: Final = (
    Model(
        name="silvercrest_sbm69",
        title="Silvercrest SBM 69 (HealthForYou)",
        driver="silvercrest_sbm69",
        advertised_names=("SBM69",),
        pairing=Pairing.PASSKEY,
        clocks=(uuids.DATE_TIME,),
        vendor_frames=(uuids.BLOOD_PRESSURE_MEASUREMENT,),
        quirks="Whole numbers where the profile has SFLOAT: read as such, from 1 to 300; anything "
        "else on 0x2A35 is kept raw. Shows a number for some seconds when it pairs. Sends all "
        "that it remembers and hangs up. Has neither a battery nor a current time service.",
        how_to_pair_sv="Tryck på knappen M, och läs av numret på displayen innan det försvinner.",
        how_to_pair_en="Press the button M, and read the number on the display before it is gone.",
        tried=Tried.SIMULATED,
        source=(
            "ignisf/sbm69 README (layout, services, M, passkey); 1technophile/OpenMQTTGateway#806 "
            "(name); derdilla/blood-pressure-monitor-fl docs/bluetooth.md reads it by the profile. "
            "How it tells of a failed measurement, and whether it has a clock to read, is not known"
        ),
    ),
)
