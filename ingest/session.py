"""How ingest's connections to the database behave, and whose fault an error of theirs is."""

from typing import Final

import psycopg

# The largest batch takes a second; what takes a minute hangs on a lock or a dead disk.
STATEMENT_S_MAX: Final = 60


def session(application_name: str) -> dict[str, str | int]:
    """Return the connection parameters; the name is what the server's own views show.

    A peer that vanished without a word is noticed within half a minute.
    """
    return {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": f"-c statement_timeout={STATEMENT_S_MAX}s -c timezone=UTC",
        "application_name": application_name,
    }


# SQLSTATE classes of the world's faults: connection, transaction state (a standby that is
# read-only), rollback, resources, prerequisites, operator, system, internal.
_WORLD: Final = frozenset({"08", "25", "40", "53", "55", "57", "58", "XX"})


def is_worlds(error: psycopg.Error) -> bool:
    """Return whether *error* is none of ours: the same again may well succeed."""
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return True
    return (error.sqlstate or "")[:2] in _WORLD
