"""A year of invented patients, as columns: what they measure, when they are away, what breaks.

Every number here is an assumption, none a measurement: the scatter of home readings is that of the
simulator's twelve, a little wider; one in three has heart failure, and gets worse once in two
years. ``bench/year.py`` prints what care would make of it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices.quantity import Quantity
from ingest.batch import DAY, HOUR
from ingest.rules.table import Series

Floats = NDArray[np.float64]
Int64s = NDArray[np.int64]

# Before the year begins: what baselines and windows look back on.
LEAD_DAYS: Final = 40
DAYS: Final = 365
ALL_DAYS: Final = LEAD_DAYS + DAYS

HEART_FAILURE_SHARE: Final = 1 / 3
# Treated: most, not all, lie under 135 at home. Between people; then one person's days and
# readings.
_SYSTOLIC, _DIASTOLIC, _PULSE = (127.0, 9.0), (74.0, 6.0), (69.0, 8.0)
_DAY_SD: Final = np.array([5.0, 3.0, 3.5])
_READING_SD: Final = np.array([6.0, 4.0, 4.5])
_MORNING_RISE: Final = np.array([3.0, 2.0, -1.5])
_MEMORY: Final = 0.5
_WEIGHT: Final = (79.0, 14.0)
_WATER_SD_KG, _SCALE_SD_KG, _WATER_MEMORY = 0.40, 0.15, 0.6
_STEPS: Final = (3800.0, 0.5)  # median, and the log's spread between people
_STEPS_LOG_SD: Final = 0.30
# Getting worse: water gathers for days, and goes again when somebody has acted.
WORSE_PER_YEAR: Final = 0.5
_WORSE_DAYS: Final = 9
_WORSE_KG_PER_DAY: Final = 0.35
_WORSE_STEPS_PER_DAY: Final = 0.05
_RECOVERY_DAYS: Final = 7
# How faithfully a planned measurement is done, and the stretches without any.
_ADHERENCE: Final = (18.0, 2.0)  # of a beta distribution: 0.9
AWAY_PER_YEAR: Final = 1.5
_AWAY_DAYS_MEAN: Final = 6.0
AWAY_TOLD_SHARE: Final = 0.7  # the others forgot to say so: no pause
# For technicians: a home's outage, a battery, three failed measurements in a row.
TECHNICAL_PER_YEAR: Final = {"silent_gateway": 1.2, "low_battery": 1.5, "failed_measurements": 0.8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """p patients of a year. Days count from the beginning of the lead."""

    patient: Int64s  # (p,)
    has_heart_failure: NDArray[np.bool_]  # (p,)
    series: Series  # what they measured, sorted as rules want it
    pauses: NDArray[np.int64]  # (k, 3) patient, from, until
    technical: int  # items for technicians in the year


def cohort(first: int, count: int, begin: int, seed: int) -> Cohort:
    """Draw patients *first* to *first + count - 1*.

    Args:
        first: Id of the first.
        count: How many.
        begin: Local midnight of the first day of the lead; microseconds since 2000.
        seed: Of all of it.
    """
    random = np.random.default_rng([seed, first])
    ill = random.random(count) < HEART_FAILURE_SHARE
    away = _away(random, count)
    worse = _worsening(random, ill)
    done = _done(random, count, away)
    pressure = _pressure(random, count)
    weight = _swinging(random, count, _WEIGHT, _WATER_SD_KG) + worse * _WORSE_KG_PER_DAY
    steps = _steps(random, count) * np.clip(1 - worse * _WORSE_STEPS_PER_DAY, 0.2, 1)
    taken = np.round(weight + random.standard_normal(weight.shape) * _SCALE_SD_KG, 2)
    patient = np.arange(first, first + count)
    columns = [
        *(
            (quantity, hour, np.round(pressure[:, :, half, index]), done[:, :, half])
            for half, hour in enumerate((7.5, 20.0))
            for index, quantity in enumerate(
                (Quantity.SYSTOLIC, Quantity.DIASTOLIC, Quantity.PULSE)
            )
        ),
        (Quantity.BODY_WEIGHT, 7.3, taken, done[:, :, 0] & ill[:, None]),
        (Quantity.STEPS, 21.6, np.round(steps), done[:, :, 1] & ill[:, None]),
    ]
    return Cohort(
        patient=patient,
        has_heart_failure=ill,
        series=_series(random, patient, begin, columns),
        pauses=_pauses(random, patient, begin, away),
        technical=int(random.poisson(sum(TECHNICAL_PER_YEAR.values()), count).sum()),
    )


def _pressure(random: np.random.Generator, count: int) -> Floats:
    """Return systolic, diastolic and pulse; (count, days, 2 halves of the day, 3)."""
    own = random.standard_normal((count, 1, 1, 3))
    own[..., 1] = 0.6 * own[..., 0] + 0.8 * own[..., 1]
    mean = np.array([_SYSTOLIC[0], _DIASTOLIC[0], _PULSE[0]])
    spread = np.array([_SYSTOLIC[1], _DIASTOLIC[1], _PULSE[1]])
    day = _remembered(random.standard_normal((count, ALL_DAYS, 1, 3)), _MEMORY)
    reading = random.standard_normal((count, ALL_DAYS, 2, 3))
    for drawn in (day, reading):  # the two pressures move together
        drawn[..., 1] = 0.65 * drawn[..., 0] + 0.76 * drawn[..., 1]
    halves = np.array([1.0, -1.0])[:, None] * _MORNING_RISE
    values: Floats = mean + own * spread + day * _DAY_SD + reading * _READING_SD + halves
    return values


def _swinging(
    random: np.random.Generator, count: int, people: tuple[float, float], water: float
) -> Floats:
    own = people[0] + people[1] * random.standard_normal((count, 1)).clip(-2.5, 2.5)
    return own + water * _remembered(random.standard_normal((count, ALL_DAYS)), _WATER_MEMORY)


def _steps(random: np.random.Generator, count: int) -> Floats:
    own = np.log(_STEPS[0]) + _STEPS[1] * random.standard_normal((count, 1))
    steps: Floats = np.exp(own + _STEPS_LOG_SD * random.standard_normal((count, ALL_DAYS)))
    return steps


def _remembered(noise: Floats, memory: float) -> Floats:
    """Let each day (axis 1) remember the one before, with unit variance."""
    fresh = np.sqrt(1 - memory**2)
    for day in range(1, noise.shape[1]):
        noise[:, day] = memory * noise[:, day - 1] + fresh * noise[:, day]
    return noise


def _worsening(random: np.random.Generator, ill: NDArray[np.bool_]) -> Floats:
    """Return how many days of water each has gathered; (p, days)."""
    worse = np.zeros((len(ill), ALL_DAYS))
    shape = np.concatenate(
        (np.arange(1, _WORSE_DAYS + 1), np.linspace(_WORSE_DAYS, 0, _RECOVERY_DAYS))
    )
    for row in np.flatnonzero(ill).tolist():
        for _ in range(random.poisson(WORSE_PER_YEAR * ALL_DAYS / 365)):
            day = int(random.integers(ALL_DAYS))
            part = shape[: ALL_DAYS - day]
            worse[row, day : day + len(part)] = np.maximum(worse[row, day : day + len(part)], part)
    return worse


def _away(random: np.random.Generator, count: int) -> list[tuple[int, int, int]]:
    """Return rows of (patient's index, first day away, first day back)."""
    return [
        (
            row,
            day := int(random.integers(ALL_DAYS)),
            day + 1 + int(random.exponential(_AWAY_DAYS_MEAN)),
        )
        for row in range(count)
        for _ in range(random.poisson(AWAY_PER_YEAR * ALL_DAYS / 365))
    ]


def _done(
    random: np.random.Generator, count: int, away: list[tuple[int, int, int]]
) -> NDArray[np.bool_]:
    """Return what is measured; (p, days, 2 halves of the day)."""
    adherence = random.beta(*_ADHERENCE, (count, 1, 1))
    done: NDArray[np.bool_] = random.random((count, ALL_DAYS, 2)) < adherence
    for row, since, until in away:
        done[row, since:until] = False
    return done


def _pauses(
    random: np.random.Generator, patient: Int64s, begin: int, away: list[tuple[int, int, int]]
) -> NDArray[np.int64]:
    told = random.random(len(away)) < AWAY_TOLD_SHARE
    rows = [
        (patient[row], begin + since * DAY, begin + until * DAY)
        for (row, since, until), is_told in zip(away, told.tolist(), strict=True)
        if is_told
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def _series(
    random: np.random.Generator,
    patient: Int64s,
    begin: int,
    columns: list[tuple[Quantity, float, Floats, NDArray[np.bool_]]],
) -> Series:
    """Return the columns that are done as one sorted series; ids are running numbers."""
    late = {
        hour: (random.standard_normal((len(patient), ALL_DAYS)) * HOUR / 3).astype(np.int64)
        for hour in {hour for _, hour, _, _ in columns}
    }
    parts = []
    for quantity, hour, value, done in columns:
        row, day = np.nonzero(done)
        at = begin + day * DAY + int(hour * HOUR) + late[hour][row, day]
        act = (row * ALL_DAYS + day) * 4 + sorted(late).index(hour)
        number = np.full(len(row), quantity.facts.id, np.int64)
        parts.append((patient[row], number, at, act + patient[0] * ALL_DAYS * 4, value[row, day]))
    who, which, at, act, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((act, at, which, who))
    ids = np.zeros((len(order), 2), ">u8")
    ids[:, 1] = act[order]
    return Series(
        patient=who[order],
        quantity=which[order].astype(np.int16),
        measured_at=at[order],
        reading_id=np.ascontiguousarray(ids).view("S16").ravel(),
        value=value[order].astype(np.float64),
        counts=np.ones(len(order), np.bool_),
        status=np.zeros(len(order), np.int32),
    )
