"""Rows of a message in columns, one by one: as version 1 text, and as ``Reading``.

The slow way, for what is refused and for whoever wants readings and not columns. A row is
sound exactly if its text can be decoded: ``devices.reading`` alone says what a reading may hold.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final, TypeVar
from uuid import UUID

from devices.wire.codec import encoder
from devices.wire.columns import (
    CLOCK_CODES,
    ID_BYTES,
    NO_DEVICE_TIME,
    NONE,
    OUTCOME_CODES,
    Columns,
    split_kind,
)

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH: Final = _EPOCH.replace(tzinfo=None)


class Rows:
    """The rows of *columns*, each of which may be unsound."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        n = len(columns)
        counts = columns.values or [len(columns.value) // n] * n
        sizes = columns.payload_length or [len(columns.payload) // n] * n
        self._values = (0, *accumulate(counts))
        self._bytes = (0, *accumulate(sizes))

    def __iter__(self) -> Iterator[bytes]:
        return map(self.text, range(len(self._columns)))

    def reading_id(self, row: int) -> UUID:
        """Return the id of a row."""
        return UUID(bytes=self._columns.reading_id[ID_BYTES * row :][:ID_BYTES])

    def text(self, row: int) -> bytes:
        """Return a row as version 1 has it.

        What has no place there (an index into nothing, a time of no calendar) stands as its
        number, so that the text says what came and is not a reading.
        """
        columns = self._columns
        reading = {
            "reading_id": self.reading_id(row),
            "device_id": _among(columns.devices, _at(columns.device, row, 0)),
            "source": _among(columns.sources, _at(columns.source, row, 0)),
            "payload": columns.payload[self._bytes[row] : self._bytes[row + 1]].hex(),
            "outcome": _among(OUTCOME_CODES, _at(columns.outcome, row, 0)),
            "measured_at": _moment(_EPOCH, columns.measured_at[row]),
            "received_at": _moment(_EPOCH, (columns.received_at or columns.measured_at)[row]),
            "clock": _among(CLOCK_CODES, _at(columns.clock, row, 0)),
            **_optional("slot", _at(columns.slot, row, NONE), NONE),
        }
        device_time = _at(columns.device_time, row, NO_DEVICE_TIME)
        if device_time != NO_DEVICE_TIME:
            reading["device_time"] = _moment(_LOCAL_EPOCH, device_time)
        reading |= {
            **_optional("clock_offset_s", _at(columns.clock_offset_s, row, None), None),
            **_optional("values", self._of(row), []),
            **_optional("status", _at(columns.status, row, 0), 0),
            **_optional("problem", _at(columns.problem, row, None), None),
            **_optional("battery_percent", _at(columns.battery_percent, row, NONE), NONE),
        }
        return encoder.encode(reading)

    def _of(self, row: int) -> list[dict[str, Any]]:
        return [self._value(place) for place in range(self._values[row], self._values[row + 1])]

    def _value(self, place: int) -> dict[str, Any]:
        columns = self._columns
        kind = _among(columns.kinds, _at(columns.kind, place, 0))
        quantity, unit = (kind, kind) if isinstance(kind, int) else split_kind(kind)
        original: Any = _at(columns.original_unit, place, NONE)
        if original != NONE:
            original = _among(columns.units, original)
        return {
            "quantity": quantity,
            "value": columns.value[place],
            "unit": unit,
            **_optional("original_value", _at(columns.original_value, place, None), None),
            **_optional("original_unit", original, NONE),
        }


def _at(column: Sequence[T], row: int, default: T) -> T:
    return column[row] if column else default


def _among(table: Sequence[T], index: int) -> T | int:
    return table[index] if 0 <= index < len(table) else index


def _optional(name: str, value: object, none: object) -> dict[str, Any]:
    return {} if value == none else {name: value}


def _moment(epoch: datetime, microseconds: int) -> datetime | int:
    try:
        return epoch + timedelta(microseconds=microseconds)
    except OverflowError:
        return microseconds
