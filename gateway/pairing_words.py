"""The words of a pairing, for whoever stands by the device: plain, and always what to do next."""

from typing import Final, Literal

from devices.models import Model
from devices.wire import PairingStep
from gateway.pairing import Failure

Language = Literal["sv", "en"]

_Said = dict[Language, str]

STEPS: Final[dict[PairingStep, _Said]] = {
    PairingStep.SEARCHING: {
        "sv": "Dosan letar efter mätaren …",
        "en": "The box is looking for the device …",
    },
    PairingStep.PAIRING: {
        "sv": "Dosan har hittat mätaren och kopplar ihop sig med den …",
        "en": "The box has found the device and is connecting to it …",
    },
    PairingStep.PASSKEY: {
        # The device waits no longer (Core 5.4, Vol 3, Part H, 3.4).
        "sv": "Mätaren visar sex siffror. Skriv dem här inom en halv minut",
        "en": "The device shows six digits. Type them here within half a minute",
    },
    PairingStep.MEASURE: {
        "sv": "Nästan klart. Gör nu en mätning som vanligt, så att vi ser att det fungerar.",
        "en": "Nearly done. Now measure as usual, so that we see that it works.",
    },
    PairingStep.DONE: {
        "sv": "Klart! Dosan har fått mätningen. Nu kommer mätvärdena av sig själva.",
        "en": "Done! The box has the measurement. From now on they come by themselves.",
    },
}

FAILURES: Final[dict[Failure, _Said]] = {
    Failure.NOT_HEARD: {
        "sv": "Dosan hörde ingen mätare. Lägg mätaren nära dosan, se efter att batterierna är "
        "bra, gör den redo och försök igen.",
        "en": "The box heard no device. Put the device close to the box, see that its batteries "
        "are good, make it ready and try again.",
    },
    Failure.NOT_REACHED: {
        "sv": "Dosan hörde mätaren men fick ingen kontakt. Flytta den närmare och försök igen.",
        "en": "The box heard the device but could not reach it. Move it closer and try again.",
    },
    Failure.WRONG_PASSKEY: {
        "sv": "Det var inte siffrorna som mätaren visade. Försök igen: den visar nya då.",
        "en": "Those were not the digits the device showed. Try again: it will show new ones.",
    },
    Failure.NO_PASSKEY: {
        "sv": "Ingen skrev siffrorna i tid. Försök igen, med mätaren framför dig.",
        "en": "Nobody typed the digits in time. Try again, with the device in front of you.",
    },
    Failure.REFUSED: {
        "sv": "Mätaren ville inte kopplas ihop. Gör den redo och försök igen.",
        "en": "The device did not want to be connected. Make it ready and try again.",
    },
    Failure.LOST_AGAIN: {
        "sv": "Mätaren kopplades ihop men kände inte igen dosan efteråt. Kanske är den kopplad "
        "till en telefon: ta bort mätaren i telefonen och försök igen.",
        "en": "The device was connected but did not know the box afterwards. It may be connected "
        "to a telephone: remove the device there and try again.",
    },
    Failure.NO_TEST_READING: {
        "sv": "Mätaren är ihopkopplad, men ingen mätning kom. Försök igen, och mät när dosan "
        "ber om det.",
        "en": "The device is connected, but no measurement came. Try again, and measure when "
        "the box asks for it.",
    },
    Failure.EXPIRED: {"sv": "Tiden gick ut. Försök igen.", "en": "The time ran out. Try again."},
    Failure.CANCELLED: {"sv": "Avbrutet.", "en": "Given up."},
}

WORDS: Final[dict[str, _Said]] = {
    "which": {"sv": "Vilken mätare är det?", "en": "Which device is it?"},
    "which_number": {"sv": "Skriv numret", "en": "Type its number"},
    "name_it": {
        "sv": "Säg vilken mätare det är, med --model eller --device. Modellerna: {models}.",
        "en": "Say which device it is, with --model or --device. The models: {models}.",
    },
    "no_model": {
        "sv": "Det finns ingen modell {model}. Modellerna: {models}.",
        "en": "There is no model {model}. The models: {models}.",
    },
    "no_address": {
        "sv": "{device} är ingen Bluetooth-adress. Skriv den som C4:64:E3:00:00:01.",
        "en": "{device} is not a Bluetooth address. Give it like C4:64:E3:00:00:01.",
    },
    "not_needed": {
        "sv": "{title} behöver inte kopplas ihop. Dosan hör den ändå: gör en mätning.",
        "en": "{title} need not be connected. The box hears it all the same: measure.",
    },
    "ready": {"sv": "Gör mätaren redo: ", "en": "Make the device ready: "},
    "six_digits": {
        "sv": "Det ska vara sex siffror. Skriv dem en gång till",
        "en": "It must be six digits. Type them once more",
    },
    "busy": {
        "sv": "Dosan kopplar redan ihop sig med en mätare. Vänta tills det är klart.",
        "en": "The box is connecting to a device already. Wait until it is done.",
    },
    "in_use": {
        "sv": "Dosan arbetar men svarar inte. Starta om den och försök igen.",
        "en": "The box is working but does not answer. Start it again and try again.",
    },
    "hung_up": {
        "sv": "Dosan slutade svara. Försök igen om en stund.",
        "en": "The box stopped answering. Try again in a while.",
    },
    "no_radio": {
        "sv": "Dosans Bluetooth fungerar inte: {why}",
        "en": "The Bluetooth of the box does not work: {why}",
    },
}

# After these the device has to be made ready again.
_NOT_READY: Final = frozenset({Failure.NOT_HEARD, Failure.REFUSED, Failure.WRONG_PASSKEY})


def said(key: str, language: Language, **values: str) -> str:
    """Return the words for *key*, filled in."""
    return WORDS[key][language].format(**values)


def how_to_pair(model: Model | None, language: Language) -> str:
    """Return how this model is made ready, or "" if nobody knows."""
    if model is None:
        return ""
    return model.how_to_pair_sv if language == "sv" else model.how_to_pair_en


def failure_words(problem: str, model: Model | None, language: Language) -> str:
    """Return why a pairing failed and what to do; *problem* as in ``PairingStatus``."""
    failure = Failure(problem)
    words = FAILURES[failure][language]
    how = how_to_pair(model, language)
    return f"{words} {how}" if how and failure in _NOT_READY else words
