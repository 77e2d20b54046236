"""Numbers, quantities and days in the words of sentences, Swedish or English. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.quantity import Panel, Quantity
from ingest.rules.day import ZONE

SWEDISH: Final = "sv"
ENGLISH: Final = "en"
NBSP: Final = "\u00a0"  # a number and its unit stay on one line
_DIGITS_MORE_MAX: Final = 2

_MONTHS: Final = {
    SWEDISH: (
        *("januari", "februari", "mars", "april", "maj", "juni"),
        *("juli", "augusti", "september", "oktober", "november", "december"),
    ),
    ENGLISH: (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}


@dataclass(frozen=True, slots=True)
class Name:
    """A quantity within a sentence."""

    the_sv: str  # "Vikten har ökat"
    of_sv: str  # "mätningarna av vikt"
    en: str


NAMES: Final = {
    Quantity.SYSTOLIC: Name(
        "det systoliska blodtrycket", "systoliskt blodtryck", "systolic blood pressure"
    ),
    Quantity.DIASTOLIC: Name(
        "det diastoliska blodtrycket", "diastoliskt blodtryck", "diastolic blood pressure"
    ),
    Quantity.MEAN_ARTERIAL: Name("medelartärtrycket", "medelartärtryck", "mean arterial pressure"),
    Quantity.PULSE: Name("pulsen", "puls", "pulse rate"),
    Quantity.BODY_WEIGHT: Name("vikten", "vikt", "body weight"),
    Quantity.STEPS: Name("stegen", "steg", "steps"),
    Quantity.SLEEP: Name("sömnen", "sömn", "sleep"),
    Quantity.BODY_FAT: Name("kroppsfettet", "kroppsfett", "body fat"),
}
NO_MEASUREMENT: Final = {
    Panel.BLOOD_PRESSURE: ("inget blodtryck", "no blood pressure"),
    Panel.PULSE: ("ingen puls", "no pulse rate"),
    Panel.BODY_WEIGHT: ("ingen vikt", "no body weight"),
    Panel.BODY_COMPOSITION: ("inget kroppsfett", "no body fat"),
    Panel.STEPS: ("inga steg", "no steps"),
    Panel.SLEEP: ("ingen sömn", "no sleep"),
}
_UNITS_EN: Final = {Quantity.PULSE: "bpm", Quantity.STEPS: "steps"}


def number(value: float, decimals: int, language: str) -> str:
    """Return *value* as people write it: ``3 412`` and ``78,4``; ``3,412`` and ``78.4``."""
    text = f"{value:,.{decimals}f}".replace("-", "−")
    if language == ENGLISH:
        return text
    return text.replace(",", NBSP).replace(".", ",")


def beyond(value: float, bound: float, decimals: int, language: str) -> str:
    """Return *value* with as many decimals as show that it is not its bound, within reason."""
    for more in range(_DIGITS_MORE_MAX + 1):
        shown = number(value, decimals + more, language)
        if value == bound or shown != number(bound, decimals + more, language):
            return shown
    return number(value, decimals, language)


def unit(quantity: Quantity, language: str) -> str:
    """Return the unit as people write it, with the space before it."""
    shown = quantity.facts.unit_shown
    if language == ENGLISH:
        shown = _UNITS_EN.get(quantity, shown)
    return NBSP + shown


def date(at: datetime, language: str, now: datetime | None = None) -> str:
    """Return the day in Sweden: ``19 november``; with its year where *now* is of another."""
    local = at.astimezone(ZONE)
    text = f"{local.day}{NBSP}{_MONTHS[language][local.month - 1]}"
    if now is not None and now.astimezone(ZONE).year != local.year:
        return f"{text} {local.year}"
    return text


def days(count: float, language: str) -> str:
    """Return a number of days: ``3 dagar``, ``1 day``."""
    one, many = ("dag", "dagar") if language == SWEDISH else ("day", "days")
    return f"{number(count, 0, language)}{NBSP}{one if round(count) == 1 else many}"


def readings(count: float, language: str) -> str:
    """Return a number of readings: ``14 mätningar``, ``1 reading``."""
    one, many = ("mätning", "mätningar") if language == SWEDISH else ("reading", "readings")
    return f"{number(count, 0, language)}{NBSP}{one if round(count) == 1 else many}"


def minutes(count: float, language: str) -> str:
    """Return a number of minutes: ``6 minuter``."""
    one, many = ("minut", "minuter") if language == SWEDISH else ("minute", "minutes")
    return f"{number(count, 0, language)}{NBSP}{one if round(count) == 1 else many}"


def since(hours: float, language: str) -> str:
    """Return a time that has passed, in whole hours, or in whole days from two on."""
    if hours >= 48:  # noqa: PLR2004 - two days
        return days(hours // 24, language)
    one, many = ("timme", "timmar") if language == SWEDISH else ("hour", "hours")
    whole = int(hours)
    return f"{whole}{NBSP}{one if whole == 1 else many}"


def how_often(hours: float, language: str) -> str:
    """Return an interval: ``varje dag``, ``varannan dag``, ``var 12:e timme``."""
    swedish = language == SWEDISH
    for size, names in ((168, ("vecka", "week")), (24, ("dag", "day")), (1, ("timme", "hour"))):
        if hours % size:
            continue
        count, name = int(hours // size), names[0] if swedish else names[1]
        if count == 1:
            return f"varje {name}" if swedish else f"every {name}"
        if count == 2:  # noqa: PLR2004 - a word of its own
            return f"varannan {name}" if swedish else f"every other {name}"
        return f"var {count}:e {name}" if swedish else f"every {count} {name}s"
    return (
        f"var {number(hours, 1, language)}:e timme"
        if swedish
        else f"every {number(hours, 1, language)} hours"
    )
