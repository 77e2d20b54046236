"""``python -m alerts account …``: what only who looks after the system may do with accounts.

All of it is in the access log, with the machine's account that ran it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import cyclopts
import psycopg

from alerts import account_end, accounts, command_error
from alerts.accounts import Linked
from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.audit.operator import operating_account
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
        await log(connection, Action.ACCOUNT_CODE_RESET, account_id)
        return await log_out(connection, account_id)

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

    async def done(connection: Connection, account_id: int) -> Linked:
        linked = await accounts.link(connection, account_id, named)
        if linked is Linked.DONE:
            await log(connection, Action.ACCOUNT_LINKED, account_id)
        return linked

    linked = _ask(settings, username, done)
    if linked is Linked.TAKEN:
        _fail(f"{username}: she or the identity is linked already → run: account unlink")
    print(f"{username}: logs in by the identity provider")


@account.command(name="unlink")
def unlink_command(username: str, *, config: ConfigFile = None) -> None:
    """Undo "link". She is logged out everywhere."""

    async def done(connection: Connection, account_id: int) -> int:
        await accounts.unlink(connection, account_id)
        await log(connection, Action.ACCOUNT_UNLINKED, account_id)
        return await log_out(connection, account_id)

    ended = _ask(_load(config), username, done)
    print(f"{username}: linked to nobody; {ended} sessions ended")


@account.command(name="log-out")
def log_out_command(username: str, *, config: ConfigFile = None) -> None:
    """End every session of an account, now."""

    async def done(connection: Connection, account_id: int) -> int:
        await log(connection, Action.ACCOUNT_LOGGED_OUT, account_id)
        return await log_out(connection, account_id)

    ended = _ask(_load(config), username, done)
    print(f"{username}: {ended} sessions ended")


@account.command(name="end")
def end_command(username: str, *, employment: bool = False, config: ConfigFile = None) -> None:
    """End an account: nobody logs in by it any more, and who is logged in is logged out.

    The configuration's database account must be the migrator's.

    Args:
        username: Whose account.
        employment: She works here no more, either: she answers for nobody from now on.
        config: alerts' TOML file.
    """

    async def done(connection: Connection, account_id: int) -> int | None:
        if not await account_end.end(connection, account_id, employment=employment):
            return None
        detail = {"employment": employment}
        await log(connection, Action.ACCOUNT_ENDED, account_id, detail)
        return await log_out(connection, account_id)

    ended = _ask(_load(config), username, done)
    if ended is None:
        _fail(f"{username}: is no staff member's → leave out --employment")
    what = "account and employment ended" if employment else "account ended"
    print(f"{username}: {what}; {ended} sessions ended")


@account.command(name="reopen")
def reopen_command(username: str, *, config: ConfigFile = None) -> None:
    """Let an account that has ended, and the employment it is of, count again.

    For who has come back. The configuration's database account must be the migrator's.
    """

    async def done(connection: Connection, account_id: int) -> None:
        await account_end.reopen(connection, account_id)
        await log(connection, Action.ACCOUNT_REOPENED, account_id)

    _ask(_load(config), username, done)
    print(f"{username}: counts again; she logs in as before")


async def log_out(connection: Connection, account_id: int) -> int:
    """End every session of an account, and what is open in its browsers."""
    ended = await session.end_all(connection, account_id)
    await notify_worklists(connection, [session.topic(account_id)])
    return ended


async def log(
    connection: Connection,
    action: Action,
    account_id: int,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write into the access log what an operator did with an account."""
    cursor = await connection.execute(
        "select patient_id from account where account_id = %s", (account_id,)
    )
    row = await cursor.fetchone()
    entry = Entry(
        actor="system",
        action=action.value,
        ground="operator",
        patient_id=None if row is None else row[0],
        detail={"account_id": account_id, "account": operating_account(), **(detail or {})},
    )
    await append(connection, entry)


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
    except psycopg.Error as error:
        told = command_error.told(error, settings)
        if told is None:
            raise
        _fail(told)


def _load(path: Path | None) -> Config:
    try:
        return load(Config, path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_CONFIG)


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(EXIT_FAILED)
