"""The commands ``ca`` and ``gateway`` of alerts' command line."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import cyclopts
import psycopg

from alerts.config import Config, EnrolmentSettings
from alerts.enrolment import authority, certificates, codes, files, revocation, setup
from alerts.enrolment.authority import AuthorityExists, AuthorityMissing
from alerts.enrolment.codes import NotAGatewayId
from alerts.enrolment.revocation import NoSuchGateway
from ingest.settings import ConfigError, load

EXIT_CONFIG = 2
EXIT_FAILED = 1
CONNECT_S_MAX = 5

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]
T = TypeVar("T")

ca = cyclopts.App(name="ca", help="The certificate authority for gateways, broker and services.")
gateway = cyclopts.App(name="gateway", help="Gateways: enrolment codes and revocation.")


@ca.command(name="init")
def init_command(*, config: ConfigFile = None, keep: bool = False) -> None:
    """Make the certificate authority, and what the broker and the services need of it.

    Args:
        config: alerts' TOML file, with [enrolment].
        keep: Leave an authority that is there as it is, and write only what is missing.
    """
    settings = _enrolment(_load(config))
    now = datetime.now(UTC)
    try:
        if keep and (settings.authority_dir / authority.KEY).exists():
            root = authority.load(settings.authority_dir)
        else:
            root = authority.create(settings.authority_dir, now)
        warden = setup.warden(settings, root)
        if not (settings.broker_dir / files.CRL).exists():
            settings.broker_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.publish(root, settings.broker_dir, (), now)
        warden.prepare(now)
    except (AuthorityExists, AuthorityMissing) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror} → let this account write there")
    print(f"the authority is in {settings.authority_dir}: back up {authority.KEY}, show it nobody")


@gateway.command(name="new-code")
def new_code_command(
    gateway_id: str | None = None, *, config: ConfigFile = None, hours: float = 24.0
) -> None:
    """Print a one-time code with which a box is enrolled; earlier ones are worth nothing then.

    Args:
        gateway_id: Who the box is to be; a new random id if none.
        config: alerts' TOML file.
        hours: How long the code can be used.
    """
    settings = _load(config)
    _enrolment(settings)
    lasts = timedelta(hours=hours)
    try:
        made = _ask(settings, lambda it: codes.new_code(it, gateway_id, lasts=lasts))
    except NotAGatewayId as error:
        _fail(str(error))
    print(f"{made.code}\nfor {made.gateway_id}, until {made.expires_at:%Y-%m-%d %H:%M %Z}, once")


@gateway.command(name="revoke")
def revoke_command(gateway_id: str, *, config: ConfigFile = None) -> None:
    """Shut a gateway out: at the broker within a minute, in ingest at once.

    Args:
        gateway_id: The gateway.
        config: alerts' TOML file.
    """
    settings = _load(config)
    try:
        count = _ask(settings, lambda it: revocation.revoke(it, gateway_id))
    except NoSuchGateway:
        _fail(f"{gateway_id}: there is no such gateway → see: python -m alerts gateway list")
    print(f"{gateway_id} is retired; {count} certificates were revoked")


@gateway.command(name="list")
def list_command(*, config: ConfigFile = None) -> None:
    """Print every gateway with its certificate, and the codes that wait.

    Args:
        config: alerts' TOML file.
    """
    for line in _ask(_load(config), _lines):
        print(line)


async def _lines(connection: psycopg.AsyncConnection[Any]) -> list[str]:
    cursor = await connection.execute("select gateway_id, retired_at from gateway order by 1")
    lines = []
    for gateway_id, retired_at in await cursor.fetchall():
        held = await certificates.certificates_of(connection, gateway_id)
        good = [each for each in held if each.revoked_at is None]
        until = f"certificate until {good[0].not_after:%Y-%m-%d}" if good else "no certificate"
        lines.append(f"{gateway_id}\t{'retired' if retired_at else until}")
    waiting = await codes.pending_codes(connection)
    return lines + [
        f"{code.gateway_id}\ta code waits until {code.expires_at:%Y-%m-%d %H:%M %Z}"
        for code in waiting
    ]


def _ask(settings: Config, question: Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]) -> T:
    async def asked() -> T:
        async with await psycopg.AsyncConnection.connect(
            settings.database.conninfo(), autocommit=True, connect_timeout=CONNECT_S_MAX
        ) as connection:
            return await question(connection)

    try:
        return asyncio.run(asked())
    except psycopg.OperationalError as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        _fail(f"database.dsn: {settings.database.address()} cannot be used ({said})")
    except psycopg.errors.UndefinedTable:
        _fail("schema: the tables are not there → run: python -m alerts migrate")


def _enrolment(settings: Config) -> EnrolmentSettings:
    if settings.enrolment is None:
        _fail("enrolment: missing → set authority_dir, broker_host, broker_dir and services_dir")
    return settings.enrolment


def _load(path: Path | None) -> Config:
    try:
        return load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)
