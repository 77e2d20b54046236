"""Console: what every command of ingest does with its configuration and its failures."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeVar

import cyclopts
import psycopg
from psycopg.conninfo import make_conninfo

from ingest.config import Config
from ingest.log import set_up
from ingest.session import session
from ingest.settings import ConfigError, Problem, load

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config", help="ingest's TOML file.")]
Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")


def configured(path: Path | None) -> Config:
    """Return the configuration, with logging set up by it; or say its problems and exit."""
    try:
        settings = load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    set_up(settings.log)
    return settings


def ask(config: Config, question: Callable[[Connection], Awaitable[T]]) -> T:
    """Return what *question* answers on a connection of its own; or say the problem and exit."""

    async def asked() -> T:
        conninfo = make_conninfo(config.database.conninfo(), **session("egenmonitor-ingest-ask"))
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
            return await question(connection)

    try:
        return asyncio.run(asked())
    except psycopg.Error as error:
        fail_of_database(config, error)


def database_problem(config: Config, error: psycopg.Error) -> Problem:
    """Return what to tell of a database that cannot be used."""
    what = f"{config.database.address()} cannot be used ({first_line(error)})"
    cure = "start the database, or correct database.dsn"
    if "password" in what:
        cure = "correct database.password_file, or the user in database.dsn"
    return Problem("database.dsn", what, cure)


def fail_of_database(config: Config, error: psycopg.Error) -> NoReturn:
    """Say what is wrong with the database and exit; a fault of ours is raised again."""
    if isinstance(error, psycopg.OperationalError):
        fail(str(database_problem(config, error)))
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        fail("schema: the tables are not there, or old → run: python -m ingest migrate")
    raise error


def first_line(error: Exception) -> str:
    """Return an error in a line."""
    return (str(error).strip() or type(error).__name__).split("\n")[0]


def fail(message: str) -> NoReturn:
    """Say *message* and exit."""
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)
