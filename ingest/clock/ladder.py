"""The ladder of a measurement that is missing: remind, remind again, then the nurse. Pure numpy.

Law: when a measurement is expected says ``ingest.rules.missing``; it is missing when the grace has
gone by too. Each look takes one step at most, so a clock that was away for weeks tells a person
once and goes on from there. What changes the expectation (a measurement that arrives, late or not,
a pause, another interval) begins the ladder anew.

While her gateway is silent nobody is told: it is a technical matter, which the technicians see
meanwhile. When the gateway is back, what waits in it gets a quarter of an hour to arrive. After
two days of silence it is the nurse's matter at once; so it is if a gateway that comes and goes has
held it for two days longer than the ladder takes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import DAY, HOUR, MINUTE, NO_TIME, Bools, Int64s

REMIND: Final = 1
REMIND_AGAIN: Final = 2
BREACH: Final = 3

# From step to step: as long as the grace, between half a day and a day.
GAP_MIN: Final = 12 * HOUR
GAP_MAX: Final = DAY
# An alert that was closed, and still nothing: she is told of again, but not daily.
AGAIN: Final = 7 * DAY
HELD_MAX: Final = 48 * HOUR
HELD_LOOK: Final = 15 * MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """k missing rules at which the clock looks. Times may be NO_TIME: not yet."""

    expected: Int64s  # (k,) when the next measurement is expected, without grace
    grace: Int64s  # (k,) µs
    expected_before: Int64s  # (k,) what the ladder so far was about
    step: NDArray[np.int16]  # (k,) the last that was taken
    held_since: Int64s  # (k,)
    is_quiet: Bools  # (k,) only a part of a composite: nobody is reminded

    def __len__(self) -> int:
        return len(self.expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is to be done about each of them."""

    due: Int64s  # (k,) the next look
    step: NDArray[np.int16]  # (k,)
    held_since: Int64s  # (k,)
    told: Bools  # (k,) ``step`` is taken now


def is_missing(now: int, waiting: Waiting) -> Bools:
    """Tell which are missing at *now*: nothing came, and there is no pause."""
    return waiting.expected + waiting.grace <= now


def look(now: int, waiting: Waiting, is_silent: Bools, resumed_at: int = NO_TIME) -> Look:
    """Take the step that is due at *now*, if any.

    Args:
        now: Microseconds since 2000-01-01 UTC.
        waiting: What is known; only rows whose time to look has come.
        is_silent: (k,) her gateway is; looked at only where a step is due.
        resumed_at: When the clock began again after an absence: no hold is older.
    """
    missing = is_missing(now, waiting)
    same = (waiting.expected == waiting.expected_before) & missing
    step = np.where(same, waiting.step, 0).astype(np.int16)
    since = np.where(same, waiting.held_since, np.int64(NO_TIME))

    was_held = since != NO_TIME
    since_or_now = np.maximum(np.where(was_held, since, np.int64(now)), resumed_at)
    gap = np.clip(waiting.grace, GAP_MIN, GAP_MAX)
    steps_end = waiting.expected + waiting.grace + (BREACH - REMIND) * gap
    is_long = same & (now - np.maximum(steps_end, resumed_at) >= HELD_MAX)
    over = missing & is_silent & (is_long | (now - since_or_now >= HELD_MAX))
    held = missing & is_silent & ~over & (step < BREACH)
    released = missing & ~is_silent & was_held
    told = missing & ~held & ~released

    last = over | waiting.is_quiet | (step >= REMIND_AGAIN)
    step = np.where(told, np.where(last, BREACH, step + 1), step).astype(np.int16)
    due = waiting.expected + waiting.grace
    due = np.where(told, now + np.where(step >= BREACH, np.int64(AGAIN), gap), due)
    due = np.where(held | released, np.int64(now + HELD_LOOK), due)
    return Look(
        due=due,
        step=step,
        held_since=np.where(held, since_or_now, np.int64(NO_TIME)),
        told=told,
    )
