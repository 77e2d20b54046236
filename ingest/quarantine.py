"""Quarantine: what was refused, whole, with one reason out of a closed list."""

import enum
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

# A person reads it in a list; receipts carry at most 500 characters (devices.reading.Problem).
DETAIL_CHARACTERS_MAX = 400


class Reason(enum.StrEnum):
    """Why something was refused. Stands in the database and in receipts: never rename one."""

    MALFORMED_MESSAGE = "malformed_message"  # nothing in the message can be read
    UNSUPPORTED_VERSION = "unsupported_version"  # of a wire version that is not ours
    MALFORMED_READING = "malformed_reading"  # one reading does not follow the format, or itself
    GATEWAY_MISMATCH = "gateway_mismatch"  # the message names another gateway than its topic
    UNKNOWN_GATEWAY = "unknown_gateway"  # not registered, or retired
    UNREADABLE = "unreadable"  # the gateway could not read the device's bytes
    UNASSIGNED = "unassigned"  # nobody had the device on loan at that time
    AMBIGUOUS_LOAN = "ambiguous_loan"  # more than one patient had it
    BEFORE_LOAN = "before_loan"  # measured before the first loan of the device
    IN_FUTURE = "in_future"  # measured later than now
    TIME_UNKNOWN = "time_unknown"  # neither the device nor the gateway knew what time it was
    UNKNOWN_QUANTITY = "unknown_quantity"
    UNKNOWN_UNIT = "unknown_unit"
    NOT_A_NUMBER = "not_a_number"
    IMPLAUSIBLE = "implausible"  # beyond a hard bound: never a value
    TOO_FREQUENT = "too_frequent"  # more readings from the device than anyone takes
    REFUSED_BY_DATABASE = "refused_by_database"  # sound to us, and the database refuses it

    @property
    def code(self) -> int:
        """A small number for columns; 0 is left for "not refused"."""
        return _CODES[self]


REASONS = tuple(Reason)
_CODES = {reason: number for number, reason in enumerate(REASONS, start=1)}


def reason_of(code: int) -> Reason:
    """Return the reason of a column's *code*, which is at least 1."""
    return REASONS[code - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One row of quarantine."""

    reason: Reason
    detail: str
    gateway_id: str
    topic: str
    arrived_at: datetime
    content: bytes  # the reading as it stood in the message, or the whole message
    reading_id: UUID | None = None
    device_id: str | None = None
    # What makes another one a repeat, where it is not the content: a gateway whose every
    # heartbeat is unreadable fills one row.
    repeat_of: str | None = None

    def fingerprint(self) -> bytes:
        """Return what is the same when the same is refused again for the same reason."""
        head = f"{self.gateway_id}\x1f{self.reason}\x1f".encode(errors="backslashreplace")
        tail = self.content if self.repeat_of is None else f"\x1f{self.repeat_of}".encode()
        return hashlib.sha256(head + tail).digest()


_INSERT = """
insert into quarantine (fingerprint, arrived_at, gateway_id, topic, reason, detail, reading_id,
    device_id, content, repeats)
select * from unnest(%s::bytea[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::uuid[], %s::text[], %s::bytea[], %s::int[])
on conflict (fingerprint) do update set repeats = quarantine.repeats + excluded.repeats + 1
"""


async def insert(connection: psycopg.AsyncConnection[Any], refused: Sequence[Refused]) -> None:
    """Keep *refused*; what lies there already is counted as a repeat."""
    # Each fingerprint once, for one statement cannot touch a row twice; and in their order,
    # so that two workers lock the rows in the same order.
    times = Counter(row.fingerprint() for row in refused)
    rows = sorted({row.fingerprint(): row for row in refused}.items())
    if not rows:
        return
    await connection.execute(
        _INSERT,
        [
            [fingerprint for fingerprint, _ in rows],
            [row.arrived_at for _, row in rows],
            [storable(row.gateway_id) for _, row in rows],
            [storable(row.topic) for _, row in rows],
            [row.reason.value for _, row in rows],
            [storable(row.detail)[:DETAIL_CHARACTERS_MAX] for _, row in rows],
            [row.reading_id for _, row in rows],
            [
                row.device_id if row.device_id is None else storable(row.device_id)
                for _, row in rows
            ],
            [row.content for _, row in rows],
            [times[fingerprint] - 1 for fingerprint, _ in rows],
        ],
        binary=True,
    )


def storable(text: str) -> str:
    """Return *text* as PostgreSQL can keep it: no NUL, no lone surrogates."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
