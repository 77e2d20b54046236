"""How ingest's connections to the database behave."""

from typing import Final

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
