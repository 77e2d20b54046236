"""What each kind's histories are like: near its bounds, in its windows."""

from collections.abc import Callable
from random import Random
from typing import Final

from tests.ingest.rules import reference
from tests.ingest.rules.stories import Fired, Story, draw_story, one_of, tenths, wholes


def k_of_n(random: Random) -> dict[str, float]:
    k = random.randint(1, 4)
    bound = one_of(random, "low", "high", "status", value=float(random.randint(2, 6)))
    return {**bound, "k": k, "n": random.randint(k, 6), "days": random.choice((1, 2, 5, 30))}


def change(random: Random) -> dict[str, float]:
    bound = one_of(random, "up", "down", value=random.randint(1, 20) / 10)
    return {**bound, "days": random.choice((1, 2, 3, 7, 400))}


def rolling_mean(random: Random) -> dict[str, float]:
    return {
        **one_of(random, "low", "high", value=random.randint(750, 770) / 10),
        "days": random.choice((2, 3, 7)),
        "readings_min": random.choice((0, 1, 2, 5, 8)),
        "days_min": random.choice((1, 2)),
    }


def baseline(random: Random) -> dict[str, float]:
    days, baseline_days = random.choice((1, 2, 4)), random.choice((1, 3, 8))
    return {
        "days": days,
        "baseline_days": baseline_days,
        "percent": random.choice((50, 60, 99)),
        "valid_days_min": random.randint(0, min(2, baseline_days)),
        "recent_days_min": random.randint(0, days),
    }


def missing(random: Random) -> dict[str, float]:
    interval = {"interval_h": random.choice((1.0, 12.0, 24.0, 48.0, 1.5))}
    return interval | (
        {"grace_h": random.choice((0.0, 12.0, 30.0))} if random.randint(0, 1) else {}
    )


def story(kind: str, random: Random, patients: int) -> Story:
    """Draw a story of *patients* histories."""
    most, days, values, params = _OF[kind]
    return draw_story(random, patients, most=most, days=days, values=values, params=params)


_OF: Final[
    dict[str, tuple[int, int, Callable[[Random], float], Callable[[Random], dict[str, float]]]]
] = {
    "k_of_n": (12, 6, wholes(1, 7), k_of_n),
    "change": (12, 8, tenths(750, 775), change),
    "rolling_mean": (14, 8, tenths(755, 765), rolling_mean),
    "baseline": (20, 11, wholes(0, 12), baseline),
    "missing": (6, 4, wholes(1, 7), missing),
}

REFERENCES: Final[dict[str, Callable[[Story], list[Fired]]]] = {
    "k_of_n": reference.k_of_n,
    "change": reference.change,
    "rolling_mean": reference.rolling_mean,
    "baseline": reference.baseline,
    "missing": reference.missing,
}
