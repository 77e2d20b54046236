"""Why an alert is there, in one sentence with its numbers: ``Vikt 78,4 kg (gräns 78,0)``. Pure."""

import enum
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from alerts.words import NBSP, Language, amount, unit
from devices.quantity import Quantity


class Side(enum.StrEnum):
    """Which bound was breached."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One value beyond one bound, in the quantity's unit."""

    quantity: Quantity
    side: Side
    value: float
    bound: float


_LOW_LIMIT = {Language.SWEDISH: "nedre gräns", Language.ENGLISH: "lower limit"}
_LIMIT = {Language.SWEDISH: "gräns", Language.ENGLISH: "limit"}
_BLOOD_PRESSURE = {Language.SWEDISH: "Blodtryck", Language.ENGLISH: "Blood pressure"}
_PART: Final = {
    (Quantity.SYSTOLIC, Language.SWEDISH): "systolisk",
    (Quantity.DIASTOLIC, Language.SWEDISH): "diastolisk",
    (Quantity.SYSTOLIC, Language.ENGLISH): "systolic",
    (Quantity.DIASTOLIC, Language.ENGLISH): "diastolic",
}
_PAIR = (Quantity.SYSTOLIC, Quantity.DIASTOLIC)

_LIMIT_KIND: Final = "limit"
# Kinds that fire for values beyond a bound; the others are of a course, or of nothing at all.
_OF_VALUES: Final = frozenset({_LIMIT_KIND, "repeat"})


def _words(swedish: str, english: str) -> dict[Language, str]:
    return {Language.SWEDISH: swedish, Language.ENGLISH: english}


_TITLES: Final = {
    _LIMIT_KIND: _words("Mätningar utanför gräns", "Readings beyond a limit"),
    "repeat": _words("Mätning och omtag", "A reading and its repeat"),
    "k_of_n": _words("Upprepat vid flera mätningar", "Repeated over several readings"),
    "change": _words("Förändring på några dagar", "Change over some days"),
    "rolling_mean": _words("Medelvärde utanför gräns", "Mean beyond a limit"),
    "baseline": _words("Annorlunda än vanligt", "Different from usual"),
    "missing": _words("Mätningar som saknas", "Measurements that are missing"),
    "composite": _words("Flera saker samtidigt", "Several things at the same time"),
}
_ANY_TITLE: Final = _words("Det här gav larmet", "What made the alert")
_JOINED: Final = {
    _LIMIT_KIND: "Ett värde till utanför gräns",
    "trend": "Avvikelsen håller i sig",
    "missing": "Mätningen saknas fortfarande",
    "composite": "Flera saker händer fortfarande samtidigt",
}


def why(
    findings: Sequence[Finding],
    values: Mapping[Quantity, float],
    language: Language = Language.SWEDISH,
) -> str:
    """Return why one reading made an alert.

    Args:
        findings: What it breached, one a quantity; at least one.
        values: All values of the reading, so that a blood pressure is told as a pair.
        language: What to write in.
    """
    if not findings:
        problem = "nothing was breached, so there is nothing to say"
        raise ValueError(problem)
    of_pair = {finding.quantity: finding for finding in findings if finding.quantity in _PAIR}
    parts = [_pressure(of_pair, values, language)] if of_pair else []
    parts += [_single(finding, language) for finding in findings if finding.quantity not in _PAIR]
    return ". ".join(parts)


def told(
    quantity: Quantity, values: Mapping[Quantity, float], language: Language = Language.SWEDISH
) -> str:
    """Return a value as people say it; either half of a blood pressure gives both."""
    if quantity in _PAIR:
        pair = "/".join(
            amount(half, values[half], language) if half in values else "–" for half in _PAIR
        )
        return f"{_BLOOD_PRESSURE[language]} {pair}"
    value = f"{amount(quantity, values[quantity], language)}{NBSP}{unit(quantity, language)}"
    return f"{name(quantity, language)} {value}"


def name(quantity: Quantity, language: Language = Language.SWEDISH) -> str:
    """Return the quantity's name."""
    facts = quantity.facts
    return facts.name_sv if language is Language.SWEDISH else facts.name_en


def kinds(findings: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return which kinds of rules fired, from findings as the database gives them."""
    return frozenset(
        str(found["detail"].get("kind", _LIMIT_KIND)) if found["detail"] else _LIMIT_KIND
        for found in findings
    )


def title(fired: Collection[str], language: Language = Language.SWEDISH) -> str:
    """Return what stands above the readings of an alert, by the kinds of rules that fired.

    Several kinds, or one of a newer version, have a title that is true of every alert.
    """
    one = next(iter(fired)) if len(fired) == 1 else ""
    return _TITLES.get(one, _ANY_TITLE)[language]


def readings_told(fired: Collection[str], readings: int) -> str:
    """Return how many readings an alert has, in Swedish: ``3 mätningar utanför gräns``."""
    number = f"{readings} mätning" + ("" if readings == 1 else "ar")
    return f"{number} utanför gräns" if set(fired) <= _OF_VALUES else f"{number} i larmet"


def joined(rule: str) -> str:
    """Return what it means that a breach joined an alert of *rule*, in Swedish."""
    return _JOINED.get(rule.partition(":")[0], "Ännu en mätning hör till larmet")


def _pressure(
    findings: Mapping[Quantity, Finding], values: Mapping[Quantity, float], language: Language
) -> str:
    known = {**values, **{quantity: finding.value for quantity, finding in findings.items()}}
    sides = {finding.side for finding in findings.values()}
    if len(findings) == len(_PAIR) and len(sides) == 1:
        pair = "/".join(amount(half, findings[half].bound, language) for half in _PAIR)
        limits = f"{_limit(sides.pop(), language)} {pair}"
    else:
        limits = ", ".join(
            f"{_PART[half, language]} {_limit(found.side, language)} "
            f"{amount(half, found.bound, language)}"
            for half in _PAIR
            if (found := findings.get(half))
        )
    return f"{told(Quantity.SYSTOLIC, known, language)} ({limits})"


def _single(finding: Finding, language: Language) -> str:
    quantity = finding.quantity
    value = told(quantity, {quantity: finding.value}, language)
    limit = f"{_limit(finding.side, language)} {amount(quantity, finding.bound, language)}"
    return f"{value} ({limit})"


def _limit(side: Side, language: Language) -> str:
    return _LIMIT[language] if side is Side.HIGH else _LOW_LIMIT[language]
