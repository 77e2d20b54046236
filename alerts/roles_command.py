"""The command ``roles`` of alerts' command line: who may do what in the database."""

import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import cyclopts
import psycopg

from alerts import command_error, roles
from alerts.config import Config
from ingest.settings import ConfigError, load, read_secret

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1
CONNECT_S_MAX: Final = 5
ROLES: Final = (*roles.GRANTS, roles.MIGRATOR)

app = cyclopts.App(name="roles", help="Roles of the database: make them what they should be.")


@app.default
def roles_command(
    *,
    passwords: Path | None = None,
    config: Annotated[Path | None, cyclopts.Parameter(name="--config")] = None,
) -> None:
    """Make the roles of the database what they should be; after each "migrate", as a superuser.

    Args:
        passwords: A directory with a file for each role, called ROLE_password: its password from
            now on. Without it roles keep what they have; a new one has none.
        config: alerts' TOML file.
    """
    try:
        settings = load(Config, config)
    except ConfigError as error:
        _say(str(error), EXIT_CONFIG)
    given = {} if passwords is None else _read(passwords)
    try:
        with psycopg.connect(
            settings.database.conninfo(), connect_timeout=CONNECT_S_MAX
        ) as connection:
            roles.apply(connection)
            for role, password in given.items():
                roles.set_password(connection, role, password)
    except psycopg.errors.InsufficientPrivilege:
        _say("database.dsn: this account may not make roles → give a superuser's")
    except psycopg.Error as error:
        told = command_error.told(error, settings)
        if told is None:
            raise
        _say(told)
    with_passwords = ", with the passwords given" if given else ""
    print(f"{', '.join(ROLES)}: as they should be{with_passwords}")  # noqa: T201 - a command prints


def _read(directory: Path) -> dict[str, str]:
    """Return the password of each role."""
    given = {}
    for role in ROLES:
        path = directory / f"{role}_password"
        try:
            given[role] = read_secret(path)
        except OSError as error:
            _say(f"{path}: {error.strerror} → write the password of {role} there")
        if not given[role]:
            _say(f"{path}: is empty → write the password of {role} there")
    return given


def _say(problem: str, code: int = EXIT_FAILED) -> NoReturn:
    print(problem, file=sys.stderr)  # noqa: T201 - a command prints
    sys.exit(code)
