"""What people read of two readings, and of two rules; and which readings are named.

Expected sentences are written with ``~`` for the space that does not break.
"""

import json
from typing import Any

import numpy as np
import pytest

from ingest.batch import DAY, MINUTE
from ingest.rules import explain
from ingest.rules.limit import HIGH
from ingest.rules.table import Findings
from tests.ingest.rules.sentences import (
    DIASTOLIC,
    NOW,
    PULSE,
    STEPS,
    SYSTOLIC,
    WEIGHT,
    details_of,
    id_of,
    samples_of,
    says,
    weights_of,
)
from tests.ingest.rules.stories import (
    NAN,
    Rule,
    Sample,
    rows_of,
    series_of,
)


def _stands(quantity: int, first: float, second: float, minutes: float) -> dict[str, Any]:
    """Return the detail of a single and, where there is one, its repeat, by a rule for systolic."""
    values = {NOW: first} if np.isnan(second) else {NOW: first, NOW + int(minutes * MINUTE): second}
    series = series_of(samples_of(quantity, values))
    last = len(series) - 1
    mean = first if np.isnan(second) else (first + second) / 2
    findings = Findings(
        rule=np.array([0]),
        anchor=np.array([last]),
        at=series.measured_at[[last]],
        side=np.array([HIGH], np.int8),
        level=np.array([2], np.int8),
        value=np.array([mean]),
        bound=np.array([180.0 if quantity == SYSTOLIC else 110.0]),
        first=np.array([0]),
        stop=np.array([last + 1]),
        extra=np.array([[first, second]]),
    )
    rules = rows_of("repeat", [Rule(1, SYSTOLIC, {"ask_min": 5, "wait_min": 30})])
    details = explain.detail("repeat", rules, series, findings)
    assert rules.quantity.tolist() == [SYSTOLIC]
    read: list[dict[str, Any]] = json.loads(json.dumps(details, allow_nan=False))
    return read[0]


@pytest.mark.parametrize(
    ("quantity", "first", "second", "minutes", "sv", "en"),
    [
        (
            SYSTOLIC, 192, 188, 6,
            "Systoliskt blodtryck 192~mmHg, omtag 188~mmHg efter 6~minuter, medel 190 (gräns 180)",
            ("Systolic blood pressure 192~mmHg, repeat 188~mmHg after 6~minutes, mean 190 "
            "(limit 180)"),
        ),
        (
            DIASTOLIC, 111, 110, 1,
            "Diastoliskt blodtryck 111~mmHg, omtag 110~mmHg efter 1~minut, medel 110,5 (gräns 110)",
            ("Diastolic blood pressure 111~mmHg, repeat 110~mmHg after 1~minute, mean 110.5 "
            "(limit 110)"),
        ),
        (
            SYSTOLIC, 192, NAN, 0,
            "Systoliskt blodtryck 192~mmHg, inget omtag inom 30~minuter (gräns 180)",
            "Systolic blood pressure 192~mmHg, no repeat within 30~minutes (limit 180)",
        ),
    ],
)  # fmt: skip
def test_a_repeat(  # noqa: PLR0917 - a row of a table
    quantity: int, first: float, second: float, minutes: float, sv: str, en: str
) -> None:
    detail = _stands(quantity, first, second, minutes)
    assert detail["readings"] == ([id_of(1)] if np.isnan(second) else [id_of(1), id_of(2)])
    says("repeat", detail, sv, en)


def test_several_rules_at_once_are_one_sentence() -> None:
    (heavier,) = details_of("change", weights_of(78.4), Rule(1, WEIGHT, {"days": 3, "up": 2.0}))
    (missing,) = details_of("missing", [], Rule(1, STEPS, {"interval_h": 24}, since=NOW - 3 * DAY))
    both = explain.of_parts([("change", heavier), ("missing", {**missing, "readings": [id_of(2)]})])
    assert both["readings"] == [id_of(2), id_of(4)]  # each once
    says(
        "composite",
        both,
        "Vikten har ökat 2,6~kg sedan 19~november (gräns 2,0~kg på 3~dagar) och samtidigt: "
        "inga steg på 3~dagar (plan: varje dag)",
        "Body weight has increased by 2.6~kg since 19~November (limit 2.0~kg in 3~days) and at "
        "the same time: no steps for 3~days (plan: every day)",
    )


def test_three_at_once() -> None:
    each = [
        explain.of_limit(quantity_id=WEIGHT, side=HIGH, value=kg, bound=79) for kg in (80, 81, 82)
    ]
    three = explain.of_parts([("limit", one) for one in each])
    assert three["readings"] == []
    sentence = explain.explain("composite", three).replace("\u00a0", "~")
    assert sentence == (
        "Vikt 80,0~kg (gräns 79,0), vikt 81,0~kg (gräns 79,0) och samtidigt: "
        "vikt 82,0~kg (gräns 79,0)"
    )


def test_not_more_readings_are_named_than_people_read() -> None:
    """The newest of them."""
    samples = samples_of(WEIGHT, {NOW - 2 * DAY + n * MINUTE: 80.0 for n in range(1, 100)})
    # Of the day that is dropped.
    first = Sample(1, WEIGHT, NOW - 5 * DAY, b"f" * 16, 80.0)
    rule = Rule(1, WEIGHT, {"days": 7, "readings_min": 12, "days_min": 3, "high": 80})
    (detail,) = details_of(
        "rolling_mean",
        [*samples, first.__class__(**{**first.__dict__, "reading_id": b"f" * 16})],
        rule,
    )
    assert detail["readings_in_mean"] == 99
    assert detail["readings"] == [id_of(n) for n in range(50, 100)]


def test_an_id_that_ends_in_zeros_is_whole() -> None:
    last = Sample(1, PULSE, NOW, bytes(range(8)) + bytes(8), 101.0)
    (detail,) = details_of(
        "k_of_n", [last], Rule(1, PULSE, {"k": 1, "n": 1, "days": 1, "high": 100})
    )
    assert detail["readings"] == ["00010203-0405-0607-0000-000000000000"]


def test_there_are_two_languages() -> None:
    with pytest.raises(ValueError, match="no language 'fi'"):
        explain.explain("limit", {}, "fi")


def test_each_finding_names_its_own_readings() -> None:
    samples = samples_of(PULSE, {NOW: 101.0, NOW + 1: 99.0, NOW + 2: 102.0, NOW + 3: 103.0})
    rule = Rule(1, PULSE, {"k": 2, "n": 2, "days": 1, "high": 100})
    first, *others = details_of("k_of_n", samples, Rule(1, PULSE, {**rule.params, "k": 1}))
    assert first["readings"] == [id_of(1)]
    assert [one["readings"] for one in others] == [[id_of(3)], [id_of(3), id_of(4)]]
    assert [one["value"] for one in (first, *others)] == [1, 1, 2]
    assert [one["readings"] for one in details_of("k_of_n", samples, rule)] == [
        [id_of(3), id_of(4)]
    ]


def test_times_are_kept_as_text() -> None:
    (detail,) = details_of(
        "missing", samples_of(STEPS, {NOW - 3 * DAY: 1.0}), Rule(1, STEPS, {"interval_h": 24})
    )
    assert detail["at"] == "2026-11-22T07:00:00+00:00"
    assert detail["last_at"] == "2026-11-19T07:00:00+00:00"
    assert detail["expected_at"] == "2026-11-20T07:00:00+00:00"
