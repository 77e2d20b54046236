"""Inbox: raw bytes as they came, durable before the radio callback returns.

A session's readings are a pure function of its rows here, through its driver. Rows leave
only in the transaction that puts the session's last readings into the outbox, so after a
power cut the unfinished sessions are simply run through their drivers again (replay.py).

A session that begins while nobody knows what time it is waits here, finished or not. When the
time is known its values are placed by their stamps. If the power went before that, all that is
known is what had passed by then, and that it was before this boot.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from devices.drivers.driver import RawValue
from gateway.database import Database, StoreFull, from_us, to_us
from gateway.timekeeper import Timekeeper

# 20,000 values of at most 512 bytes are 10 MB. A cuff's whole memory is 200 records; only a
# device that talks without end, or an outbox that has been full for months, gets here.
INBOX_ROWS_MAX: Final = 20_000

# A home has a handful of scales; in a block of flats the neighbours' are heard too.
ADVERTISERS_MAX: Final = 256

# A session that was begun this often and never ended takes the process down each time; it waits
# for another version of the program.
REPLAYS_MAX: Final = 3

_MICROSECOND: Final = timedelta(microseconds=1)

# Stamps are of the session's boot; the first ? is when a stamp of 0 was, in microseconds.
_PLACE_VALUES: Final = (
    "update inbox set received_us = ? + stamp_us"
    " where session_id in (select session_id from session where doubted_boot = ?)"
)
_LAST_STAMP: Final = (
    "select max(stamp_us) from inbox join session using (session_id) where doubted_boot = ?"
)

_FORGET_ADVERTISERS: Final = (
    "delete from advertised where device_id not in"
    " (select device_id from advertised order by kept_us desc limit ?)"
)


@dataclass(slots=True)
class InboxSession:
    """One session's place in the inbox. It takes no room until its first value.

    Attributes:
        device_id: Whose it is.
        driver: What its values are run through.
        session_id: None until its first value.
        is_doubted: It began while nobody knew what time it was: a replay finishes it.
        after: The times of its values are the latest possible; they are after this. None if
            they are right.
    """

    device_id: str
    driver: str
    session_id: int | None = None
    is_doubted: bool = False
    after: datetime | None = None


class Inbox:
    """Raw values, by session.

    Args:
        database: The gateway's file.
        timekeeper: Knows whether the time is known; without one it always is.
        rows_max: Bound of the values.
    """

    def __init__(
        self,
        database: Database,
        timekeeper: Timekeeper | None = None,
        *,
        rows_max: int = INBOX_ROWS_MAX,
    ) -> None:
        self._database = database
        self._timekeeper = timekeeper
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

    @property
    def is_time_doubted(self) -> bool:
        """Whether nobody knows what time it is."""
        return self._timekeeper is not None and self._timekeeper.is_doubted

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
        boot_id, stamp_us, after_us = self._stamp()
        with self._database.transaction() as connection:
            session_id = session.session_id
            if session_id is None:
                session_id = connection.execute(
                    "insert into session (device_id, driver, opened_us, doubted_boot, after_us)"
                    " values (?, ?, ?, ?, ?)",
                    (session.device_id, session.driver, at_us, boot_id, after_us),
                ).lastrowid
            connection.execute(
                "insert into inbox (session_id, source, payload, received_us, stamp_us)"
                " values (?, ?, ?, ?, ?)",
                (session_id, raw.source, raw.payload, at_us, stamp_us),
            )
            if advertised:
                connection.execute(
                    "insert or replace into advertised values (?, ?, ?, ?)",
                    (session.device_id, raw.source, raw.payload, at_us),
                )
                connection.execute(_FORGET_ADVERTISERS, (ADVERTISERS_MAX,))
        assert session_id is not None  # an insert has a row id
        if session.session_id is None:
            session.session_id, session.is_doubted = session_id, boot_id is not None
        self._live.add(session_id)

    def _stamp(self) -> tuple[str | None, int | None, int | None]:
        """Return the doubted boot and what had passed, if the time is doubted; and the stamp."""
        if self._timekeeper is None:
            return None, None, None
        stamp = self._timekeeper.stamp()
        stamp_us = stamp.since_boot // _MICROSECOND
        if not self._timekeeper.is_doubted:
            return None, stamp_us, None
        return stamp.boot_id, stamp_us, to_us(self._timekeeper.passed)

    def release(self, session: InboxSession) -> None:
        """Say that nobody feeds *session* any more; if it is unfinished it may be replayed."""
        if session.session_id is not None:
            self._live.discard(session.session_id)

    def unfinished(self) -> Iterator[InboxSession]:
        """Yield the sessions to replay, oldest first: begun, not finished, fed by nobody.

        None of a time that is not known yet.

        Raises:
            StoreFull: There was no room to note when the values came.
        """
        self._place_doubted()
        found = self._database.rows(
            "select device_id, driver, session_id, after_us from session"
            " where replays < ? and doubted_boot is null order by session_id",
            (REPLAYS_MAX,),
        )
        for device_id, driver, session_id, after_us in found:
            if session_id not in self._live:
                after = None if after_us is None else from_us(after_us)
                yield InboxSession(device_id, driver, session_id, after=after)

    def _place_doubted(self) -> None:
        """Settle when the values came that came in doubt, once the time is known."""
        query = "select distinct doubted_boot from session where doubted_boot is not null"
        boots = [boot_id for (boot_id,) in self._database.rows(query)]
        if not boots or self._timekeeper is None or self._timekeeper.is_doubted:
            return
        booted_us = to_us(self._timekeeper.booted())
        for boot_id in boots:
            is_this = boot_id == self._timekeeper.stamp().boot_id
            # Of another boot: its last value came before this one began, at the latest.
            last_us = 0 if is_this else self._database.number(_LAST_STAMP, (boot_id,))
            with self._database.transaction() as connection:
                connection.execute(_PLACE_VALUES, (booted_us - last_us, boot_id))
                if is_this:
                    connection.execute(
                        "update session set after_us = null where doubted_boot = ?", (boot_id,)
                    )
                connection.execute(
                    "update session set doubted_boot = null where doubted_boot = ?", (boot_id,)
                )

    def retry_with(self, version: str) -> None:
        """Give every session its replays anew, once, when the program is of another version.

        Raises:
            StoreFull: There was no room to note it; to be tried again.
        """
        if self._database.rows("select version from program") == [(version,)]:
            return
        with self._database.transaction() as connection:
            connection.execute("delete from program")
            connection.execute("insert into program values (?)", (version,))
            connection.execute("update session set replays = 0 where replays > 0")

    def set_aside(self, drivers: Collection[str]) -> int:
        """Return how many sessions wait for a person: replayed in vain, or of none of *drivers*."""
        return self._database.number(
            "select count(*) from session where replays >= ?"
            " or driver not in (select value from json_each(?))",
            (REPLAYS_MAX, json.dumps(list(drivers))),
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
