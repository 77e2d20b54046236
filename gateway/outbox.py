"""Outbox: readings that ingest has not yet confirmed. Only a receipt empties it.

``seen`` remembers what was settled, so history that a device sends again is not sent up
again. Both are keyed by ``reading_id``, so any repeat is harmless.
"""

import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from devices.reading import Reading
from devices.wire import encode_reading
from gateway.database import Database, StoreFull, from_us, to_us
from gateway.inbox import Inbox, InboxSession

# Four years of one home at 30 readings a day, 35 MB of the file's 64 MiB.
OUTBOX_ROWS_MAX: Final = 50_000

# A cuff keeps up to 200 records; at one a week the oldest is sent again four years on, and
# then ingest's own key makes it harmless. 400 days covers a yearly check with a margin.
SEEN_FOR: Final = timedelta(days=400)
SEEN_ROWS_MAX: Final = 100_000
_PRUNE_EVERY: Final = timedelta(days=1)

# Records that wait in the inbox for the time to be known: five cuffs' whole memories.
LEFT_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One waiting reading. Row ids grow with time and are never used twice."""

    row_id: int
    reading_id: UUID
    encoded: bytes  # as it stands in a wire message


@dataclass(frozen=True, slots=True)
class Settled:
    """How many readings left the outbox, and why."""

    stored: int
    refused: int


class Outbox:
    """Readings waiting for their receipt.

    Args:
        database: The gateway's file, shared with *inbox*.
        inbox: Where the readings' raw values lie.
        on_append: Called after new readings are durable.
        now: The clock.
        rows_max: Bound of the rows.
    """

    def __init__(
        self,
        database: Database,
        inbox: Inbox,
        *,
        on_append: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        rows_max: int = OUTBOX_ROWS_MAX,
    ) -> None:
        self._database = database
        self._inbox = inbox
        self._on_append = on_append
        self._now = now
        self._rows_max = rows_max
        self._depth = database.number("select count(*) from outbox")
        self._last_us = database.newest_us() or 0
        self._pruned_at: datetime | None = None
        self._left: dict[tuple[str, str, str], None] = {}  # records left in the inbox, in order

    @property
    def depth(self) -> int:
        """How many readings wait for a receipt."""
        return self._depth

    @property
    def newest_row_id(self) -> int:
        """The row id of the newest reading; 0 while there is none."""
        return self._database.number("select max(row_id) from outbox")

    @property
    def oldest_received_at(self) -> datetime | None:
        """When the longest waiting reading was received."""
        if not self._depth:
            return None
        return from_us(
            self._database.number("select received_us from outbox order by row_id limit 1")
        )

    @property
    def last_received_at(self) -> datetime | None:
        """When the last reading ever kept here was received."""
        return from_us(self._last_us) if self._last_us else None

    def append(self, readings: Iterable[Reading]) -> int:
        """Keep those of *readings* that are new; return how many.

        Raises:
            StoreFull: None of them was kept.
        """
        return self._append(list(readings), finished=None)

    def append_from_session(
        self, session: InboxSession, readings: Iterable[Reading], *, finished: bool
    ) -> int:
        """Keep those of *session*'s readings that are new; return how many.

        With *finished*, the session's raw values leave the inbox in the same transaction:
        whenever the power goes, they lie in the inbox, or their readings in the outbox.
        A session that began while nobody knew the time is left in the inbox for a replay; what
        is returned then is how many look new.

        Raises:
            StoreFull: Nothing changed.
        """
        if session.is_doubted:
            return self._leave(session, list(readings), finished=finished)
        return self._append(list(readings), finished=session if finished else None)

    def _leave(self, session: InboxSession, readings: list[Reading], *, finished: bool) -> int:
        if finished:
            self._inbox.release(session)
        new = 0
        for reading in readings:
            record = (reading.device_id, reading.source, reading.payload)
            new += record not in self._left
            self._left.pop(record, None)
            self._left[record] = None
        while len(self._left) > LEFT_MAX:
            del self._left[next(iter(self._left))]
        return new

    def _append(self, readings: list[Reading], *, finished: InboxSession | None) -> int:
        if not readings and (finished is None or finished.session_id is None):
            return 0
        if readings and self._depth + len(readings) > self._rows_max:
            problem = f"the outbox holds {self._depth} readings, its bound is {self._rows_max}"
            raise StoreFull(problem)
        new = 0
        with self._database.transaction() as connection:
            for reading in readings:
                new += connection.execute(
                    "insert into outbox (reading_id, encoded, received_us) select ?1, ?2, ?3"
                    " where not exists (select 1 from seen where seen.reading_id = ?1)"
                    " on conflict do nothing",
                    (reading.reading_id.bytes, encode_reading(reading), to_us(reading.received_at)),
                ).rowcount
            if finished is not None:
                connection.execute(
                    "delete from session where session_id = ?", (finished.session_id,)
                )
        if finished is not None:
            self._inbox.release(finished)
        if new:
            self._depth += new
            self._last_us = max(self._last_us, *(to_us(r.received_at) for r in readings))
            self._on_append()
        return new

    def peek(
        self,
        limit: int,
        *,
        above: int = 0,
        excluding: Collection[int] = (),
        newest_first: bool = False,
    ) -> list[OutboxRow]:
        """Return up to *limit* rows that lie above a row id and are not excluded, in order."""
        order = "desc" if newest_first else "asc"
        found = self._database.rows(
            "select row_id, reading_id, encoded from outbox where row_id > ? and row_id not in"  # noqa: S608 - order is one of two words
            f" (select value from json_each(?)) order by row_id {order} limit ?",
            (above, json.dumps(list(excluding)), limit),
        )
        return [OutboxRow(row_id, UUID(bytes=key), encoded) for row_id, key, encoded in found]

    def settle(self, *, stored: Collection[UUID], refused: Mapping[UUID, str]) -> Settled:
        """Let go of readings that ingest has committed or holds in quarantine.

        Ids that do not wait here are ignored, so a receipt that comes twice changes nothing.

        Raises:
            StoreFull: There is no room even to delete; nothing changed.
        """
        try:
            settled = self._settle(stored, refused)
        except StoreFull:
            if not self._database.drop_ballast():
                raise
            settled = self._settle(stored, refused)
        self._depth -= settled.stored + settled.refused
        self._prune()
        return settled

    def _settle(self, stored: Collection[UUID], refused: Mapping[UUID, str]) -> Settled:
        now_us = to_us(self._now())
        # In both lists: it was stored, whatever else was said of it.
        reasons: dict[UUID, str | None] = {**refused, **dict.fromkeys(stored)}
        counts = {False: 0, True: 0}
        with self._database.transaction() as connection:
            for reading_id, reason in reasons.items():
                gone = connection.execute(
                    "delete from outbox where reading_id = ? returning received_us",
                    (reading_id.bytes,),
                ).fetchall()
                for (received_us,) in gone:
                    counts[reason is not None] += 1
                    # Not before it was received: a clock that is wrong must not make it old.
                    settled_us = max(now_us, received_us)
                    connection.execute(
                        "insert or replace into seen values (?, ?, ?, ?)",
                        (reading_id.bytes, received_us, settled_us, reason),
                    )
        return Settled(stored=counts[False], refused=counts[True])

    @property
    def refused_total(self) -> int:
        """How many readings ingest refused, as far back as ``seen`` remembers."""
        return self._database.number("select count(*) from seen where refused is not null")

    def _prune(self) -> None:
        if self._inbox.is_time_doubted:
            return
        now = self._now()
        if self._pruned_at is not None and abs(now - self._pruned_at) < _PRUNE_EVERY:
            return
        self._pruned_at = now
        with contextlib.suppress(StoreFull), self._database.transaction() as connection:
            connection.execute("delete from seen where settled_us < ?", (to_us(now - SEEN_FOR),))
            connection.execute(
                "delete from seen where reading_id in (select reading_id from seen"
                " order by settled_us desc limit -1 offset ?)",
                (SEEN_ROWS_MAX,),
            )
