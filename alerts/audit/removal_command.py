"""The command ``audit remove-old``: lets go of what the law no longer asks to be kept."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import cyclopts
import psycopg

from alerts import command_error
from alerts.audit import removal
from alerts.audit.checkpoint import Checkpoint
from alerts.audit.operator import operating_account
from alerts.config import Config
from ingest.settings import ConfigError, load

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1
CONNECT_S_MAX: Final = 5


def remove_old_command(
    *,
    years: int = removal.YEARS_MIN,
    do: bool = False,
    config: Annotated[Path | None, cyclopts.Parameter(name="--config")] = None,
) -> None:
    """Say how much of the access log is older than it must be kept; with --do, remove it.

    The rest still proves itself, and the removal stands in it. The configuration's database account
    must be the migrator's. Run "audit verify" with its anchors first.

    Args:
        years: How long entries are kept: five years, or longer.
        do: Remove; without it nothing is changed.
        config: alerts' TOML file.
    """
    if years < removal.YEARS_MIN:
        _fail(f"--years: the law asks for {removal.YEARS_MIN} → give that or more")
    try:
        settings = load(Config, config)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command prints
        sys.exit(EXIT_CONFIG)
    try:
        goes = asyncio.run(_run(settings.database.conninfo(), years, do=do))
    except psycopg.Error as error:
        told = command_error.told(error, settings)
        if told is None:
            raise
        _fail(told)
    count = sum(one.removed for one in goes)
    print(_said(count, years, done=do))  # noqa: T201 - a command prints


def _said(count: int, years: int, *, done: bool) -> str:
    if not count:
        return f"nothing is older than {years} years"
    if done:
        return f"{count} entries older than {years} years removed; the log tells of it"
    return f"{count} entries are older than {years} years → with --do they are removed"


async def _run(conninfo: str, years: int, *, do: bool) -> list[Checkpoint]:
    async with (
        await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, connect_timeout=CONNECT_S_MAX
        ) as connection,
        connection.transaction(),
    ):
        before = await _years_ago(connection, years)
        if not do:
            return await removal.old(connection, before)
        return await removal.remove(connection, before, by=operating_account())


async def _years_ago(connection: psycopg.AsyncConnection[Any], years: int) -> datetime:
    cursor = await connection.execute("select now() - make_interval(years => %s)", (years,))
    row = await cursor.fetchone()
    assert row is not None
    before: datetime = row[0]
    return before


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201 - a command prints
    sys.exit(EXIT_FAILED)
