"""Numbers and times in the words people use, in Swedish or English. Pure; ``now`` is given."""

import enum
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from devices.quantity import Quantity

ZONE: Final = ZoneInfo("Europe/Stockholm")

NBSP = "\u00a0"  # a number and its unit stay on one line
_DAYS_NAMED_BY_WEEKDAY = 6  # a week back, the weekday would be today's


class Language(enum.StrEnum):
    """What a text is written in."""

    SWEDISH = "sv"
    ENGLISH = "en"


_WEEKDAYS = {
    Language.SWEDISH: ("mån", "tis", "ons", "tors", "fre", "lör", "sön"),
    Language.ENGLISH: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_WEEKDAYS_WHOLE = ("måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag", "söndag")
_MONTHS = {
    Language.SWEDISH: (
        "jan",
        "feb",
        "mars",
        "apr",
        "maj",
        "juni",
        "juli",
        "aug",
        "sep",
        "okt",
        "nov",
        "dec",
    ),
    Language.ENGLISH: (
        "Jan",
        "Feb",
        "Mar",
        "Apr",
        "May",
        "Jun",
        "Jul",
        "Aug",
        "Sep",
        "Oct",
        "Nov",
        "Dec",
    ),
}
_MONTHS_WHOLE = (
    "januari",
    "februari",
    "mars",
    "april",
    "maj",
    "juni",
    "juli",
    "augusti",
    "september",
    "oktober",
    "november",
    "december",
)
_TODAY = {Language.SWEDISH: "i dag", Language.ENGLISH: "today"}
_YESTERDAY = {Language.SWEDISH: "i går", Language.ENGLISH: "yesterday"}


def number(value: float, decimals: int = 0, language: Language = Language.SWEDISH) -> str:
    """Return *value* as people write it: ``3 412`` and ``78,4``."""
    text = f"{value:,.{decimals}f}".replace("-", "−")
    if language is Language.ENGLISH:
        return text
    return text.replace(",", NBSP).replace(".", ",")


def amount(quantity: Quantity, value: float, language: Language = Language.SWEDISH) -> str:
    """Return a value in its quantity's decimals, without its unit."""
    return number(value, quantity.facts.decimals, language)


def unit(quantity: Quantity, language: Language = Language.SWEDISH) -> str:
    """Return the unit as people write it."""
    english = {Quantity.PULSE: "bpm", Quantity.STEPS: "steps"}
    if language is Language.ENGLISH and quantity in english:
        return english[quantity]
    return quantity.facts.unit_shown


def clock(at: datetime) -> str:
    """Return the time of day in Sweden: ``08:12``."""
    return at.astimezone(ZONE).strftime("%H:%M")


def day(at: datetime, now: datetime, language: Language = Language.SWEDISH) -> str:
    """Return the day in Sweden: ``i dag``, ``i går``, ``fre 20 nov``, ``20 nov 2024``."""
    local, today = at.astimezone(ZONE).date(), now.astimezone(ZONE).date()
    if local == today:
        return _TODAY[language]
    if local == today - timedelta(days=1):
        return _YESTERDAY[language]
    text = f"{local.day} {_MONTHS[language][local.month - 1]}"
    if local.year != today.year:
        return f"{text} {local.year}"
    if timedelta(0) < today - local <= timedelta(days=_DAYS_NAMED_BY_WEEKDAY):
        return f"{_WEEKDAYS[language][local.weekday()]} {text}"
    return text


def when(at: datetime, now: datetime, language: Language = Language.SWEDISH) -> str:
    """Return day and time: ``i dag 08:12``."""
    return f"{day(at, now, language)} {clock(at)}"


def whole_day(at: datetime) -> str:
    """Return the day in full, in Swedish: ``söndag 22 november``."""
    local = at.astimezone(ZONE)
    return f"{_WEEKDAYS_WHOLE[local.weekday()]} {local.day} {_MONTHS_WHOLE[local.month - 1]}"


def greeting(now: datetime) -> str:
    """Return the greeting of this time of day in Sweden."""
    hour = now.astimezone(ZONE).hour
    for until, text in ((5, "Hej"), (10, "God morgon"), (18, "God dag"), (24, "God kväll")):
        if hour < until:
            return text
    raise AssertionError(hour)


def lasted(span: timedelta) -> str:
    """Return a length of time, roughly: ``26 min``, ``3 h``, ``2 dygn``; nothing below a minute."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return ""
    for below, size, name in ((60, 1, "min"), (48 * 60, 60, "h")):
        if minutes < below:
            return f"{minutes // size}{NBSP}{name}"
    return f"{minutes // (24 * 60)}{NBSP}dygn"


def age(born_on: date, now: datetime) -> int:
    """Return whole years lived."""
    today = now.astimezone(ZONE).date()
    return today.year - born_on.year - ((today.month, today.day) < (born_on.month, born_on.day))


def swedish_order(text: str) -> str:
    """Return a key that sorts as Swedes do: å, ä, ö last, case and accents aside."""
    return text.casefold().translate(_ORDER)


# Behind z in the order å ä ö; é and ü sort as e and y.
_ORDER: Final = str.maketrans(
    {"å": "z{a", "ä": "z{b", "æ": "z{b", "ö": "z{c", "ø": "z{c", "é": "e", "è": "e", "ü": "y"}
)
