"""Several templates for one patient become one plan by the stricter limit, and say so. Pure.

Whatever one of them would have alerted on, the plan alerts on, no later and at no lower level.
Where two cannot be compared nothing is chosen: a person has to.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from alerts.care.plan_spec import Measuring, Part, PlanSpec
from alerts.care.record import DEFAULT_GREEN, DEFAULT_RED, DEFAULT_YELLOW
from devices.quantity import Panel, Quantity
from ingest.rules.limit import RED, YELLOW
from ingest.rules.model import Rule
from ingest.rules.refusal import refusals
from ingest.rules.words import number

_GENERAL: Final = {"green": DEFAULT_GREEN, "yellow": DEFAULT_YELLOW, "red": DEFAULT_RED}
_LEVELS: Final = {"green": "grönt", "yellow": "gult", "red": "rött"}

# Of a limit's or a rule's numbers, which of two makes an alert sooner. What is not here must be the
# same in both. The days of a k_of_n are how far back its readings may lie; all other rules have
# their days in their key.
_STRICTER: Final[Mapping[str, Callable[[Iterable[float]], float]]] = {
    "yellow_low": max,
    "yellow_high": min,
    "red_low": max,
    "red_high": min,
    "low": max,
    "high": min,
    "up": min,
    "down": min,
    "percent": max,
    "interval_h": min,
    "grace_h": min,
    "readings_min": min,
    "days_min": min,
    "valid_days_min": min,
    "recent_days_min": min,
    "ask_min": min,
    "wait_min": min,
    "within_days": max,
    "days": max,
    "level": max,
}
_BOUNDS: Final = ("low", "high", "up", "down")
_WORDS: Final = {
    "yellow_low": "gul under",
    "yellow_high": "gul från",
    "red_low": "röd under",
    "red_high": "röd från",
    "low": "under",
    "high": "från",
    "up": "ökning med",
    "down": "minskning med",
    "percent": "procent av det vanliga",
    "interval_h": "timmar mellan mätningar",
    "grace_h": "timmar att vänta",
    "readings_min": "mätningar som räcker",
    "days_min": "dagar som räcker",
    "valid_days_min": "dagar bakåt som räcker",
    "recent_days_min": "dagar nu som räcker",
    "ask_min": "minuter till omtag",
    "wait_min": "minuter att vänta på omtag",
    "within_days": "dagar emellan",
    "days": "dagar bakåt",
    "level": "nivå",
}
_KINDS: Final = {
    "k_of_n": "flera av de senaste",
    "change": "ändring",
    "rolling_mean": "medelvärde",
    "baseline": "mot det egna vanliga",
    "missing": "utebliven mätning",
    "repeat": "omtag",
    "composite": "kombination",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A plan, and the name of the template it stands in."""

    name: str
    spec: PlanSpec


@dataclass(frozen=True, slots=True)
class Merged:
    """One plan, and a sentence for everything that was decided on the way."""

    spec: PlanSpec
    notes: tuple[str, ...]


class MergeError(Exception):
    """They cannot be one plan before a person has chosen.

    Attributes:
        reasons: In Swedish, for the nurse.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


def merge(parts: Sequence[Named]) -> Merged:
    """Make one plan of at least one.

    Raises:
        MergeError: They contradict each other, or are too much together.
    """
    return _Merging(parts).merged()


class _Merging:
    """One merge: what was decided, and what nobody but a person can decide."""

    def __init__(self, parts: Sequence[Named]) -> None:
        self._parts = parts
        self._notes: list[str] = []
        self._reasons: list[str] = []

    def merged(self) -> Merged:
        raw = {
            "limits": self._limits(),
            "rules": self._rules(),
            "advice": {name: self._steps(name) for name in _GENERAL},
            "schedule": _schedule(part.spec.schedule for part in self._parts),
            "goals": _joined("\n", (part.spec.goals for part in self._parts)),
            "reference": _joined("; ", (part.spec.reference for part in self._parts)),
            "review_on": min(
                (part.spec.review_on for part in self._parts if part.spec.review_on), default=None
            ),
        }
        if self._reasons:
            raise MergeError(self._reasons)
        try:
            return Merged(PlanSpec.model_validate(raw), tuple(self._notes))
        except ValidationError as error:
            raise MergeError(reason.sv for reason in refusals(error)) from error

    def _limits(self) -> list[dict[str, Any]]:
        by_quantity: dict[Quantity, list[tuple[str, dict[str, Any]]]] = {}
        for part in self._parts:
            for limit in part.spec.limits:
                bounds = limit.model_dump(exclude={"quantity"}, exclude_none=True)
                by_quantity.setdefault(limit.quantity, []).append((part.name, bounds))
        return [self._limit(quantity, given) for quantity, given in by_quantity.items()]

    def _limit(self, quantity: Quantity, given: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
        what = quantity.facts.name_sv
        bounds = self._stricter(what, given)
        for side in ("high", "low"):
            key = f"yellow_{side}"
            yellow, red = bounds.get(key), bounds.get(f"red_{side}")
            if yellow is None or red is None:
                continue
            if _STRICTER[key]((yellow, red)) != yellow:
                self._moved(what, key, yellow, red)
                bounds[key] = red
        low = bounds.get("yellow_low", bounds.get("red_low"))
        high = bounds.get("yellow_high", bounds.get("red_high"))
        if low is not None and high is not None and low >= high:
            self._reasons.append(
                f"{what}: {_and(name for name, _ in given)} larmar under {_shown(low)} och från "
                f"{_shown(high)}. Då finns inget värde utan larm. Välj gränserna själv."
            )
        return {"quantity": quantity.value, **bounds}

    def _rules(self) -> list[dict[str, Any]]:
        by_key: dict[str, list[tuple[str, Rule]]] = {}
        for part in self._parts:
            for rule in part.spec.rules:
                if rule.kind == "repeat" and self._stands_at_once(rule.quantity.facts.panel):
                    continue
                by_key.setdefault(rule.key, []).append((part.name, rule))
        rules = {key: self._rule(key, given) for key, given in by_key.items()}
        for given in by_key.values():
            self._within_red(given[0][1], rules, by_key)
        return list(rules.values())

    def _rule(self, key: str, given: list[tuple[str, Rule]]) -> dict[str, Any]:
        raw = [(name, rule.model_dump(mode="json", exclude_none=True)) for name, rule in given]
        fixed = _incomparable(raw[0][1])
        if any(_incomparable(fields) != fixed for _, fields in raw):
            self._reasons.append(
                f"{_title(given[0][1])}: {_and(name for name, _ in given)} har var sin, och de går "
                f"inte att jämföra ({key}). Välj en av dem."
            )
        numbers = [
            (name, {key: value for key, value in fields.items() if key in _STRICTER})
            for name, fields in raw
        ]
        return raw[0][1] | self._stricter(_title(given[0][1]), numbers)

    def _within_red(
        self,
        rule: Rule,
        rules: dict[str, dict[str, Any]],
        by_key: Mapping[str, list[tuple[str, Rule]]],
    ) -> None:
        """Move a yellow bound that another template's red one has passed."""
        if rule.level != YELLOW:
            return
        stems = {other.key: other for [(_, other), *_] in by_key.values() if other.level == RED}
        red = next((key for key, other in stems.items() if other.stem == rule.stem), None)
        if red is None or red == rule.key:
            return
        for bound in _BOUNDS:
            mine, its = rules[rule.key].get(bound), rules[red].get(bound)
            if mine is None or its is None or mine == its or _STRICTER[bound]((mine, its)) == mine:
                continue
            self._moved(_title(rule), bound, mine, its)
            rules[rule.key][bound] = its

    def _stands_at_once(self, panel: Panel) -> bool:
        """Tell whether a template is red at the first value of *panel*; a repeat would delay it."""
        for part in self._parts:
            is_red = any(
                limit.quantity.facts.panel is panel
                and (limit.red_low is not None or limit.red_high is not None)
                for limit in part.spec.limits
            )
            repeats = any(
                rule.kind == "repeat" and rule.quantity.facts.panel is panel
                for rule in part.spec.rules
            )
            if is_red and not repeats:
                note = (
                    f"Omtag utgår: {part.name} larmar vid det första röda värdet. Lägg till omtag "
                    "om ett värde ska mätas om först."
                )
                if note not in self._notes:
                    self._notes.append(note)
                return True
        return False

    def _stricter(
        self, what: str, given: Sequence[tuple[str, Mapping[str, float]]]
    ) -> dict[str, float]:
        """Return of each number the one that makes an alert sooner, and note where they differ."""
        chosen: dict[str, float] = {}
        for key in dict.fromkeys(key for _, fields in given for key in fields):
            values = [(name, fields[key]) for name, fields in given if key in fields]
            chosen[key] = _STRICTER[key](value for _, value in values)
            by = [name for name, value in values if value == chosen[key]]
            others = [f"{_shown(value)} ({name})" for name, value in values if value != chosen[key]]
            if others:
                self._notes.append(
                    f"{what}: {_WORDS[key]} {_shown(chosen[key])} ({_and(by)}), "
                    f"strängare än {_and(others)}."
                )
        return chosen

    def _moved(self, what: str, key: str, was: float, now: float) -> None:
        self._notes.append(
            f"{what}: {_WORDS[key]} {_shown(now)} i stället för {_shown(was)}, "
            "för där är det redan rött."
        )

    def _steps(self, level: str) -> str:
        texts = [getattr(part.spec.advice, level) for part in self._parts]
        own = [text for text in dict.fromkeys(texts) if text != _GENERAL[level]]
        if len(own) > 1:
            self._notes.append(
                f"Råden vid {_LEVELS[level]} kommer från flera mallar. Läs igenom dem: de får inte "
                "säga emot varandra."
            )
        lines = dict.fromkeys(line for text in own for line in text.splitlines())
        return "\n".join(lines) or _GENERAL[level]


def _incomparable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same in both; the order of a composite's parts says nothing."""
    return {
        name: sorted(value) if name == "components" else value
        for name, value in fields.items()
        if name not in _STRICTER
    }


def _schedule(schedules: Iterable[Sequence[Measuring]]) -> list[dict[str, Any]]:
    """Return every measurement asked for; a day with one at a given time needs none at any."""
    asked: dict[tuple[Quantity, Part], set[int]] = {}
    for one in (one for schedule in schedules for one in schedule):
        asked.setdefault((one.quantity, one.part), set()).update(one.weekdays)
    for (quantity, part), weekdays in asked.items():
        if part is Part.ANY:
            timed = [days for key, days in asked.items() if key[0] is quantity and key[1] != part]
            weekdays.difference_update(*timed)
    return [
        {"quantity": quantity.value, "part": part.value, "weekdays": sorted(weekdays)}
        for (quantity, part), weekdays in asked.items()
        if weekdays
    ]


def _title(rule: Rule) -> str:
    return f"{rule.quantity.facts.name_sv}, {_KINDS[rule.kind]}"


def _shown(value: float) -> str:
    return number(value, 0 if value == int(value) else 1, "sv")


def _joined(between: str, texts: Iterable[str]) -> str:
    return between.join(dict.fromkeys(text for text in texts if text))


def _and(names: Iterable[str]) -> str:
    *most, last = dict.fromkeys(names)
    return f"{', '.join(most)} och {last}" if most else last
