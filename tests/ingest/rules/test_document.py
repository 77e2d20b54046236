"""docs/rules.md says what the code does: kinds, numbers, usual values, templates."""

import re
from pathlib import Path
from typing import Final, get_args

from devices.quantity import Quantity
from ingest.rules.catalogue import KINDS
from ingest.rules.limit import RED, YELLOW
from ingest.rules.model import PART, Rule
from ingest.rules.plan import Rules
from ingest.rules.templates import TEMPLATES

_TEXT: Final = (Path(__file__).parents[3] / "docs" / "rules.md").read_text("utf-8")
_MODELS: Final = {
    model.model_fields["kind"].default: model for model in get_args(get_args(Rule)[0])
}
# Numbers that a template's sentence says.
_SAID: Final = {
    "k_of_n": ("k", "n", "low", "high"),
    "change": ("days", "up", "down"),
    "rolling_mean": ("days", "low", "high"),
    "baseline": ("percent",),
}
_LEVELS: Final = {PART: "part", YELLOW: "yellow", RED: "red"}


def _cells(header: str) -> list[list[str]]:
    """Return the rows of the table under *header*."""
    lines = _TEXT[_TEXT.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_kind_has_a_row_a_family_and_a_paragraph() -> None:
    rows = {row[0].strip("`"): row for row in _cells("| kind | looks |")}
    assert list(rows) == ["limit", *KINDS]
    for name, kind in KINDS.items():
        family = "its own" if name == "composite" else f"`{kind.family}:`"
        assert rows[name][3] == family
        assert f"\n## {name}\n" in _TEXT


def test_every_number_stands_with_its_usual_value() -> None:
    stated = [(row[0].strip("`"), row[1].strip("`"), row[2]) for row in _cells("| kind | number |")]
    known = []
    for name, kind in KINDS.items():
        for param in kind.params:
            default = _MODELS[name].model_fields[param].get_default()
            usual = "–" if default is None or "Undefined" in repr(default) else f"{default:g}"
            known.append((name, param, usual))
    grace = ("missing", "grace_h", "half the interval, 12 at least")
    known = [grace if row[:2] == grace[:2] else row for row in known]
    assert stated == known


def test_the_plan_as_json_is_one_that_names_every_kind_and_quantity() -> None:
    section = _TEXT.split("\n## As JSON\n")[1].split("\n## ")[0]
    before, json, after = re.split(r"```(?:json)?\n", section)
    plan = Rules.model_validate_json(json)
    assert {rule.kind for rule in plan.rules} == {*KINDS}
    named = set(re.findall(r"`(\w+)`", after)) - {"quantity"}
    assert named == {quantity.value for quantity in Quantity}
    assert "1 yellow, 2 red, 0 part" in before
    assert (YELLOW, RED, PART) == (1, 2, 0)


def test_every_rule_of_a_template_stands_with_its_level() -> None:
    rows = _cells("| template | rule |")
    stated = {key: row[1] for row in rows for key in re.findall(r"`(.+?)`", row[2])}
    rules = {rule.key: rule for template in TEMPLATES.values() for rule in template.rules}
    assert list(stated) == list(rules)
    for row in rows:
        own = [rules[key] for key in re.findall(r"`(.+?)`", row[2])]
        for rule in own:
            said = rule.kind in {"repeat", "missing"} or _LEVELS[rule.level] in row[1]
            assert said, rule.key
        if own and own[0].kind in _SAID:
            said_numbers = {float(one) for one in re.findall(r"\d+(?:\.\d+)?", row[1])}
            assert said_numbers == {
                getattr(rule, name) for rule in own for name in _SAID[rule.kind]
            } - {None}


def test_the_limits_of_templates_stand_with_their_bounds() -> None:
    rows = {row[1].split()[0]: row[1] for row in _cells("| template | rule |")}
    for template in TEMPLATES.values():
        for limit in template.limits:
            text = rows[limit.quantity.value]
            for level in ("yellow", "red"):
                high, low = getattr(limit, f"{level}_high"), getattr(limit, f"{level}_low")
                bounds = [f"≥ {high:g}"] if high else []
                bounds += [f"< {low:g}"] if low else []
                assert f"{level} {' or '.join(bounds)}" in text
