"""Why a rule fired, in one sentence with its numbers, in Swedish or English. Pure.

``detail`` says what of a finding is kept with the breach; ``explain`` makes the sentence of it:
«Vikten har ökat 2,6 kg sedan 19 november (gräns 2,0 kg på 3 dagar)».
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from devices.quantity import Quantity
from ingest.rules import words
from ingest.rules.detail import detail, moment, of_limit, of_parts
from ingest.rules.words import ENGLISH, NAMES, NBSP, SWEDISH

__all__ = ["detail", "explain", "of_limit", "of_parts"]

Detail = Mapping[str, Any]


def explain(kind: str, detail: Detail, language: str = SWEDISH) -> str:
    """Return the sentence; *language* is ``sv`` or ``en``, *kind* may be ``limit``."""
    if language not in {SWEDISH, ENGLISH}:
        problem = f"no language {language!r}"
        raise ValueError(problem)
    text = _SENTENCES[kind](detail, language)
    return text[:1].upper() + text[1:]


def _limit(detail: Detail, language: str) -> str:
    quantity, value = _value(detail, language)
    name = NAMES[quantity].of_sv if language == SWEDISH else NAMES[quantity].en
    return f"{name} {value} ({_bound(detail, language)})"


def _repeat(detail: Detail, language: str) -> str:
    quantity = Quantity(detail["quantity"])
    shown = words.unit(quantity, language)
    first = f"{_amount(quantity, detail['first'], language)}{shown}"
    swedish = language == SWEDISH
    name = NAMES[quantity].of_sv if swedish else NAMES[quantity].en
    bound = _bound(detail, language)
    if detail.get("second") is None:
        waited = words.minutes(detail["wait_min"], language)
        if swedish:
            return f"{name} {first}, inget omtag inom {waited} ({bound})"
        return f"{name} {first}, no repeat within {waited} ({bound})"
    second = f"{_amount(quantity, detail['second'], language)}{shown}"
    passed = words.minutes(detail["minutes_later"], language)
    mean = words.beyond(detail["value"], detail["bound"], quantity.facts.decimals, language)
    if swedish:
        return f"{name} {first}, omtag {second} efter {passed}, medel {mean} ({bound})"
    return f"{name} {first}, repeat {second} after {passed}, mean {mean} ({bound})"


def _k_of_n(detail: Detail, language: str) -> str:
    quantity = Quantity(detail["quantity"])
    count, size = int(detail["value"]), int(detail["readings_in_window"])
    if "status" in detail:
        if language == SWEDISH:
            return f"oregelbunden puls vid {count} av de senaste {size} mätningarna"
        return f"irregular pulse in {count} of the last {size} readings"
    low = detail["side"] == "low"
    bound = f"{_amount(quantity, detail['limit'], language)}{words.unit(quantity, language)}"
    if language == SWEDISH:
        far = f"under {bound}" if low else f"{bound} eller högre"
        what = f"mätningarna av {NAMES[quantity].of_sv}"
        return f"{count} av de senaste {size} {what} är {far}"
    far = f"below {bound}" if low else f"{bound} or higher"
    are = "is" if count == 1 else "are"
    return f"{count} of the last {size} readings of {NAMES[quantity].en} {are} {far}"


def _change(detail: Detail, language: str) -> str:
    quantity, value = _value(detail, language)
    name, up = NAMES[quantity], detail["side"] == "high"
    bound = f"{_amount(quantity, detail['bound'], language)}{words.unit(quantity, language)}"
    span = words.days(detail["days"], language)
    then = words.date(moment(detail["then_at"]), language, moment(detail["at"]))
    if language == SWEDISH:
        verb = "ökat" if up else "minskat"
        return f"{name.the_sv} har {verb} {value} sedan {then} (gräns {bound} på {span})"
    verb = "increased" if up else "decreased"
    have = "have" if quantity is Quantity.STEPS else "has"
    return f"{name.en} {have} {verb} by {value} since {then} (limit {bound} in {span})"


def _rolling_mean(detail: Detail, language: str) -> str:
    quantity, value = _value(detail, language)
    span = int(detail["days"])
    number = words.readings(detail["readings_in_mean"], language)
    of_days = words.days(detail["days_measured"], language)
    bound = _bound(detail, language)
    if language == SWEDISH:
        name = NAMES[quantity].of_sv
        return f"{span}-dagarsmedel av {name} {value} ({bound}), {number} på {of_days}"
    return f"{span}-day mean of {NAMES[quantity].en} {value} ({bound}), {number} on {of_days}"


def _baseline(detail: Detail, language: str) -> str:
    quantity = Quantity(detail["quantity"])
    mean = f"{_amount(quantity, detail['value'], language)}{words.unit(quantity, language)}"
    usual = _amount(quantity, detail["median"], language)
    percent = words.beyond(detail["percent_of_median"], detail["percent"], 0, language)
    bound = words.number(detail["percent"], 0, language)
    span = int(detail["days"])
    sign = f"{NBSP}%" if language == SWEDISH else "%"
    if language == SWEDISH:
        return (
            f"{mean} per dag i medeltal de senaste {span}{NBSP}dagarna, "
            f"{percent}{sign} av det vanliga {usual} (gräns {bound}{sign})"
        )
    return (
        f"{mean} a day on average over the last {span}{NBSP}days, {percent}{sign} of the usual "
        f"{usual} (limit {bound}{sign})"
    )


def _missing(detail: Detail, language: str) -> str:
    panel = Quantity(detail["quantity"]).facts.panel
    swedish, english = words.NO_MEASUREMENT[panel]
    passed = words.since(detail["value"], language)
    plan = words.how_often(detail["interval_h"], language)
    last = detail.get("last_at")
    if language == SWEDISH:
        end = f", senast {words.date(moment(last), language, moment(detail['at']))}" if last else ""
        return f"{swedish} på {passed} (plan: {plan}){end}"
    end = f", last on {words.date(moment(last), language, moment(detail['at']))}" if last else ""
    return f"{english} for {passed} (plan: {plan}){end}"


def _composite(detail: Detail, language: str) -> str:
    parts = [_SENTENCES[part["kind"]](part, language) for part in detail["parts"]]
    joint = " och samtidigt: " if language == SWEDISH else " and at the same time: "
    return ", ".join(parts[:-1]) + joint + parts[-1]


def _value(detail: Detail, language: str) -> tuple[Quantity, str]:
    quantity = Quantity(detail["quantity"])
    value = words.beyond(detail["value"], detail["bound"], quantity.facts.decimals, language)
    return quantity, value + words.unit(quantity, language)


def _bound(detail: Detail, language: str) -> str:
    low = detail["side"] == "low"
    if language == SWEDISH:
        name = "nedre gräns" if low else "gräns"
    else:
        name = "lower limit" if low else "limit"
    return f"{name} {_amount(Quantity(detail['quantity']), detail['bound'], language)}"


def _amount(quantity: Quantity, value: float, language: str) -> str:
    return words.number(value, quantity.facts.decimals, language)


_SENTENCES: Final[Mapping[str, Callable[[Detail, str], str]]] = {
    "limit": _limit,
    "repeat": _repeat,
    "k_of_n": _k_of_n,
    "change": _change,
    "rolling_mean": _rolling_mean,
    "baseline": _baseline,
    "missing": _missing,
    "composite": _composite,
}
