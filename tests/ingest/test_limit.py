"""Limits: bounds, levels and plan versions, equal to a slow, obvious reference row by row.

A seeded run judges some hundred plans; 100,000 by

    EGENMONITOR_HISTORIES=100000 pytest -q --timeout=3600 tests/ingest/test_limit.py
"""

import math
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.breach import SIDES
from ingest.rules.limit import HIGH, IDS_MAX, LOW, RED, YELLOW, Limits, evaluate
from tests.ingest.rules.stories import HISTORIES


@dataclass(frozen=True)
class Version:
    patient: int
    since: int
    number: int
    limits: dict[int, tuple[float, float, float, float]]  # yellow low, high, red low, high; nan


@dataclass(frozen=True)
class Sample:
    patient: int
    quantity: int
    at: int
    value: float
    counts: bool


def _reference(sample: Sample, plan: list[Version]) -> tuple[int, int, float, int]:
    """Return level, side, bound and plan version of one sample."""
    in_force = [v for v in plan if v.patient == sample.patient and v.since <= sample.at]
    if not in_force:
        return 0, 0, math.nan, 0
    version = max(in_force, key=lambda v: v.since)
    if not sample.counts or sample.quantity not in version.limits:
        return 0, 0, math.nan, version.number
    yellow_low, yellow_high, red_low, red_high = version.limits[sample.quantity]
    if sample.value >= red_high:
        return RED, HIGH, red_high, version.number
    if sample.value < red_low:
        return RED, LOW, red_low, version.number
    if sample.value >= yellow_high:
        return YELLOW, HIGH, yellow_high, version.number
    if sample.value < yellow_low:
        return YELLOW, LOW, yellow_low, version.number
    return 0, 0, math.nan, version.number


def _columns(plan: list[Version]) -> Limits:
    ordered = sorted(plan, key=lambda v: (v.patient, v.since))
    rows = [
        (place * IDS_MAX + quantity, *bounds)
        for place, version in enumerate(ordered)
        for quantity, bounds in sorted(version.limits.items())
    ]
    table = np.array([row[1:] for row in rows], np.float64).reshape(-1, 4)
    return Limits(
        patient=np.array([v.patient for v in ordered], np.int64),
        in_force_from=np.array([v.since for v in ordered], np.int64),
        version=np.array([v.number for v in ordered], np.int64),
        key=np.array([row[0] for row in rows], np.int64),
        yellow_low=table[:, 0],
        yellow_high=table[:, 1],
        red_low=table[:, 2],
        red_high=table[:, 3],
    )


def _evaluate(samples: list[Sample], plan: list[Version]) -> list[tuple[int, int, float, int]]:
    finding = evaluate(
        patient=np.array([s.patient for s in samples], np.int64),
        quantity=np.array([s.quantity for s in samples], np.int16),
        measured_at=np.array([s.at for s in samples], np.int64),
        value=np.array([s.value for s in samples], np.float64),
        counts=np.array([s.counts for s in samples], np.bool_),
        limits=_columns(plan),
    )
    return list(
        zip(
            finding.level.tolist(),
            finding.side.tolist(),
            finding.bound.tolist(),
            finding.version.tolist(),
            strict=True,
        )
    )


_VALUES = st.integers(0, 12).map(float)
_NAN = st.just(math.nan)


@st.composite
def _bounds(draw: st.DrawFn) -> tuple[float, float, float, float]:
    """Bounds as the table's checks allow them, each of which may be missing."""
    red_low, yellow_low, yellow_high, red_high = sorted(
        draw(st.lists(_VALUES, min_size=4, max_size=4))
    )
    keep = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    bounds = (yellow_low, yellow_high, red_low, red_high)
    kept = [b if k else math.nan for b, k in zip(bounds, keep, strict=True)]
    return kept[0], kept[1], kept[2], kept[3]


@st.composite
def _plans(draw: st.DrawFn) -> list[Version]:
    starts = draw(
        st.lists(
            st.tuples(st.integers(1, 3), st.integers(0, 5)), unique=True, min_size=0, max_size=6
        )
    )
    limits = st.dictionaries(st.integers(1, 3), _bounds(), max_size=3)
    return [
        Version(patient, since, number + 10, draw(limits))
        for number, (patient, since) in enumerate(starts)
    ]


_SAMPLES = st.builds(
    Sample, st.integers(1, 3), st.integers(1, 3), st.integers(-1, 6), _VALUES | _NAN, st.booleans()
)


@given(samples=st.lists(_SAMPLES, min_size=1, max_size=10), plan=_plans())
def test_every_value_is_judged_as_the_slow_reference_judges_it(
    samples: list[Sample], plan: list[Version]
) -> None:
    # nan is not equal to itself; repr is.
    expected = [repr(_reference(sample, plan)) for sample in samples]
    assert [repr(row) for row in _evaluate(samples, plan)] == expected


def _draw_plan(random: Random) -> list[Version]:
    starts = random.sample([(p, since) for p in (1, 2, 3) for since in range(6)], 4)
    plan = []
    for number, (patient, since) in enumerate(starts):
        limits = {}
        for quantity in random.sample((1, 2, 3), random.randint(0, 3)):
            bounds = sorted(float(random.randint(0, 12)) for _ in range(4))
            kept = [one if random.randint(0, 3) else math.nan for one in bounds]
            limits[quantity] = (kept[1], kept[2], kept[0], kept[3])
        plan.append(Version(patient, since, number + 10, limits))
    return plan


def test_many_values_are_judged_as_the_reference_judges_them() -> None:
    random = Random("limits")
    breaches = 0
    for _ in range(HISTORIES):
        plan = _draw_plan(random)
        samples = [
            Sample(
                random.randint(1, 3),
                random.randint(1, 3),
                random.randint(-1, 6),
                random.choice((math.nan, *map(float, range(13)))),
                random.randint(0, 5) > 0,
            )
            for _ in range(8)
        ]
        expected = [_reference(sample, plan) for sample in samples]
        assert repr(_evaluate(samples, plan)) == repr(expected)
        breaches += sum(level > 0 for level, *_ in expected)
    assert breaches > HISTORIES / 2


@pytest.mark.parametrize(
    ("value", "level", "side"),
    [
        (89.9, RED, LOW),
        (90, YELLOW, LOW),  # a low bound breaches below it
        (99.9, YELLOW, LOW),
        (100, 0, 0),
        (159.9, 0, 0),
        (160, YELLOW, HIGH),  # a high bound breaches at it
        (179.9, YELLOW, HIGH),
        (180, RED, HIGH),
        (math.nan, 0, 0),
    ],
)
def test_bounds_are_where_the_plan_says(value: float, level: int, side: int) -> None:
    plan = [Version(1, 0, 10, {1: (100, 160, 90, 180)})]
    assert _evaluate([Sample(1, 1, 5, value, True)], plan)[0][:2] == (level, side)


def test_a_value_is_judged_by_the_plan_of_its_own_day() -> None:
    plan = [
        Version(1, 0, 10, {1: (math.nan, 160, math.nan, math.nan)}),
        Version(1, 3, 11, {1: (math.nan, 150, math.nan, math.nan)}),
        Version(1, 5, 12, {}),  # agreed to have none
    ]
    judged = _evaluate([Sample(1, 1, at, 155, True) for at in (-1, 0, 2, 3, 5)], plan)
    assert [(level, version) for level, _, _, version in judged] == [
        (0, 0),
        (0, 10),
        (0, 10),
        (YELLOW, 11),
        (0, 12),
    ]


def test_a_suspect_value_breaks_no_limit() -> None:
    plan = [Version(1, 0, 10, {1: (100, 160, 90, 180)})]
    assert _evaluate([Sample(1, 1, 5, 250, False)], plan)[0][0] == 0


def test_levels_and_sides_are_those_that_stand_in_the_database() -> None:
    assert (YELLOW, RED) == (1, 2)
    assert (SIDES[LOW], SIDES[HIGH]) == ("low", "high")
