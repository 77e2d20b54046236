"""The county's tables as columns, and the SQL that brings their rows; both in one order.

A query is wrapped around rows of its table, all of them by and by (ingest.registry.load) or those
that changed (ingest.registry.changes), and gives one row of arrays. Texts come as their lengths
and one string of all of them, which numpy can cut.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from ingest.batch import Int64s
from ingest.pg_binary import read_array
from ingest.registry.layers import Layered
from ingest.rules.catalogue import KINDS, columns

Row = Sequence[bytes | None]  # one row of a binary result
Ids = NDArray[np.bytes_]

FOREVER: Final = np.iinfo(np.int64).max

# Of those that a message may name (devices.reading.DeviceId, and of gateways the same).
_ID_BYTES_MAX: Final = 64

VERSIONS: Final = """
    select array_agg(patient_id), array_agg(in_force_from), array_agg(plan_version_id)
    from ({rows}) as row_of_version
"""
LIMITS: Final = """
    select array_agg(plan_version_id), array_agg(quantity_id),
        array_agg(coalesce(yellow_low, 'NaN')), array_agg(coalesce(yellow_high, 'NaN')),
        array_agg(coalesce(red_low, 'NaN')), array_agg(coalesce(red_high, 'NaN'))
    from ({rows}) as row_of_limit
"""
RULES: Final = """
    select array_agg(patient_id), array_agg(plan_version_id), array_agg(level),
        array_agg(octet_length(rule_key)), string_agg(rule_key, ''),
        array_agg(octet_length(kind)), string_agg(kind, ''),
        array_agg(octet_length(spec::text)), string_agg(spec::text, '')
    from ({rows}) as row_of_rule join plan_version using (plan_version_id)
"""
LOANS: Final = f"""
    select array_agg(octet_length(device_id)), string_agg(device_id, ''),
        array_agg(coalesce(slot, -1)::smallint), array_agg(lent_from),
        array_agg(coalesce(returned_at, 'infinity')), array_agg(patient_id), array_agg(loan_id)
    from ({{rows}}) as row_of_loan where octet_length(device_id) <= {_ID_BYTES_MAX}
"""  # noqa: S608 - our own number
GATEWAYS: Final = """
    select array_agg(octet_length(gateway_id)), string_agg(gateway_id, ''),
        array_agg(coalesce(retired_at, 'infinity'))
    from ({rows}) as row_of_gateway
"""
PAUSES: Final = """
    select array_agg(patient_id), array_agg(from_at), array_agg(until_at)
    from ({rows}) as row_of_pause
"""
WIDTHS: Final = {
    "versions": 3,
    "limits": 6,
    "rules": 9,
    "loans": 7,
    "gateways": 3,
    "pauses": 3,
}  # columns of each query, in the order they stand in a row of all of them


@dataclass(slots=True)
class Names:
    """Rule keys, each by a number."""

    keys: list[str] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)

    def of(self, key: str) -> int:
        """Return the number of *key*, which it has from now on."""
        found = self.number.get(key)
        if found is None:
            found = self.number[key] = len(self.keys)
            self.keys.append(key)
        return found


@dataclass(slots=True, kw_only=True)
class Tables:
    """A county. Times are microseconds since 2000."""

    gateways: Layered  # by id: retired_at
    loans: Layered  # by device id: slot, lent_from, returned_at, patient, loan
    versions: Layered  # by patient, in the order of in_force_from: in_force_from, version
    limits: Layered  # by version, in the order of quantity: quantity, bounds (k, 4)
    pauses: Layered  # by patient: from_at, until_at
    rules: dict[
        str, Layered
    ]  # by kind, by version, in the order of key: key, quantity, level, params


_Meaning = tuple[int, tuple[float, ...]]  # quantity id, parameters
_Rule = tuple[int, int, str, int, _Meaning]  # patient, version, key, level
Some = tuple[NDArray[Any], dict[str, NDArray[Any]]]  # keys, and the columns


def read_versions(row: Row) -> Some:
    """Return versions by patient, sorted by in_force_from too."""
    patient, since, version = (read_array(value, np.int64) for value in row)
    order = np.lexsort((since, patient))
    return patient[order], {"in_force_from": since[order], "version": version[order]}


def read_limits(row: Row) -> Some:
    """Return limits by version, sorted by quantity too."""
    version, quantity = read_array(row[0], np.int64), read_array(row[1], np.int16)
    order = np.lexsort((quantity, version))
    bounds = np.empty((len(version), 4), np.float64)
    for number, value in enumerate(row[2:]):
        bounds[:, number] = read_array(value, np.float64)[order]
    return version[order], {"quantity": quantity[order], "bounds": bounds}


def read_loans(row: Row) -> Some:
    """Return loans by device id."""
    device = read_texts(row[0], row[1])
    slot, since, until, patient, loan = (read_array(value, np.int64) for value in row[2:])
    return device, {
        "slot": slot.astype(np.int16),
        "lent_from": since,
        "returned_at": until,
        "patient": patient,
        "loan": loan,
    }


def read_gateways(row: Row) -> Some:
    """Return gateways by id."""
    return read_texts(row[0], row[1]), {"retired_at": read_array(row[2], np.int64)}


def read_pauses(row: Row) -> Some:
    """Return pauses by patient."""
    patient, since, until = (read_array(value, np.int64) for value in row)
    return patient, {"from_at": since, "until_at": until}


class RuleReader:
    """Reads rules. Most of a county's are alike, so each distinct one is understood once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[tuple[str, str], _Meaning | None] = {}
        self._left_out: dict[int, set[tuple[str, str]]] = {}  # by patient: version's key, kind

    @property
    def left_out(self) -> list[str]:
        """The kind of each rule that could not be understood, of all patients."""
        return [kind for some in self._left_out.values() for _, kind in some]

    def forget(self, patients: Int64s | None = None) -> None:
        """Forget what was left out of *patients*, or of all, for they are read anew."""
        if patients is None:
            self._left_out.clear()
        elif self._left_out:
            for patient in patients.tolist():
                self._left_out.pop(patient, None)

    def read(self, row: Row) -> dict[str, Some]:
        """Return rules by kind and patient, sorted by version and key too; all kinds.

        One that cannot be understood is left out: the others hold. See ``left_out``.
        """
        found: dict[str, list[_Rule]] = {kind: [] for kind in KINDS}
        texts = zip(*(_cut(row[at], row[at + 1]) for at in (3, 5, 7)), strict=True)
        heads = zip(*map(_numbers, row[:3]), strict=True)
        for (patient, version, level), (key, kind, spec) in zip(heads, texts, strict=True):
            meaning = self._understood(kind, spec)
            if meaning is None:
                self._left_out.setdefault(patient, set()).add((f"{version} {key}", kind))
            else:
                found[kind].append((patient, version, key, level, meaning))
        return {kind: self._columns(kind, sorted(rows)) for kind, rows in found.items()}

    def _understood(self, kind: str, spec: str) -> _Meaning | None:
        if (kind, spec) not in self._known:
            try:
                self._known[kind, spec] = columns(kind, json.loads(spec))
            except (ValueError, TypeError, AttributeError) as error:
                structlog.get_logger().error("registry.rule", kind=kind, problem=str(error))
                self._known[kind, spec] = None
        return self._known[kind, spec]

    def _columns(self, kind: str, rows: list[_Rule]) -> Some:
        width = len(KINDS[kind].params)
        meanings = [row[4] for row in rows]
        return np.array([row[0] for row in rows], np.int64), {
            "version": np.array([row[1] for row in rows], np.int64),
            "key": np.array([self._names.of(row[2]) for row in rows], np.int32),
            "level": np.array([row[3] for row in rows], np.int8),
            "quantity": np.array([quantity for quantity, _ in meanings], np.int16),
            "params": np.array([params for _, params in meanings], np.float64).reshape(-1, width),
        }


def split(row: Row) -> dict[str, Row]:
    """Return, by table, the parts of a row that all queries gave side by side."""
    parts, start = {}, 0
    for name, width in WIDTHS.items():
        parts[name] = row[start : start + width]
        start += width
    return parts


def nobody() -> Tables:
    """Return a county without anything."""
    rules = RuleReader(Names()).read([None] * WIDTHS["rules"])
    return Tables(
        gateways=Layered(*read_gateways([None] * 3)),
        loans=Layered(*read_loans([None] * 7)),
        versions=Layered(*read_versions([None] * 3)),
        limits=Layered(*read_limits([None] * 6)),
        pauses=Layered(*read_pauses([None] * 3)),
        rules={kind: Layered(*some) for kind, some in rules.items()},
    )


def _numbers(raw: bytes | None) -> list[int]:
    numbers: list[int] = read_array(raw, np.int64).tolist()
    return numbers


def _cut(lengths: bytes | None, whole: bytes | None) -> Iterator[str]:
    start = 0
    text = whole or b""
    for length in _numbers(lengths):
        yield text[start : start + length].decode()
        start += length


def read_texts(lengths: bytes | None, whole: bytes | None) -> Ids:
    """Return texts as (k,) bytes of the longest one's width, NUL behind the shorter ones."""
    length: Int64s = read_array(lengths, np.int64)
    width = max(1, int(length.max(initial=0)))
    letters = np.zeros((len(length), width), np.uint8)
    letters[np.arange(width) < length[:, None]] = np.frombuffer(whole or b"", np.uint8)
    return letters.view(f"S{width}").reshape(len(length))
