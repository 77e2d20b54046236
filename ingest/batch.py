"""Batch: the readings of many messages as columns. Pure; knows neither MQTT nor SQL.

Times are int64 microseconds since 2000-01-01 UTC, as PostgreSQL keeps a timestamptz.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading

Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ids = NDArray[np.bytes_]

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_S = EPOCH.timestamp()
SECOND: Final = 1_000_000  # microseconds
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

# "None" in an int64 column of times: PostgreSQL's own -infinity.
NO_TIME: Final = np.iinfo(np.int64).min
NO_SLOT: Final = -1
NO_BATTERY: Final = -1
UNKNOWN_QUANTITY: Final = 0

OUTCOMES: Final = tuple(Outcome)
CLOCKS: Final = tuple(ClockVerdict)
_OUTCOME_CODE = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_CLOCK_CODE = {clock: code for code, clock in enumerate(CLOCKS)}
_QUANTITY_ID = {quantity.value: quantity.facts.id for quantity in Quantity}
_UNIT_OF = {quantity.value: quantity.facts.unit for quantity in Quantity}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The message that readings came in."""

    gateway_id: str
    topic: str
    sent_at: datetime
    arrived_at: datetime
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """One row a value; m rows. NaN in ``original_value`` means: as the device put it."""

    reading: NDArray[np.int64]  # (m,) index into the batch's readings, ascending
    quantity: NDArray[np.int16]  # (m,) quantity id, or UNKNOWN_QUANTITY
    unit_known: Bools  # (m,) the unit is the quantity's own
    value: Floats  # (m,) in the quantity's unit
    original_value: Floats  # (m,)
    original_unit: Int64s  # (m,) index into Batch.units, -1: none

    def __len__(self) -> int:
        return len(self.reading)

    def take(self, rows: NDArray[Any]) -> Self:
        """Return the rows that an index or mask picks."""
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """n readings of some messages, in order of arrival, and their m samples."""

    origins: Sequence[Origin]  # of the messages
    readings: Sequence[Reading]  # (n,) as decoded; for refusals and receipts, never looped over
    devices: Sequence[str]  # distinct device ids
    units: Sequence[str]  # distinct original units

    origin: Int64s  # (n,) index into origins
    position: Int64s  # (n,) which of the readings of its message that could be read
    reading_id: Ids  # (n,) S16
    device: Int64s  # (n,) index into devices
    slot: NDArray[np.int16]  # (n,) or NO_SLOT
    outcome: NDArray[np.int8]  # (n,) index into OUTCOMES
    clock: NDArray[np.int8]  # (n,) index into CLOCKS
    measured_at: Int64s  # (n,)
    received_at: Int64s  # (n,) gateway's clock
    sent_at: Int64s  # (n,) gateway's clock
    arrived_at: Int64s  # (n,) ingest's clock
    device_time: Int64s  # (n,) as the device put it, read as if UTC; or NO_TIME
    clock_offset_s: Floats  # (n,) or NaN
    status: NDArray[np.int32]  # (n,) Status bits
    battery: NDArray[np.int16]  # (n,) percent, or NO_BATTERY
    samples: Samples

    def __len__(self) -> int:
        return len(self.readings)

    def take(self, rows: Int64s) -> Self:
        """Return the readings at the indices *rows* (ascending, distinct) and their samples."""
        kept = np.full(len(self), -1, np.int64)
        kept[rows] = np.arange(len(rows))
        samples = self.samples.take(kept[self.samples.reading] >= 0)
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(
            self,
            readings=[self.readings[row] for row in rows.tolist()],
            samples=replace(samples, reading=kept[samples.reading]),
            **columns,
        )


_SHARED = {"origins", "readings", "devices", "units", "samples"}
_COLUMNS = tuple(f.name for f in fields(Batch) if f.name not in _SHARED)


def from_messages(messages: Sequence[tuple[Origin, Sequence[Reading]]]) -> Batch:
    """Return the readings of *messages* as columns."""
    readings = [reading for _, some in messages for reading in some]
    counts = np.array([len(some) for _, some in messages], np.int64)
    origin = np.repeat(np.arange(len(messages), dtype=np.int64), counts)
    first = np.cumsum(counts) - counts
    devices: dict[str, int] = {}
    device = [devices.setdefault(r.device_id, len(devices)) for r in readings]
    samples, units = _samples(readings)
    sent_at = microseconds([o.sent_at for o, _ in messages])
    arrived_at = microseconds([o.arrived_at for o, _ in messages])
    return Batch(
        origins=[origin for origin, _ in messages],
        readings=readings,
        devices=list(devices),
        units=units,
        origin=origin,
        position=np.arange(len(readings), dtype=np.int64) - first[origin],
        reading_id=np.array([r.reading_id.bytes for r in readings], "S16"),
        device=np.array(device, np.int64),
        slot=np.array([NO_SLOT if r.slot is None else r.slot for r in readings], np.int16),
        outcome=np.array([_OUTCOME_CODE[r.outcome] for r in readings], np.int8),
        clock=np.array([_CLOCK_CODE[r.clock] for r in readings], np.int8),
        measured_at=microseconds([r.measured_at for r in readings]),
        received_at=microseconds([r.received_at for r in readings]),
        sent_at=sent_at[origin],
        arrived_at=arrived_at[origin],
        device_time=_device_times(readings),
        clock_offset_s=np.array([r.clock_offset_s for r in readings], np.float64),  # None: NaN
        status=np.array([r.status for r in readings], np.int32),
        battery=np.array(
            [NO_BATTERY if r.battery_percent is None else r.battery_percent for r in readings],
            np.int16,
        ),
        samples=samples,
    )


def microseconds(moments: Iterable[datetime]) -> Int64s:
    """Return aware *moments* as microseconds since 2000; exact between 1800 and 2200."""
    seconds = np.array([moment.timestamp() for moment in moments], np.float64)
    return np.rint(seconds * 1e6).astype(np.int64) - np.int64(_EPOCH_S * 1e6)


def _device_times(readings: Sequence[Reading]) -> Int64s:
    since_1970 = np.array([r.device_time for r in readings], "datetime64[us]")  # None: NaT
    times = since_1970.view(np.int64) - np.int64(_EPOCH_S * 1e6)
    return np.where(np.isnat(since_1970), np.int64(NO_TIME), times)


def _samples(readings: Sequence[Reading]) -> tuple[Samples, list[str]]:
    values = [value for r in readings for value in r.values]
    units: dict[str, int] = {}
    samples = Samples(
        reading=np.repeat(
            np.arange(len(readings), dtype=np.int64),
            np.array([len(r.values) for r in readings], np.int64),
        ),
        quantity=np.array(
            [_QUANTITY_ID.get(v.quantity, UNKNOWN_QUANTITY) for v in values], np.int16
        ),
        unit_known=np.array([_UNIT_OF.get(v.quantity) == v.unit for v in values], np.bool_),
        value=np.array([v.value for v in values], np.float64),
        original_value=np.array([v.original_value for v in values], np.float64),  # None: NaN
        original_unit=np.array(
            [
                -1 if v.original_unit is None else units.setdefault(v.original_unit, len(units))
                for v in values
            ],
            np.int64,
        ),
    )
    return samples, list(units)
