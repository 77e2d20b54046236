"""alerts' command line."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import cyclopts
import psycopg
import structlog

from alerts import account_commands, process, roles_command
from alerts.audit.commands import audit
from alerts.care import erasure_command, export_command, seed_command
from alerts.config import Config
from alerts.connections import CONNECT_S_MAX
from alerts.enrolment import commands
from alerts.enrolment.authority import AuthorityMissing
from alerts.enrolment.setup import open_enrolment
from alerts.indicators import command as indicators
from alerts.login import open_login
from alerts.process import Parts, database_away
from alerts.schema import SOURCES
from alerts.web.server import NotServed, bind
from ingest.log import set_up
from ingest.schema.migrate import MigrationError, migrate
from ingest.settings import ConfigError, load

EXIT_CONFIG = 2
EXIT_FAILED = 1

app = cyclopts.App(name="alerts", help="From a breached limit to a person: routing and pages.")
app.command(commands.ca)
app.command(commands.gateway)
app.command(account_commands.account)
app.command(audit)
app.command(export_command.app)
app.command(erasure_command.app)
app.command(indicators.app)
app.command(seed_command.app)
app.command(roles_command.app)

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]

_log = structlog.get_logger()


@app.command(name="run")
def run_command(*, config: ConfigFile = None) -> None:
    """Bring the schema up to date, then do all of it in one process until told to stop."""
    _run(config, Parts.ALL)


@app.command(name="serve")
def serve_command(*, config: ConfigFile = None) -> None:
    """Serve the pages only; "work" runs beside it, and "migrate" was run before."""
    _run(config, Parts.PAGES)


@app.command(name="work")
def work_command(*, config: ConfigFile = None) -> None:
    """Route, escalate, send and look for faults, without pages; any number of it may run."""
    _run(config, Parts.WORK)


def _run(config: Path | None, parts: Parts) -> None:
    settings = _load(config)
    try:
        enrolment = open_enrolment(settings.enrolment)
    except AuthorityMissing as error:
        _fail(f"enrolment.authority_dir: {error}")
    try:
        asyncio.run(process.run(settings, enrolment, parts))
    except MigrationError as error:
        _fail(f"schema: {error}")
    except NotServed as error:
        _fail(str(error))


@app.command(name="migrate")
def migrate_command(*, config: ConfigFile = None) -> None:
    """Bring the database's schema up to date, ingest's tables too; safe at any time."""
    settings = _load(config)
    try:
        done = migrate(settings.database.conninfo(), SOURCES)
    except MigrationError as error:
        _fail(f"schema: {error}")
    except psycopg.OperationalError as error:
        _fail(database_away(settings, error))
    _log.info("schema.migrated", edition=done.edition.value, applied=list(done.applied))


@app.command(name="check-config")
def check_config_command(*, config: ConfigFile = None, connect: bool = False) -> None:
    """Check the configuration; with --connect also the database and that the port is free."""
    settings = _load(config)
    problems = [] if not connect else [*_try_database(settings), *_try_port(settings)]
    if problems:
        _fail("\n".join(problems))
    print("the configuration can be used")


def _load(path: Path | None) -> Config:
    try:
        settings = load(Config, path)
        open_login(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    set_up(settings.log)
    return settings


def _try_database(settings: Config) -> list[str]:
    try:
        psycopg.connect(settings.database.conninfo(), connect_timeout=CONNECT_S_MAX).close()
    except psycopg.OperationalError as error:
        return [database_away(settings, error)]
    return []


def _try_port(settings: Config) -> list[str]:
    try:
        bind(settings.web).close()
    except NotServed as error:
        return [str(error)]
    return []


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)


def main() -> None:
    """Run the command that the command line names."""
    app()


if __name__ == "__main__":
    main()
