"""Omron: the cuffs that offer the standard profile beside the maker's own protocol."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried

OMRON: Final = (
    Model(
        name="omron_hem7xxx",
        title="Omron HEM-7xxx of the standard profile (X2 Smart+, X4 Smart, BP5150 and others)",
        driver="blood_pressure",
        advertised_prefixes=("BLEsmart_", "BLESmart_", "X2 Smart+", "X4 Smart", "HEM-7"),
        services=(uuids.BLOOD_PRESSURE_SERVICE,),
        pairing=Pairing.JUST_WORKS,
        pairs_before_discovery=True,
        clocks=(uuids.CURRENT_TIME,),
        sets_clock=True,
        slots=2,
        quirks="Keeps one bond: a telephone that is paired loses it, and the other way round. "
        "Drops the link if it is not encrypted soon, and the bond if it is unsubscribed before "
        "the end. X4 Smart forgets what it has delivered. A wrist model answered the setting of "
        "its clock with error 0x80. Cuffs with the maker's protocol only (service fe4a or "
        "ecbe3980) are not served.",
        how_to_pair_sv="Håll in Bluetooth-knappen i fem sekunder, tills ett P blinkar.",
        how_to_pair_en="Hold the Bluetooth button for five seconds, until a P flashes.",
        tried=Tried.SIMULATED,
        source=(
            "eigger/hass-omron (README, omron_ble/devices.py, #11, #91, #136); "
            "derdilla/blood-pressure-monitor-fl docs/bluetooth.md (names, standard profile) and "
            "#659. Some models have one user; HEM-7 as the beginning of a name is a guess"
        ),
    ),
)
