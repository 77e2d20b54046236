"""ingest's command line: run, migrate, check-config."""

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import cyclopts
import psycopg
import structlog
from psycopg.conninfo import make_conninfo

from ingest.config import Config
from ingest.consumer import PahoConsumer
from ingest.control import Control
from ingest.log import set_up
from ingest.pipeline import Pipeline
from ingest.schema.migrate import Migrated, MigrationError, migrate
from ingest.settings import ConfigError, Problem, load
from ingest.settle import RETRY_S_MAX, RETRY_S_MIN, Settler

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1
# A stop waits this long for the batch in hand, which takes a second at most; more is only
# needed while the database is away, and a hard kill would lose nothing either.
DRAIN_S: Final = 2.0
CONNECT_S_MAX: Final = 5

app = cyclopts.App(name="ingest", help="MQTT to PostgreSQL: readings in, receipts out.")

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]


@app.command(name="run")
def run_command(*, config: ConfigFile = None) -> None:
    """Take readings from the broker into the database until told to stop."""
    settings = _load(config)
    try:
        asyncio.run(run(settings))
    except MigrationError as error:
        _fail(f"schema: {error}")


async def run(config: Config) -> None:
    """Bring the schema up to date, then carry readings until SIGTERM or SIGINT."""
    log = structlog.get_logger()
    stop = _stop_on_signal()
    if not await _migrate_when_it_answers(config, stop):
        return
    async with (
        Settler(config.database.conninfo, config.database.address()) as settler,
        PahoConsumer(config.broker, config.batch.receive_max) as consumer,
        asyncio.TaskGroup() as tasks,
    ):
        pipeline = Pipeline(consumer, settler, config.batch)
        carrying = tasks.create_task(pipeline.run(), name="pipeline")
        control = Control(config.database.conninfo, config.broker)
        controlling = tasks.create_task(control.run(), name="control")
        stopping = tasks.create_task(stop.wait(), name="stop")
        log.info("ingest.started", broker=f"{config.broker.host}:{config.broker.port}")
        await asyncio.wait({carrying, stopping}, return_when=asyncio.FIRST_COMPLETED)
        pipeline.stop()
        _, unfinished = await asyncio.wait({carrying}, timeout=DRAIN_S)
        for task in (*unfinished, controlling, stopping):
            task.cancel()  # what is not committed was not acknowledged
    log.info("ingest.stopped")


@app.command(name="migrate")
def migrate_command(*, config: ConfigFile = None) -> None:
    """Bring the database's schema up to date, once; safe to run at any time."""
    settings = _load(config)
    try:
        _say(migrate(settings.database.conninfo()))
    except MigrationError as error:
        _fail(f"schema: {error}")
    except psycopg.OperationalError as error:
        _fail(str(_database_problem(settings, error)))


@app.command(name="check-config")
def check_config(*, config: ConfigFile = None, connect: bool = False) -> None:
    """Say whether the configuration can be used, and everything that is wrong with it.

    Args:
        config: The TOML file.
        connect: Also try to reach the database and the broker.
    """
    settings = _load(config)
    problems = _unreachable(settings) if connect else []
    if problems:
        _fail("\n".join(str(problem) for problem in problems))
    print("the configuration can be used")


def _unreachable(config: Config) -> list[Problem]:
    problems = []
    try:
        psycopg.connect(make_conninfo(config.database.conninfo(), connect_timeout=2)).close()
    except psycopg.OperationalError as error:
        problems.append(_database_problem(config, error))
    broker = (config.broker.host, config.broker.port)
    try:
        socket.create_connection(broker, CONNECT_S_MAX).close()
    except OSError as error:
        what = f"{broker[0]}:{broker[1]} cannot be reached ({error.strerror or error})"
        cure = "start the broker, or correct broker.host and broker.port"
        problems.append(Problem("broker.host", what, cure))
    return problems


def _database_problem(config: Config, error: psycopg.Error) -> Problem:
    what = f"{config.database.address()} cannot be used ({_first_line(error)})"
    return Problem("database.dsn", what, "start the database, or correct database.dsn")


async def _migrate_when_it_answers(config: Config, stop: asyncio.Event) -> bool:
    """Migrate, waiting for the database as long as it takes; false when told to stop."""
    wait_s = RETRY_S_MIN
    while not stop.is_set():
        try:
            _say(await asyncio.to_thread(migrate, config.database.conninfo()))
        except (psycopg.OperationalError, OSError) as error:
            structlog.get_logger().error(
                "database.unreachable",
                key="database.dsn",
                address=config.database.address(),
                problem=_first_line(error),
                cure="start the database, or correct database.dsn; retrying",
            )
        else:
            return not stop.is_set()
        wait_s = min(RETRY_S_MAX, 2 * wait_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await stop.wait()
    return False


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _say(done: Migrated) -> None:
    structlog.get_logger().info(
        "schema.migrated",
        edition=done.edition.value,
        applied=list(done.applied),
        skipped=list(done.skipped),
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]


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
