"""Applies numbered SQL files once each, in order, under a lock (docs/decisions/0004).

A file is ``NNNN_name.sql``. Lines of its head may say:

- ``-- no-transaction``: it holds one statement, which cannot run inside a transaction and
  may be repeated (a run that dies in the middle runs it again).
- ``-- edition: timescaledb`` (or ``timescaledb-community``): it is applied only where that
  edition is, and later, if the edition comes later; so it must not rely on its place among
  the others.
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from ingest.schema.edition import Edition, detect, installed
from ingest.schema.quantity import fill_quantity

# One number for every migrator of one database ("egen" in ASCII).
LOCK_KEY = 0x6567656E
# The longest migration is a table's move into a hypertable: minutes. Who waits longer than
# this waits for a migrator that hangs.
LOCK_WAIT_S = 600.0
_LOCK_POLL_S = 0.1
CONNECT_S_MAX = 10
# A table that somebody else holds longer than this is in use; better to fail than to queue
# every reader behind us.
TABLE_LOCK_WAIT_S = 30

_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_EDITION = re.compile(r"^-- edition: (\S+)$", re.MULTILINE)
_NO_TRANSACTION = re.compile(r"^-- no-transaction$", re.MULTILINE)

_LEDGER = """
create table if not exists schema_migration (
    source text not null,
    name text not null,
    sha256 bytea not null,
    edition text not null,
    applied_at timestamptz not null default clock_timestamp(),
    primary key (source, name)
)
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says what to do."""


class Source(NamedTuple):
    """One package's numbered files, and what to do after them at every run."""

    name: str
    directory: Path
    after: Callable[[psycopg.Connection[Any]], None] | None = None


INGEST = Source("ingest", Path(__file__).parent, fill_quantity)


@dataclass(frozen=True, slots=True)
class Script:
    """One numbered file."""

    source: str
    name: str
    text: str
    sha256: bytes
    edition: Edition
    in_transaction: bool


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a run did: ``source/name`` of each file."""

    edition: Edition
    applied: tuple[str, ...]
    skipped: tuple[str, ...]  # for an edition that is not here


def migrate(
    dsn: str,
    sources: Sequence[Source | tuple[str, Path]] = (INGEST,),
    *,
    lock_wait_s: float = LOCK_WAIT_S,
) -> Migrated:
    """Apply what is new in *sources*, in their order. Safe to run at once from many places.

    Raises:
        MigrationError: An applied file was edited or is unknown here, a file is malformed,
            another migrator holds the lock, or something is new and this account may not
            change the schema (one that may not and need not goes on).
        psycopg.Error: The database is away, or refuses a statement; the file that failed
            is rolled back and the ones before it stay.
    """
    complete = [Source(*source) for source in sources]
    scripts = [read_scripts(source) for source in complete]
    with psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_S_MAX) as connection:
        _lock(connection, lock_wait_s)
        if not _may_change(connection):
            return _as_it_is(connection, scripts)
        connection.execute(f"set lock_timeout = '{TABLE_LOCK_WAIT_S}s'")
        connection.execute(_LEDGER)
        edition = detect(connection)
        applied: list[str] = []
        skipped: list[str] = []
        for source, files in zip(complete, scripts, strict=True):
            for script in _pending(connection, source.name, files):
                label = f"{script.source}/{script.name}"
                if edition.includes(script.edition):
                    _apply(connection, script)
                    applied.append(label)
                else:
                    skipped.append(label)
            if source.after:
                source.after(connection)
    return Migrated(edition, tuple(applied), tuple(skipped))


def _may_change(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("select has_schema_privilege('public', 'create')").fetchone()
    return bool(row and row[0])


def _as_it_is(connection: psycopg.Connection[Any], sources: Sequence[Sequence[Script]]) -> Migrated:
    """Return what is there, if that is all that is wanted."""
    edition = installed(connection)
    new = [
        f"{script.source}/{script.name}"
        for scripts in sources
        for script in _pending(connection, scripts[0].source, scripts)
        if edition.includes(script.edition)
    ]
    if new:
        problem = (
            f"{', '.join(new)} is not applied, and this account may not change the schema;"
            " run migrate with the one that may"
        )
        raise MigrationError(problem)
    return Migrated(edition, (), ())


def read_scripts(source: Source) -> list[Script]:
    """Return the files of *source* in order.

    Raises:
        MigrationError: A name or an edition is not understood, or a number stands twice.
    """
    scripts = [_read(source.name, path) for path in sorted(source.directory.glob("*.sql"))]
    if not scripts:
        problem = f"{source.name}: no numbered SQL files in {source.directory}"
        raise MigrationError(problem)
    numbers = [script.name[:4] for script in scripts]
    twice = {number for number in numbers if numbers.count(number) > 1}
    if twice:
        problem = f"{source.name}: number {', '.join(sorted(twice))} stands twice; renumber one"
        raise MigrationError(problem)
    return scripts


def _read(source: str, path: Path) -> Script:
    if not _FILE_NAME.fullmatch(path.name):
        problem = f"{source}/{path.name}: not NNNN_name.sql; rename it"
        raise MigrationError(problem)
    text = path.read_text(encoding="utf-8")  # newlines of any system become \n
    edition = _EDITION.search(text)
    if edition and edition[1] not in list(Edition):
        problem = f"{source}/{path.name}: edition {edition[1]!r} is none of {', '.join(Edition)}"
        raise MigrationError(problem)
    return Script(
        source=source,
        name=path.name,
        text=text,
        sha256=hashlib.sha256(text.encode()).digest(),
        edition=Edition(edition[1]) if edition else Edition.PLAIN,
        in_transaction=not _NO_TRANSACTION.search(text),
    )


def _lock(connection: psycopg.Connection[Any], wait_s: float) -> None:
    # Polled: a session that waits inside pg_advisory_lock holds a snapshot, and a
    # "create index concurrently" of the one that has the lock would wait for it for ever.
    deadline = time.monotonic() + wait_s
    while True:
        row = connection.execute("select pg_try_advisory_lock(%s)", [LOCK_KEY]).fetchone()
        if row and row[0]:
            return
        if time.monotonic() > deadline:
            problem = f"another migration has held the lock for {wait_s:g} s; see whether it hangs"
            raise MigrationError(problem)
        time.sleep(_LOCK_POLL_S)


def _pending(
    connection: psycopg.Connection[Any], source: str, scripts: Sequence[Script]
) -> list[Script]:
    rows = connection.execute(
        "select name, sha256 from schema_migration where source = %s", [source]
    ).fetchall()
    applied = {str(name): bytes(digest) for name, digest in rows}
    unknown = sorted(applied.keys() - {script.name for script in scripts})
    if unknown:
        problem = (
            f"{source}: the database has {', '.join(unknown)}, which this version does not know;"
            " run the newer version"
        )
        raise MigrationError(problem)
    edited = [s.name for s in scripts if applied.get(s.name, s.sha256) != s.sha256]
    if edited:
        problem = (
            f"{source}: {', '.join(edited)} was edited after it was applied to this database;"
            " restore the file and put the change into a new one"
        )
        raise MigrationError(problem)
    return [script for script in scripts if script.name not in applied]


def _apply(connection: psycopg.Connection[Any], script: Script) -> None:
    if script.in_transaction:
        with connection.transaction():
            connection.execute(script.text)
            _note(connection, script)
    else:
        # binary chooses the extended protocol, which takes one statement only.
        connection.execute(script.text, binary=True)
        _note(connection, script)


def _note(connection: psycopg.Connection[Any], script: Script) -> None:
    connection.execute(
        "insert into schema_migration (source, name, sha256, edition) values (%s, %s, %s, %s)",
        [script.source, script.name, script.sha256, script.edition.value],
    )
