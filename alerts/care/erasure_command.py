"""The command ``erase`` of alerts' command line: says what goes and what stays, and does it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import cyclopts
import psycopg

from alerts import command_error
from alerts.audit.operator import operating_account
from alerts.care.erasure import GOES, STAYS, Erased, Obstacle, erase
from alerts.config import Config
from ingest.settings import ConfigError, load

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1
CONNECT_S_MAX: Final = 5

app = cyclopts.App(name="erase", help="Erase what may go of a patient who measures no more.")

_FIRST: Final = {
    Obstacle.ALERT: "an alert is not closed",
    Obstacle.LOAN: "she has a device on loan",
    Obstacle.TASK: "a task is not done",
    Obstacle.MESSAGE: "a message of hers is not answered",
    Obstacle.PROPOSAL: "a proposed plan waits for her answer",
    Obstacle.REMINDED: "her plan still expects measurements: agree on one that does not",
    Obstacle.TECHNICAL: "a fault of a box or a device of hers is not closed",
}


@app.default
def erase_command(
    patient: int,
    *,
    do: bool = False,
    config: Annotated[Path | None, cyclopts.Parameter(name="--config")] = None,
) -> None:
    """Say what goes and what stays of a patient, in her language; with --do, erase.

    Run ``export`` first if she asks for what there is. It stands in the access log.

    Args:
        patient: Her number: the last part of her page's address.
        do: Erase; without it nothing is changed.
        config: alerts' TOML file.
    """
    try:
        settings = load(Config, config)
    except ConfigError as error:
        _say(str(error), EXIT_CONFIG)
    _print_what()
    if not do:
        return
    try:
        erased = asyncio.run(_erase(settings.database.conninfo(), patient))
    except LookupError:
        _say("patient: there is no such patient → see the last part of her page's address")
    except psycopg.Error as error:
        told = command_error.told(error, settings)
        if told is None:
            raise
        _say(told)
    if erased.obstacles:
        first = "; ".join(_FIRST[obstacle] for obstacle in erased.obstacles)
        _say(f"patient: nothing was erased, for somebody may have to reach her: {first}")
    print(f"Raderat: {sum(erased.gone.values())} rader.")  # noqa: T201 - a command prints
    print(f"Journalen finns kvar till minst {erased.kept_until:%Y-%m-%d}.")  # noqa: T201 - the same


async def _erase(conninfo: str, patient_id: int) -> Erased:
    async with await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=CONNECT_S_MAX
    ) as connection:
        cursor = await connection.execute("select now()")
        row = await cursor.fetchone()
        assert row is not None
        return await erase(connection, patient_id, by=operating_account(), now=row[0])


def _print_what() -> None:
    for head, why in (
        ("Raderas", {table: going.why for table, going in GOES.items()}),
        ("Finns kvar", STAYS),
    ):
        for reason in dict.fromkeys(why.values()):
            tables = ", ".join(table for table, each in why.items() if each == reason)
            print(f"{head}: {tables}\n  {reason}")  # noqa: T201 - a command prints


def _say(problem: str, code: int = EXIT_FAILED) -> NoReturn:
    print(problem, file=sys.stderr)  # noqa: T201 - a command prints
    sys.exit(code)
