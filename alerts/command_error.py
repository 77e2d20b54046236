"""What a command says when the database refuses: what is wrong, and what now. Nothing was done."""

import psycopg
from psycopg import errors

from alerts.config import Config
from alerts.process import database_away


def told(error: psycopg.Error, settings: Config) -> str | None:
    """Return the sentence; None: it is a fault of ours, so let it be seen."""
    match error:
        case errors.DeadlockDetected() | errors.LockNotAvailable() | errors.SerializationFailure():
            return "database: others were changing the same; nothing was done → run it again"
        case errors.UndefinedTable() | errors.UndefinedColumn():
            return (
                "schema: the tables are not there, or older than this version"
                " → run: python -m alerts migrate"
            )
        case errors.InsufficientPrivilege():
            return "database.dsn: this account may not do that → give the migrator's"
        case errors.ReadOnlySqlTransaction():
            return (
                f"database.dsn: {settings.database.address()} takes no changes"
                " → give the primary's address, not a replica's"
            )
        case psycopg.OperationalError():
            return database_away(settings, error)
    return None
