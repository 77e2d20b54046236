"""The gateway's one SQLite file: durable at each commit, bounded in size, versioned.

Calls are synchronous and short on purpose: a raw value must lie on disk before the radio
callback that brought it returns, and the readings that follow from it soon after.
"""

import contextlib
import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

FILE_NAME: Final = "gateway.sqlite"
LOCK_NAME: Final = "gateway.lock"

# A year of one home (12,000 readings of 700 bytes) is 9 MB. 64 MiB leaves room for several
# years of a broken uplink and fits beside everything else on the smallest SD card sold.
PAGE_BYTES: Final = 4096
PAGES_MAX: Final = 64 * 1024 * 1024 // PAGE_BYTES

# Deleting needs room too, for the write-ahead log: without this, a full disk could not even be
# emptied by receipts. Settling 200 readings writes 0.4 MB.
BALLAST_BYTES: Final = 1024 * 1024
BALLAST_NAME: Final = "ballast"

# Another process only ever reads (`status`), and never for longer than this.
_BUSY_S: Final = 5.0

# Who asks whether a gateway runs holds the lock for an instant; another gateway holds it on.
_LOCK_S: Final = 0.5
_LOCK_LOOK_S: Final = 0.02

# Migration n brings a file from user_version n to n + 1. Never edit one that was released.
MIGRATIONS: Final = (
    """
    create table session (
        session_id integer primary key autoincrement,
        device_id text not null,
        driver text not null,
        opened_us integer not null,
        replays integer not null default 0
    ) strict;
    create table inbox (
        value_id integer primary key autoincrement,
        session_id integer not null references session on delete cascade,
        source text not null,
        payload blob not null,
        received_us integer not null
    ) strict;
    create index inbox_by_session on inbox (session_id, value_id);
    create table advertised (
        device_id text primary key,
        source text not null,
        payload blob not null,
        kept_us integer not null
    ) strict;
    create table outbox (
        row_id integer primary key autoincrement,
        reading_id blob not null unique,
        encoded blob not null,
        received_us integer not null
    ) strict;
    create table seen (
        reading_id blob primary key,
        received_us integer not null,
        settled_us integer not null,
        refused text
    ) strict, without rowid;
    create index seen_by_age on seen (settled_us);
    """,
    """
    -- doubted_boot: the boot in which it began, while nobody knew what time it was; null once the
    -- times of its values are settled. after_us: a time that had passed then; still there when
    -- the times are settled, it says that they are only the latest possible.
    alter table session add column doubted_boot text;
    alter table session add column after_us integer;
    alter table inbox add column stamp_us integer;  -- since boot
    create table device (
        device_id text primary key,
        model text not null,
        bond text not null,
        notes text not null,
        memory text not null,
        heard_us integer,
        served_us integer,
        updated_us integer not null
    ) strict, without rowid;
    -- the version of the program that counts replays: another one may read what it could not
    create table program (version text not null) strict;
    """,
)

# The second: no room for the memory-mapped index of the write-ahead log.
_FULL: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class StoreFull(Exception):
    """What was offered was not kept, for want of room; everything kept before still is."""


class StoreInUse(Exception):
    """Another gateway process holds this data directory."""


class StoreTooNew(Exception):
    """The file was written by a newer version of this program."""


class Database:
    """One connection to the file. Usable as a context manager.

    Args:
        directory: Where the file lies; made if absent, readable by this account only.
        pages_max: Upper bound of the file in pages of ``PAGE_BYTES``.

    Raises:
        StoreInUse: Another gateway runs on this directory.
        StoreTooNew: The file's version is not known here.
    """

    def __init__(self, directory: Path, *, pages_max: int = PAGES_MAX) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._ballast = directory / BALLAST_NAME
        self._lock = (directory / LOCK_NAME).open("w")
        try:
            _take(self._lock)
        except BlockingIOError as error:
            self._lock.close()
            problem = f"another gateway runs on {directory}"
            raise StoreInUse(problem) from error
        try:
            self._connection = self._open(directory / FILE_NAME, pages_max)
        except BaseException:
            self._lock.close()
            raise
        self.keep_ballast()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the block's statements as one: durable when it ends, undone if it raises.

        Raises:
            StoreFull: The file is at its bound, or the disk is full.
        """
        try:
            self._connection.execute("begin immediate")
            yield self._connection
            self._connection.execute("commit")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            if _is_full(error):
                raise StoreFull(str(error)) from error
            raise

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self._connection.execute(statement, parameters).fetchall()

    def number(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Return the one whole number of a query; 0 for null."""
        return self._connection.execute(statement, parameters).fetchone()[0] or 0

    def newest_us(self) -> int | None:
        """Return the newest time a reading was received at, as ``to_us``; none without any."""
        waiting = self.number("select max(received_us) from outbox")
        return max(waiting, self.number("select max(received_us) from seen")) or None

    def keep_ballast(self) -> None:
        """Reserve the room that emptying a full disk needs, if it is not reserved and there is."""
        if self._has_ballast():  # all of it: a power cut may have left a part
            return
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._ballast.parent).free < 2 * BALLAST_BYTES:
                return
            with self._ballast.open("wb") as file:
                file.write(bytes(BALLAST_BYTES))
                file.flush()
                os.fsync(file.fileno())

    def has_room(self) -> bool:
        """Return whether a burst of values would fit, on the disk and in the file's bound."""
        pages = self.number("pragma max_page_count") - self.number("pragma page_count")
        pages += self.number("pragma freelist_count")
        disk_bytes = shutil.disk_usage(self._ballast.parent).free
        return min(pages * PAGE_BYTES, disk_bytes) >= BALLAST_BYTES

    def drop_ballast(self) -> bool:
        """Give the reserved room free; return whether there was any."""
        try:
            self._ballast.unlink()
        except FileNotFoundError:
            return False
        return True

    def close(self) -> None:
        """Let go of the file. What was committed stays."""
        self._connection.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _has_ballast(self) -> bool:
        return self._ballast.exists() and self._ballast.stat().st_size == BALLAST_BYTES

    def _open(self, path: Path, pages_max: int) -> sqlite3.Connection:
        try:
            return _connect(path, pages_max)
        except sqlite3.OperationalError as error:
            if not _is_full(error) or not self.drop_ballast():
                raise
            return _connect(path, pages_max)


def _take(lock: TextIO) -> None:
    """Take the lock, or raise ``BlockingIOError`` when somebody keeps it for ``_LOCK_S``."""
    until_s = time.monotonic() + _LOCK_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_s:
                raise
            time.sleep(_LOCK_LOOK_S)
        else:
            return


def _connect(path: Path, pages_max: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    try:
        _prepare(connection, pages_max)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, pages_max: int) -> None:
    run = connection.execute
    run(f"pragma page_size = {PAGE_BYTES}")
    run("pragma journal_mode = wal")
    run("pragma synchronous = full")  # a commit is on the disk, not only on its way there
    run("pragma foreign_keys = on")
    run("pragma journal_size_limit = 4194304")  # the log shrinks back after a burst
    run(f"pragma max_page_count = {pages_max}")
    (version,) = run("pragma user_version").fetchone()
    if version > len(MIGRATIONS):
        problem = f"{FILE_NAME} is of version {version}, newest known here: {len(MIGRATIONS)}"
        raise StoreTooNew(problem)
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        # executescript commits what is open, so the script carries its own transaction.
        connection.executescript(
            f"begin immediate; {script} pragma user_version = {number}; commit;"
        )


def _is_full(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in _FULL


def to_us(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the time of ``to_us``, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


@contextlib.contextmanager
def read_only(directory: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for reading only; works beside a running gateway.

    Raises:
        FileNotFoundError: No gateway has run on *directory* yet.
    """
    path = directory / FILE_NAME
    if not path.exists():
        raise FileNotFoundError(path)
    address = f"{path.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as connection:
        yield connection


def depths(directory: Path) -> tuple[int, int, datetime | None]:
    """Return inbox depth, outbox depth and the oldest waiting reading's time, reading only.

    Raises:
        FileNotFoundError: No gateway has run on *directory* yet.
        sqlite3.DatabaseError: The file is damaged, or was never finished.
    """
    with read_only(directory) as connection:
        inbox = connection.execute("select count(*) from inbox").fetchone()[0]
        query = "select count(*), min(received_us) from outbox"
        outbox, oldest = connection.execute(query).fetchone()
    return inbox, outbox, None if oldest is None else from_us(oldest)
