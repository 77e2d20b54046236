"""Repeat: which reading is one, and what the mean of two decides."""

import math
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import MINUTE
from ingest.rules import repeat
from ingest.rules.limit import IDS_MAX, Limits
from ingest.rules.table import Findings
from tests.ingest.rules.stories import (
    HISTORIES,
    NAN,
    Rule,
    Sample,
    draw_samples,
    rows_of,
    series_of,
    wholes,
)

_YELLOW, _RED = 1, 2
_LOW, _HIGH = 1, 2


@dataclass(frozen=True)
class Bounds:
    """Limits of one patient and quantity, in force from 0."""

    yellow_low: float = NAN
    yellow_high: float = NAN
    red_low: float = NAN
    red_high: float = NAN


@dataclass(frozen=True)
class Single:
    first: float
    second: float
    repeated: bool
    bounds: Bounds


def _level(value: Fraction, bounds: Bounds) -> tuple[int, int]:
    """Return level and side of an exact value."""
    for level, low, high in (
        (_RED, bounds.red_low, bounds.red_high),
        (_YELLOW, bounds.yellow_low, bounds.yellow_high),
    ):
        if not math.isnan(high) and value >= Fraction(str(high)):
            return level, _HIGH
        if not math.isnan(low) and value < Fraction(str(low)):
            return level, _LOW
    return 0, 0


def _reference(one: Single) -> tuple[str, float, int, int]:
    """Return outcome, value, level and side."""
    first = value = Fraction(str(one.first))
    if one.repeated and not math.isnan(one.second):
        second = Fraction(str(one.second))
        alone, other = _level(first, one.bounds), _level(second, one.bounds)
        if not (alone[0] == other[0] == _RED and alone[1] != other[1]):
            value = (first + second) / 2
    level, side = _level(value, one.bounds)
    outcome = "unrepeated" if not one.repeated else "confirmed" if level else "calmed"
    return outcome, float(value), level, side


def _decided(singles: list[Single]) -> list[tuple[str, float, int, int]]:
    """Each single is of a patient of its own, whose plan has its bounds."""
    n = len(singles)
    decision = repeat.decide(
        patient=np.arange(1, n + 1),
        quantity=np.full(n, 1, np.int16),
        measured_at=np.zeros(n, np.int64),
        first=np.array([s.first for s in singles]),
        second=np.array([s.second for s in singles]),
        repeated=np.array([s.repeated for s in singles], np.bool_),
        limits=Limits(
            patient=np.arange(1, n + 1),
            in_force_from=np.zeros(n, np.int64),
            version=np.arange(n),
            key=np.arange(n) * IDS_MAX + 1,
            yellow_low=np.array([s.bounds.yellow_low for s in singles]),
            yellow_high=np.array([s.bounds.yellow_high for s in singles]),
            red_low=np.array([s.bounds.red_low for s in singles]),
            red_high=np.array([s.bounds.red_high for s in singles]),
        ),
    )
    return list(
        zip(
            [repeat.OUTCOMES[code].value for code in decision.outcome.tolist()],
            decision.value.tolist(),
            decision.finding.level.tolist(),
            decision.finding.side.tolist(),
            strict=True,
        )
    )


def _draw_single(random: Random) -> Single:
    lows = sorted(random.choice((NAN, 90.0, 95.0, 100.0)) for _ in range(2))
    highs = sorted(random.choice((NAN, 105.0, 110.0, 120.0)) for _ in range(2))
    if any(map(math.isnan, lows)):
        lows = [random.choice((NAN, 90.0)), NAN]
    if any(map(math.isnan, highs)):
        highs = [NAN, random.choice((NAN, 120.0))]
    return Single(
        first=random.randint(850, 1250) / 10,
        second=random.choice((NAN, random.randint(850, 1250) / 10, random.randint(85, 125) * 1.0)),
        repeated=random.randint(0, 3) > 0,
        bounds=Bounds(red_low=lows[0], yellow_low=lows[1], yellow_high=highs[0], red_high=highs[1]),
    )


@given(random=st.randoms(use_true_random=False), size=st.integers(1, 8))
def test_a_single_is_decided_as_the_reference_decides_it(random: Random, size: int) -> None:
    singles = [_draw_single(random) for _ in range(size)]
    assert _decided(singles) == [_reference(one) for one in singles]


def test_many_singles_are_decided_as_the_reference_decides_them() -> None:
    random = Random("singles")
    for start in range(0, HISTORIES * 5, 1000):
        singles = [_draw_single(random) for _ in range(min(1000, HISTORIES * 5 - start))]
        assert _decided(singles) == [_reference(one) for one in singles]


_USUAL: Final = Bounds(yellow_low=100, yellow_high=160, red_low=90, red_high=180)


@pytest.mark.parametrize(
    ("first", "second", "repeated", "expected"),
    [
        (192, 188, True, ("confirmed", 190, _RED, _HIGH)),
        (182, 178, True, ("confirmed", 180, _RED, _HIGH)),  # at the bound
        (182, 177.9, True, ("confirmed", 179.95, _YELLOW, _HIGH)),
        (182, 138, True, ("confirmed", 160, _YELLOW, _HIGH)),
        (182, 137, True, ("calmed", 159.5, 0, 0)),
        (182, NAN, True, ("confirmed", 182, _RED, _HIGH)),  # the repeat has only the other half
        (182, NAN, False, ("unrepeated", 182, _RED, _HIGH)),
        (182, 120, False, ("unrepeated", 182, _RED, _HIGH)),  # too late to be one
        (150, NAN, False, ("unrepeated", 150, 0, 0)),  # doubted, and within its limits
        (86, 93, True, ("confirmed", 89.5, _RED, _LOW)),
        (190, 85, True, ("confirmed", 190, _RED, _HIGH)),  # a mean of 137.5 would calm two reds
        (85, 190, True, ("confirmed", 85, _RED, _LOW)),
        (190, 95, True, ("calmed", 142.5, 0, 0)),
    ],
)
def test_the_mean_of_two_decides(
    first: float, second: float, repeated: bool, expected: tuple[str, float, int, int]
) -> None:
    assert _decided([Single(first, second, repeated, _USUAL)]) == [expected]


def _find(
    samples: list[Sample], after: list[int], wait: int, quantity: int = 5
) -> list[bytes | None]:
    series = series_of(samples)
    row = repeat.find(
        series,
        patient=np.array([1 + n % 2 for n in range(len(after))], np.int64),
        quantity=np.full(len(after), quantity, np.int16),
        after=np.array(after, np.int64),
        wait=np.full(len(after), wait, np.int64),
    )
    return [None if one == -1 else bytes(series.reading_id[one]) for one in row]


@settings(max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_the_repeat_is_the_first_that_counts_within_the_wait(random: Random) -> None:
    samples = [
        s
        for patient in (1, 2, 3)
        for s in draw_samples(random, patient, most=8, days=2, values=wholes(1, 9))
    ]
    wait = random.choice((1, 60, 600, 24 * 60)) * MINUTE
    after = [random.choice([s.at for s in samples] or [0]) + random.choice((0, -1)) for _ in "123"]
    expected = []
    for number, at in enumerate(after):
        later = sorted(
            (s.at, s.reading_id)
            for s in samples
            if s.patient == 1 + number % 2
            and s.quantity == 5
            and s.counts
            and at < s.at <= at + wait
        )
        expected.append(later[0][1] if later else None)
    assert _find(samples, after, wait) == expected


def test_the_wait_is_inclusive_and_a_reading_of_the_same_moment_is_no_repeat() -> None:
    def seen(at: int) -> list[bytes | None]:
        return _find([Sample(1, 5, at, b"b" * 16, 180.0)], [1000], 30 * MINUTE)

    assert seen(1000) == [None]
    assert seen(1001) == [b"b" * 16]
    assert seen(1000 + 30 * MINUTE) == [b"b" * 16]
    assert seen(1001 + 30 * MINUTE) == [None]


def test_the_wait_is_in_minutes() -> None:
    rules = rows_of("repeat", [Rule(1, 1, {"ask_min": 5, "wait_min": 30.5})])
    assert repeat.wait(rules).tolist() == [30.5 * MINUTE]
    assert [side.tolist() for side in repeat.reach(rules)] == [[30.5 * MINUTE]] * 2


def test_the_single_and_its_repeat_are_named() -> None:
    series = series_of([Sample(1, 1, n, bytes([n + 1]) * 16, 180.0) for n in range(5)])
    column = np.zeros(3)
    findings = Findings(
        rule=np.zeros(3, np.int64),
        anchor=np.array([1, 2, 4]),
        at=np.array([1, 2, 4]),
        side=np.zeros(3, np.int8),
        level=np.zeros(3, np.int8),
        value=column,
        bound=column,
        first=np.array([0, 2, 3]),  # the second has no repeat
        stop=np.array([2, 3, 5]),
        extra=np.zeros((3, 2)),
    )
    rules = rows_of("repeat", [Rule(1, 1, {"wait_min": 30})])
    finding, row = repeat.rests_on(series, rules, findings)
    assert finding.tolist() == [0, 0, 1, 2, 2]
    assert row.tolist() == [0, 1, 2, 3, 4]
