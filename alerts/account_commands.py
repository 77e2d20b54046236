"""``python -m alerts account …``: what only who looks after the system may do with accounts."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import cyclopts
import psycopg

from alerts import accounts
from alerts.accounts import Linked
from alerts.config import Config
from alerts.signal import notify_worklists
from alerts.web import session
from ingest.settings import ConfigError, load

EXIT_CONFIG = 2
EXIT_FAILED = 1
CONNECT_S_MAX = 5

ConfigFile = Annotated[Path | None, cyclopts.Parameter(name="--config")]
Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")

account = cyclopts.App(name="account", help="Accounts: reset codes, link identities, log out.")


@account.command(name="reset-code")
def reset_code_command(username: str, *, config: ConfigFile = None) -> None:
    """Forget an account's one-time codes: its next login sets up new ones. She is logged out.

    For a telephone that is lost or new. Make sure first that it is she who asks.
    """

    async def done(connection: Connection, account_id: int) -> int:
        await accounts.reset_code(connection, account_id)
        return await _log_out(connection, account_id)

    ended = _ask(_load(config), username, done)
    print(f"{username}: the next login sets up new codes; {ended} sessions ended")


@account.command(name="link")
def link_command(username: str, subject: str, *, config: ConfigFile = None) -> None:
    """Link an account to whom the identity provider calls SUBJECT (its claim "sub")."""
    settings = _load(config)
    provider = settings.login.provider
    if provider is None:
        _fail("login.provider: missing → configure the identity provider first")
    named = f"{provider.issuer} {subject}"
    linked = _ask(settings, username, lambda it, account_id: accounts.link(it, account_id, named))
    if linked is Linked.TAKEN:
        _fail(f"{username}: she or the identity is linked already → run: account unlink")
    print(f"{username}: logs in by the identity provider")


@account.command(name="unlink")
def unlink_command(username: str, *, config: ConfigFile = None) -> None:
    """Undo "link". She is logged out everywhere."""

    async def done(connection: Connection, account_id: int) -> int:
        await accounts.unlink(connection, account_id)
        return await _log_out(connection, account_id)

    ended = _ask(_load(config), username, done)
    print(f"{username}: linked to nobody; {ended} sessions ended")


@account.command(name="log-out")
def log_out_command(username: str, *, config: ConfigFile = None) -> None:
    """End every session of an account, now."""
    ended = _ask(_load(config), username, _log_out)
    print(f"{username}: {ended} sessions ended")


async def _log_out(connection: Connection, account_id: int) -> int:
    ended = await session.end_all(connection, account_id)
    await notify_worklists(connection, [session.topic(account_id)])
    return ended


def _ask(settings: Config, username: str, question: Callable[[Connection, int], Awaitable[T]]) -> T:
    """Return what *question* answers about the account, in one transaction."""

    async def asked() -> T:
        async with await psycopg.AsyncConnection.connect(
            settings.database.conninfo(), connect_timeout=CONNECT_S_MAX
        ) as connection:
            cursor = await connection.execute(
                "select account_id from account where username = %s for update", (username,)
            )
            row = await cursor.fetchone()
            if row is None:
                _fail(f"{username}: there is no such account → give a username of the care record")
            return await question(connection, row[0])

    try:
        return asyncio.run(asked())
    except psycopg.OperationalError as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        _fail(f"database.dsn: {settings.database.address()} cannot be used ({said})")
    except psycopg.errors.UndefinedTable:
        _fail("schema: the tables are not there → run: python -m alerts migrate")


def _load(path: Path | None) -> Config:
    try:
        return load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)
