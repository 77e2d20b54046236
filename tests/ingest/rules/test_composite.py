"""Composite: several rules at once, equal to a slow reference; and the cases that matter, named."""

from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.batch import DAY
from ingest.rules.composite import Components, Found, Met, evaluate, reach
from tests.ingest.rules.stories import FOR_EVER, HISTORIES, Rule, rows_of

_KEYS: Final = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Breach:
    patient: int
    key: int
    at: int
    new: bool = True


@dataclass(frozen=True)
class Composite:
    rule: Rule
    keys: tuple[int, ...]


# What both sides have: rule, moment, level, and the (key, time) of what it rests on.
Told = tuple[int, int, int, frozenset[tuple[int, int]]]


def _reference(breaches: list[Breach], composites: list[Composite]) -> list[Told]:
    told = []
    for number, one in enumerate(composites):
        mine = [b for b in breaches if b.patient == one.rule.patient and b.key in one.keys]
        for at in sorted({b.at for b in mine}):
            since = at - round(one.rule.params["within_days"] * DAY)
            window = [b for b in mine if since < b.at <= at]
            if not (one.rule.since <= at < one.rule.until) or not any(b.new for b in window):
                continue
            newest = {
                key: max((b.at for b in window if b.key == key), default=None) for key in one.keys
            }
            rests = frozenset((key, when) for key, when in newest.items() if when is not None)
            if len(rests) == len(one.keys):
                told.append((number, at, one.rule.level, rests))
    return told


def _met(breaches: list[Breach], composites: list[Composite]) -> tuple[list[Breach], Met]:
    order = sorted(breaches, key=lambda b: (b.patient, b.key, b.at))
    met = evaluate(
        Found(
            patient=np.array([b.patient for b in order], np.int64),
            key=np.array([b.key for b in order], np.int64),
            measured_at=np.array([b.at for b in order], np.int64),
        ),
        rows_of("composite", [one.rule for one in composites]),
        Components(
            rule=np.array([n for n, one in enumerate(composites) for _ in one.keys], np.int64),
            key=np.array([key for one in composites for key in one.keys], np.int64),
            keys=_KEYS,
        ),
        np.array([b.new for b in order], np.bool_),
    )
    return order, met


def _told(breaches: list[Breach], composites: list[Composite]) -> list[Told]:
    order, met = _met(breaches, composites)
    assert met.findings.extra.shape == (len(met.findings), 0)
    rests: list[list[tuple[int, int]]] = [[] for _ in range(len(met.findings))]
    for finding, breach in zip(met.finding.tolist(), met.breach.tolist(), strict=True):
        rests[finding].append((order[breach].key, order[breach].at))
    told = []
    for n in range(len(met.findings)):
        findings = met.findings
        assert order[findings.anchor[n]].at == findings.at[n]
        assert findings.value[n] == findings.bound[n] == len(rests[n])
        assert findings.side[n] == findings.first[n] == findings.stop[n] == 0  # no Series
        told.append(
            (
                int(findings.rule[n]),
                int(findings.at[n]),
                int(findings.level[n]),
                frozenset(rests[n]),
            )
        )
    return sorted(told, key=lambda one: one[:2])


def _draw(random: Random, patients: int) -> tuple[list[Breach], list[Composite]]:
    breaches, composites = [], []
    for patient in range(1, patients + 1):
        breaches += [
            Breach(
                patient,
                random.randint(0, 3),
                random.randint(0, 6) * DAY // 2 + random.choice((0, 0, 1)),
                random.randint(0, 1) == 0,
            )
            for _ in range(random.randint(0, 7))
        ]
        change = random.randint(0, 6) * DAY // 2
        for since, until in random.choice(
            ([(-1, FOR_EVER)], [(-1, change), (change, FOR_EVER)], [(change, FOR_EVER)], [])
        ):
            rule = Rule(
                patient,
                5,
                {"within_days": random.choice((0.5, 1, 3))},
                level=random.randint(1, 2),
                since=since,
                until=until,
            )
            composites.append(Composite(rule, tuple(random.sample(range(4), random.randint(1, 3)))))
    random.shuffle(composites)
    return breaches, composites


@settings(max_examples=60)
@given(random=st.randoms(use_true_random=False))
def test_a_composite_is_met_as_the_reference_meets_it(random: Random) -> None:
    breaches, composites = _draw(random, 2)
    assert _told(breaches, composites) == _reference(breaches, composites)


def test_many_composites_are_met_as_the_reference_meets_them() -> None:
    found = 0
    for seed in range(max(1, HISTORIES // 20)):
        breaches, composites = _draw(Random(f"composite {seed}"), 20)
        expected = _reference(breaches, composites)
        assert _told(breaches, composites) == expected
        found += len(expected)
    assert found > HISTORIES / 10


_BOTH = Composite(Rule(1, 5, {"within_days": 3}, level=2, since=0), (0, 1))


@pytest.mark.parametrize(
    ("first", "second", "is_met"),
    [
        (DAY, DAY, True),  # at one moment: once
        (DAY, 4 * DAY - 1, True),
        (DAY, 4 * DAY, False),  # the window is open at its beginning
        (-DAY, DAY, True),  # one of before the plan may complete it
        (-DAY, -1, False),  # but two of before it bring up nothing
    ],
)
def test_both_within_some_days_make_one(first: int, second: int, is_met: bool) -> None:
    for keys in ((0, 1), (1, 0)):
        told = _told([Breach(1, keys[0], first), Breach(1, keys[1], second)], [_BOTH])
        assert [at for _, at, _, _ in told] == [second] * is_met


def test_what_is_known_already_is_not_met_again() -> None:
    old = [Breach(1, 0, DAY, new=False), Breach(1, 1, DAY, new=False)]
    assert _told(old, [_BOTH]) == []
    late = Breach(1, 0, DAY - 1)  # came late, and is no newest of any window
    assert [at for _, at, _, _ in _told([*old, late], [_BOTH])] == [DAY]


def test_of_a_component_the_newest_is_named() -> None:
    told = _told([Breach(1, 0, 0), Breach(1, 0, 1), Breach(1, 1, 2)], [_BOTH])
    assert told == [(0, 2, 2, frozenset({(0, 1), (1, 2)}))]


def test_it_reaches_as_far_as_its_days() -> None:
    rules = rows_of("composite", [_BOTH.rule])
    assert [side.tolist() for side in reach(rules)] == [[3 * DAY], [3 * DAY]]


def test_nothing_is_met_by_nothing() -> None:
    assert _told([], [_BOTH]) == []
    assert _told([Breach(1, 0, 0)], []) == []
