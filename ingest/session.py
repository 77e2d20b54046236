"""How ingest's connections to the database behave, and whose fault an error of theirs is."""

from typing import Final

import psycopg

# The largest batch takes a second; what takes a minute hangs on a lock or a dead disk.
STATEMENT_S_MAX: Final = 60


# Every statement of a batch looks rows up by a key. One that is planned while its tables are small
# must not go on to read them from end to end when they have grown; a county, too, is read by key.
BY_KEY_ONLY: Final = "-c enable_seqscan=off"


def session(application_name: str, options: str = "") -> dict[str, str | int]:
    """Return the connection parameters; the name is what the server's own views show.

    A peer that vanished without a word is noticed within half a minute.

    Args:
        application_name: Whose connection it is.
        options: More of the server's settings, as the command line of ``postgres`` takes them.
    """
    return {
        "connect_timeout": 10,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        "options": f"-c statement_timeout={STATEMENT_S_MAX}s -c timezone=UTC {options}",
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
