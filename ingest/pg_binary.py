"""PostgreSQL's binary formats straight from and to numpy: COPY rows, and array parameters.

Formats: PostgreSQL manual, "COPY, Binary Format"; arrays as array_send writes them (dimension
count, NULL flag, element type, then length and lower bound of each dimension, then each
element after its own length). All integers are big-endian.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg
from numpy.typing import NDArray
from psycopg import pq
from psycopg.adapt import Dumper

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
COPY_TRAILER: Final = struct.pack("!h", -1)
_NULL: Final = -1

# Layout keys are mixed-radix numbers; they are renumbered before they could overflow int64.
_KEY_MAX: Final = 1 << 40


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a COPY: n values of one binary type, some of them NULL.

    Attributes:
        value: (n,) big-endian numbers, or bytes of at most the itemsize.
        length: (n,) length of each value in bytes, -1 for NULL; none: all have the itemsize.
    """

    value: NDArray[Any]
    length: NDArray[np.int32] | None = None


def number(value: NDArray[Any], dtype: str, null: NDArray[np.bool_] | None = None) -> Column:
    """Return numbers as a column: *dtype* is ``>i2``, ``>i4``, ``>i8`` or ``>f8``."""
    column = value.astype(dtype)
    if null is None or not null.any():
        return Column(column)
    return Column(column, np.where(null, _NULL, column.itemsize).astype(np.int32))


def choice(words: Sequence[str], index: NDArray[Any]) -> Column:
    """Return texts as a column: row i is ``words[index[i]]``, NULL where the index is negative."""
    texts = [word.encode() for word in words] or [b""]
    value = np.array(texts, np.bytes_)
    length = np.array([len(text) for text in texts] + [_NULL], np.int32)
    return Column(value[np.maximum(index, 0)], length[np.where(index < 0, -1, index)])


def copy_data(columns: Sequence[Column]) -> bytes:
    """Return the rows of *columns* in COPY's binary format and their order, header and all.

    Rows with the same lengths in every column have the same layout, so each such group is
    one structured array.
    """
    groups = list(_groups(columns))
    blocks = [_block(columns, rows) for rows in groups]
    if len(blocks) <= 1:
        return b"".join([COPY_HEADER, *(block.tobytes() for block in blocks), COPY_TRAILER])
    rows = np.empty(len(columns[0].value), np.object_)
    for group, block in zip(groups, blocks, strict=True):
        rows[group] = block.view(f"V{block.itemsize}").tolist()
    return b"".join([COPY_HEADER, *rows.tolist(), COPY_TRAILER])


def _block(columns: Sequence[Column], rows: NDArray[np.intp]) -> NDArray[np.void]:
    layout, parts = _layout(columns, rows)
    block = np.empty(len(rows), layout)
    block["count"] = len(columns)
    for name, content in parts:
        block[name] = content
    return block


def _groups(columns: Sequence[Column]) -> Iterator[NDArray[np.intp]]:
    """Yield the row indices of each layout, ascending."""
    n = len(columns[0].value)
    key = np.zeros(n, np.int64)
    radix = 1
    for column in columns:
        if column.length is None or not n:
            continue
        low, high = int(column.length.min()), int(column.length.max())
        if low == high:
            continue
        key = key * (high - low + 1) + (column.length - low)
        radix *= high - low + 1
        if radix > _KEY_MAX:
            distinct, key = np.unique(key, return_inverse=True)
            radix = len(distinct)
    if not n:
        return
    order = np.argsort(key, kind="stable")
    borders = np.flatnonzero(np.diff(key[order])) + 1
    yield from np.split(order, borders)


def _layout(
    columns: Sequence[Column], rows: NDArray[np.intp]
) -> tuple[np.dtype[Any], list[tuple[str, Any]]]:
    """Return the dtype of one row of this layout, and what its fields hold."""
    names: list[tuple[str, str | np.dtype[Any]]] = [("count", ">i2")]
    parts: list[tuple[str, Any]] = []
    for number_, column in enumerate(columns):
        size = column.value.itemsize
        length = size if column.length is None else int(column.length[rows[0]])
        names.append((f"l{number_}", ">i4"))
        parts.append((f"l{number_}", length))
        if length <= 0:  # NULL, or an empty string
            continue
        content = column.value[rows]
        if content.dtype.kind == "S" and length != size:
            content = content.astype(f"S{length}")
        names.append((f"v{number_}", content.dtype))
        parts.append((f"v{number_}", content))
    return np.dtype(names), parts


@dataclass(frozen=True, slots=True)
class Array:
    """A one-dimensional array parameter without NULLs, of numpy numbers."""

    value: NDArray[Any]
    element: str  # a key of _ELEMENTS


@dataclass(frozen=True, slots=True)
class _Element:
    oid: int  # of the element type
    array_oid: int
    dtype: str


# Object ids: PostgreSQL's src/include/catalog/pg_type.dat; they never change.
_ELEMENTS: Final = {
    "bool": _Element(16, 1000, "?"),
    "int2": _Element(21, 1005, ">i2"),
    "int4": _Element(23, 1007, ">i4"),
    "int8": _Element(20, 1016, ">i8"),
    "float8": _Element(701, 1022, ">f8"),
    "timestamptz": _Element(1184, 1185, ">i8"),  # microseconds since 2000
    "uuid": _Element(2950, 2951, "S16"),
}


class _ArrayDumper(Dumper):
    """Writes an ``Array`` in binary."""

    format = pq.Format.BINARY

    def __init__(self, cls: type, context: psycopg.abc.AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.element = _ELEMENTS["int8"]

    def get_key(self, obj: Array, format: psycopg.adapt.PyFormat) -> Any:  # noqa: A002, ARG002 - psycopg's signature
        return (self.cls, obj.element)

    def upgrade(self, obj: Array, format: psycopg.adapt.PyFormat) -> "_ArrayDumper":  # noqa: A002, ARG002
        dumper = type(self)(self.cls)
        dumper.element = _ELEMENTS[obj.element]
        dumper.oid = dumper.element.array_oid
        return dumper

    def dump(self, obj: Array) -> bytes:
        size = len(obj.value)
        if not size:
            return struct.pack("!iii", 0, 0, self.element.oid)
        content = obj.value.astype(self.element.dtype)
        rows = np.empty(size, [("length", ">i4"), ("value", content.dtype)])
        rows["length"] = content.itemsize
        rows["value"] = content
        return struct.pack("!iiiii", 1, 0, self.element.oid, size, 1) + rows.tobytes()


def register(connection: psycopg.AsyncConnection[Any]) -> None:
    """Let *connection* take ``Array`` parameters."""
    connection.adapters.register_dumper(Array, _ArrayDumper)


def read_array(raw: bytes | None, dtype: npt.DTypeLike | None = None) -> NDArray[Any]:
    """Return the numbers of an array without NULLs, as ``array_agg`` sends it in binary.

    NULL (array_agg of no rows) is an empty array. Numbers come as *dtype*, else in the array's own
    type and native order.
    """
    if raw is None:
        return np.empty(0, dtype or np.int64)
    dimensions, nulls, oid = struct.unpack_from("!iii", raw)
    element = next(e for e in _ELEMENTS.values() if e.oid == oid)
    content = np.dtype(element.dtype)
    if dimensions == 0:
        return np.empty(0, dtype or content.newbyteorder("="))
    assert dimensions == 1
    assert not nulls, "array_agg over a column with NULLs; coalesce it"
    rows = np.frombuffer(raw, [("length", ">i4"), ("value", content)], offset=20)
    return rows["value"].astype(dtype or content.newbyteorder("="))
