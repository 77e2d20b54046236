"""From samples and a rule to what people read."""

import json
from typing import Any

import numpy as np

from ingest.batch import DAY
from ingest.rules import explain
from ingest.rules.catalogue import KINDS
from tests.ingest.rules.stories import (
    Rule,
    Sample,
    at,
    is_new,
    rows_of,
    series_of,
)

NOW = at(2026, 11, 22, 7)  # 08:00 in Sweden
SYSTOLIC, DIASTOLIC, PULSE, WEIGHT, STEPS, SLEEP = 1, 2, 4, 5, 6, 7


def id_of(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012x}"


def samples_of(quantity: int, values: dict[int, float], status: int = 0) -> list[Sample]:
    """Return samples by when they were measured."""
    return [
        Sample(1, quantity, when, number.to_bytes(16), value, status=status)
        for number, (when, value) in enumerate(values.items(), 1)
    ]


def details_of(kind: str, samples: list[Sample], rule: Rule) -> list[dict[str, Any]]:
    """Return what is kept of each finding, as JSON gives it back."""
    series, rules = series_of(samples), rows_of(kind, [rule])
    if KINDS[kind].is_clocked:
        findings = KINDS[kind].module.evaluate(series, rules, np.array([NOW]))
    else:
        new = is_new(series, {s.reading_id for s in samples})
        findings = KINDS[kind].module.evaluate(series, rules, new)
    details = explain.detail(kind, rules, series, findings)
    read: list[dict[str, Any]] = json.loads(json.dumps(details, allow_nan=False))
    return read


def says(kind: str, detail: dict[str, Any], sv: str, en: str) -> None:
    # As it is kept: the kind stands in it.
    kept = {"kind": kind, **detail}
    assert explain.explain(kind, kept, "sv").replace("\u00a0", "~") == sv
    assert explain.explain(kind, kept, "en").replace("\u00a0", "~") == en


def weights_of(now: float) -> list[Sample]:
    """Return the weights of some days, the lowest three days ago."""
    then = {NOW - 4 * DAY: 75.9, NOW - 3 * DAY: 75.8, NOW - DAY: 77.0, NOW: now}
    return samples_of(WEIGHT, then)
