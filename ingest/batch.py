"""Batch: the readings of many messages as columns. Pure; knows neither MQTT nor SQL.

Times are int64 microseconds since 2000-01-01 UTC, as PostgreSQL keeps a timestamptz.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from devices import wire
from devices.quantity import Quantity
from devices.reading import VALUES_MAX
from devices.wire import CLOCK_CODES, OUTCOME_CODES
from ingest.decode import Incoming
from ingest.gather import PAYLOAD_BYTES_MAX, Table, column, lengths, mismatches, payloads
from ingest.quarantine import Reason

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

OUTCOMES: Final = OUTCOME_CODES
CLOCKS: Final = CLOCK_CODES
# What devices.reading says of a reading, for whole columns; a test holds one against the other.
_DEVICE_ID: Final = r"[A-Za-z0-9:._-]{1,64}"
_LABEL: Final = r"[!-~]{1,64}"
_PROBLEM_CHARACTERS_MAX: Final = 500
_CODE_CHARACTERS_MAX: Final = 64
_CLOCK_OFFSET_S_MAX: Final = 3.2e11
_EPOCH_US: Final = int(_EPOCH_S) * SECOND
# First and last microsecond of 1970 to 2199, and of the years 1 to 9999; since 1970.
_STORABLE: Final = (0, 7_258_118_400 * SECOND - 1)
_CALENDAR: Final = (-62_135_596_800 * SECOND, 253_402_300_800 * SECOND - 1)

_FIELDS: Final = wire.Columns.__struct_fields__
_QUANTITY_ID = {quantity.value: quantity.facts.id for quantity in Quantity}
_UNIT_OF = {quantity.value: quantity.facts.unit for quantity in Quantity}


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

    origins: Sequence[Incoming]  # the messages that have columns
    devices: Sequence[str]  # distinct device ids; "" for one that is none
    sources: Sequence[str]  # distinct sources; "" for one that is none
    units: Sequence[str]  # distinct original units

    origin: Int64s  # (n,) index into origins
    position: Int64s  # (n,) which row of its message's columns
    reading_id: Ids  # (n,) S16
    device: Int64s  # (n,) index into devices
    source: Int64s  # (n,) index into sources
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
    payload: NDArray[np.bytes_]  # (n,) the raw bytes, filled up with NUL
    payload_length: NDArray[np.int32]  # (n,) how many of them are the reading's
    fault: NDArray[np.int8]  # (n,) Reason code, 0 = none: the row is beyond the format's limits
    samples: Samples

    def __len__(self) -> int:
        return len(self.reading_id)

    def take(self, rows: Int64s) -> Self:
        """Return the readings at the indices *rows* (ascending, distinct) and their samples."""
        kept = np.full(len(self), -1, np.int64)
        kept[rows] = np.arange(len(rows))
        samples = self.samples.take(kept[self.samples.reading] >= 0)
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(
            self,
            samples=replace(samples, reading=kept[samples.reading]),
            **columns,
        )


_SHARED = {"origins", "devices", "sources", "units", "samples"}
_COLUMNS = tuple(f.name for f in fields(Batch) if f.name not in _SHARED)


def from_incoming(incoming: Sequence[Incoming]) -> Batch:
    """Return the readings of *incoming* as columns.

    A row beyond the format's limits is marked in ``fault``. It has no samples, and what was out
    of range in it is replaced by something within: nothing but its id and origin means anything.
    """
    origins = [one for one in incoming if one.columns is not None]
    return _Gathering(origins).batch()


def microseconds(moments: Iterable[datetime]) -> Int64s:
    """Return aware *moments* as microseconds since 2000; exact between 1800 and 2200."""
    seconds = np.fromiter(map(datetime.timestamp, moments), np.float64)
    return np.rint(seconds * 1e6).astype(np.int64) - np.int64(_EPOCH_S * 1e6)


def _arrivals(origins: Sequence[Incoming]) -> Int64s:
    """Return when each message came; what comes in one go bears one time."""
    moments = [one.delivery.arrived_at for one in origins]
    distinct = dict.fromkeys(moments)
    known = dict(zip(distinct, microseconds(distinct).tolist(), strict=True))
    return np.fromiter(map(known.__getitem__, moments), np.int64, len(moments))


class _Gathering:
    """One batch in the making. Knows how many rows each message has, and which are at fault."""

    def __init__(self, origins: Sequence[Incoming]) -> None:
        self._origins = origins
        # One list of messages a column. zip of nothing would leave out the columns, too.
        messages = [one.columns for one in origins if one.columns is not None]
        rows = map(structs.astuple, messages)
        lists = list(zip(*rows, strict=True)) or [()] * len(_FIELDS)
        self._lists = dict(zip(_FIELDS, lists, strict=True))
        self._counts = np.fromiter([one.count for one in origins], np.int64, len(origins))
        self._origin = np.repeat(np.arange(len(origins), dtype=np.int64), self._counts)
        self._fault = np.zeros(len(self._origin), np.bool_)

    def batch(self) -> Batch:
        first = np.cumsum(self._counts) - self._counts
        origin, n = self._origin, len(self._origin)
        measured_at = self._raw("measured_at", 0)
        received_at = self._raw("received_at", measured_at)
        device, devices = self._named("devices", "device", _DEVICE_ID)
        source, sources = self._named("sources", "source", _LABEL)
        payload, payload_length = self._payloads()
        reading_id = np.frombuffer(self._bytes("reading_id"), "S16")
        self._fault |= reading_id == b""  # nil, which stands for no reading
        offset = self._floats("clock_offset_s")
        self._fault |= np.abs(offset) > _CLOCK_OFFSET_S_MAX  # NaN, none, is not
        self._check_problems(first)
        samples, units = self._samples()
        sent_at = np.fromiter(self._lists["sent_at"], np.int64, len(first))
        return Batch(
            origins=self._origins,
            devices=devices,
            sources=sources,
            units=units,
            origin=origin,
            position=np.arange(n, dtype=np.int64) - first[origin],
            reading_id=reading_id,
            device=device,
            source=source,
            slot=self._small("slot", NO_SLOT, 255, NO_SLOT, np.int16),
            outcome=self._small("outcome", 0, len(OUTCOMES) - 1, 0, np.int8),
            clock=self._small("clock", 0, len(CLOCKS) - 1, 0, np.int8),
            measured_at=self._within(measured_at, *_STORABLE, 0) - _EPOCH_US,
            received_at=self._within(received_at, *_STORABLE, 0) - _EPOCH_US,
            sent_at=(sent_at - _EPOCH_US)[origin],
            arrived_at=_arrivals(self._origins)[origin],
            device_time=self._device_time(),
            clock_offset_s=offset,
            status=self._small("status", 0, 0xFFFF, 0, np.int32),
            battery=self._small("battery_percent", NO_BATTERY, 100, NO_BATTERY, np.int16),
            payload=payload,
            payload_length=payload_length,
            # Last: every line above may have found one.
            samples=samples.take(~self._fault[samples.reading]),
            fault=np.where(self._fault, Reason.MALFORMED_READING.code, 0).astype(np.int8),
        )

    def _each(self, totals: Int64s) -> Int64s:
        """Return (n,) the share of each reading where all of a message have as many."""
        return np.repeat(totals // self._counts, self._counts)

    def _raw(self, name: str, default: Int64s | int) -> Int64s:
        return column(self._lists[name], self._counts, np.int64, default)

    def _floats(self, name: str) -> Floats:
        return column(self._lists[name], self._counts, np.float64, np.nan)

    def _bytes(self, name: str) -> bytes:
        return b"".join(self._lists[name])

    def _within(self, rows: Int64s, low: int, high: int, instead: int) -> Int64s:
        """Return *rows* with *instead* for each that is not from *low* to *high*."""
        is_beyond = (rows < low) | (rows > high)
        self._fault |= is_beyond
        return np.where(is_beyond, np.int64(instead), rows)

    def _small(
        self, name: str, low: int, high: int, default: int, dtype: type[np.signedinteger[Any]]
    ) -> NDArray[Any]:
        lists = self._lists[name]
        if not any(lists):
            return np.full(len(self._origin), default, dtype)
        rows = column(lists, self._counts, np.int64, default)
        return self._within(rows, low, high, default).astype(dtype)

    def _named(self, table: str, name: str, pattern: str) -> tuple[Int64s, list[str]]:
        names = Table.merge(self._lists[table], "")
        index, is_nowhere = names.find(self._raw(name, 0), self._origin)
        is_bad = mismatches(names.entries, pattern)
        self._fault |= is_nowhere | is_bad[index]
        return index, _without(names.entries, is_bad)

    def _payloads(self) -> tuple[NDArray[np.bytes_], NDArray[np.int32]]:
        length = self._raw("payload_length", self._each(lengths(self._lists["payload"])))
        self._fault |= length > PAYLOAD_BYTES_MAX
        return payloads(self._bytes("payload"), length)

    def _device_time(self) -> Int64s:
        rows = self._raw("device_time", wire.NO_DEVICE_TIME)
        is_none = rows == wire.NO_DEVICE_TIME
        rows = self._within(np.where(is_none, 0, rows), *_CALENDAR, 0)
        return np.where(is_none, np.int64(NO_TIME), rows - _EPOCH_US)

    def _check_problems(self, first: Int64s) -> None:
        """Few messages have any: only readings that have no values."""
        lists = self._lists["problem"]
        for message, texts in enumerate(lists if any(lists) else ()):
            bad = [row for row, text in enumerate(texts) if text and not _is_problem(text)]
            self._fault[first[message] + np.array(bad, np.int64)] = True

    def _samples(self) -> tuple[Samples, list[str]]:
        value_lists = self._lists["value"]
        counts = lengths(value_lists)
        values = self._raw("values", self._each(counts))
        self._fault |= values > VALUES_MAX
        reading = np.repeat(np.arange(len(values), dtype=np.int64), values)
        message = self._origin[reading]

        kinds = Table.merge(self._lists["kinds"], "")
        pairs = list(map(wire.split_kind, kinds.entries))
        kind, no_kind = kinds.find(column(self._lists["kind"], counts, np.int64, 0), message)
        is_bad = np.array([not (_is_code(q) and _is_code(u)) for q, u in pairs], np.bool_)
        units = Table.merge(self._lists["units"], "")
        local = column(self._lists["original_unit"], counts, np.int64, -1)
        unit, no_unit = units.find(local, message)
        bad_unit = mismatches(units.entries, _LABEL)
        has_unit = local != -1
        value = column(value_lists, counts, np.float64, np.nan)
        is_fault = no_kind | is_bad[kind] | (has_unit & (no_unit | bad_unit[unit]))
        self._fault[reading[is_fault | np.isnan(value)]] = True
        samples = Samples(
            reading=reading,
            quantity=np.array([_QUANTITY_ID.get(q, UNKNOWN_QUANTITY) for q, _ in pairs], np.int16)[
                kind
            ],
            unit_known=np.array([_UNIT_OF.get(q) == u for q, u in pairs], np.bool_)[kind],
            value=value,
            original_value=column(self._lists["original_value"], counts, np.float64, np.nan),
            original_unit=np.where(has_unit, unit, -1),
        )
        return samples, _without(units.entries, bad_unit)


def _is_code(text: str) -> bool:
    return 1 <= len(text) <= _CODE_CHARACTERS_MAX


def _is_problem(text: str) -> bool:
    return len(text) <= _PROBLEM_CHARACTERS_MAX and "\0" not in text


def _without(texts: list[str], is_bad: Bools) -> list[str]:
    """Return *texts* with "" for the bad ones, which no database need take."""
    if not is_bad.any():
        return texts
    return ["" if bad else text for text, bad in zip(texts, is_bad.tolist(), strict=True)]
