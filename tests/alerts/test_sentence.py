"""Each alert says in words why, with its numbers. Golden: written by hand."""

import pytest

from alerts.sentence import Finding, Side, joined, kinds, readings_told, title, told, why
from alerts.words import Language
from devices.quantity import Quantity
from ingest.rules.catalogue import KINDS, family

S, D, P, W, T = (
    Quantity.SYSTOLIC,
    Quantity.DIASTOLIC,
    Quantity.PULSE,
    Quantity.BODY_WEIGHT,
    Quantity.STEPS,
)


def high(quantity: Quantity, value: float, bound: float) -> Finding:
    return Finding(quantity=quantity, side=Side.HIGH, value=value, bound=bound)


def low(quantity: Quantity, value: float, bound: float) -> Finding:
    return Finding(quantity=quantity, side=Side.LOW, value=value, bound=bound)


CASES = [
    (
        [high(S, 192, 180), high(D, 112, 110)],
        {S: 192, D: 112},
        "Blodtryck 192/112 (gräns 180/110)",
        "Blood pressure 192/112 (limit 180/110)",
    ),
    (
        [high(D, 112, 110), high(S, 192, 180)],
        {S: 192, D: 112, P: 80},
        "Blodtryck 192/112 (gräns 180/110)",
        "Blood pressure 192/112 (limit 180/110)",
    ),
    (
        [high(S, 192, 180)],
        {S: 192, D: 88},
        "Blodtryck 192/88 (systolisk gräns 180)",
        "Blood pressure 192/88 (systolic limit 180)",
    ),
    (
        [low(S, 92, 100)],
        {S: 92, D: 58},
        "Blodtryck 92/58 (systolisk nedre gräns 100)",
        "Blood pressure 92/58 (systolic lower limit 100)",
    ),
    (
        [low(S, 92, 100), high(D, 91, 90)],
        {S: 92, D: 91},
        "Blodtryck 92/91 (systolisk nedre gräns 100, diastolisk gräns 90)",
        "Blood pressure 92/91 (systolic lower limit 100, diastolic limit 90)",
    ),
    (
        [high(W, 78.4, 78)],
        {W: 78.4},
        "Vikt 78,4 kg (gräns 78,0)",
        "Body weight 78.4 kg (limit 78.0)",
    ),
    (
        [low(P, 44, 50)],
        {P: 44},
        "Puls 44 slag/min (nedre gräns 50)",
        "Pulse rate 44 bpm (lower limit 50)",
    ),
    (
        [low(T, 1200, 2000)],
        {T: 1200},
        "Steg 1 200 steg (nedre gräns 2 000)",
        "Steps 1,200 steps (lower limit 2,000)",
    ),
    (
        [high(S, 192, 180), high(P, 128, 120)],
        {S: 192, D: 88, P: 128},
        "Blodtryck 192/88 (systolisk gräns 180). Puls 128 slag/min (gräns 120)",
        "Blood pressure 192/88 (systolic limit 180). Pulse rate 128 bpm (limit 120)",
    ),
    # The sample is gone: what the breach kept is enough.
    (
        [high(S, 192, 180)],
        {},
        "Blodtryck 192/– (systolisk gräns 180)",
        "Blood pressure 192/– (systolic limit 180)",
    ),
]


@pytest.mark.parametrize(("findings", "values", "swedish", "english"), CASES)
def test_why_is_told_with_its_numbers(
    findings: list[Finding], values: dict[Quantity, float], swedish: str, english: str
) -> None:
    assert why(findings, values).replace("\u00a0", " ") == swedish
    assert why(findings, values, Language.ENGLISH).replace("\u00a0", " ") == english


def test_without_a_breach_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="nothing was breached"):
        why([], {S: 120})


def test_a_value_is_told_with_its_unit_and_a_pressure_as_a_pair() -> None:
    assert told(W, {W: 75.75}).replace("\u00a0", " ") == "Vikt 75,8 kg"
    assert told(D, {S: 128, D: 76}) == "Blodtryck 128/76"


@pytest.mark.parametrize("language", Language)
def test_each_kind_of_rule_has_a_title_of_its_own(language: Language) -> None:
    titles = [title([kind], language) for kind in ("limit", *KINDS)]
    assert len(set(titles)) == len(titles)
    assert title(["newer"], language) not in titles
    assert title(["limit", "change"], language) == title(["newer"], language)
    assert title([], language) == title(["newer"], language)


def test_only_values_beyond_a_limit_are_said_to_be() -> None:
    assert title(["limit"]) == "Mätningar utanför gräns"
    assert readings_told(["limit"], 3) == "3 mätningar utanför gräns"
    assert readings_told(["limit", "repeat"], 2) == "2 mätningar utanför gräns"
    for kind in set(KINDS) - {"repeat"}:
        assert "gräns" not in readings_told([kind], 2)
    assert "gräns" not in title(["change"])
    assert readings_told(["change"], 1) == "1 mätning i larmet"


@pytest.mark.parametrize(
    ("rule_key", "expected"),
    [
        ("", "Ett värde till utanför gräns"),
        ("change:body_weight:up:3d", "Avvikelsen håller i sig"),
        ("missing:body_weight", "Mätningen saknas fortfarande"),
        ("composite:a+b", "Flera saker händer fortfarande samtidigt"),
    ],
)
def test_what_joins_is_told_by_the_family_of_the_alert(rule_key: str, expected: str) -> None:
    assert joined(family(rule_key, Quantity.BODY_WEIGHT.facts.id)) == expected
    assert joined("newer:x") == "Ännu en mätning hör till larmet"


def test_the_kind_is_the_details_or_a_limit() -> None:
    assert kinds([]) == frozenset()
    assert kinds([{"detail": {}}, {"detail": {"kind": "change"}}]) == {"limit", "change"}
