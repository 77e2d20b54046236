"""alerts' command line: run, migrate, seed, check-config."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import anyio
import cyclopts
import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool

from alerts import account_commands, engine, roles
from alerts.care import export_command
from alerts.care.file import CareRecordError, read
from alerts.care.seed import seed
from alerts.config import Config
from alerts.ending import end
from alerts.enrolment import commands
from alerts.enrolment.authority import AuthorityMissing
from alerts.enrolment.setup import EnrolmentOf, open_enrolment
from alerts.login import open_login
from alerts.schema import SOURCES
from alerts.signal import Hub, listen
from alerts.web.app import create_app
from alerts.web.server import NotServed, bind, serve
from alerts.web.services import ServicesOf
from ingest.log import set_up
from ingest.schema.migrate import MigrationError, migrate
from ingest.settings import ConfigError, load

EXIT_CONFIG = 2
EXIT_FAILED = 1

CONNECT_S_MAX = 5
# Pages hold a connection for milliseconds; 8 serve some thousand requests a second.
POOL_MAX = 8
POOL_WAIT_S_MAX = 5.0
# No page or claim takes longer; what does is stuck.
STATEMENT_MS_MAX = 10_000
# argon2id takes 64 MiB and 50 ms each.
HASHES_AT_ONCE_MAX = 2
# How often a database that is away at start is tried again.
_AGAIN_S = 1.0

app = cyclopts.App(name="alerts", help="From a breached limit to a person: routing and pages.")
app.command(commands.ca)
app.command(commands.gateway)
app.command(account_commands.account)
app.command(export_command.app)

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]

_log = structlog.get_logger()


@app.command(name="run")
def run_command(*, config: ConfigFile = None) -> None:
    """Bring the schema up to date, then route alerts and serve the pages until told to stop."""
    settings = _load(config)
    try:
        enrolment = open_enrolment(settings.enrolment)
    except AuthorityMissing as error:
        _fail(f"enrolment.authority_dir: {error}")
    try:
        asyncio.run(_run(settings, enrolment))
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
        _fail(_database_away(settings, error))
    _log.info("schema.migrated", edition=done.edition.value, applied=list(done.applied))


@app.command(name="roles")
def roles_command(*, config: ConfigFile = None) -> None:
    """Make the roles of the database what they should be; after each "migrate", as a superuser."""
    settings = _load(config)
    try:
        with psycopg.connect(
            settings.database.conninfo(), connect_timeout=CONNECT_S_MAX
        ) as connection:
            roles.apply(connection)
    except psycopg.OperationalError as error:
        _fail(_database_away(settings, error))
    except psycopg.errors.UndefinedTable:
        _fail("schema: it is not up to date → run: python -m alerts migrate")
    except psycopg.errors.InsufficientPrivilege:
        _fail("database.dsn: this account may not make roles → give a superuser's")
    print(f"{', '.join((*roles.GRANTS, roles.MIGRATOR))}: as they should be")


@app.command(name="seed")
def seed_command(care_record: Path, *, config: ConfigFile = None) -> None:
    """Write a care record file (JSON) into the database, all of it or nothing."""
    settings = _load(config)
    try:
        record = read(care_record.read_bytes())
        with psycopg.connect(
            settings.database.conninfo(), connect_timeout=CONNECT_S_MAX
        ) as connection:
            done = seed(connection, record)
    except OSError as error:
        _fail(f"{care_record}: {error.strerror} → give the path of a readable file")
    except CareRecordError as error:
        _fail(f"{care_record}: nothing was written\n{error}")
    except psycopg.OperationalError as error:
        _fail(_database_away(settings, error))
    except psycopg.errors.UndefinedTable:
        _fail("schema: the tables are not there → run: python -m alerts migrate")
    print(
        f"{done.patients} patients ({done.patients_new} new), {done.staff} staff, "
        f"{done.loans_new} new loans, {done.plans_new} new plan versions"
    )


@app.command(name="check-config")
def check_config_command(*, config: ConfigFile = None, connect: bool = False) -> None:
    """Check the configuration; with --connect also the database and that the port is free."""
    settings = _load(config)
    problems = [] if not connect else [*_try_database(settings), *_try_port(settings)]
    if problems:
        _fail("\n".join(problems))
    print("the configuration can be used")


async def _run(settings: Config, enrolment: EnrolmentOf | None) -> None:
    stop = _stop_on_signal()
    if not await _migrated(settings, stop):
        return
    listening = bind(settings.web)
    login = open_login(settings)
    if not settings.login.is_possible:
        _log.error("login.nobody", cure="set login.local or [login.provider]")
    hub, alert = Hub(), asyncio.Event()
    conninfo = settings.database.conninfo()
    async with _pool(conninfo) as pool, asyncio.TaskGroup() as tasks:
        services = ServicesOf(
            pool=pool,
            hub=hub,
            web=settings.web,
            hashing=anyio.CapacityLimiter(HASHES_AT_ONCE_MAX),
            registrar=None if enrolment is None else enrolment.registrar,
            login=settings.login,
            seal=login.seal,
            provider=login.provider,
        )
        working = [
            tasks.create_task(listen(conninfo, hub, alert), name="listen"),
            tasks.create_task(engine.run(pool, alert), name="engine"),
        ]
        if enrolment is not None:
            working.append(tasks.create_task(enrolment.warden.run(pool), name="warden"))
        try:
            await serve(create_app(services), listening, hub, stop)
        finally:
            await end(working)  # a claim is one transaction: undone, and due again
            if login.provider is not None:
                await login.provider.close()
    _log.info("alerts.stopped")


def _pool(conninfo: str) -> AsyncConnectionPool[psycopg.AsyncConnection[Any]]:
    return AsyncConnectionPool(
        conninfo,
        min_size=2,
        max_size=POOL_MAX,
        timeout=POOL_WAIT_S_MAX,
        open=False,
        kwargs={
            "autocommit": True,
            "connect_timeout": CONNECT_S_MAX,
            "options": f"-c statement_timeout={STATEMENT_MS_MAX}",
        },
    )


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return stop


async def _migrated(settings: Config, stop: asyncio.Event) -> bool:
    """Wait for the database and bring its schema up to date; false if told to stop before."""
    while not stop.is_set():
        try:
            await asyncio.to_thread(migrate, settings.database.conninfo(), SOURCES)
        except psycopg.OperationalError as error:
            _log.warning("alerts.database_away", problem=_database_away(settings, error))
        else:
            return True
        await asyncio.sleep(_AGAIN_S)
    return False


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
        return [_database_away(settings, error)]
    return []


def _try_port(settings: Config) -> list[str]:
    try:
        bind(settings.web).close()
    except NotServed as error:
        return [str(error)]
    return []


def _database_away(settings: Config, error: psycopg.OperationalError) -> str:
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        f"database.dsn: {settings.database.address()} cannot be used ({said})"
        " → start it or correct the address"
    )


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)


def main() -> None:
    """Run the command that the command line names."""
    app()


if __name__ == "__main__":
    main()
