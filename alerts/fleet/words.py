"""What technicians read of gateways, in plain Swedish: what it is, and what to do about it."""

import enum
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeVar

from alerts.fleet.actions import Answer
from alerts.fleet.gateway import CERTIFICATE_SOON, Reason, Trouble, Urgency
from devices.models import Model, model_named, models
from devices.wire import LENT_MAX, Bond, ConditionCode, DeviceStatus, GatewayState, PairingStep
from ingest.status import Kind

_E = TypeVar("_E", bound=enum.StrEnum)


class Words(NamedTuple):
    """What is wrong, and its cure."""

    what: str
    cure: str


# A word and a shape, never a colour alone.
URGENCIES: Final = {
    Urgency.NOW: ("red", "▲", "Åtgärda"),
    Urgency.SOON: ("yellow", "◆", "Se till"),
    Urgency.EXPECTED: ("grey", "○", "Väntar"),
    Urgency.NONE: ("green", "●", "Fungerar"),
}

_TROUBLES: Final[dict[str, Words]] = {
    Reason.SILENT: Words(
        "Dosan är tyst.",
        "Kontrollera ström och nät i hemmet. Har dosan ström sparas mätningarna i den.",
    ),
    Reason.NEVER_HEARD: Words(
        "Dosan har inte hört av sig ännu.", "Kontrollera att den har ström och nät."
    ),
    Reason.CERTIFICATE_OVER: Words(
        "Certifikatet har gått ut.", "Skapa en ny inskrivningskod och skriv in dosan igen."
    ),
    Reason.CERTIFICATE_SOON: Words(
        f"Certifikatet går ut inom {CERTIFICATE_SOON.days} dagar.",
        "Dosan förnyar det själv. Har den inte gjort det, skapa en ny inskrivningskod.",
    ),
    Reason.BATTERY_LOW: Words("Batteriet är lågt.", "Byt batteri i mätaren."),
    Reason.CLOCK_OFF: Words(
        "Mätarens klocka går mer än fem minuter fel.",
        "Ställ klockan på mätaren. Värdena sparas, med den tid då dosan tog emot dem.",
    ),
    Reason.QUEUE_OLD: Words(
        "Mätningar har väntat i dosan i mer än en timme.", "Kontrollera nätet i hemmet."
    ),
    Reason.CONFIG_LATE: Words(
        "Dosan använder inte de senaste inställningarna.",
        "Vänta några minuter. Starta annars om dosan.",
    ),
    Reason.LIST_TOO_LONG: Words(
        f"Fler mätare är utlånade här än dosan kan ha ({LENT_MAX}). De sista tas inte emot.",
        "Ställ en dosa till i hemmet, och låna ut några av mätarna där.",
    ),
    Reason.STATUS_UNREADABLE: Words(
        "Dosans meddelanden går inte att läsa.", "Uppdatera dosans program, eller servern."
    ),
    ConditionCode.RADIO_LOST: Words(
        "Dosans Bluetooth fungerar inte.", "Starta om dosan. Byt den om det inte hjälper."
    ),
    ConditionCode.RADIO_SILENT: Words(
        "Dosan hör inga mätare.", "Starta om dosan, och mät en gång nära den."
    ),
    ConditionCode.STORAGE_FULL: Words(
        "Dosans minne är fullt. En mätning sparades inte.",
        "Kontrollera nätet, så att dosan kan skicka. Byt dosan om det inte hjälper.",
    ),
    ConditionCode.INBOX_SET_ASIDE: Words(
        "Dosan har värden som dess program inte kan läsa. De är sparade.",
        "Uppdatera dosans program.",
    ),
    ConditionCode.BROKER_AWAY: Words(
        "Dosan nådde inte servern.", "Kontrollera nätet i hemmet om det händer ofta."
    ),
    ConditionCode.BROKER_REFUSES: Words(
        "Servern nekar dosan.", "Skapa en ny inskrivningskod och skriv in dosan igen."
    ),
    ConditionCode.RECEIPT_UNREADABLE: Words(
        "Dosan kan inte läsa serverns svar.", "Uppdatera dosans program."
    ),
    ConditionCode.MESSAGE_TOO_LARGE: Words(
        "En mätning är för stor för servern.", "Hör med den som sköter servern."
    ),
    ConditionCode.NOT_PAIRED: Words("Mätaren är inte ihopparad med dosan.", "Para ihop den."),
    ConditionCode.BOND_LOST: Words("Mätaren känner inte igen dosan längre.", "Para ihop den igen."),
    ConditionCode.MODEL_WRONG: Words(
        "Mätaren saknar något som modellen ska ha.",
        "Lämna tillbaka mätaren här, och låna ut den igen med rätt modell.",
    ),
    ConditionCode.STRANGERS: Words(
        "Dosan hör för många okända vågar. Nya vågar tas inte emot på ett dygn.",
        "Låna ut hemmets mätare här. Då tas bara de emot.",
    ),
    ConditionCode.CLOCK_DOUBTED: Words(
        "Dosan vet inte vad klockan är.",
        "Kontrollera nätet. Mätningarna sparas, och skickas när klockan är rätt.",
    ),
    ConditionCode.CERTIFICATE_EXPIRES: Words(
        "Dosan har inte kunnat förnya sitt certifikat.",
        "Skapa en ny inskrivningskod och skriv in dosan igen.",
    ),
    ConditionCode.CERTIFICATE_EXPIRED: Words(
        "Certifikatet har gått ut.", "Skapa en ny inskrivningskod och skriv in dosan igen."
    ),
    ConditionCode.CONFIG_REFUSED: Words(
        "Dosan tar inte emot inställningarna. De förra gäller.",
        "Läs orsaken nedan. Ofta hjälper det att uppdatera dosans program.",
    ),
    ConditionCode.PART_RESTARTED: Words(
        "En del av dosans program har startats om.", "Skicka loggen till oss om det händer ofta."
    ),
    ConditionCode.FEEDBACK_FAILED: Words(
        "Dosans lampa eller summer fungerar inte.", "Kontrollera sladdarna. Mätningarna går fram."
    ),
    ConditionCode.PACKAGE_BROKEN: Words(
        "Ett tillägg för mätare kunde inte läsas in.", "Installera om tillägget."
    ),
}

_STEPS: Final = {
    "scanner_restarted": "Sökningen efter mätare startades om",
    "scanner_restart_failed": "Sökningen efter mätare kunde inte startas om",
    "adapter_power_cycled": "Bluetooth stängdes av och sattes på",
    "power_cycle_failed": "Bluetooth kunde inte stängas av och sättas på",
    "given_up": "Inget hjälpte. Dosan fortsätter att försöka",
    "heard_again": "Mätare hörs igen",
}

STATES: Final = {
    GatewayState.ONLINE: "Ansluten",
    GatewayState.STOPPED: "Avstängd",
    GatewayState.LOST: "Kontakten bröts",
}

BONDS: Final = {
    Bond.NONE: "Inte ihopparad",
    Bond.PAIRED: "Ihopparad, provmätning saknas",
    Bond.PROVEN: "Ihopparad",
    Bond.LOST: "Måste paras ihop igen",
}

# What to do while a pairing stands there, beside how to put the device into its pairing mode.
PAIRING_STEPS: Final = {
    PairingStep.SEARCHING: "Dosan letar efter mätaren.",
    PairingStep.PAIRING: "Dosan och mätaren paras ihop. Vänta.",
    PairingStep.PASSKEY: "Mätaren visar ett nummer. Skriv in det här.",
    PairingStep.MEASURE: "Gör en provmätning nu. Den visar att det fungerar.",
    PairingStep.DONE: "Klart. Mätaren är ihopparad och provmätningen kom fram.",
    PairingStep.FAILED: "Det gick inte.",
}

# Words of gateway.pairing.Failure, and ours where the gateway never answered.
FAILURES: Final = {
    "not_heard": "Mätaren hördes aldrig. Håll den nära dosan, sätt den i parningsläge och försök.",
    "not_reached": "Dosan hörde mätaren men fick ingen kontakt. Flytta den närmare och försök.",
    "wrong_passkey": "Numret stämde inte. Försök igen, och läs av numret som mätaren visar då.",
    "no_passkey": "Numret kom inte i tid. Försök igen, och skriv in det så snart det syns.",
    "refused": "Mätaren ville inte paras ihop. Sätt den i parningsläge och försök igen.",
    "lost_again": "Mätaren kände inte igen dosan efteråt. Ta bort dosan i mätaren och försök igen.",
    "no_test_reading": "Ingen provmätning kom. Försök igen, och mät direkt efteråt.",
    "expired": "Tiden gick ut. Försök igen.",
    "cancelled": "Avbrutet.",
}

ANSWERS: Final = {
    Answer.DONE_FOR_HOME: (
        "Mätaren är utlånad. Vården behöver koppla den till rätt person innan värdena syns."
    ),
    Answer.NO_ADDRESS: (
        "Adressen stämmer inte. Den har tolv tecken, till exempel C4:64:E3:00:00:01."
    ),
    Answer.NO_MODEL: "Välj en modell i listan.",
    Answer.LENT_HERE: "Mätaren är redan utlånad här.",
    Answer.LENT_ELSEWHERE: "Mätaren är utlånad någon annanstans. Lämna tillbaka den där först.",
    Answer.FULL: "Dosan har redan så många mätare som den kan ha.",
    Answer.NOT_LENT: "Mätaren är inte utlånad här längre.",
    Answer.BUSY: "En ihopparning pågår redan. Vänta tills den är klar, eller avbryt den.",
    Answer.NO_PAIRING: "Ingen ihopparning pågår längre.",
    Answer.NO_PASSKEY: "Numret har högst sex siffror.",
    Answer.RETIRED: "Dosan är avställd.",
}

# Where a model's title holds English words.
_TITLES: Final = {
    "beurer_bm85": "Beurer BM 85, BM 59, BM 48 och Elite 900",
    "beurer_bm": "Beurer BM- och BC-serien, övriga",
    "omron_hem7xxx": "Omron HEM-7xxx med standardprofil (X2 Smart+, X4 Smart, BP5150 med flera)",
    "mi_scale_v1": "Xiaomi Mi Scale (v1) och Mi Smart Scale 2",
    "infinitime": "PineTime-klocka med InfiniTime",
    "standard_cuff": "Annan blodtrycksmätare",
    "standard_scale": "Annan våg",
    "standard_watch": "Annan klocka",
}


def trouble(one: Trouble) -> Words:
    """Return the words for a trouble; a newer gateway's condition is told by its code."""
    unknown = Words(f"Dosan säger: {one.what}.", "Uppdatera servern för att få veta mer.")
    return _TROUBLES.get(str(one.what), unknown)


def title(model: str) -> str:
    """Return what a model is called; its name if this version does not know it."""
    known = model_named(model) if model else None
    return _TITLES.get(model, known.title if known else model or "Okänd modell")


def choices() -> list[Model]:
    """Return the models to choose from."""
    return list(models())


def radio_step(step: str) -> str:
    """Return what was done to the radio."""
    return _STEPS.get(step, step)


def failure(problem: str) -> str:
    """Return why a pairing failed, and what to do."""
    return FAILURES.get(problem, f"Orsak: {problem}." if problem else "Försök igen.")


def device_clock(device: DeviceStatus) -> str:
    """Return how a device's clock goes."""
    if device.clock_offset_s is None:
        return "Inte avläst"
    off_s = abs(device.clock_offset_s)
    if off_s < _MINUTE_S:
        return "Rätt"
    way = "före" if device.clock_offset_s > 0 else "efter"
    if device.clock_set:
        return f"Gick {_amount(off_s)} {way}. Ställd"
    return f"Går {_amount(off_s)} {way}"


def _amount(seconds: float) -> str:
    for unit_s, name in ((_DAY_S, "dygn"), (_HOUR_S, "tim"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s or unit_s == _MINUTE_S:
            return f"{seconds / unit_s:.0f} {name}"
    raise AssertionError


_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400

_EVENTS: Final[dict[str, str]] = {
    Kind.FIRST_HEARD: "Dosan hörde av sig för första gången",
    Kind.STATE: "{state}",
    Kind.STARTED: "Dosan startade om",
    Kind.HEARD_AGAIN: "Dosan hörs igen, efter {minutes} minuter",
    Kind.VERSION: "Program {to}",
    Kind.CONDITION: "{trouble} {device_id}",
    Kind.SOLVED: "Löst: {trouble} {device_id}",
    Kind.RADIO_STEP: "{radio_step}",
    Kind.CONFIG: "Inställningar {version} används",
    Kind.CONFIG_REFUSED: "Inställningarna togs inte emot: {problem}",
    Kind.PAIRING: "Ihopparning: {pairing} {device_id}",
    Kind.BOND: "{bond}: {device_id}",
    Kind.BATTERY_LOW: "Lågt batteri, {percent} %: {device_id}",
    Kind.CERTIFICATE: "Nytt certifikat, till {until}",
    "lent": "Lånades ut: {device_id}",
    "returned": "Lämnades tillbaka: {device_id}",
    "pairing_asked": "Ihopparning begärdes: {model}",
    "pairing_cancelled": "Ihopparningen avbröts",
    "code_made": "En inskrivningskod skapades",
    "revoked": "Dosan ställdes av",
}


def event(kind: str, detail: Mapping[str, Any]) -> str:
    """Return a line of history."""
    known = {name: "" if value is None else str(value) for name, value in detail.items()}
    code = Trouble(Urgency.SOON, known.get("code", ""))
    words = defaultdict(str, known)
    words |= {
        "state": _among(STATES, GatewayState, known.get("state", "")),
        "bond": _among(BONDS, Bond, known.get("bond", "")),
        "trouble": trouble(code).what,
        "radio_step": radio_step(known.get("step", "")),
        "pairing": _pairing(known),
        "model": title(known.get("model", "")),
        "until": known.get("until", "")[:10],  # the day
        "to": known.get("to") or "okänt",
    }
    return _EVENTS.get(kind, kind).format_map(words).strip() or kind


def _among(words: Mapping[_E, str], kinds: type[_E], text: str) -> str:
    return words[kinds(text)] if text in list(kinds) else text


def _pairing(detail: Mapping[str, str]) -> str:
    step = detail.get("step", "")
    if step == PairingStep.FAILED:
        return failure(detail.get("problem", ""))
    return _among(PAIRING_STEPS, PairingStep, step)
