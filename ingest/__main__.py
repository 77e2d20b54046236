"""ingest's command line: run, migrate, check-config."""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import cyclopts
import psycopg
import structlog

from ingest.config import Config
from ingest.log import set_up
from ingest.schema.migrate import MigrationError, migrate
from ingest.settings import ConfigError, load

# Exit codes: 2 is the command line's and the configuration's fault (as in sysexits' manner).
EXIT_CONFIG = 2
EXIT_FAILED = 1

app = cyclopts.App(name="ingest", help="MQTT to PostgreSQL: readings in, receipts out.")

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]


@app.command(name="migrate")
def migrate_command(*, config: ConfigFile = None) -> None:
    """Bring the database's schema up to date, once; safe to run at any time."""
    settings = _load(config)
    try:
        done = migrate(settings.database.conninfo())
    except MigrationError as error:
        _fail(f"schema: {error}")
    except psycopg.OperationalError as error:
        _fail(
            f"database.dsn: {settings.database.address()} cannot be used"
            f" ({str(error).strip().splitlines()[0]}) → start it or correct the address"
        )
    structlog.get_logger().info(
        "schema.migrated",
        edition=done.edition.value,
        applied=list(done.applied),
        skipped=list(done.skipped),
    )


@app.command(name="check-config")
def check_config(*, config: ConfigFile = None) -> None:
    """Say whether the configuration can be used, and everything that is wrong with it."""
    _load(config)
    print("the configuration can be used")


def _load(path: Path | None) -> Config:
    try:
        settings = load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    set_up(settings.log)
    return settings


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)


def main() -> None:
    """Run the command that the command line names."""
    app()


if __name__ == "__main__":
    main()
