"""What a technician reads of a fault, in plain Swedish: what it is, why, and what to do now."""

from collections.abc import Mapping
from typing import Any, Final

from alerts.fleet.gateway import Trouble, Urgency
from alerts.fleet.words import Words, trouble
from alerts.technical.fault import ALL_SILENT, Kind
from alerts.technical.policy import HOUSE
from ingest.quarantine import Reason

_REFUSED: Final[dict[str, Words]] = {
    Reason.UNASSIGNED: Words(
        "Mätaren är inte utlånad till någon. Värdena når ingen.",
        "Låna ut mätaren här, eller be vården koppla den till rätt person. "
        "Värdena kommer fram efteråt.",
    ),
    Reason.AMBIGUOUS_LOAN: Words(
        "Mätaren är utlånad till flera. Värdena når ingen.",
        "Be vården säga vem som använder den. Värdena kommer fram efteråt.",
    ),
    Reason.BEFORE_LOAN: Words(
        "Mätningar är äldre än utlåningen.", "Töm mätarens minne före nästa utlåning."
    ),
    Reason.UNKNOWN_GATEWAY: Words(
        "En dosa som inte är registrerad skickar värden. De når ingen.",
        "Skriv in dosan, eller hämta hem den.",
    ),
    Reason.REFUSED_BY_DATABASE: Words(
        "Servern kunde inte spara mätningar.", "Hör med den som sköter servern i dag."
    ),
    Reason.UNSUPPORTED_VERSION: Words(
        "Dosans program är nyare eller äldre än servern förstår. Värdena når ingen.",
        "Uppdatera dosans program, eller servern.",
    ),
    Reason.IN_FUTURE: Words(
        "Mätningar har en tid som inte har varit än.", "Ställ klockan på mätaren."
    ),
    Reason.TIME_UNKNOWN: Words(
        "Varken mätaren eller dosan visste vad klockan var.", "Kontrollera nätet i hemmet."
    ),
    Reason.IMPLAUSIBLE: Words(
        "Mätaren ger värden som inte kan stämma.", "Prova mätaren. Byt den om det fortsätter."
    ),
    Reason.TOO_FREQUENT: Words(
        "Mätaren skickar fler värden än någon kan mäta.", "Prova mätaren. Byt den vid behov."
    ),
}
_REFUSED_OTHERWISE: Final = Words(
    "Mätningar går inte att läsa.",
    "Uppdatera dosans program. Hör annars med den som sköter servern.",
)

_INCIDENTS: Final[dict[str, Words]] = {
    ALL_SILENT: Words(
        "De flesta dosor är tysta samtidigt.",
        "Felet sitter troligen i servern eller nätet. Hör med den som sköter servern nu. "
        "Åk inte ut.",
    ),
    "canary": Words(
        "Kontrollmätningen kommer inte fram. Larm kan utebli.",
        "Hör med den som sköter servern nu.",
    ),
    "clock": Words(
        "Något som ska ske på bestämda tider sker inte. Larm kan utebli.",
        "Hör med den som sköter servern nu.",
    ),
    "recheck": Words(
        "Efterkontrollen hittade värden som inte är bedömda rätt.",
        "Hör med den som sköter servern i dag.",
    ),
    "sending": Words(
        "En leverantör tar inte emot meddelanden om larm. De går andra vägar så länge.",
        "Hör med den som sköter servern i dag.",
    ),
    "routing": Words(
        "Larm gäller personer som inte finns i vårdregistret. Ingen får dem.",
        "Hör med den som sköter servern nu.",
    ),
    "lag": Words(
        "Servern hinner inte med. Larm kan komma sent.", "Hör med den som sköter servern nu."
    ),
    "rule": Words(
        "Servern förstår inte alla regler i planerna. De används inte.",
        "Hör med den som sköter servern nu.",
    ),
}
_NO_CALLS: Final = Words(
    "Samtal som påminner om mätningar kommer inte fram. De som bara har telefon påminns inte.",
    "Hör med den som sköter servern i dag.",
)
_HOUSE: Final = Words(
    "Servern klarar inte sitt underhåll. Larm kommer ändå fram.",
    "Hör med den som sköter servern i dag.",
)
_NOT_SENT: Final[dict[str, Words]] = {
    "nobody": Words(
        "Inga meddelanden om larm skickas härifrån. Ingen får veta om larm på telefon eller mejl.",
        "Hör med den som sköter servern nu. Be vården hålla arbetslistan öppen.",
    ),
    "voice": _NO_CALLS,
    "voice: no carrier": _NO_CALLS,
    "no receipts": Words(
        "Kvitton på sms kommer inte fram. Sms ser ut att inte nå någon, och nästa person får också"
        " larmet.",
        "Hör med den som sköter servern i dag.",
    ),
}
_INCIDENT_OTHERWISE: Final = Words("Något är fel i servern.", "Hör med den som sköter servern.")


def words(kind: str, detail: Mapping[str, Any]) -> Words:
    """Return the words for a fault; of one of a newer version, what is known of it."""
    what = str(detail.get("what", ""))
    if kind == Kind.INCIDENT:
        if what == "sending" and detail.get("which") in _NOT_SENT:
            return _NOT_SENT[detail["which"]]
        if what == "clock" and detail.get("which") in HOUSE:
            return _HOUSE
        return _INCIDENTS.get(what, _INCIDENT_OTHERWISE)
    if kind == Kind.FAILED_MEASUREMENTS:
        failures = detail.get("failures", "Flera")
        return Words(
            f"{failures} mätningar i rad har misslyckats med mätaren.",
            "Vården ringer den som mäter. Prova mätaren, och byt den om det fortsätter.",
        )
    if kind == Kind.QUARANTINE_GROWS and "readings" in detail:
        return _REFUSED.get(what, _REFUSED_OTHERWISE)
    return trouble(Trouble(Urgency.SOON, what))


def more(kind: str, detail: Mapping[str, Any]) -> str:
    """Return the numbers and names behind it, on one line; "" if there are none."""
    if detail.get("what") == ALL_SILENT:
        return f"{detail['silent']} av {detail['gateways']} dosor"
    parts = []
    if kind == Kind.QUARANTINE_GROWS and "readings" in detail:
        number = detail["readings"]
        parts.append(f"{number} mätning" + ("" if number == 1 else "ar"))
    if "unknown_gateway" in detail:
        parts.append(f"dosa {detail['unknown_gateway']}")
    if "said" in detail:
        parts.append(str(detail["said"]))
    return " · ".join(parts)
