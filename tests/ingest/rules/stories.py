"""Histories to judge: patients with samples and rules as plain objects, and the same as columns.

``Story`` is drawn from a random number generator, hypothesis' or a seeded one: close values,
equal times, midnights, the nights when clocks change, doubted samples without a number.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import DAY, EPOCH, HOUR, Int64s
from ingest.rules.catalogue import KINDS
from ingest.rules.table import NO_ANCHOR, Findings, RuleRows, Series

# How many histories of each kind the seeded run judges; see test_histories.py.
HISTORIES: Final = int(os.environ.get("EGENMONITOR_HISTORIES", "1000"))
FOR_EVER: Final = int(np.iinfo(np.int64).max)
NAN: Final = float("nan")


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> int:
    """Return a moment in UTC as microseconds since 2000."""
    moment = datetime(year, month, day, hour, minute, tzinfo=UTC)
    return int((moment - EPOCH).total_seconds()) * 1_000_000


@dataclass(frozen=True)
class Sample:
    patient: int
    quantity: int
    at: int
    reading_id: bytes
    value: float
    counts: bool = True
    status: int = 0


@dataclass(frozen=True)
class Rule:
    patient: int
    quantity: int
    params: Mapping[str, float]
    key: str = "rule"
    level: int = 1
    since: int = at(1990, 1, 1)
    until: int = FOR_EVER
    version: int = 7


@dataclass
class Story:
    samples: list[Sample] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    new: set[bytes] = field(default_factory=set)
    moments: list[int] = field(default_factory=list)  # for the clock's kinds: one a rule


@dataclass(frozen=True)
class Fired:
    """A finding in terms that both sides have."""

    rule: int
    at: int
    side: int
    level: int
    value: float
    bound: float
    anchor: bytes | None
    readings: frozenset[bytes]
    extra: tuple[float, ...]


def series_of(samples: Sequence[Sample]) -> Series:
    """Return *samples* as columns, in the order that a Series has."""
    order = sorted(samples, key=lambda s: (s.patient, s.quantity, s.at, s.reading_id))
    return Series(
        patient=np.array([s.patient for s in order], np.int64),
        quantity=np.array([s.quantity for s in order], np.int16),
        measured_at=np.array([s.at for s in order], np.int64),
        reading_id=np.array([s.reading_id for s in order], "S16"),
        value=np.array([s.value for s in order], np.float64),
        counts=np.array([s.counts for s in order], np.bool_),
        status=np.array([s.status for s in order], np.int32),
    )


def rows_of(kind: str, rules: Sequence[Rule]) -> RuleRows:
    """Return *rules* as columns."""
    names = KINDS[kind].params
    keys = sorted({rule.key for rule in rules})
    return RuleRows(
        patient=np.array([r.patient for r in rules], np.int64),
        in_force_from=np.array([r.since for r in rules], np.int64),
        in_force_until=np.array([r.until for r in rules], np.int64),
        version=np.array([r.version for r in rules], np.int64),
        keys=keys,
        key=np.array([keys.index(r.key) for r in rules], np.int64),
        quantity=np.array([r.quantity for r in rules], np.int16),
        level=np.array([r.level for r in rules], np.int8),
        params=np.array(
            [[r.params.get(name, NAN) for name in names] for r in rules], np.float64
        ).reshape(-1, len(names)),
    )


def judged(kind: str, story: Story) -> list[Fired]:
    """Return what the kind finds."""
    series, rules = series_of(story.samples), rows_of(kind, story.rules)
    module = KINDS[kind].module
    if KINDS[kind].is_clocked:
        findings = module.evaluate(series, rules, np.array(story.moments, np.int64))
    else:
        findings = module.evaluate(series, rules, is_new(series, story.new))
    return fired(kind, series, rules, findings)


def is_new(series: Series, new: set[bytes]) -> NDArray[np.bool_]:
    """Return the mask of the samples with these ids."""
    # S16 gives ids back without the NULs they end in.
    ids = [one.ljust(16, b"\0") for one in series.reading_id.tolist()]
    return np.array([one in new for one in ids], np.bool_)


def fired(kind: str, series: Series, rules: RuleRows, findings: Findings) -> list[Fired]:
    """Return findings in plain terms, in order."""
    ids = series.reading_id.tolist()
    names: list[set[bytes]] = [set() for _ in range(len(findings))]
    for finding, row in zip(
        *_lists(KINDS[kind].module.rests_on(series, rules, findings)), strict=True
    ):
        names[finding].add(ids[row])
        assert findings.first[finding] <= row < findings.stop[finding]
    assert findings.extra.shape == (len(findings), len(KINDS[kind].extra))
    anchored = findings.anchor != NO_ANCHOR
    assert np.array_equal(findings.stop[anchored], findings.anchor[anchored] + 1)
    rows = [
        Fired(
            rule=int(findings.rule[n]),
            at=int(findings.at[n]),
            side=int(findings.side[n]),
            level=int(findings.level[n]),
            value=rounded(findings.value[n]),
            bound=rounded(findings.bound[n]),
            anchor=None if findings.anchor[n] == NO_ANCHOR else ids[findings.anchor[n]],
            readings=frozenset(names[n]),
            extra=tuple(rounded(one) for one in findings.extra[n]),
        )
        for n in range(len(findings))
    ]
    return in_order(rows)


def in_order(rows: Sequence[Fired]) -> list[Fired]:
    """Return findings by rule, time and anchor."""
    return sorted(rows, key=lambda f: (f.rule, f.at, f.anchor or b""))


def rounded(value: float) -> float:
    """Return a number as both sides can be expected to have it; -1 for NaN, equal to itself."""
    return -1.0 if value != value else round(float(value), 6)  # noqa: PLR0124 - nan


def _lists(arrays: tuple[Int64s, Int64s]) -> tuple[list[int], list[int]]:
    return arrays[0].tolist(), arrays[1].tolist()


# Drawing.

# Ordinary days, both nights when clocks change, and a leap year's end.
BASES: Final = (
    at(2026, 1, 15), at(2026, 3, 29), at(2026, 10, 25), at(2026, 10, 26), at(2024, 12, 31),
    at(1999, 12, 31),
)  # fmt: skip
# From midnight UTC: around both midnights of Sweden and the change at 01:00 UTC.
CLOCKS: Final = (
    0, HOUR - 1, HOUR, HOUR + 1, 6 * HOUR, 6 * HOUR, 19 * HOUR, 22 * HOUR - 1, 22 * HOUR,
    23 * HOUR - 1, 23 * HOUR,
)  # fmt: skip
QUANTITIES: Final = (1, 5, 6)


def draw_samples(
    random: Random, patient: int, *, most: int, days: int, values: Callable[[Random], float]
) -> list[Sample]:
    """Draw up to *most* samples over *days* days; some doubted, some at one moment."""
    base = random.choice(BASES)
    samples = []
    for number in range(random.randint(0, most)):
        counts = random.randint(0, 6) > 0
        value = NAN if not counts and random.randint(0, 2) == 0 else values(random)
        samples.append(
            Sample(
                patient=patient,
                quantity=QUANTITIES[0] if random.randint(0, 9) == 0 else QUANTITIES[1],
                at=base + random.randint(0, days) * DAY + random.choice(CLOCKS),
                reading_id=bytes([random.randint(1, 255), patient % 251 + 1, number + 1])
                + b"x" * 13,
                value=value,
                counts=counts,
                status=random.choice((0, 0, 4, 5, 32)),
            )
        )
    return samples


def draw_rules(
    random: Random,
    patient: int,
    samples: Sequence[Sample],
    params: Callable[[Random], dict[str, float]],
) -> list[Rule]:
    """Draw rules of one or two versions, with bounds of force at times of samples."""
    times = [s.at for s in samples] or [0]
    change = random.choice(times) + random.choice((0, 0, 1, -1, DAY))
    versions = random.choice(
        (
            [(at(1990, 1, 1), FOR_EVER)],
            [(at(1990, 1, 1), change), (change, FOR_EVER)],
            [(change, FOR_EVER)],
        )
    )
    return [
        Rule(
            patient=patient,
            quantity=QUANTITIES[1] if random.randint(0, 9) else QUANTITIES[2],
            params=params(random),
            key=f"rule:{number % 2}",
            level=random.randint(0, 2),
            since=since,
            until=until,
            version=number,
        )
        for number, (since, until) in enumerate(versions * random.randint(1, 2))
    ]


def draw_story(
    random: Random,
    patients: int,
    *,
    most: int,
    days: int,
    values: Callable[[Random], float],
    params: Callable[[Random], dict[str, float]],
) -> Story:
    """Draw a story of some patients; of each one history."""
    story = Story()
    for patient in random.sample(range(1, 10 * patients + 1), patients):
        samples = draw_samples(random, patient, most=most, days=days, values=values)
        rules = draw_rules(random, patient, samples, params)
        story.samples += samples
        story.rules += rules
        times = [s.at for s in samples] or [0]
        story.moments += [
            random.choice(times) + random.choice((0, 1, -1, HOUR, DAY, 3 * DAY, 12 * HOUR))
            for _ in rules
        ]
    random.shuffle(story.samples)
    order = list(range(len(story.rules)))
    random.shuffle(order)
    story.rules = [story.rules[n] for n in order]
    story.moments = [story.moments[n] for n in order]
    story.new = {s.reading_id for s in story.samples if random.randint(0, 1)}
    return story


def one_of(random: Random, *names: str, value: float) -> dict[str, float]:
    """Return one of the bounds."""
    return {random.choice(names): value}


def tenths(low: int, high: int) -> Callable[[Random], float]:
    """Return a drawer of values with one decimal, as scales have: 75.1."""
    return lambda random: random.randint(low, high) / 10


def wholes(low: int, high: int) -> Callable[[Random], float]:
    """Return a drawer of whole values."""
    return lambda random: float(random.randint(low, high))
