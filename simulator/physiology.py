"""Physiology: what twelve bodies do over a month, as columns, from one seed.

Blood pressure and pulse move together within a day and from day to day, are higher in the
morning than in the evening; weight swings with water; steps follow the week. A planned
measurement is sometimes not done, and some people are away for days. No clock is read here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from simulator.people import Body, Kit, Person

Floats = NDArray[np.float64]
KITS: Final = tuple(Kit)

# Home blood pressure, standard deviations of one person: day to day, and reading to reading.
_PRESSURE_DAY_SD: Final = np.array([4.0, 2.5, 3.0])  # systolic, diastolic, pulse
_PRESSURE_READING_SD: Final = np.array([5.0, 3.5, 4.0])
_PRESSURE_CORRELATION: Final = np.array([[1.0, 0.65, 0.15], [0.65, 1.0, 0.20], [0.15, 0.20, 1.0]])
# Mornings lie above the own mean and evenings below it, as much.
_MORNING_RISE: Final = np.array([3.0, 2.0, -1.5])
_DAY_MEMORY: Final = 0.5  # autocorrelation of one day with the next
_NOISE_SD_MAX: Final = 2.5  # a body is not a normal distribution: no tail beyond this

_WATER_SD_KG: Final = 0.40  # slow swings, remembered from day to day
_WATER_MEMORY: Final = 0.6
_SCALE_SD_KG: Final = 0.12  # clothes, breakfast
SCALE_STEP_KG: Final = 0.05

_WEEK: Final = np.array([1.05, 1.05, 1.0, 1.05, 1.1, 0.95, 0.8])  # Monday first
_STEPS_LOG_SD: Final = 0.18

PULSE_PRESSURE_MMHG_MIN: Final = 20.0

# When things are done at home, local time, and how punctually.
_MORNING: Final = time(7, 30)
_EVENING: Final = time(20, 0)
_WEIGHING_AFTER_S: Final = -600.0  # before breakfast, before the blood pressure
_STEPS_READ: Final = time(21, 40)
_PUNCTUALITY_S: Final = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Acts of measuring as columns of one length n, ordered by time.

    Attributes:
        person: (n,) int64, index into the people the history was made for.
        kit: (n,) int64, index into ``KITS``.
        measured_at: (n,) datetime64[s], UTC.
        systolic_mmhg: (n,) float64; nan where *kit* is no cuff, as are the next two.
        weight_kg: (n,) float64; nan where *kit* is no scale.
        steps: (n,) float64, the day's total; nan where *kit* is no step counter.
    """

    person: NDArray[np.int64]
    kit: NDArray[np.int64]
    measured_at: NDArray[np.datetime64]
    systolic_mmhg: Floats
    diastolic_mmhg: Floats
    pulse_per_min: Floats
    weight_kg: Floats
    steps: Floats

    def __len__(self) -> int:
        return len(self.person)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the chosen rows, as a history."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True, slots=True)
class _Grid:
    """Random numbers and calendar for *people* (p) over *days* (d); the last day is the last."""

    random: np.random.Generator
    people: Sequence[Person]
    days: int

    def own(self, name: str) -> Floats:
        """Return an attribute of every body, shape (p, 1)."""
        return np.array([[getattr(person.body, name)] for person in self.people], dtype=np.float64)

    def has(self, kit: Kit) -> NDArray[np.bool_]:
        """Return who has a device of *kit*, shape (p, 1)."""
        return np.array([[kit in person.kit] for person in self.people])

    def worsening(self) -> Floats:
        """Return how many days each body has been getting worse, shape (p, d)."""
        before_end = np.arange(self.days)[::-1]
        return np.clip(self.own("worsens_for_days") - before_end, 0, None)

    def noise(self, *shape: int) -> Floats:
        """Return standard normal noise without its far tails."""
        drawn = self.random.standard_normal((len(self.people), self.days, *shape))
        return np.clip(drawn, -_NOISE_SD_MAX, _NOISE_SD_MAX)

    def swings(self, memory: float, *shape: int) -> Floats:
        """Return day-to-day swings of unit variance where each day remembers the one before."""
        swing = self.noise(*shape)
        fresh = np.sqrt(1.0 - memory**2)
        for day in range(1, self.days):
            swing[:, day] = memory * swing[:, day - 1] + fresh * swing[:, day]
        return swing

    def done(self, *shape: int) -> NDArray[np.bool_]:
        """Return what planned measurements are done, shape (p, d, ...)."""
        drawn = self.random.random((len(self.people), self.days, *shape))
        extra = (1,) * len(shape)
        done: NDArray[np.bool_] = drawn < self.own("adherence").reshape(-1, 1, *extra)
        # Who gets worse is never missed on the last two days: that is what the demo shows.
        worse = (self.own("worsens_for_days") > 0).reshape(-1, 1, *extra)
        last = (np.arange(self.days) >= self.days - 2).reshape(1, -1, *extra)
        return (done | (worse & last)) & ~self._away().reshape(len(self.people), self.days, *extra)

    def _away(self) -> NDArray[np.bool_]:
        """Return the stretch of days nobody measured, in the middle of the history: (p, d)."""
        length = self.own("gap_days")
        share = np.array([[(number * 7 % 10) / 10] for number in range(len(self.people))])
        first = np.floor(self.days * (0.2 + 0.5 * share))
        day = np.arange(self.days)
        return (day >= first) & (day < first + length)


def history(
    people: Sequence[Person], *, seed: int, last_day: date, days: int, zone: ZoneInfo
) -> History:
    """Return *days* days of measuring up to and including *last_day* (local date).

    The same arguments give the same columns. Acts that lie in the caller's future are in it
    too: the caller knows the time, and cuts.
    """
    grid = _Grid(np.random.default_rng(seed), people, days)
    calendar = [last_day - timedelta(days=days - 1 - number) for number in range(days)]
    parts = [
        _pressures(grid, calendar, zone),
        _weights(grid, calendar, zone),
        _steps(grid, calendar, zone),
    ]
    joined = History(
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(History)
        }
    )
    return joined.where(np.lexsort((joined.kit, joined.person, joined.measured_at)))


@dataclass(frozen=True, slots=True)
class Pressure:
    """One blood pressure as a cuff shows it."""

    systolic_mmhg: int
    diastolic_mmhg: int
    pulse_per_min: int


def pressure_now(body: Body, random: np.random.Generator) -> Pressure:
    """Return what a cuff would show on this body today, at no particular hour."""
    drawn = np.clip(random.standard_normal(3), -_NOISE_SD_MAX, _NOISE_SD_MAX)
    own = np.array([body.systolic_mmhg, body.diastolic_mmhg, body.pulse_per_min])
    drift = np.array(
        [body.systolic_mmhg_per_day, body.diastolic_mmhg_per_day, body.pulse_per_min_per_day]
    )
    shown = own + body.worsens_for_days * drift + _PRESSURE_READING_SD * (_mixing() @ drawn)
    systolic, diastolic, pulse = np.rint(_kept_apart(shown)).astype(int)
    return Pressure(int(systolic), int(diastolic), int(pulse))


def weight_now_kg(body: Body, random: np.random.Generator) -> float:
    """Return what a scale would show under this body today."""
    gained = body.worsens_for_days * body.weight_kg_per_day
    noise = float(np.clip(random.standard_normal(), -_NOISE_SD_MAX, _NOISE_SD_MAX))
    return float(_on_scale(np.array(body.weight_kg + gained + _SCALE_SD_KG * noise)))


def _pressures(grid: _Grid, calendar: Sequence[date], zone: ZoneInfo) -> History:
    own = np.concatenate(
        [grid.own(name) for name in ("systolic_mmhg", "diastolic_mmhg", "pulse_per_min")], axis=1
    )
    names = ("systolic_mmhg_per_day", "diastolic_mmhg_per_day", "pulse_per_min_per_day")
    drift = np.concatenate([grid.own(name) for name in names], axis=1)
    day = grid.swings(_DAY_MEMORY, 3) @ _mixing().T * _PRESSURE_DAY_SD
    reading = grid.noise(2, 3) @ _mixing().T * _PRESSURE_READING_SD
    circadian = np.stack([_MORNING_RISE, -_MORNING_RISE])  # (2, 3)
    level = own[:, None, :] + grid.worsening()[:, :, None] * drift[:, None, :] + day
    shown = np.rint(_kept_apart(level[:, :, None, :] + circadian + reading))  # (p, d, 2, 3)

    moments = np.stack([_moments(calendar, at, zone) for at in (_MORNING, _EVENING)], axis=1)
    late_s = grid.noise(2) * _PUNCTUALITY_S
    done = grid.done(2) & grid.has(Kit.CUFF)[:, :, None]
    return _columns(
        Kit.CUFF,
        done,
        moments[None, :, :] + late_s.astype("timedelta64[s]"),
        systolic_mmhg=shown[..., 0],
        diastolic_mmhg=shown[..., 1],
        pulse_per_min=shown[..., 2],
    )


def _weights(grid: _Grid, calendar: Sequence[date], zone: ZoneInfo) -> History:
    water = grid.swings(_WATER_MEMORY) * _WATER_SD_KG
    gained = grid.worsening() * grid.own("weight_kg_per_day")
    # Water already held leaves no room to swing: the gain shows through.
    shown = grid.own("weight_kg") + np.where(gained > 0, 0.3 * water, water) + gained
    late_s = grid.noise() * _PUNCTUALITY_S / 2 + _WEIGHING_AFTER_S
    return _columns(
        Kit.SCALE,
        grid.done() & grid.has(Kit.SCALE),
        _moments(calendar, _MORNING, zone)[None, :] + late_s.astype("timedelta64[s]"),
        weight_kg=_on_scale(shown + grid.noise() * _SCALE_SD_KG),
    )


def _steps(grid: _Grid, calendar: Sequence[date], zone: ZoneInfo) -> History:
    week = _WEEK[[day.weekday() for day in calendar]]
    lost = np.clip(grid.worsening() * grid.own("steps_share_per_day"), 0, 0.9)
    walked = grid.own("steps_per_day") * week * (1 - lost) * np.exp(_STEPS_LOG_SD * grid.noise())
    late_s = grid.noise() * _PUNCTUALITY_S / 2
    return _columns(
        Kit.STEPS,
        grid.done() & grid.has(Kit.STEPS),
        _moments(calendar, _STEPS_READ, zone)[None, :] + late_s.astype("timedelta64[s]"),
        steps=np.rint(walked),
    )


def _mixing() -> Floats:
    """Return the matrix (3, 3) that makes independent noise correlated."""
    return np.linalg.cholesky(_PRESSURE_CORRELATION)


def _kept_apart(pressure: Floats) -> Floats:
    """Return *pressure* (..., 3) with the diastolic well below the systolic."""
    apart = pressure.copy()
    apart[..., 1] = np.minimum(apart[..., 1], apart[..., 0] - PULSE_PRESSURE_MMHG_MIN)
    return apart


def _on_scale(weight_kg: Floats) -> Floats:
    """Return *weight_kg* as the scale rounds it."""
    return np.rint(weight_kg / SCALE_STEP_KG) * SCALE_STEP_KG


def _moments(calendar: Sequence[date], at: time, zone: ZoneInfo) -> NDArray[np.datetime64]:
    """Return local time *at* of every day as UTC, shape (d,), datetime64[s]."""
    local = (datetime.combine(day, at, tzinfo=zone) for day in calendar)
    return np.array(
        [moment.astimezone(UTC).replace(tzinfo=None) for moment in local], dtype="datetime64[s]"
    )


def _columns(
    kit: Kit, done: NDArray[np.bool_], moments: NDArray[np.datetime64], **values: Floats
) -> History:
    """Return the *done* cells of a grid as columns; values are grids of the same shape."""
    count = int(done.sum())
    person = np.broadcast_to(
        np.arange(done.shape[0]).reshape(-1, *(1,) * (done.ndim - 1)), done.shape
    )
    absent = np.full(count, np.nan)
    names = ("systolic_mmhg", "diastolic_mmhg", "pulse_per_min", "weight_kg", "steps")
    return History(
        person=person[done],
        kit=np.full(count, KITS.index(kit), dtype=np.int64),
        measured_at=moments[done],
        **{name: values[name][done] if name in values else absent.copy() for name in names},
    )
