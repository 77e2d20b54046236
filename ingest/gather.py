"""Lists of many messages → one numpy column. Pure; loops over messages, never over readings."""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import Any, Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Int64s = NDArray[np.int64]
Bools = NDArray[np.bool_]
Entry = TypeVar("Entry", bound=Hashable)

# The longest value of a GATT characteristic (Core 5.4, Vol 3, Part F, 3.2.9).
PAYLOAD_BYTES_MAX: Final = 512


def lengths(lists: Sequence[Sequence[Any]]) -> Int64s:
    """Return the length of each; (len(lists),)."""
    return np.fromiter(map(len, lists), np.int64, len(lists))


def column(
    lists: Sequence[Sequence[Any]], counts: Int64s, dtype: DTypeLike, default: ArrayLike
) -> NDArray[Any]:
    """Return the messages' *lists* one after the other.

    Args:
        lists: One a message; one that is empty stands for ``counts`` times the default.
        counts: (len(lists),) how many rows each message has.
        dtype: Of the column. ``None`` in a column of floats becomes NaN.
        default: One for all, or one for each row.
    """
    total = int(counts.sum())
    if not any(lists):
        return np.array(np.broadcast_to(default, total), dtype)
    if all(lists):
        return np.fromiter(chain.from_iterable(lists), dtype, total)
    rows = np.array(np.broadcast_to(default, total), dtype)
    is_given = np.repeat(np.fromiter(map(bool, lists), np.bool_, len(lists)), counts)
    rows[is_given] = np.fromiter(chain.from_iterable(lists), dtype, int(is_given.sum()))
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Table(Generic[Entry]):
    """The small tables of many messages as one.

    Attributes:
        entries: Distinct; at least one, so that there is something for an index to point at.
    """

    entries: list[Entry]
    _place: Int64s  # of each entry of each message in entries; one more at the end
    _first: Int64s  # (messages,) where a message's entries begin in _place
    _size: Int64s  # (messages,)

    @classmethod
    def merge(cls, tables: Sequence[Sequence[Entry]], none: Entry) -> Self:
        """Return *tables* as one; *none* stands in it if they are all empty."""
        size = lengths(tables)
        total = int(size.sum())
        place = np.zeros(total + 1, np.int64)
        # One look at each entry: whoever is not there gets the next number.
        number: defaultdict[Entry, int] = defaultdict(count().__next__)
        numbers = map(number.__getitem__, chain.from_iterable(tables))
        place[:total] = np.fromiter(numbers, np.int64, total)
        entries = list(number) or [none]
        return cls(entries=entries, _place=place, _first=np.cumsum(size) - size, _size=size)

    def find(self, index: Int64s, message: Int64s) -> tuple[Int64s, Bools]:
        """Return where in ``entries`` a message's *index* points, and whether it points nowhere."""
        is_nowhere = (index < 0) | (index >= self._size[message])
        place = self._place[self._first[message] + np.where(is_nowhere, 0, index)]
        return place, is_nowhere


def mismatches(texts: Sequence[str], pattern: str) -> Bools:
    """Return which of *texts* do not match *pattern*, which takes no line feed; (len(texts),)."""
    # One search for all: a message of one reading brings a device id, and has two microseconds.
    lines = "\n".join([*texts, ""])
    if lines.count("\n") == len(texts) and re.fullmatch(f"(?:{pattern}\\n)*", lines):
        return np.zeros(len(texts), np.bool_)
    found: Callable[[str], object] = re.compile(pattern).fullmatch
    return np.array([found(text) is None for text in texts], np.bool_)


def payloads(joined: bytes, length: Int64s) -> tuple[NDArray[np.bytes_], NDArray[np.int32]]:
    """Return byte strings that lie one after the other as rows of one width, and their lengths.

    One longer than ``PAYLOAD_BYTES_MAX`` becomes empty.
    """
    content = np.frombuffer(joined, np.uint8)
    is_sound = length <= PAYLOAD_BYTES_MAX
    if not is_sound.all():
        content = content[np.repeat(is_sound, length)]
        length = np.where(is_sound, length, 0)
    width = max(1, int(length.max(initial=0)))
    if len(content) == width * len(length):  # all are as long
        rows = np.ascontiguousarray(content)
    else:
        matrix = np.zeros((len(length), width), np.uint8)
        matrix[np.arange(width) < length[:, None]] = content
        rows = matrix.reshape(-1)
    return rows.view(f"S{width}"), length.astype(np.int32)
