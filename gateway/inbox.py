"""Inbox: raw bytes as they came, durable before the radio callback returns.

A session's readings are a pure function of its rows here, through its driver. Rows leave
only in the transaction that puts the session's last readings into the outbox, so after a
power cut the unfinished sessions are simply run through their drivers again (replay.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from devices.drivers.driver import RawValue
from gateway.database import Database, StoreFull, from_us, to_us

# 20,000 values of at most 512 bytes are 10 MB. A cuff's whole memory is 200 records; only a
# device that talks without end, or an outbox that has been full for months, gets here.
INBOX_ROWS_MAX: Final = 20_000

# A home has a handful of scales; in a block of flats the neighbours' are heard too.
ADVERTISERS_MAX: Final = 256

# A session that was begun this often and never ended takes the process down each time.
REPLAYS_MAX: Final = 3

_FORGET_ADVERTISERS: Final = (
    "delete from advertised where device_id not in"
    " (select device_id from advertised order by kept_us desc limit ?)"
)


@dataclass(slots=True)
class InboxSession:
    """One session's place in the inbox. It takes no room until its first value."""

    device_id: str
    driver: str
    session_id: int | None = None


class Inbox:
    """Raw values, by session."""

    def __init__(self, database: Database, *, rows_max: int = INBOX_ROWS_MAX) -> None:
        self._database = database
        self._rows_max = rows_max
        self._live: set[int] = set()
        self._spared: set[int] = set()  # replayed in this process, and it lives
        kept = database.rows("select device_id, source, payload from advertised order by kept_us")
        self._advertised: dict[str, tuple[str, bytes]] = {
            device_id: (source, payload) for device_id, source, payload in kept
        }

    @property
    def depth(self) -> int:
        """How many raw values are not yet all made into readings."""
        return self._database.number("select count(*) from inbox")

    def append(self, session: InboxSession, raw: RawValue) -> None:
        """Keep *raw*: it survives a power cut from the moment this returns.

        Raises:
            StoreFull: It was not kept.
        """
        self._keep(session, raw, advertised=False)

    def append_advertised(self, session: InboxSession, raw: RawValue) -> bool:
        """Keep an advertised frame unless it is the last one kept of its device; say if kept.

        A scale sends one frame dozens of times; once is enough, also over a restart.

        Raises:
            StoreFull: It was not kept.
        """
        frame = (raw.source, raw.payload)
        if self._advertised.get(session.device_id) == frame:
            return False
        self._keep(session, raw, advertised=True)
        self._advertised.pop(session.device_id, None)
        self._advertised[session.device_id] = frame
        while len(self._advertised) > ADVERTISERS_MAX:
            del self._advertised[next(iter(self._advertised))]
        return True

    def _keep(self, session: InboxSession, raw: RawValue, *, advertised: bool) -> None:
        if self.depth >= self._rows_max:
            problem = f"the inbox holds {self._rows_max} values, its bound"
            raise StoreFull(problem)
        at_us = to_us(raw.received_at)
        with self._database.transaction() as connection:
            session_id = session.session_id
            if session_id is None:
                session_id = connection.execute(
                    "insert into session (device_id, driver, opened_us) values (?, ?, ?)",
                    (session.device_id, session.driver, at_us),
                ).lastrowid
            connection.execute(
                "insert into inbox (session_id, source, payload, received_us) values (?, ?, ?, ?)",
                (session_id, raw.source, raw.payload, at_us),
            )
            if advertised:
                connection.execute(
                    "insert or replace into advertised values (?, ?, ?, ?)",
                    (session.device_id, raw.source, raw.payload, at_us),
                )
                connection.execute(_FORGET_ADVERTISERS, (ADVERTISERS_MAX,))
        assert session_id is not None  # an insert has a row id
        session.session_id = session_id
        self._live.add(session_id)

    def release(self, session: InboxSession) -> None:
        """Say that nobody feeds *session* any more; if it is unfinished it may be replayed."""
        if session.session_id is not None:
            self._live.discard(session.session_id)

    def unfinished(self) -> Iterator[InboxSession]:
        """Yield the sessions to replay, oldest first: begun, not finished, fed by nobody."""
        found = self._database.rows(
            "select device_id, driver, session_id from session where replays < ? order by 3",
            (REPLAYS_MAX,),
        )
        for device_id, driver, session_id in found:
            if session_id not in self._live:
                yield InboxSession(device_id, driver, session_id)

    @property
    def set_aside(self) -> int:
        """How many sessions could not be replayed, and wait for a person."""
        return self._database.number(
            "select count(*) from session where replays >= ?", (REPLAYS_MAX,)
        )

    def begin_replay(self, session: InboxSession) -> None:
        """Count an attempt, durably: one that ends the process is not made for ever."""
        if session.session_id not in self._spared:
            self._count_replays(session, 1)

    def cancel_replay(self, session: InboxSession) -> None:
        """Take the attempt back: it failed for want of room, not by the session's fault.

        Raises:
            StoreFull: There is not even room for that; this process counts no further ones.
        """
        if session.session_id is not None and session.session_id not in self._spared:
            self._spared.add(session.session_id)
            self._count_replays(session, -1)

    def _count_replays(self, session: InboxSession, by: int) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "update session set replays = replays + ? where session_id = ?",
                (by, session.session_id),
            )

    def values(self, session: InboxSession) -> list[RawValue]:
        """Return the session's raw values in the order they came."""
        found = self._database.rows(
            "select source, payload, received_us from inbox where session_id = ? order by value_id",
            (session.session_id,),
        )
        return [RawValue(source, payload, from_us(at)) for source, payload, at in found]
