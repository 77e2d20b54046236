"""What people read of a breach: the exact sentence of every kind, Swedish and English.

Expected sentences are written with ``~`` for the space that does not break.
"""

import pytest

from ingest.batch import DAY, HOUR
from ingest.rules import explain
from ingest.rules.limit import HIGH, LOW
from tests.ingest.rules.sentences import (
    NOW,
    PULSE,
    SLEEP,
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
    Rule,
    at,
)


@pytest.mark.parametrize(
    ("quantity", "side", "value", "bound", "sv", "en"),
    [
        (WEIGHT, HIGH, 78.4, 78.0, "Vikt 78,4~kg (gräns 78,0)", "Body weight 78.4~kg (limit 78.0)"),
        (
            SYSTOLIC, LOW, 89, 90,
            "Systoliskt blodtryck 89~mmHg (nedre gräns 90)",
            "Systolic blood pressure 89~mmHg (lower limit 90)",
        ),
        # Shown so that it is seen to be below the bound; at the bound as it is.
        (
            PULSE, LOW, 49.6, 50,
            "Puls 49,6~slag/min (nedre gräns 50)",
            "Pulse rate 49.6~bpm (lower limit 50)",
        ),
        (PULSE, HIGH, 120, 120, "Puls 120~slag/min (gräns 120)", "Pulse rate 120~bpm (limit 120)"),
        (
            STEPS, HIGH, 41_234, 40_000,
            "Steg 41~234~steg (gräns 40~000)",
            "Steps 41,234~steps (limit 40,000)",
        ),
    ],
)  # fmt: skip
def test_a_limit(  # noqa: PLR0917 - a row of a table
    quantity: int, side: int, value: float, bound: float, sv: str, en: str
) -> None:
    detail = explain.of_limit(quantity_id=quantity, side=side, value=value, bound=bound)
    says("limit", detail, sv, en)


def test_a_change_upwards() -> None:
    (detail,) = details_of("change", weights_of(78.4), Rule(1, WEIGHT, {"days": 3, "up": 2.0}))
    assert detail == {
        "quantity": "body_weight",
        "at": "2026-11-22T07:00:00+00:00",
        "side": "high",
        "value": 2.6,
        "bound": 2.0,
        "days": 3.0,
        "up": 2.0,
        "now": 78.4,
        "then": 75.8,
        "then_at": "2026-11-19T07:00:00+00:00",
        "readings": [id_of(2), id_of(4)],
    }
    says(
        "change",
        detail,
        "Vikten har ökat 2,6~kg sedan 19~november (gräns 2,0~kg på 3~dagar)",
        "Body weight has increased by 2.6~kg since 19~November (limit 2.0~kg in 3~days)",
    )


def test_a_change_that_rounds_to_its_bound_is_seen_to_be_beyond_it() -> None:
    (detail,) = details_of("change", weights_of(77.804), Rule(1, WEIGHT, {"days": 3, "up": 2.0}))
    says(
        "change",
        detail,
        "Vikten har ökat 2,004~kg sedan 19~november (gräns 2,0~kg på 3~dagar)",
        "Body weight has increased by 2.004~kg since 19~November (limit 2.0~kg in 3~days)",
    )


def test_a_change_downwards_from_last_year() -> None:
    samples = samples_of(STEPS, {at(2025, 12, 31, 22): 9000, at(2026, 1, 1, 22): 4000})
    (detail,) = details_of("change", samples, Rule(1, STEPS, {"days": 1, "down": 1500.0}))
    says(
        "change",
        detail,
        "Stegen har minskat 5~000~steg sedan 31~december 2025 (gräns 1~500~steg på 1~dag)",
        "Steps have decreased by 5,000~steps since 31~December 2025 (limit 1,500~steps in 1~day)",
    )


def test_days_are_those_of_sweden() -> None:
    """23:30 UTC of the 18th is half past midnight of the 19th."""
    samples = samples_of(WEIGHT, {at(2026, 11, 18, 23, 30): 75.8, NOW: 78.4})
    (detail,) = details_of("change", samples, Rule(1, WEIGHT, {"days": 3, "up": 2.0}))
    assert "19\u00a0november" in explain.explain("change", detail)


@pytest.mark.parametrize(
    ("params", "values", "sv", "en"),
    [
        (
            {"high": 150},
            (150, 120, 151, 152),
            "3 av de senaste 4 mätningarna av systoliskt blodtryck är 150~mmHg eller högre",
            "3 of the last 4 readings of systolic blood pressure are 150~mmHg or higher",
        ),
        (
            {"low": 100},
            (99, 98, 120, 97),
            "3 av de senaste 4 mätningarna av systoliskt blodtryck är under 100~mmHg",
            "3 of the last 4 readings of systolic blood pressure are below 100~mmHg",
        ),
    ],
)
def test_k_of_n_of_values(
    params: dict[str, float], values: tuple[float, ...], sv: str, en: str
) -> None:
    samples = samples_of(SYSTOLIC, {NOW + n: value for n, value in enumerate(values)})
    rule = Rule(1, SYSTOLIC, {"k": 3, "n": 5, "days": 30, **params})
    (detail,) = details_of("k_of_n", samples, rule)
    assert len(detail["readings"]) == 3  # those beyond the bound
    says("k_of_n", detail, sv, en)


def test_one_of_one() -> None:
    rule = Rule(1, PULSE, {"k": 1, "n": 1, "days": 1, "high": 100})
    (detail,) = details_of("k_of_n", samples_of(PULSE, {NOW: 101}), rule)
    says(
        "k_of_n",
        detail,
        "1 av de senaste 1 mätningarna av puls är 100~slag/min eller högre",
        "1 of the last 1 readings of pulse rate is 100~bpm or higher",
    )


@pytest.mark.parametrize(
    ("params", "sv", "en"),
    [
        (
            {"high": 135},
            "7-dagarsmedel av systoliskt blodtryck 139~mmHg (gräns 135), 14~mätningar på 7~dagar",
            "7-day mean of systolic blood pressure 139~mmHg (limit 135), 14~readings on 7~days",
        ),
        (
            {"low": 139.2},
            (
                "7-dagarsmedel av systoliskt blodtryck 139,0~mmHg (nedre gräns 139), "
                "14~mätningar på 7~dagar"
            ),
            (
                "7-day mean of systolic blood pressure 139.0~mmHg (lower limit 139), "
                "14~readings on 7~days"
            ),
        ),
    ],
)
def test_a_mean(params: dict[str, float], sv: str, en: str) -> None:
    values = {NOW - n * DAY + m: 138.0 + 2 * m for n in range(1, 9) for m in range(2)}
    rule = Rule(1, SYSTOLIC, {"days": 8, "readings_min": 12, "days_min": 3, **params})
    (detail,) = details_of("rolling_mean", samples_of(SYSTOLIC, values), rule)
    assert len(detail["readings"]) == 14
    says("rolling_mean", {**detail, "days": 7}, sv, en)


def test_a_mean_of_one_reading() -> None:
    rule = Rule(1, WEIGHT, {"days": 2, "readings_min": 1, "days_min": 1, "high": 80})
    samples = samples_of(WEIGHT, {NOW - 2 * DAY: 81.0, NOW - DAY: 81.0})
    (detail,) = details_of("rolling_mean", samples, rule)
    says(
        "rolling_mean",
        detail,
        "2-dagarsmedel av vikt 81,0~kg (gräns 80,0), 1~mätning på 1~dag",
        "2-day mean of body weight 81.0~kg (limit 80.0), 1~reading on 1~day",
    )


def test_fewer_steps_than_usual() -> None:
    values = {NOW - n * DAY: 1980.0 if n <= 7 else 3600.0 for n in range(1, 36)}
    rule = Rule(
        1,
        STEPS,
        {
            "days": 7,
            "baseline_days": 28,
            "percent": 60,
            "valid_days_min": 14,
            "recent_days_min": 4,
        },
        level=2,
    )
    (detail,) = details_of("baseline", samples_of(STEPS, values), rule)
    assert len(detail["readings"]) == 7
    assert (detail["median"], detail["recent_days"], detail["valid_days"]) == (3600, 7, 28)
    says(
        "baseline",
        detail,
        "1~980~steg per dag i medeltal de senaste 7~dagarna, 55~% av det vanliga 3~600 "
        "(gräns 60~%)",
        "1,980~steps a day on average over the last 7~days, 55% of the usual 3,600 (limit 60%)",
    )


@pytest.mark.parametrize(
    ("quantity", "interval_h", "ago", "sv", "en"),
    [
        (
            WEIGHT, 24, 50 * HOUR,
            "Ingen vikt på 2~dagar (plan: varje dag), senast 20~november",
            "No body weight for 2~days (plan: every day), last on 20~November",
        ),
        (
            SYSTOLIC, 24, 47 * HOUR,
            "Inget blodtryck på 47~timmar (plan: varje dag), senast 20~november",
            "No blood pressure for 47~hours (plan: every day), last on 20~November",
        ),
        (
            STEPS, 1, 13 * HOUR,
            "Inga steg på 13~timmar (plan: varje timme), senast 21~november",
            "No steps for 13~hours (plan: every hour), last on 21~November",
        ),
        (
            PULSE, 12, 24 * HOUR,
            "Ingen puls på 24~timmar (plan: var 12:e timme), senast 21~november",
            "No pulse rate for 24~hours (plan: every 12 hours), last on 21~November",
        ),
        (
            SLEEP, 48, 400 * DAY,
            "Ingen sömn på 400~dagar (plan: varannan dag), senast 18~oktober 2025",
            "No sleep for 400~days (plan: every other day), last on 18~October 2025",
        ),
        (
            WEIGHT, 168, 30 * DAY,
            "Ingen vikt på 30~dagar (plan: varje vecka), senast 23~oktober",
            "No body weight for 30~days (plan: every week), last on 23~October",
        ),
        (
            WEIGHT, 72, 30 * DAY,
            "Ingen vikt på 30~dagar (plan: var 3:e dag), senast 23~oktober",
            "No body weight for 30~days (plan: every 3 days), last on 23~October",
        ),
        (
            WEIGHT, 1.5, 30 * DAY,
            "Ingen vikt på 30~dagar (plan: var 1,5:e timme), senast 23~oktober",
            "No body weight for 30~days (plan: every 1.5 hours), last on 23~October",
        ),
        (
            WEIGHT, 24, None,
            "Ingen vikt på 3~dagar (plan: varje dag)",
            "No body weight for 3~days (plan: every day)",
        ),
    ],
)  # fmt: skip
def test_a_missing_measurement(
    quantity: int, interval_h: float, ago: int | None, sv: str, en: str
) -> None:
    samples = samples_of(quantity, {} if ago is None else {NOW - ago: 1.0})
    since = NOW - 3 * DAY if ago is None else NOW - 500 * DAY
    (detail,) = details_of(
        "missing", samples, Rule(1, quantity, {"interval_h": interval_h}, since=since)
    )
    assert detail["readings"] == ([] if ago is None else [id_of(1)])
    says("missing", detail, sv, en)
