"""Rules of one plan that do not fit together are refused, with the reason."""

from typing import Any

import pytest

from devices.quantity import Quantity
from ingest.rules.limit import RED
from ingest.rules.model import (
    PART,
    Baseline,
    Change,
    Composite,
    KOfN,
    Missing,
    RollingMean,
)
from ingest.rules.plan import Limit, Rules
from tests.ingest.rules.refusing import refused

Q = Quantity
_UP = Change(quantity=Q.BODY_WEIGHT, days=3, up=2)
_FEWER = Baseline(quantity=Q.STEPS, level=PART)


@pytest.mark.parametrize(
    ("rules", "sv", "en"),
    [
        (
            [_UP, Change(quantity=Q.BODY_WEIGHT, days=3, up=2.5)],
            "Två regler är samma: change:body_weight:up:3d.",
            "Two rules are the same: change:body_weight:up:3d.",
        ),
        *(
            (
                rules,
                f"Den gula gränsen ligger bortom den röda: {key}.",
                f"The yellow limit lies beyond the red one: {key}.",
            )
            for key, rules in {
                "change:body_weight:up:3d": [
                    Change(quantity=Q.BODY_WEIGHT, days=3, up=1.9, level=RED),
                    _UP,
                ],
                "k_of_n:pulse:high:3of5": [
                    KOfN(quantity=Q.PULSE, k=3, n=5, high=120),
                    KOfN(quantity=Q.PULSE, k=3, n=5, high=119, level=RED),
                ],
                "rolling_mean:systolic:low:7d": [
                    RollingMean(quantity=Q.SYSTOLIC, low=100),
                    RollingMean(quantity=Q.SYSTOLIC, low=101, level=RED),
                ],
            }.items()
        ),
        (
            [_FEWER],
            "Regeln baseline:steps:7d:part syns aldrig: ingen kombination har den.",
            "The rule baseline:steps:7d:part would never show: no combination has it.",
        ),
        (
            [_UP, Composite(quantity=Q.STEPS, name="x", components=(_UP.key, "change:y"))],
            "Kombinationen x nämner en regel som inte finns: change:y.",
            "The combination x names a rule that is not there: change:y.",
        ),
        (
            [
                _UP,
                _FEWER,
                Composite(quantity=Q.STEPS, name="x", components=(_UP.key, _FEWER.key)),
                Composite(quantity=Q.STEPS, name="y", components=(_UP.key, "composite:x")),
            ],
            "Kombinationen y kan inte ha en kombination i sig.",
            "The combination y cannot have a combination in it.",
        ),
        (
            [Missing(quantity=q, interval_h=h) for q in Q for h in range(1, 8)],
            "En plan har högst 50 regler.",
            "A plan has at most 50 rules.",
        ),
    ],
)
def test_rules_that_do_not_fit_together_are_refused(rules: list[Any], sv: str, en: str) -> None:
    reason = refused(lambda: Rules(rules=tuple(rules)))
    assert (reason.where, reason.sv, reason.en) == ("", sv, en)


def test_one_quantity_has_one_set_of_limits() -> None:
    limits = (Limit(quantity=Q.PULSE, red_high=120), Limit(quantity=Q.PULSE, red_low=40))
    reason = refused(lambda: Rules(limits=limits))
    assert reason.sv == "Puls har fler än en uppsättning gränser."
    assert reason.en == "Pulse rate has more than one set of limits."
