"""Medisana: cuffs of the BU series."""

from typing import Final

from devices.models.model import Model, Pairing, Tried
from devices.models.profiles import CLOCKS

MEDISANA: Final = (
    Model(
        name="medisana_bu5xx",
        title="Medisana BU 530, 570, 572, 575, 580, 584",
        driver="blood_pressure",
        advertised_names=("1872B",),
        pairing=Pairing.NONE,
        clocks=CLOCKS,
        sets_clock=True,
        quirks="Sends what it remembers in one session.",
        how_to_pair_sv="Tryck på mätarens Bluetooth-knapp.",
        how_to_pair_en="Press the cuff's Bluetooth button.",
        tried=Tried.SIMULATED,
        source=(
            "bkbilly/medisanabp_ble#1 (layout, many records), #2 (name of BU 570), #4 (models). "
            "That it needs no bond, its clock, its users and its button are not confirmed; "
            "models under another name are served as any cuff"
        ),
    ),
)
