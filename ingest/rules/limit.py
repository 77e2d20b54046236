"""Rule kind ``limit``: a value at or beyond a yellow or red bound of the patient's plan.

Judged by the plan version in force when the value was measured: the latest one with
``in_force_from <= measured_at``. A version without limits for a quantity has none, whatever an
older version had. Value ``>=`` a high bound breaches, value ``<`` a low bound breaches; red
goes before yellow.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.batch import Bools, Floats, Int64s
from ingest.search import last_until

YELLOW: Final = 1
RED: Final = 2
LOW: Final = 1
HIGH: Final = 2

# Quantity ids are smallints of devices.quantity; a version's limits are found by
# version * IDS_MAX + quantity.
IDS_MAX: Final = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Plan versions (v rows) and their limits (k rows). NaN: no such bound."""

    patient: Int64s  # (v,) sorted by patient, then in_force_from
    in_force_from: Int64s  # (v,)
    version: Int64s  # (v,)
    key: Int64s  # (k,) version row * IDS_MAX + quantity id, ascending
    yellow_low: Floats  # (k,) in the quantity's unit
    yellow_high: Floats  # (k,)
    red_low: Floats  # (k,)
    red_high: Floats  # (k,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the rule says of each of m values."""

    level: NDArray[np.int8]  # (m,) 0, YELLOW or RED
    side: NDArray[np.int8]  # (m,) 0, LOW or HIGH
    bound: Floats  # (m,) the bound that was reached; NaN without a breach
    version: Int64s  # (m,) plan version the value was judged by; 0: none in force


def evaluate(
    *,
    patient: Int64s,
    quantity: NDArray[np.int16],
    measured_at: Int64s,
    value: Floats,
    counts: Bools,
    limits: Limits,
) -> Finding:
    """Hold each value against the limits in force when it was measured.

    Args:
        patient: (m,) whose.
        quantity: (m,) quantity ids.
        measured_at: (m,) microseconds since 2000.
        value: (m,) in the quantity's unit; NaN breaches nothing.
        counts: (m,) false for what is suspect: judged by no rule.
        limits: Of at least these patients.
    """
    in_force = last_until(limits.patient, limits.in_force_from, patient, measured_at)
    wanted = in_force * IDS_MAX + quantity
    row = np.searchsorted(limits.key, wanted)
    row = np.minimum(row, len(limits.key) - 1)
    known = (in_force >= 0) & counts
    if len(limits.key):
        known &= limits.key[row] == wanted
    else:
        known[:] = False

    rows = row[known]
    level = np.zeros(len(value), np.int8)
    side = np.zeros(len(value), np.int8)
    bound = np.full(len(value), np.nan)
    some_level, some_side, some_bound = _hold_against(value[known], limits, rows)
    level[known], side[known], bound[known] = some_level, some_side, some_bound
    version = np.zeros(len(value), np.int64)
    version[in_force >= 0] = limits.version[in_force[in_force >= 0]]
    return Finding(level=level, side=side, bound=bound, version=version)


def _hold_against(
    value: Floats, limits: Limits, row: Int64s | NDArray[np.intp]
) -> tuple[NDArray[np.int8], NDArray[np.int8], Floats]:
    level = np.zeros(len(value), np.int8)
    side = np.zeros(len(value), np.int8)
    reached = np.full(len(value), np.nan)
    # Later lines win: red over yellow.
    for step, low, high in (
        (YELLOW, limits.yellow_low[row], limits.yellow_high[row]),
        (RED, limits.red_low[row], limits.red_high[row]),
    ):
        for direction, bound, breached in (
            (LOW, low, value < low),
            (HIGH, high, value >= high),
        ):
            level[breached] = step
            side[breached] = direction
            reached[breached] = bound[breached]
    return level, side, reached
