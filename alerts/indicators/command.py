"""The command ``indicators`` of alerts' command line: the numbers of a period, as a table."""

import asyncio
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Final, NoReturn

import cyclopts
import psycopg

from alerts.config import Config
from alerts.indicators.export import as_csv
from alerts.indicators.queries import Period, indicators
from alerts.words import ZONE
from ingest.settings import ConfigError, load

EXIT_CONFIG = 2
EXIT_FAILED = 1
CONNECT_S_MAX = 5
# What is asked about if it is not said: four whole weeks, up to midnight.
USUAL: Final = timedelta(weeks=4)

app = cyclopts.App(name="indicators", help="Numbers for follow-up, never about fewer than five.")


@app.default
def indicators_command(
    *,
    from_day: Annotated[date | None, cyclopts.Parameter(name="--from")] = None,
    until_day: Annotated[date | None, cyclopts.Parameter(name="--until")] = None,
    out: Path | None = None,
    config: Annotated[Path | None, cyclopts.Parameter(name="--config")] = None,
) -> None:
    """Write the indicators of every unit and huvudman, for a spreadsheet.

    Args:
        from_day: First day, as 2026-10-01; four weeks before the end if it is not given.
        until_day: The day after the last; today if it is not given.
        out: Where to; printed if it is not given.
        config: alerts' TOML file.
    """
    settings = _load(config)
    now = datetime.now(UTC)
    until = until_day or now.astimezone(ZONE).date()
    first = from_day or until - USUAL
    try:
        period = Period(_midnight(first), _midnight(until))
    except ValueError:
        _fail(f"--from {first} --until {until}: nothing lies between → the first must be earlier")
    try:
        table = asyncio.run(_ask(settings, period))
        if out is None:
            sys.stdout.buffer.write(table)
        else:
            out.write_bytes(table)
    except psycopg.errors.UndefinedTable:
        _fail("schema: the tables are not there → run: python -m alerts migrate")
    except psycopg.OperationalError as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        _fail(f"database.dsn: {settings.database.address()} cannot be used ({said}) → start it")
    except OSError as error:
        _fail(f"{out}: {error.strerror} → name a file that can be written")


async def _ask(settings: Config, period: Period) -> bytes:
    conninfo = settings.database.conninfo()
    async with await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=CONNECT_S_MAX
    ) as connection:
        row = await (await connection.execute("select now()")).fetchone()
        assert row is not None
        cells = await indicators(connection, period, row[0])
    return as_csv(cells, period.from_at, period.until_at)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZONE)


def _load(path: Path | None) -> Config:
    try:
        return load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command says what is wrong
        sys.exit(EXIT_CONFIG)


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)  # noqa: T201 - the same
    sys.exit(EXIT_FAILED)
