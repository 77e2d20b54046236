"""Accept, suspect or refuse. Pure numpy; the numbers are those of docs/plausibility.md.

Hard: never a value, kept whole in quarantine. Soft: stored with ``Suspicion`` bits; a doubt of
the value keeps it out of rules, a doubt of the clock alone does not
(docs/decisions/0006-clock-doubt.md). A value that is refused takes the other values of its
panel with it (a cuff that says 2047/80 has not measured an 80), and leaves other panels of the
reading alone (a scale that fails at body fat has still weighed).
"""

import enum
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.quantity import BY_ID, Panel, Quantity
from devices.reading import ClockVerdict, Outcome, Status
from ingest.batch import (
    CLOCKS,
    DAY,
    HOUR,
    MINUTE,
    OUTCOMES,
    UNKNOWN_QUANTITY,
    Batch,
    Bools,
    Floats,
    Ids,
    Int64s,
)
from ingest.history import History
from ingest.quarantine import Reason
from ingest.search import count_until, order_by, pairs

# Clocks of gateways are kept by NTP; ten minutes is a broken clock, not a slow one.
FUTURE_MAX: Final = 10 * MINUTE
CLOCK_OFFSET_S_MAX: Final = 300.0
# Nobody measures every other minute for an hour: a fault, or somebody playing.
READINGS_PER_HOUR_MAX: Final = 30
READINGS_PER_HOUR_USUAL: Final = 6
PULSE_PRESSURE_MIN: Final = 5.0  # mmHg; less is no pulse
PULSE_PRESSURE_LOW: Final = 15.0
PULSE_PRESSURE_HIGH: Final = 120.0
WEIGHT_STEP_KG: Final = 5.0
WEIGHT_WINDOW: Final = 14 * DAY
WEIGHTS_MIN: Final = 3  # fewer are no median of her own


class Suspicion(enum.IntFlag):
    """Why a stored value is doubted. Bits stand in the database: never renumber one."""

    NONE = 0
    BEYOND_SOFT_BOUND = 1
    PULSE_PRESSURE = 2
    MEAN_NOT_BETWEEN = 4
    CLOCK_OFF = 8
    FREQUENT = 16
    WEIGHT_OFF_MEDIAN = 32  # far from her own weights, or nearer those of another in her home
    CUFF_LOOSE = 64
    BODY_MOVEMENT = 128
    IMPROPER_POSITION = 256
    CONFIRMED = 512  # no doubt, but an answer to one: a person looked and believes it
    SUPERSEDED = 1024  # replaced or rejected by a person: kept and shown, judged no more


# The doubts that keep a value out of rules: of what was measured, not of when.
VALUE_DOUBTS: Final = int(
    Suspicion.BEYOND_SOFT_BOUND
    | Suspicion.PULSE_PRESSURE
    | Suspicion.MEAN_NOT_BETWEEN
    | Suspicion.FREQUENT
    | Suspicion.WEIGHT_OFF_MEDIAN
    | Suspicion.CUFF_LOOSE
    | Suspicion.BODY_MOVEMENT
    | Suspicion.IMPROPER_POSITION
)


def counts(suspicion: NDArray[np.int32]) -> Bools:
    """Tell which samples count for rules; (m,), as ``sample_counts`` of the database says.

    What is superseded never does. What is doubted does once it is confirmed.
    """
    doubted = (suspicion & VALUE_DOUBTS) != 0
    confirmed = (suspicion & Suspicion.CONFIRMED) != 0
    superseded = (suspicion & Suspicion.SUPERSEDED) != 0
    count: Bools = ~superseded & (~doubted | confirmed)
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of each reading and each sample."""

    reason: NDArray[np.int8]  # (n,) Reason code, 0 = stored
    suspicion: NDArray[np.int32]  # (n,) Suspicion bits of the reading and its samples
    sample_reason: NDArray[np.int8]  # (m,) Reason code, 0 = stored if its reading is
    sample_suspicion: NDArray[np.int32]  # (m,) Suspicion bits, those of its reading included
    weight_apart: Floats  # (m,) kg from her own median; NaN: no weight, or she has no median yet


# Facts by quantity id. Row 0, the unknown quantity, has no bounds and no panel.
_IDS: Final = max(BY_ID) + 1
_PANELS: Final = tuple(Panel)


def _facts(name: str) -> Floats:
    column = np.full(_IDS, np.nan)
    for number, quantity in BY_ID.items():
        column[number] = getattr(quantity.facts, name)
    return column


_HARD_LOW, _HARD_HIGH = _facts("hard_low"), _facts("hard_high")
_SOFT_LOW, _SOFT_HIGH = _facts("soft_low"), _facts("soft_high")
_PANEL = np.full(_IDS, len(_PANELS), np.int64)
for _number, _quantity in BY_ID.items():
    _PANEL[_number] = _PANELS.index(_quantity.facts.panel)

_STATUS_SUSPICION: Final = {
    Status.CUFF_LOOSE: Suspicion.CUFF_LOOSE,
    Status.BODY_MOVEMENT: Suspicion.BODY_MOVEMENT,
    Status.IMPROPER_POSITION: Suspicion.IMPROPER_POSITION,
}
_MEASURED: Final = OUTCOMES.index(Outcome.MEASURED)
_UNREADABLE: Final = OUTCOMES.index(Outcome.UNREADABLE)
_TIMELESS: Final = CLOCKS.index(ClockVerdict.UNKNOWN)
_OFF: Final = (CLOCKS.index(ClockVerdict.CORRECTED), CLOCKS.index(ClockVerdict.IMPLAUSIBLE))


def refuse_readings(batch: Batch) -> NDArray[np.int8]:
    """Judge the readings by themselves; (n,) Reason codes, 0 = not refused.

    Refused: no measured reading without values or other reading with values, no quantity
    twice in one, none unreadable, none more than ``FUTURE_MAX`` ahead of its arrival, none
    whose time nobody knew.
    """
    n, samples = len(batch), batch.samples
    values = np.bincount(samples.reading, minlength=n)
    measured = batch.outcome == _MEASURED
    key = np.sort(samples.reading * _IDS + samples.quantity)
    again = key[1:][(key[1:] == key[:-1]) & (key[1:] % _IDS != UNKNOWN_QUANTITY)]
    twice = np.bincount(again // _IDS, minlength=n) > 0

    reason = np.zeros(n, np.int8)
    reason[batch.measured_at > batch.arrived_at + FUTURE_MAX] = Reason.IN_FUTURE.code
    reason[batch.clock == _TIMELESS] = Reason.TIME_UNKNOWN.code
    reason[batch.outcome == _UNREADABLE] = Reason.UNREADABLE.code
    reason[(measured != (values > 0)) | twice] = Reason.MALFORMED_READING.code
    return reason


def judge(batch: Batch, reason: NDArray[np.int8], patient: Int64s, history: History) -> Verdict:
    """Judge readings and samples.

    Args:
        batch: What came.
        reason: (n,) Reason codes so far; refused readings stay refused.
        patient: (n,) whose each reading is; any number where refused.
        history: What is stored of the same devices and patients.
    """
    samples = batch.samples
    per_hour = readings_per_hour(batch, reason == 0, patient, history)
    reason = np.where(
        (reason == 0) & (per_hour > READINGS_PER_HOUR_MAX), Reason.TOO_FREQUENT.code, reason
    ).astype(np.int8)

    pressures = _pressures(batch)
    sample_reason = _refuse_samples(batch, pressures)
    reason = _refuse_empty(batch, reason, sample_reason)

    of_reading = _suspect_readings(batch, per_hour)
    suspicion = _suspect_values(batch, pressures) | of_reading[samples.reading]
    sound = (sample_reason == 0) & (reason[samples.reading] == 0)
    apart = weight_apart(batch, sound, suspicion, patient, history)
    off = apart > WEIGHT_STEP_KG  # NaN is not
    suspicion = suspicion | np.where(off, Suspicion.WEIGHT_OFF_MEDIAN, 0).astype(np.int32)

    np.bitwise_or.at(of_reading, samples.reading[sound], suspicion[sound])
    return Verdict(
        reason=reason,
        suspicion=of_reading,
        sample_reason=sample_reason,
        sample_suspicion=suspicion.astype(np.int32),
        weight_apart=apart,
    )


def readings_per_hour(
    batch: Batch, counted: Bools, patient: Int64s, history: History
) -> NDArray[np.int64]:
    """Count, for each reading, those its device measured for its patient in the hour up to it.

    The hour is open at its beginning and closed at its end: (measured_at - 1 h, measured_at].
    Stored readings that come again in the batch are counted once.

    Returns:
        (n,) counts, 0 where not *counted*.
    """
    group = pair_group(batch, patient)
    new = _not_among(history.rate_reading_id, batch.reading_id[counted])
    groups = np.concatenate((group[counted], history.rate_group[new]))
    times = np.concatenate((batch.measured_at[counted], history.rate_measured_at[new]))
    until = batch.measured_at[counted]
    inside = count_until(groups, times, group[counted], until)
    before = count_until(groups, times, group[counted], until - HOUR)
    count = np.zeros(len(batch), np.int64)
    count[counted] = inside - before
    return count


def _not_among(stored: Ids, ids: Ids) -> Bools:
    """Tell which *stored* ids are not among *ids*, which may be many: none stored, none read."""
    if not len(stored):
        return np.empty(0, np.bool_)
    return np.isin(stored, ids, invert=True)


def pair_group(batch: Batch, patient: Int64s) -> Int64s:
    """Number the pairs of patient and device: (n,) small integers, the same for the same pair."""
    _, person = np.unique(patient, return_inverse=True)
    return person.astype(np.int64) * len(batch.devices) + batch.device


def weight_apart(
    batch: Batch,
    sound: Bools,
    suspicion: NDArray[np.int32],
    patient: Int64s,
    history: History,
) -> Floats:
    """Return how far weights lie from the patient's own median, in kg.

    The median is over her weights in [measured_at - 14 days, measured_at), stored or in this
    batch, if they are at least ``WEIGHTS_MIN``. Weights that are suspect for another reason do
    not count; those suspect for this one do, so a true step is believed once it is the rule.

    Returns:
        (m,) NaN for what is no weight, and where there is no median.
    """
    samples = batch.samples
    apart = np.full(len(samples), np.nan)
    rows = np.flatnonzero(sound & (samples.quantity == Quantity.BODY_WEIGHT.facts.id))
    if not len(rows):
        return apart
    mine = rows[(suspicion[rows] & VALUE_DOUBTS) == 0]
    new = _not_among(history.weight_reading_id, batch.reading_id[samples.reading[mine]])
    owner = np.concatenate((patient[samples.reading[mine]], history.weight_patient[new]))
    at = np.concatenate((batch.measured_at[samples.reading[mine]], history.weight_measured_at[new]))
    weight = np.concatenate((samples.value[mine], history.weight_kg[new]))
    order = order_by(owner, at)
    owner, at, weight = owner[order], at[order], weight[order]

    whose, when = patient[samples.reading[rows]], batch.measured_at[samples.reading[rows]]
    first = np.searchsorted(owner, whose, side="left").astype(np.int64)
    start = first + count_until(owner, at, whose, when - WEIGHT_WINDOW - 1)
    count = first + count_until(owner, at, whose, when - 1) - start
    median = _medians(weight, start, count)
    from_hers = np.abs(samples.value[rows] - median)
    apart[rows] = np.where(count >= WEIGHTS_MIN, from_hers, np.nan)
    return apart


def _medians(value: Floats, start: Int64s, count: Int64s) -> Floats:
    """Return the median of each run of *value*; NaN where the run is empty."""
    query, row = pairs(start, count)
    ordered = value[row][np.lexsort((value[row], query))]
    first = np.cumsum(count) - count
    median = np.full(len(count), np.nan)
    some = count > 0
    low = first[some] + (count[some] - 1) // 2
    high = first[some] + count[some] // 2
    median[some] = (ordered[low] + ordered[high]) / 2
    return median


@dataclass(frozen=True, slots=True)
class _Pressures:
    """What the pressures of each reading say of one another."""

    of_pulse: Floats  # (n,) systolic less diastolic; NaN without the two
    mean_outside: Bools  # (n,) there is a mean, and it lies not between the two


def _pressures(batch: Batch) -> _Pressures:
    systolic, diastolic = (_by_reading(batch, q) for q in (Quantity.SYSTOLIC, Quantity.DIASTOLIC))
    mean = _by_reading(batch, Quantity.MEAN_ARTERIAL)
    return _Pressures(systolic - diastolic, (mean < diastolic) | (mean > systolic))


def _refuse_samples(batch: Batch, pressures: _Pressures) -> NDArray[np.int8]:
    """Return (m,) Reason codes; a refused value takes its panel with it, for the same reason."""
    samples = batch.samples
    quantity, value = samples.quantity, samples.value
    low, high = _HARD_LOW[quantity], _HARD_HIGH[quantity]
    pressure = pressures.of_pulse[samples.reading]
    is_pair = np.isin(quantity, (Quantity.SYSTOLIC.facts.id, Quantity.DIASTOLIC.facts.id))

    reason = np.zeros(len(samples), np.int8)
    reason[(value < low) | (value > high)] = Reason.IMPLAUSIBLE.code
    reason[is_pair & (pressure < PULSE_PRESSURE_MIN)] = Reason.IMPLAUSIBLE.code
    reason[~np.isfinite(value)] = Reason.NOT_A_NUMBER.code
    reason[~samples.unit_known] = Reason.UNKNOWN_UNIT.code
    reason[quantity == UNKNOWN_QUANTITY] = Reason.UNKNOWN_QUANTITY.code

    panels = len(_PANELS) + 1
    panel = samples.reading * panels + _PANEL[quantity]
    own = np.flatnonzero((reason > 0) & (quantity != UNKNOWN_QUANTITY))
    bad, first = np.unique(panel[own], return_index=True)
    of_panel = np.zeros(len(batch) * panels, np.int8)
    of_panel[bad] = reason[own[first]]
    return np.where(reason == 0, of_panel[panel], reason).astype(np.int8)


def _refuse_empty(
    batch: Batch, reason: NDArray[np.int8], sample_reason: NDArray[np.int8]
) -> NDArray[np.int8]:
    """Refuse each measured reading that has no value left, with its first value's reason."""
    n, samples = len(batch), batch.samples
    left = np.bincount(samples.reading[sample_reason == 0], minlength=n) > 0
    owner, first = np.unique(samples.reading, return_index=True)
    first_reason = np.zeros(n, np.int8)
    first_reason[owner] = sample_reason[first]
    empty = (reason == 0) & (batch.outcome == _MEASURED) & ~left
    return np.where(empty, first_reason, reason).astype(np.int8)


def _suspect_readings(batch: Batch, per_hour: Int64s) -> NDArray[np.int32]:
    """Return (n,) Suspicion bits that hold for the whole act of measuring."""
    off = np.isin(batch.clock, _OFF) | (np.abs(batch.clock_offset_s) > CLOCK_OFFSET_S_MAX)
    bits = np.where(off, Suspicion.CLOCK_OFF, 0).astype(np.int32)
    bits[per_hour > READINGS_PER_HOUR_USUAL] |= Suspicion.FREQUENT
    for status, suspicion in _STATUS_SUSPICION.items():
        bits[(batch.status & status) != 0] |= suspicion
    return bits


def _suspect_values(batch: Batch, pressures: _Pressures) -> NDArray[np.int32]:
    """Return (m,) Suspicion bits by value; the pair's hold for the whole panel."""
    samples = batch.samples
    quantity, value = samples.quantity, samples.value
    beyond = (value < _SOFT_LOW[quantity]) | (value > _SOFT_HIGH[quantity])
    bits = np.where(beyond, Suspicion.BEYOND_SOFT_BOUND, 0).astype(np.int32)
    is_pressure = _PANEL[quantity] == _PANELS.index(Panel.BLOOD_PRESSURE)
    pressure = pressures.of_pulse[samples.reading]
    odd = (pressure < PULSE_PRESSURE_LOW) | (pressure > PULSE_PRESSURE_HIGH)
    bits[is_pressure & odd] |= Suspicion.PULSE_PRESSURE
    bits[is_pressure & pressures.mean_outside[samples.reading]] |= Suspicion.MEAN_NOT_BETWEEN
    return bits


def _by_reading(batch: Batch, quantity: Quantity) -> Floats:
    """Return (n,) the value of *quantity* in each reading, NaN where there is none."""
    samples = batch.samples
    column = np.full(len(batch), np.nan)
    is_it = (samples.quantity == quantity.facts.id) & samples.unit_known
    column[samples.reading[is_it]] = samples.value[is_it]
    return column
