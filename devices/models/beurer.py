"""Beurer: cuffs of the BM and BC series, scales of the BF series."""

from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing, Tried
from devices.models.profiles import CLOCKS

# A BM85 that is subscribed to at once after service discovery stays silent.
_SETTLE_S: Final = 0.1
_BM_SV: Final = "Tryck på Bluetooth-knappen, och läs av numret om mätaren visar ett."
_BM_EN: Final = "Press the Bluetooth button, and read the number if the cuff shows one."

BEURER: Final = (
    Model(
        name="beurer_bm85",
        title="Beurer BM 85, BM 59, BM 48 and Elite 900",
        driver="beurer_bm",
        advertised_prefixes=(
            *("BM85", "BM 85", "Beurer BM85", "BM59", "BM 59", "Beurer BM59"),
            *("BM48", "BM 48", "Beurer BM48", "ELITE900", "ELITE 900"),
        ),
        pairing=Pairing.PASSKEY,
        clocks=CLOCKS,
        sets_clock=True,
        slots=2,
        settle_s=_SETTLE_S,
        vendor_frames=(uuids.BLOOD_PRESSURE_MEASUREMENT,),
        quirks="Pulse and status have their bytes swapped, a user stands there without its flag, a "
        "mean pressure of 0 is none; read by that layout, and by the profile where a record has "
        "exactly its length. Sends all that it remembers. Stays silent if subscribed to at once. "
        "A BM 48 was seen to switch off when it was asked.",
        how_to_pair_sv=_BM_SV,
        how_to_pair_en=_BM_EN,
        tried=Tried.CAPTURED,
        source=(
            "derdilla/blood-pressure-monitor-fl#735 and #737 (captures of a BM85; the maker's list "
            "of the others), #566 (BM 48) and docs/bluetooth.md (names of BM 59 and BM85; the "
            "others are guesses). Whether it shows a number when pairing is not confirmed"
        ),
    ),
    Model(
        name="beurer_bm",
        title="Beurer BM and BC series, the others",
        driver="blood_pressure",
        advertised_prefixes=("BM", "BC", "Beurer BM", "Beurer BC"),
        services=(uuids.BLOOD_PRESSURE_SERVICE,),
        pairing=Pairing.PASSKEY,
        clocks=CLOCKS,
        sets_clock=True,
        settle_s=_SETTLE_S,
        quirks="Read by the profile: a record of another length is kept raw.",
        how_to_pair_sv=_BM_SV,
        how_to_pair_en=_BM_EN,
        tried=Tried.SIMULATED,
        source=(
            "Taken over from BM 85 but for the layout. Names, pairing and clock are not "
            "confirmed for any of them"
        ),
    ),
    Model(
        name="beurer_bf",
        title="Beurer BF 105, 450, 500, 600, 720, 788, 850, 915, 950; Sanitas SBF 72, 73; "
        "Silvercrest SBF 77",
        driver="weight_scale",
        advertised_prefixes=(
            *("BF105", "BF450", "BF500", "BF600", "BF720", "BF788", "BF850", "BF915", "BF950"),
            *("BF 105", "BF 500", "SBF72", "SBF73", "SBF77"),
        ),
        pairing=Pairing.PASSKEY,
        clocks=(uuids.CURRENT_TIME,),
        sets_clock=True,
        consent=True,
        slots=8,
        quirks="Delivers after a user's consent only (0x2A9F). Names time and user with the weight "
        "only, and sends a composition of zeros with every weight out of its memory: 0 is no "
        "fat. New batteries wipe its users. Users made in its menu are not those of the radio. "
        "We write no age, sex or height, so it may measure no fat for our user. BF105 needs no "
        "bond. BF 700, 710 and 800 speak the maker's protocol and are not served.",
        how_to_pair_sv="Ställ dig på vågen så att den vaknar, och läs av numret den visar.",
        how_to_pair_en="Step on the scale so that it wakes, and read the number it shows.",
        tried=Tried.CAPTURED,
        source=(
            "KristianP26/ble-scale-sync#83 (BF500), #168 (BF720), #229 (BF788), #255 (BF950), "
            "#335 (BF915: six digits, refused consent); oliexdev/openScale#753, #911, #1399 "
            "(registering); the manual of BF 720 (8 users, 30 measurements each). Names with a "
            "blank are guesses; that every one shows six digits is not confirmed"
        ),
    ),
)
