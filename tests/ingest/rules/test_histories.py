"""Every kind that looks at a series equals its slow reference, finding by finding.

A seeded run judges some hundred histories of each kind; 100,000 by

    EGENMONITOR_HISTORIES=100000 pytest -q --timeout=3600 tests/ingest/rules/test_histories.py
"""

from random import Random
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.rules.catalogue import KINDS
from tests.ingest.rules.drawing import REFERENCES, story
from tests.ingest.rules.stories import (
    HISTORIES,
    Fired,
    Story,
    fired,
    is_new,
    judged,
    rows_of,
    series_of,
)

_AT_ONCE: Final = 20  # patients in one evaluation
_AT_READING: Final = [name for name, kind in KINDS.items() if kind.looked == "reading"]
every_kind = pytest.mark.parametrize("kind", REFERENCES)


@every_kind
@settings(max_examples=40)
@given(random=st.randoms(use_true_random=False))
def test_a_history_is_judged_as_the_reference_judges_it(kind: str, random: Random) -> None:
    drawn = story(kind, random, patients=2)
    assert judged(kind, drawn) == REFERENCES[kind](drawn)


@every_kind
def test_many_histories_are_judged_as_the_reference_judges_them(kind: str) -> None:
    findings = 0
    for seed in range(max(1, HISTORIES // _AT_ONCE)):
        drawn = story(kind, Random(f"{kind} {seed}"), patients=_AT_ONCE)
        expected = REFERENCES[kind](drawn)
        assert judged(kind, drawn) == expected, f"seed {seed}"
        findings += len(expected)
    assert findings > HISTORIES / 20  # the histories are near the bounds: it is not all silence


@every_kind
def test_patients_are_judged_alone_as_among_others(kind: str) -> None:
    """Neither the order of rules nor who else is in the evaluation matters."""
    for seed in range(10):
        drawn = story(kind, Random(f"alone {seed}"), patients=4)
        together = [_of_patient(drawn, one) for one in judged(kind, drawn)]
        alone = []
        for patient in {rule.patient for rule in drawn.rules}:
            places = [n for n, rule in enumerate(drawn.rules) if rule.patient == patient][::-1]
            own = Story(
                samples=[s for s in drawn.samples if s.patient == patient],
                rules=[drawn.rules[n] for n in places],
                new=drawn.new,
                moments=[drawn.moments[n] for n in places],
            )
            alone += [_of_patient(own, one) for one in judged(kind, own)]
        assert sorted(together, key=repr) == sorted(alone, key=repr)


@every_kind
def test_nothing_is_found_in_nothing(kind: str) -> None:
    drawn = story(kind, Random(3), patients=3)
    without_samples = Story(rules=drawn.rules, moments=drawn.moments)
    assert kind == "missing" or judged(kind, without_samples) == []
    assert judged(kind, Story(samples=drawn.samples, new=drawn.new)) == []
    assert judged(kind, Story()) == []


@pytest.mark.parametrize("kind", _AT_READING)
@settings(max_examples=30)
@given(random=st.randoms(use_true_random=False), in_time=st.booleans())
def test_no_order_of_arrival_misses_what_the_whole_shows(
    kind: str, random: Random, in_time: bool
) -> None:
    """Readings come in any order, in batches; in order of time exactly the same is found."""
    drawn = story(kind, random, patients=2)
    samples = list(drawn.samples)
    if in_time:
        samples.sort(key=lambda s: (s.at, s.reading_id))
    found: set[tuple[int, bytes | None]] = set()
    arrived = 0
    while arrived < len(samples):
        size = random.randint(1, 6)
        batch = samples[arrived : arrived + size]
        arrived += size
        now = Story(samples[:arrived], drawn.rules, {s.reading_id for s in batch})
        found |= {(one.rule, one.anchor) for one in judged(kind, now)}
    whole = Story(samples, drawn.rules, {s.reading_id for s in samples})
    expected = {(one.rule, one.anchor) for one in judged(kind, whole)}
    assert found == expected if in_time else found >= expected


@every_kind
def test_what_a_reading_can_matter_for_lies_within_its_reach(kind: str) -> None:
    """Samples that are further off may be left out of the series."""
    module = KINDS[kind].module
    for seed in range(60):
        drawn = story(kind, Random(f"reach {seed}"), patients=1)
        if not drawn.samples or (kind == "missing"):
            continue
        rule = drawn.rules[0]
        one = drawn.samples[0]
        whole = Story(drawn.samples, [rule], {one.reading_id}, drawn.moments[:1])
        before, after = module.reach(rows_of(kind, [rule]))
        middle = one.at if kind in _AT_READING else whole.moments[0]
        near = [
            s for s in drawn.samples if middle - int(before[0]) <= s.at <= middle + int(after[0])
        ]
        part = Story(near, [rule], whole.new, whole.moments)
        # Anchors far from the new reading do not hold it, so nothing else can be found either.
        assert judged(kind, part) == judged(kind, whole)


def test_findings_and_columns_can_be_picked_from() -> None:
    drawn = story("k_of_n", Random(5), patients=8)
    series, rules = series_of(drawn.samples), rows_of("k_of_n", drawn.rules)
    findings = KINDS["k_of_n"].module.evaluate(series, rules, is_new(series, drawn.new))
    every_other = np.arange(0, len(findings), 2)
    assert len(every_other) > 1
    some = fired("k_of_n", series, rules, findings.take(every_other))
    assert len(some) == len(every_other)
    assert set(some) <= set(fired("k_of_n", series, rules, findings))
    own = rules.patient == rules.patient[0]
    assert set(rules.take(own).patient.tolist()) == {int(rules.patient[0])}
    assert set(series.take(series.counts).counts.tolist()) == {True}


def _of_patient(drawn: Story, one: Fired) -> tuple[object, ...]:
    rule = drawn.rules[one.rule]
    told = (one.at, one.side, one.level, one.value, one.bound, one.anchor, one.readings, one.extra)
    return rule.patient, rule.version, rule.quantity, tuple(rule.params.items()), *told
