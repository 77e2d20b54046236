"""How a patient's day looks, in her words: the level, what happened, what to do next. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerts.alert import Level
from alerts.care.plan import Advice
from alerts.case import Case
from alerts.measurements import Measured
from alerts.sentence import Side
from alerts.words import ZONE
from devices.quantity import BY_ID, Panel, Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """What the box on top of the patient's page says.

    Attributes:
        level: 0 green, 1 yellow, 2 red: of the alerts that have not ended.
        headline: One sentence.
        steps: What to do, one a line, first thing first.
        failed: A device's newest measurement, if it failed and is not history.
        unusual: The newest values look wrong and are best measured again.
    """

    level: int
    headline: str
    steps: Sequence[str]
    failed: Measured | None
    unusual: bool

    @property
    def is_judged(self) -> bool:
        """It has a level to show: a failed or doubted measurement is no green one."""
        return self.level > 0 or not (self.failed or self.unusual)


def today(
    cases: Sequence[Case],
    readings: Sequence[Measured],
    advice: Advice,
    limited: Collection[Quantity],
    now: datetime,
) -> Today:
    """Return how the day looks.

    Args:
        cases: The patient's alerts that have not ended.
        readings: Her readings, newest first.
        advice: Of the plan in force.
        limited: What that plan has limits for; of other values nothing is known.
        now: This moment.
    """
    level = max((case.level for case in cases), default=0)
    failed = _failed(readings, now)
    unusual = _is_unusual(readings, now)
    return Today(
        level=level,
        headline=_headline(cases, readings, limited, now, uncertain=bool(failed) or unusual),
        steps=_steps(level, advice),
        failed=failed,
        unusual=unusual,
    )


def _headline(
    cases: Sequence[Case],
    readings: Sequence[Measured],
    limited: Collection[Quantity],
    now: datetime,
    *,
    uncertain: bool,
) -> str:
    if cases:
        return f"{_beyond(max(cases, key=lambda case: case.level))}. Gör så här:"
    if uncertain:
        return "Mät gärna en gång till."
    of_today = [r for r in readings if r.values and _same_day(r.measured_at, now)]
    if not of_today:
        return "Inga värden har kommit i dag än."
    if any(reading.level for reading in of_today):
        return "Vården har sett dagens värden och avslutat larmet."
    if not any(quantity in limited for reading in of_today for quantity in reading.values):
        return "Dagens värden har kommit fram."
    return "Dina värden i dag ligger inom dina gränser."


def _failed(readings: Sequence[Measured], now: datetime) -> Measured | None:
    """Return the newest reading that failed and was not made good by its own device."""
    return next((reading for reading in _newest(readings, now) if reading.failed), None)


def _is_unusual(readings: Sequence[Measured], now: datetime) -> bool:
    """Tell whether a value looks wrong, or is red and waits to be confirmed or calmed."""
    return any(reading.repeat_asked for reading in readings) or any(
        reading.suspect for reading in _newest(readings, now)
    )


def _newest(readings: Sequence[Measured], now: datetime) -> list[Measured]:
    """Return the newest reading of each device, if it is the newest of all or of today.

    Another device says nothing of it: steps come many times a day.
    """
    newest: dict[str, Measured] = {}
    for reading in readings:
        newest.setdefault(reading.device_id, reading)
    return [
        reading
        for reading in newest.values()
        if reading is readings[0] or _same_day(reading.measured_at, now)
    ]


_SUBJECTS: Final = {
    Panel.BLOOD_PRESSURE: "Ditt blodtryck",
    Panel.PULSE: "Din puls",
    Panel.BODY_WEIGHT: "Din vikt",
}


# Families of rules that are about more than one value.
_OTHERWISE: Final = {
    "trend": "Dina värden har ändrats mer än det som är avtalat i din plan",
    "missing": "Det saknas en mätning enligt din plan",
}


def _beyond(case: Case) -> str:
    """Say what is beyond which limit, without a number and without blame."""
    family = case.rule.partition(":")[0]
    if family in _OTHERWISE:
        return _OTHERWISE[family]
    found = {
        (BY_ID[finding["quantity_id"]].facts.panel, Side(finding["side"]))
        for finding in case.findings
        if finding["quantity_id"] in BY_ID and finding["side"]
    }
    if len(found) == 1:
        panel, side = found.pop()
        if panel in _SUBJECTS:
            how = "högre" if side is Side.HIGH else "lägre"
            return f"{_SUBJECTS[panel]} är {how} än din gräns"
    return "Ett värde ligger utanför dina gränser"


def _steps(level: int, advice: Advice) -> list[str]:
    text = {0: advice.green, Level.YELLOW: advice.yellow, Level.RED: advice.red}[level]
    return [line.strip() for line in text.splitlines() if line.strip()]


def _same_day(at: datetime, now: datetime) -> bool:
    return at.astimezone(ZONE).date() == now.astimezone(ZONE).date()
