"""Readings as columns: version 2 of the messages of readings.

Every reading's facts of one kind stand in one array, and what repeats (device, source, unit)
stands in a small table that the arrays point into. Read at a tenth of the cost of version 1, at
a tenth of its length (docs/decisions/0011-columns-on-the-wire.md).

What is wrong with a column spoils the message; what is wrong with one row spoils that row only.
Here columns are checked, and nothing is looked at row by row: whoever reads the rows checks
them (devices.wire.rows, or ingest with whole arrays).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from devices.errors import MalformedMessage
from devices.reading import VALUES_MAX, ClockVerdict, Outcome, Reading, Value
from devices.wire.codec import UNDECODABLE, require_size
from devices.wire.limits import COLUMNS_VERSION, MESSAGE_BYTES_MAX, READINGS_MAX

# What the numbers in the columns mean. Their order is the format: add at the end only.
OUTCOME_CODES: Final = (Outcome.MEASURED, Outcome.FAILED, Outcome.UNREADABLE)
CLOCK_CODES: Final = (
    ClockVerdict.OK,
    ClockVerdict.CORRECTED,
    ClockVerdict.UNCHECKED,
    ClockVerdict.ABSENT,
    ClockVerdict.IMPLAUSIBLE,
    ClockVerdict.UNKNOWN,
)

ID_BYTES: Final = 16
NONE: Final = -1  # in the columns of slots, batteries and original units
# "None" among device times: a whole number that a double holds, earlier than any calendar's.
NO_DEVICE_TIME: Final = -(2**63)

NO_BREAK_SPACE: Final = "\N{NO-BREAK SPACE}"

# What every writer begins a message with; one that does not is looked at more slowly.
COLUMNS_HEAD: Final = b'{"v":2,'

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
# From 1970 through 2199, as devices.reading.require_utc says.
Microseconds = Annotated[int, Meta(ge=0, lt=7_258_118_400_000_000)]
Length = Annotated[int, Meta(ge=0, le=MESSAGE_BYTES_MAX)]
Ints = Sequence[Int]
Floats = Sequence[float | None]


class Columns(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One to ``READINGS_MAX`` readings (n) and their values (m) from one gateway, as columns.

    Times are whole microseconds since 1970 in UTC; a device's own time is read as if in UTC. A
    column that says nothing for any reading is left out: all its rows are then as the default.

    Attributes:
        gateway: Who sends it.
        sent_at: When, by the gateway's clock.
        devices: Distinct device ids, n at most.
        sources: Distinct sources, n at most: what a reading's bytes came from.
        kinds: Distinct "quantity unit", m at most, one space between: ``systolic mm[Hg]``.
        units: Distinct units that devices used instead, m at most.
        reading_id: n ids of 16 bytes, one after the other.
        payload: The raw bytes of n readings, one after the other.
        payload_length: (n,) how many of them each reading has; left out: all as many.
        measured_at: (n,)
        received_at: (n,) left out: as ``measured_at``.
        device: (n,) index into devices; left out: the first.
        source: (n,) index into sources; left out: the first.
        outcome: (n,) index into ``OUTCOME_CODES``; left out: measured.
        clock: (n,) index into ``CLOCK_CODES``; left out: ok.
        slot: (n,) the device's user number; -1: none.
        device_time: (n,) -2**63: none.
        clock_offset_s: (n,) null: none.
        status: (n,) Status bits.
        battery_percent: (n,) -1: none.
        problem: (n,) null: none.
        values: (n,) how many values each reading has; left out: all as many.
        value: (m,) reading by reading; m is 32 n at most.
        kind: (m,) index into kinds; left out: the first.
        original_value: (m,) null: as the device put it.
        original_unit: (m,) index into units; -1: none.
    """

    v: Literal[2]
    gateway: str
    sent_at: Microseconds
    devices: Sequence[str]
    sources: Sequence[str]
    kinds: Sequence[str] = ()
    units: Sequence[str] = ()
    reading_id: bytes
    payload: bytes
    payload_length: Sequence[Length] = ()
    measured_at: Ints
    received_at: Ints = ()
    device: Ints = ()
    source: Ints = ()
    outcome: Ints = ()
    clock: Ints = ()
    slot: Ints = ()
    device_time: Ints = ()
    clock_offset_s: Floats = ()
    status: Ints = ()
    battery_percent: Ints = ()
    problem: Sequence[str | None] = ()
    values: Sequence[Length] = ()
    value: Floats = ()
    kind: Ints = ()
    original_value: Floats = ()
    original_unit: Ints = ()

    def __len__(self) -> int:
        return len(self.reading_id) // ID_BYTES


_columns = msgspec.json.Decoder(Columns)

# Tables have no more entries than what can point at them, and a reading no endless values: numbers
# and short texts take ten times as much memory as they take on the wire.
TABLES_OF_READING: Final = ("devices", "sources")
TABLES_OF_VALUE: Final = ("kinds", "units")
# Columns that have a place for each reading, or are left out; and those with one for each value.
OF_READING: Final = (
    "payload_length",
    "received_at",
    "device",
    "source",
    "outcome",
    "clock",
    "slot",
    "device_time",
    "clock_offset_s",
    "status",
    "battery_percent",
    "problem",
    "values",
)
OF_VALUE: Final = ("kind", "original_value", "original_unit")


def decode_columns(payload: bytes) -> Columns:
    """Return the columns in *payload*, each as long as it must be. Rows are not looked at.

    Raises:
        MalformedMessage: It does not follow the format.
    """
    if len(payload) > MESSAGE_BYTES_MAX:
        require_size(payload)
    try:
        columns = _columns.decode(payload)
    except UNDECODABLE as error:
        raise MalformedMessage(payload, str(error)) from error
    if not _fit(columns):
        raise MalformedMessage(payload, _misfit(columns))
    return columns


def from_readings(gateway_id: str, sent_at: datetime, readings: Sequence[Reading]) -> Columns:
    """Return *readings* as columns; each is sound, as ``decode_reading`` makes sure."""
    devices: dict[str, int] = {}
    sources: dict[str, int] = {}
    kinds: dict[str, int] = {}
    units: dict[str, int] = {}
    values = [value for one in readings for value in one.values]
    measured_at = [microseconds(one.measured_at) for one in readings]
    received_at = [microseconds(one.received_at) for one in readings]
    payloads = [bytes.fromhex(one.payload) for one in readings]
    sizes = [len(payload) for payload in payloads]
    counts = [len(one.values) for one in readings]
    columns: dict[str, Sequence[Any]] = {
        "payload_length": _unless(sizes, sizes[0]),
        "device": _unless([devices.setdefault(r.device_id, len(devices)) for r in readings], 0),
        "source": _unless([sources.setdefault(r.source, len(sources)) for r in readings], 0),
        "outcome": _unless([OUTCOME_CODES.index(r.outcome) for r in readings], 0),
        "clock": _unless([CLOCK_CODES.index(r.clock) for r in readings], 0),
        "slot": _unless([_number(r.slot) for r in readings], NONE),
        "device_time": _unless([_device_time(r.device_time) for r in readings], NO_DEVICE_TIME),
        "clock_offset_s": _unless([r.clock_offset_s for r in readings], None),
        "status": _unless([r.status for r in readings], 0),
        "battery_percent": _unless([_number(r.battery_percent) for r in readings], NONE),
        "problem": _unless([r.problem for r in readings], None),
        "values": _unless(counts, counts[0]),
        "value": [v.value for v in values] or (),
        "kind": _unless([kinds.setdefault(_kind(v), len(kinds)) for v in values], 0),
        "original_value": _unless([v.original_value for v in values], None),
        "original_unit": _unless(
            [
                NONE if v.original_unit is None else units.setdefault(v.original_unit, len(units))
                for v in values
            ],
            NONE,
        ),
    }
    return Columns(
        v=COLUMNS_VERSION,
        gateway=gateway_id,
        sent_at=microseconds(sent_at),
        devices=list(devices),
        sources=list(sources),
        kinds=list(kinds) or (),
        units=list(units) or (),
        reading_id=b"".join([one.reading_id.bytes for one in readings]),
        payload=b"".join(payloads),
        measured_at=measured_at,
        received_at=() if received_at == measured_at else received_at,
        **columns,
    )


def microseconds(moment: datetime) -> int:
    """Return an aware *moment* as whole microseconds since 1970 in UTC; exact."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def split_kind(kind: str) -> tuple[str, str]:
    """Return quantity and unit of a *kind* in the table; either is "" if it is not there."""
    quantity, _, unit = kind.partition(" ")
    return quantity, unit


def _kind(value: Value) -> str:
    # No quantity of ours holds a space. One that does must stay as unknown as it is.
    return f"{value.quantity.replace(' ', NO_BREAK_SPACE)} {value.unit}"


def _device_time(moment: datetime | None) -> int:
    return NO_DEVICE_TIME if moment is None else microseconds(moment.replace(tzinfo=UTC))


def _number(number: int | None) -> int:
    return NONE if number is None else number


def _unless(column: list[Any], default: object) -> Sequence[Any]:
    """Return *column*, or nothing if it says nothing."""
    return () if column.count(default) == len(column) else column


def _fit(columns: Columns) -> bool:
    """Return whether each column is as long as it must be.

    Written out and not as a loop over names: it stands on the way of every message.
    """
    n, m = len(columns.measured_at), len(columns.value)
    return (
        0 < n <= READINGS_MAX
        and len(columns.reading_id) == ID_BYTES * n
        and m <= VALUES_MAX * n
        and len(columns.devices) <= n
        and len(columns.sources) <= n
        and len(columns.kinds) <= m
        and len(columns.units) <= m
        and _adds_up(columns.payload_length, len(columns.payload), n)
        and _adds_up(columns.values, m, n)
        and (not columns.received_at or len(columns.received_at) == n)
        and (not columns.device or len(columns.device) == n)
        and (not columns.source or len(columns.source) == n)
        and (not columns.outcome or len(columns.outcome) == n)
        and (not columns.clock or len(columns.clock) == n)
        and (not columns.slot or len(columns.slot) == n)
        and (not columns.device_time or len(columns.device_time) == n)
        and (not columns.clock_offset_s or len(columns.clock_offset_s) == n)
        and (not columns.status or len(columns.status) == n)
        and (not columns.battery_percent or len(columns.battery_percent) == n)
        and (not columns.problem or len(columns.problem) == n)
        and (not columns.kind or len(columns.kind) == m)
        and (not columns.original_value or len(columns.original_value) == m)
        and (not columns.original_unit or len(columns.original_unit) == m)
    )


def _adds_up(counts: Sequence[int], total: int, n: int) -> bool:
    """Return whether *counts* of *n* readings make *total*; left out, all are as many."""
    return (len(counts) == n and sum(counts) == total) if counts else total % n == 0


def _misfit(columns: Columns) -> str:
    """Return which column is not as long as it must be."""
    n, m = len(columns.measured_at), len(columns.value)
    if not 0 < n <= READINGS_MAX:
        return f"{n} readings, not 1 to {READINGS_MAX}"
    if len(columns.reading_id) != ID_BYTES * n:
        return f"{len(columns.reading_id)} bytes of ids of {n} readings"
    if m > VALUES_MAX * n:
        return f"{m} values of {n} readings, more than {VALUES_MAX} of each"
    for tables, size, of in ((TABLES_OF_READING, n, "readings"), (TABLES_OF_VALUE, m, "values")):
        for name in tables:
            if len(getattr(columns, name)) > size:
                return f"{len(getattr(columns, name))} {name} for {size} {of}"
    for names, size, of in ((OF_READING, n, "readings"), (OF_VALUE, m, "values")):
        for name in names:
            if len(getattr(columns, name)) not in (0, size):
                return f"{len(getattr(columns, name))} {name} of {size} {of}"
    return f"{len(columns.payload)} bytes and {m} values do not fall to {n} readings as counted"
