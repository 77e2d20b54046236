"""Rules as data: named, kept as they were, read as columns."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from devices.quantity import Quantity
from ingest.rules.catalogue import KINDS, columns, family, kind_of
from ingest.rules.limit import RED, YELLOW
from ingest.rules.model import (
    PART,
    Baseline,
    Change,
    Composite,
    KOfN,
    Missing,
    Repeat,
    RollingMean,
)
from ingest.rules.plan import RULES_MAX, Limit, LimitRow, RuleRow, Rules
from ingest.rules.templates import HEART_FAILURE, TEMPLATES

Q = Quantity
_UP = Change(quantity=Q.BODY_WEIGHT, days=3, up=2)
_FEWER = Baseline(quantity=Q.STEPS, level=PART)


def test_yellow_and_red_of_one_rule_may_be_equal_and_are_two_rules() -> None:
    red = Change(quantity=Q.BODY_WEIGHT, days=3, up=2, level=RED)
    assert [rule.key for rule in Rules(rules=(_UP, red)).rules] == [
        "change:body_weight:up:3d",
        "change:body_weight:up:3d:red",
    ]
    Rules(rules=tuple(KOfN(quantity=Q.PULSE, k=1, n=n, high=100) for n in range(1, RULES_MAX + 1)))


@pytest.mark.parametrize(
    ("rule", "key", "its_family"),
    [
        (_UP, "change:body_weight:up:3d", "trend:body_weight"),
        (
            Change(quantity=Q.BODY_WEIGHT, days=7, down=3, level=RED),
            "change:body_weight:down:7d:red",
            "trend:body_weight",
        ),
        (
            KOfN(quantity=Q.SYSTOLIC, k=3, n=5, low=100),
            "k_of_n:systolic:low:3of5",
            "limit:blood_pressure",
        ),
        (
            KOfN(quantity=Q.DIASTOLIC, k=3, n=6, status=4),
            "k_of_n:diastolic:irregular:3of6",
            "limit:blood_pressure",
        ),
        (
            RollingMean(quantity=Q.DIASTOLIC, high=85),
            "rolling_mean:diastolic:high:7d",
            "trend:blood_pressure",
        ),
        (_FEWER, "baseline:steps:7d:part", "trend:steps"),
        (
            Missing(quantity=Q.BODY_WEIGHT, interval_h=24),
            "missing:body_weight",
            "missing:body_weight",
        ),
        (Repeat(quantity=Q.SYSTOLIC), "repeat:blood_pressure", "limit:blood_pressure"),
        (
            Composite(
                quantity=Q.SYSTOLIC,
                name="ws",
                components=("repeat:blood_pressure", _FEWER.key),
                level=YELLOW,
            ),
            "composite:ws",
            "composite:ws",
        ),
    ],
)
def test_a_rule_is_named_by_its_key_and_joins_its_alerts(
    rule: Any, key: str, its_family: str
) -> None:
    assert (rule.key, rule.family) == (key, its_family)
    assert kind_of(rule.key) == rule.kind


def test_a_composite_is_about_the_quantity_of_its_first_part() -> None:
    for first, quantity in {
        "change:body_weight:up:3d": Q.BODY_WEIGHT,
        "repeat:blood_pressure": Q.SYSTOLIC,
    }.items():
        made = Composite.model_validate({"name": "x", "components": [first, "missing:steps"]})
        assert made.quantity is quantity
    given = {"name": "x", "components": ["missing:steps", "b"], "quantity": "pulse"}
    assert Composite.model_validate(given).quantity is Q.PULSE


def test_limits_are_a_family_without_a_key() -> None:
    assert kind_of("") == "limit"
    assert family("", Q.DIASTOLIC.facts.id) == "limit:blood_pressure"


@pytest.mark.parametrize(("interval", "grace"), [(1, 12), (24, 12), (24.5, 12.25), (48, 24)])
def test_the_usual_grace_is_half_the_interval_and_half_a_day_at_least(
    interval: float, grace: float
) -> None:
    assert Missing(quantity=Q.PULSE, interval_h=interval).grace_h == grace
    assert Missing(quantity=Q.PULSE, interval_h=interval, grace_h=1).grace_h == 1


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_plan_is_read_as_it_was_written(name: str) -> None:
    rules = TEMPLATES[name]
    limits, rows = rules.dump()
    assert Rules.load(limits, rows) == rules
    assert [row.spec for row in rows] == [json.loads(json.dumps(row.spec)) for row in rows]


def test_rows_are_those_of_the_tables() -> None:
    limits, rules = Rules(
        limits=(Limit(quantity=Q.DIASTOLIC, yellow_high=95, red_high=110),), rules=(_UP,)
    ).dump()
    assert limits == [LimitRow(2, None, 95.0, None, 110.0)]
    spec = {"quantity": "body_weight", "days": 3, "up": 2.0}
    assert rules == [RuleRow("change:body_weight:up:3d", "change", 1, spec)]


def test_a_limit_keeps_its_low_bounds_in_their_columns() -> None:
    row = LimitRow(1, 100.0, 160.0, 90.0, 180.0)
    assert Rules.load([row], []).limits[0].row() == row


def test_columns_are_read_from_what_a_rule_wrote() -> None:
    """Every parameter of every kind stands in the spec by its name, or is not given."""
    rules = [rule for template in TEMPLATES.values() for rule in template.rules]
    assert {rule.kind for rule in rules} == set(KINDS)
    for rule in rules:
        quantity_id, params = columns(rule.kind, rule.params())
        assert quantity_id == rule.quantity.facts.id
        expected = [getattr(rule, name) for name in KINDS[rule.kind].params]
        assert [None if one != one else one for one in params] == expected  # noqa: PLR0124 - nan


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("mood", {"quantity": "steps"}),
        ("missing", {"quantity": "mood", "interval_h": 1}),
        ("missing", {"interval_h": 1}),
        ("missing", {"quantity": "steps", "interval_h": "1"}),
        ("missing", {"quantity": "steps", "interval_h": True}),
        ("missing", {"quantity": "steps", "interval_h": [1]}),
        ("missing", {"quantity": "steps", "interval_h": {}}),
    ],
)
def test_a_spec_that_no_rule_wrote_is_an_error(kind: str, spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"mood|no number|None"):
        columns(kind, spec)


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (_UP, "days"),
        (Limit(quantity=Q.PULSE, red_high=120), "red_high"),
        (HEART_FAILURE, "rules"),
    ],
)
def test_what_was_agreed_cannot_be_changed(made: object, field: str) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(made, field, getattr(made, field))


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (Limit, {"quantity": "pulse", "red_high": "120"}),
        (Limit, {"quantity": "pulse", "red_high": float("nan")}),
        (Limit, {"quantity": "pulse", "red_high": 120, "x": 1}),
        (Rules, {"x": ()}),
        (Rules, {"limits": "abc"}),
    ],
)
def test_only_what_is_known_is_read(model: type[BaseModel], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(given)


def test_kinds_and_templates_by_name() -> None:
    assert {name: (kind.looked.value, kind.family) for name, kind in KINDS.items()} == {
        "repeat": ("repeat", "limit"),
        "k_of_n": ("reading", "limit"),
        "change": ("reading", "trend"),
        "rolling_mean": ("clock", "trend"),
        "baseline": ("clock", "trend"),
        "missing": ("clock", "missing"),
        "composite": ("breach", "composite"),
    }
    assert set(TEMPLATES) == {"blood_pressure", "heart_failure"}
    rules = [rule for template in TEMPLATES.values() for rule in template.rules]
    assert {rule.interval_h for rule in rules if isinstance(rule, Missing)} == {24}
