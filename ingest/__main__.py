"""ingest's command line; run, migrate and check-config, and what has a file in ``commands``."""

import asyncio
import socket
from typing import Final

import cyclopts
import psycopg
from psycopg.conninfo import make_conninfo

from ingest.commands import canary, dry_run, incidents, quarantine, recheck, retain
from ingest.commands.console import ConfigFile, configured, database_problem, fail
from ingest.commands.run import run, say
from ingest.config import Config
from ingest.schema.migrate import MigrationError, migrate
from ingest.settings import Problem
from ingest.watch.server import NotServed

CONNECT_S_MAX: Final = 5

app = cyclopts.App(name="ingest", help="MQTT to PostgreSQL: readings in, receipts out.")
for command in (canary, dry_run, incidents, quarantine, recheck, retain):
    app.command(command.app)


@app.command(name="run")
def run_command(*, config: ConfigFile = None) -> None:
    """Take readings from the broker into the database until told to stop."""
    settings = configured(config)
    try:
        asyncio.run(run(settings))
    except MigrationError as error:
        fail(f"schema: {error}")
    except NotServed as error:
        fail(str(error))


@app.command(name="migrate")
def migrate_command(*, config: ConfigFile = None) -> None:
    """Bring the database's schema up to date, once; safe to run at any time."""
    settings = configured(config)
    try:
        say(migrate(settings.database.conninfo()))
    except MigrationError as error:
        fail(f"schema: {error}")
    except psycopg.OperationalError as error:
        fail(str(database_problem(settings, error)))


@app.command(name="check-config")
def check_config(*, config: ConfigFile = None, connect: bool = False) -> None:
    """Say whether the configuration can be used, and everything that is wrong with it.

    Args:
        config: The TOML file.
        connect: Also try to reach the database and the broker.
    """
    settings = configured(config)
    problems = _unreachable(settings) if connect else []
    if problems:
        fail("\n".join(str(problem) for problem in problems))
    print("the configuration can be used")


def _unreachable(config: Config) -> list[Problem]:
    problems = []
    try:
        psycopg.connect(make_conninfo(config.database.conninfo(), connect_timeout=2)).close()
    except psycopg.OperationalError as error:
        problems.append(database_problem(config, error))
    broker = (config.broker.host, config.broker.port)
    try:
        socket.create_connection(broker, CONNECT_S_MAX).close()
    except OSError as error:
        what = f"{broker[0]}:{broker[1]} cannot be reached ({error.strerror or error})"
        cure = "start the broker, or correct broker.host and broker.port"
        problems.append(Problem("broker.host", what, cure))
    return problems


def main() -> None:
    """Run the command that the command line names."""
    app()


if __name__ == "__main__":
    main()
