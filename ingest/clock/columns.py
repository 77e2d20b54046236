"""Texts of a query's one row of arrays, and moments as the rules count them."""

import struct
from datetime import datetime, timedelta

from ingest.batch import EPOCH


def texts(raw: bytes | None) -> list[str]:
    """Return a text[] without NULLs; NULL (array_agg of no rows) is an empty list."""
    if raw is None:
        return []
    (dimensions,) = struct.unpack_from("!i", raw)
    found: list[str] = []
    at = 20  # dimensions, nulls, element type, size, lower bound
    while dimensions and at < len(raw):
        (length,) = struct.unpack_from("!i", raw, at)
        assert length >= 0, "array_agg over a column with NULLs; coalesce it"
        at += 4
        found.append(raw[at : at + length].decode())
        at += length
    return found


def microseconds_of(moment: datetime) -> int:
    """Return microseconds since 2000-01-01 UTC, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(microseconds: int) -> datetime:
    """Return the moment of microseconds since 2000-01-01 UTC."""
    return EPOCH + timedelta(microseconds=microseconds)
