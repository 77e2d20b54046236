"""Rules that cannot be are refused, with the reason in the words of who writes plans."""

from typing import Any

import pytest
from pydantic import ValidationError

from devices.quantity import Quantity
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
from ingest.rules.plan import Limit, Rules
from ingest.rules.refusal import refusals
from tests.ingest.rules.refusing import Made, refused

Q = Quantity


@pytest.mark.parametrize(
    ("make", "sv", "en"),
    [
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=4, n=3, high=150),
            "4 av de senaste 3 kan aldrig inträffa.",
            "4 of the last 3 can never happen.",
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=0, n=3, high=150),
            "0 av de senaste 3 kan aldrig inträffa.",
            "0 of the last 3 can never happen.",
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=101, high=150),
            "Högst de senaste 100 mätningarna kan räknas.",
            "At most the last 100 readings can be counted.",
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=6, status=32),
            "Bara oregelbunden puls kan räknas så.",
            "Only an irregular pulse can be counted so.",
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=5, high=301),
            (
                "Systoliskt blodtryck: gränsen 301 ligger utanför det som kan mätas "
                "(40 till 300 mmHg)."
            ),
            (
                "Systolic blood pressure: the limit 301 lies outside of what can be measured "
                "(40 to 300 mmHg)."
            ),
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=5, low=40),
            "Systoliskt blodtryck: gränsen 40 ligger utanför det som kan mätas (40 till 300 mmHg).",
            (
                "Systolic blood pressure: the limit 40 lies outside of what can be measured "
                "(40 to 300 mmHg)."
            ),
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=5),
            "Regeln har precis en gräns.",
            "The rule has exactly one limit.",
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=5, low=90, high=150),
            "Regeln har precis en gräns.",
            "The rule has exactly one limit.",
        ),
        (
            lambda: KOfN(quantity=Q.SYSTOLIC, k=3, n=5, high=150, status=4),
            "Regeln har precis en gräns.",
            "The rule has exactly one limit.",
        ),
        (
            lambda: Change(quantity=Q.BODY_WEIGHT, days=3),
            "Regeln har precis en gräns.",
            "The rule has exactly one limit.",
        ),
        (
            lambda: Change(quantity=Q.BODY_WEIGHT, days=401, up=2),
            "Tiden är högst 400 dygn.",
            "The time is 400 days at most.",
        ),
        (
            lambda: Change(quantity=Q.BODY_WEIGHT, days=0, up=2),
            "Tiden är minst ett dygn.",
            "The time is a day at least.",
        ),
        (
            lambda: Change(quantity=Q.BODY_WEIGHT, days=3, up=0),
            "En ändring på 0 kg kan inte vara en gräns.",
            "A change of 0 kg cannot be a limit.",
        ),
        (
            lambda: Change(quantity=Q.BODY_WEIGHT, days=3, down=330),
            "En ändring på 330 kg kan inte vara en gräns.",
            "A change of 330 kg cannot be a limit.",
        ),
        (
            lambda: RollingMean(quantity=Q.SYSTOLIC, days=3, high=135),
            "3 dygn med mätningar ryms inte i 3 dygn, när det första inte räknas.",
            "3 days with readings do not fit into 3 days, when the first does not count.",
        ),
        (
            lambda: RollingMean(quantity=Q.SYSTOLIC, high=135, days_min=0),
            "0 dygn med mätningar ryms inte i 7 dygn, när det första inte räknas.",
            "0 days with readings do not fit into 7 days, when the first does not count.",
        ),
        (
            lambda: RollingMean(quantity=Q.SYSTOLIC, high=135, readings_min=0),
            "Medelvärdet behöver minst en mätning.",
            "The mean needs at least one reading.",
        ),
        (
            lambda: RollingMean(quantity=Q.SYSTOLIC, high=1350),
            (
                "Systoliskt blodtryck: gränsen 1350 ligger utanför det som kan mätas "
                "(40 till 300 mmHg)."
            ),
            (
                "Systolic blood pressure: the limit 1350 lies outside of what can be measured "
                "(40 to 300 mmHg)."
            ),
        ),
        (
            lambda: Baseline(quantity=Q.STEPS, level=RED),
            "Det egna vanliga värdet kan inte ensamt ge rött. Låt det ingå i en kombination.",
            "One's own usual value cannot make red alone. Make it part of a combination.",
        ),
        (
            lambda: Baseline(quantity=Q.PULSE),
            "Puls räknas inte per dygn.",
            "Pulse rate is not counted by the day.",
        ),
        (
            lambda: Baseline(quantity=Q.STEPS, percent=100),
            "100 % av det vanliga är ingen minskning.",
            "100 % of the usual is no decrease.",
        ),
        (
            lambda: Baseline(quantity=Q.STEPS, percent=0),
            "0 % av det vanliga är ingen minskning.",
            "0 % of the usual is no decrease.",
        ),
        (
            lambda: Baseline(quantity=Q.STEPS, days=7, baseline_days=394),
            "Tiden är högst 400 dygn.",
            "The time is 400 days at most.",
        ),
        (
            lambda: Baseline(quantity=Q.STEPS, days=-1, baseline_days=28),
            "Tiden är minst ett dygn.",
            "The time is a day at least.",
        ),
        (
            lambda: Baseline(quantity=Q.STEPS, days=7, baseline_days=0),
            "Tiden är minst ett dygn.",
            "The time is a day at least.",
        ),
        *(
            (
                lambda fields=fields: Baseline(quantity=Q.STEPS, **fields),
                "Så många dygn med mätningar ryms inte.",
                "So many days with readings do not fit.",
            )
            for fields in (
                {"valid_days_min": 29},
                {"valid_days_min": 0},
                {"recent_days_min": 8},
                {"recent_days_min": 0},
            )
        ),
        (
            lambda: Missing(quantity=Q.SYSTOLIC, interval_h=0.9),
            "Oftare än en gång i timmen kan en mätning inte väntas.",
            "A measurement cannot be expected more often than once an hour.",
        ),
        (
            lambda: Missing(quantity=Q.SYSTOLIC, interval_h=24, grace_h=-1),
            "Tiden att vänta är noll eller mer.",
            "The grace is zero or more.",
        ),
        (
            lambda: Missing(quantity=Q.SYSTOLIC, interval_h=400 * 24, grace_h=1),
            "Tiden är högst 400 dygn.",
            "The time is 400 days at most.",
        ),
        (
            lambda: Missing(quantity=Q.SYSTOLIC, interval_h=24, level=RED),
            "En utebliven mätning kan inte ge rött.",
            "A missing measurement cannot make red.",
        ),
        (
            lambda: Repeat(quantity=Q.SYSTOLIC, wait_min=0),
            "Utan tid att vänta finns inget omtag.",
            "Without time to wait there is no repeat.",
        ),
        *(
            (
                lambda fields=fields: Repeat(quantity=Q.SYSTOLIC, **fields),
                "Omtaget begärs innan väntan är slut, och väntan är högst ett dygn.",
                "The repeat is asked for before the wait ends, and the wait is a day at most.",
            )
            for fields in ({"ask_min": 30}, {"ask_min": -1}, {"wait_min": 1441})
        ),
        (
            lambda: Repeat(quantity=Q.DIASTOLIC),
            "Ett omtag anges för systoliskt blodtryck.",
            "A repeat is stated for systolic blood pressure.",
        ),
        (
            lambda: Repeat(quantity=Q.SYSTOLIC, level=YELLOW),
            "Ett omtag gäller rött.",
            "A repeat is about red.",
        ),
        (
            lambda: Composite(quantity=Q.STEPS, name="x", components=("a:steps", "b"), level=PART),
            "En kombination kan inte ingå i en annan.",
            "A combination cannot be part of another.",
        ),
        *(
            (
                lambda names=names: Composite(quantity=Q.STEPS, name="x", components=names),
                "En kombination är av två till 5 olika regler.",
                "A combination is of two to 5 different rules.",
            )
            for names in ((), ("a",), ("a", "a"), tuple("abcdef"))
        ),
        (
            lambda: Composite(quantity=Q.STEPS, name="x", components=("a", "b"), within_days=0),
            "Tiden är minst ett dygn.",
            "The time is a day at least.",
        ),
        (
            lambda: Change(quantity=Q.BODY_WEIGHT, days=3, up=2, level=3),
            "Nivån är gul eller röd.",
            "The level is yellow or red.",
        ),
        (
            lambda: Limit(quantity=Q.PULSE),
            "Puls har ingen gräns.",
            "Pulse rate has no limit.",
        ),
        (
            lambda: Limit(quantity=Q.PULSE, red_low=20),
            "Puls: gränsen 20 ligger utanför det som kan mätas (20 till 250 slag/min).",
            "Pulse rate: the limit 20 lies outside of what can be measured (20 to 250 slag/min).",
        ),
        *(
            (
                lambda fields=fields: Limit(quantity=Q.PULSE, **fields),
                "Puls: gränserna går från röd låg till röd hög, med gul innanför röd.",
                "Pulse rate: limits go from red low to red high, with yellow within red.",
            )
            for fields in (
                {"yellow_high": 120, "red_high": 110},  # yellow beyond red
                {"yellow_low": 40, "red_low": 50},
                {"yellow_low": 100, "yellow_high": 100},
                {"red_low": 100, "red_high": 100},
                {"red_low": 100, "yellow_high": 100},
            )
        ),
    ],
)
def test_the_impossible_is_refused_with_its_reason(make: Made, sv: str, en: str) -> None:
    reason = refused(make)
    assert (reason.sv, reason.en) == (sv, en)


@pytest.mark.parametrize(
    "make",
    [
        lambda: KOfN(quantity=Q.SYSTOLIC, k=1, n=1, high=300),
        lambda: KOfN(quantity=Q.SYSTOLIC, k=100, n=100, low=40.1),
        lambda: Change(quantity=Q.BODY_WEIGHT, days=400, up=329.9),
        lambda: Change(quantity=Q.BODY_WEIGHT, days=1, down=0.1),
        lambda: RollingMean(quantity=Q.SYSTOLIC, days=2, high=135, days_min=1, readings_min=1),
        lambda: Baseline(quantity=Q.SLEEP, days=1, baseline_days=399, recent_days_min=1),
        lambda: Baseline(quantity=Q.STEPS, percent=1, valid_days_min=28, recent_days_min=7),
        lambda: Baseline(quantity=Q.STEPS, percent=99, valid_days_min=1, recent_days_min=1),
        lambda: Missing(quantity=Q.SYSTOLIC, interval_h=1, grace_h=0),
        lambda: Repeat(quantity=Q.BODY_WEIGHT, ask_min=0, wait_min=1440),
        lambda: Repeat(quantity=Q.BODY_WEIGHT, ask_min=0, wait_min=0.5),
        lambda: Composite(quantity=Q.STEPS, name="x", components=tuple("abcde")),
        lambda: Limit(quantity=Q.PULSE, red_low=50, yellow_low=50, yellow_high=51, red_high=51),
        lambda: Limit(quantity=Q.PULSE, yellow_high=250),
    ],
)
def test_the_outermost_of_what_can_be_is_not_refused(make: Made) -> None:
    make()


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"kind": "change", "quantity": "body_weight", "days": 3, "up": "2"}, "change.up"),
        ({"kind": "change", "quantity": "mood", "days": 3, "up": 2}, "change.quantity"),
        ({"kind": "change", "quantity": "steps", "days": 3, "up": 2, "x": 1}, "change.x"),
        ({"kind": "change", "quantity": "steps", "up": float("nan"), "days": 1}, "change.up"),
        ({"kind": "change", "quantity": "steps", "up": 2}, "change.days"),
        ({"kind": "missing", "quantity": "steps", "interval_h": True}, "missing.interval_h"),
        ({"kind": "missing", "quantity": "steps", "interval_h": "24"}, "missing.interval_h"),
        ({"kind": "missing", "quantity": "steps", "interval_h": "often"}, "missing.interval_h"),
        (
            {"kind": "composite", "name": "A B", "components": ["a:steps", "b"]},
            "composite.name",
        ),
        ({"kind": "composite", "name": "x", "components": ["a", "b"]}, "composite.quantity"),
        ({"kind": "mood"}, ""),
    ],
)
def test_what_has_not_the_form_of_a_rule_is_refused_by_its_field(
    fields: dict[str, Any], where: str
) -> None:
    reason = refused(lambda: Rules.model_validate({"rules": [fields]}))
    assert reason.where == f"rules.0.{where}".rstrip(".")
    assert reason.sv == f"Fältet {reason.where} kan inte läsas."
    assert reason.en.startswith(f"{reason.where}: ")


def test_every_reason_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Rules.model_validate(
            {
                "limits": [{"quantity": "pulse"}],
                "rules": [{"kind": "change", "quantity": "body_weight", "days": 0, "up": 2}],
            }
        )
    assert [reason.where for reason in refusals(caught.value)] == ["limits.0", "rules.0.change"]


def test_the_error_itself_says_why() -> None:
    with pytest.raises(ValidationError) as caught:
        Repeat(quantity=Q.SYSTOLIC, wait_min=0)
    (error,) = caught.value.errors()
    assert error["type"] == "impossible_rule"
    assert error["msg"] == "Without time to wait there is no repeat."


def test_a_field_that_is_not_there_is_named() -> None:
    rule = {"kind": "change", "quantity": "steps", "up": 2}
    reason = refused(lambda: Rules.model_validate({"rules": [rule]}))
    assert reason.en == "rules.0.change.days: Field required."
