"""Dispatch: what to send next, and what a receipt means.

Pure: it does no I/O and reads no clock; monotonic seconds come in as arguments. It knows
nothing of MQTT but that a message can be lost without a word.

Two lanes. The backlog goes oldest first. What is newer than anything sent so far goes in the
fresh lane, newest first, so a high blood pressure now never waits behind last week's thousands.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol
from uuid import UUID

from devices.wire import MESSAGE_BYTES_MAX, READINGS_MAX, Receipt
from gateway.outbox import OutboxRow

# Messages without a receipt, per lane. 4 × 200 readings a round trip of 100 ms is 8,000 a
# second, far above any home; together they stay below the usual Receive Maximum of 20.
BACKLOG_LANE: Final = 4
FRESH_LANE: Final = 4

# The longest wait for a receipt, however often it failed to come. A service that is back is
# found within this, so it bounds how old an alert becomes by our waiting; eight messages a
# minute from each home are nothing to a broker.
RESEND_S_MAX: Final = 60.0

# ±20 %: gateways that lost the same broker do not come back in step.
JITTER: Final = 0.2

# From this attempt on a message is halved each time, so that one reading which cannot get
# through ends alone; and after a lost connection its rows wait, so that it cannot take the
# connection down at once again.
SUSPECT_ATTEMPT: Final = 3

# The message's own braces, version, gateway and time.
ENVELOPE_BYTES: Final = 256


class Backlog(Protocol):
    """What waits; the outbox."""

    def peek(
        self,
        limit: int,
        *,
        above: int = 0,
        excluding: Collection[int] = (),
        newest_first: bool = False,
    ) -> list[OutboxRow]:
        """Return up to *limit* waiting rows above a row id, in the order asked for."""


@dataclass(frozen=True, slots=True)
class Send:
    """One message to publish."""

    correlation: bytes  # comes back with the receipt
    rows: tuple[OutboxRow, ...]
    attempt: int  # 1 for the first


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a receipt settles."""

    stored: frozenset[UUID]
    refused: dict[UUID, str]
    is_unknown: bool  # a whole message was refused, and nobody knows any more which


@dataclass(slots=True)
class _Flight:
    rows: dict[UUID, int]  # without a receipt: reading id → row id
    attempt: int
    is_fresh: bool
    overdue_at_s: float


class Dispatch:
    """The state of sending, over connections.

    Args:
        newest_row_id: The newest row when the gateway started: what is older is backlog.
        resend_after_s: The first wait for a receipt; doubled at each attempt.
        random: For jitter and correlation ids.
    """

    def __init__(self, *, newest_row_id: int, resend_after_s: float, random: Random) -> None:
        self._fresh_above = newest_row_id
        self._resend_after_s = resend_after_s
        self._random = random
        self._flights: dict[bytes, _Flight] = {}
        self._attempts: dict[UUID, int] = {}  # of readings that were sent and not settled
        self._resting: dict[int, float] = {}  # row id → until, monotonic
        self.too_large: set[int] = set()  # rows this broker takes in no message
        self.message_bytes_max = MESSAGE_BYTES_MAX

    @property
    def in_flight(self) -> int:
        """How many messages have no receipt yet."""
        return len(self._flights)

    def next_send(self, backlog: Backlog, now_s: float) -> Send | None:
        """Return the next message and count it as sent; nothing if all must wait."""
        held = self._held(now_s)
        lanes = [flight.is_fresh for flight in self._flights.values()]
        if lanes.count(True) < FRESH_LANE:
            newest = backlog.peek(
                READINGS_MAX, above=self._fresh_above, excluding=held, newest_first=True
            )
            if rows := self._fitting(newest):
                return self._send(rows, now_s, is_fresh=True)
        if lanes.count(False) < BACKLOG_LANE:
            oldest = backlog.peek(READINGS_MAX, excluding=held | self.too_large)
            if rows := self._fitting(oldest):
                return self._send(rows, now_s, is_fresh=False)
        return None

    def expire(self, now_s: float) -> int:
        """Give up waiting for overdue receipts; return how many. Their rows are sent again."""
        overdue = [key for key, flight in self._flights.items() if flight.overdue_at_s <= now_s]
        for key in overdue:
            self._refresh(self._flights.pop(key))
        return len(overdue)

    def connection_lost(self, now_s: float) -> None:
        """Nothing is on its way any more. Receipts may still come on the next connection."""
        for flight in self._flights.values():
            self._refresh(flight)
            if flight.attempt >= SUSPECT_ATTEMPT:
                until_s = now_s + self._delay_s(flight.attempt - SUSPECT_ATTEMPT + 1)
                self._resting.update(dict.fromkeys(flight.rows.values(), until_s))
        self._flights.clear()
        self.too_large.clear()

    def receipt(self, correlation: bytes | None, receipt: Receipt) -> Settlement:
        """Return what *receipt* settles; changes nothing until ``settled`` says it is done."""
        stored = frozenset(receipt.stored)
        refused = {refusal.reading_id: refusal.reason for refusal in receipt.refused}
        is_unknown = False
        if receipt.message_refused is not None:
            flight = self._flights.get(correlation or b"")
            is_unknown = flight is None
            refused.update(dict.fromkeys(flight.rows if flight else (), receipt.message_refused))
        return Settlement(stored, refused, is_unknown)

    def settled(self, reading_ids: Collection[UUID]) -> None:
        """These have left the outbox: nothing is waited for on their account."""
        for key, flight in list(self._flights.items()):
            for reading_id in flight.rows.keys() & reading_ids:
                del flight.rows[reading_id]
            if not flight.rows:
                del self._flights[key]
        for reading_id in reading_ids:
            self._attempts.pop(reading_id, None)

    def wake_at_s(self) -> float:
        """Return the monotonic time when something changes by itself; infinity if nothing does."""
        times = [flight.overdue_at_s for flight in self._flights.values()]
        return min([*times, *self._resting.values()], default=float("inf"))

    def _send(self, rows: Sequence[OutboxRow], now_s: float, *, is_fresh: bool) -> Send:
        attempt = self._attempt(rows[0])
        for row in rows:
            self._attempts[row.reading_id] = self._attempt(row)
        correlation = self._random.randbytes(16)
        self._flights[correlation] = _Flight(
            rows={row.reading_id: row.row_id for row in rows},
            attempt=attempt,
            is_fresh=is_fresh,
            overdue_at_s=now_s + self._delay_s(attempt),
        )
        self._fresh_above = max(self._fresh_above, *(row.row_id for row in rows))
        return Send(correlation, tuple(sorted(rows, key=lambda row: row.row_id)), attempt)

    def _fitting(self, waiting: Sequence[OutboxRow]) -> list[OutboxRow]:
        """Return the first of *waiting* that go in one message: by size, and by suspicion."""
        room = self.message_bytes_max - ENVELOPE_BYTES
        self.too_large |= {row.row_id for row in waiting if len(row.encoded) >= room}
        candidates = [row for row in waiting if row.row_id not in self.too_large]
        if not candidates:
            return []
        attempt = self._attempt(candidates[0])
        rows: list[OutboxRow] = []
        for row in candidates[: _rows_max(attempt)]:
            room -= len(row.encoded) + 1
            # A reading that failed less often does not share a suspect's fate, nor a suspect its.
            if room < 0 or _suspicion(self._attempt(row)) != _suspicion(attempt):
                break
            rows.append(row)
        return rows

    def _attempt(self, row: OutboxRow) -> int:
        return self._attempts.get(row.reading_id, 0) + 1

    def _refresh(self, flight: _Flight) -> None:
        """What was sent fresh and lost is fresh still, unless it is under suspicion."""
        if flight.is_fresh and flight.attempt < SUSPECT_ATTEMPT:
            self._fresh_above = min(self._fresh_above, *(row - 1 for row in flight.rows.values()))

    def _held(self, now_s: float) -> set[int]:
        self._resting = {row: until for row, until in self._resting.items() if until > now_s}
        flying = {row for flight in self._flights.values() for row in flight.rows.values()}
        return flying | self._resting.keys()

    def _delay_s(self, attempt: int) -> float:
        doubled = self._resend_after_s * 2.0 ** min(attempt - 1, 30)
        return min(doubled, RESEND_S_MAX) * self._random.uniform(1 - JITTER, 1 + JITTER)


def _rows_max(attempt: int) -> int:
    return max(1, READINGS_MAX >> max(0, attempt - SUSPECT_ATTEMPT + 1))


def _suspicion(attempt: int) -> int:
    return max(attempt, SUSPECT_ATTEMPT - 1)
