"""The command ``export`` of alerts' command line: everything about one patient, into two files."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import cyclopts
import psycopg

from alerts.audit.chain import append
from alerts.audit.entry import Action, Entry
from alerts.audit.operator import operating_account
from alerts.care.export import export, readings_csv
from alerts.config import Config
from ingest.settings import ConfigError, load

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1
CONNECT_S_MAX: Final = 5

DOCUMENT: Final = "patient.json"
READINGS: Final = "matningar.csv"

app = cyclopts.App(name="export", help="Everything about one patient, for her who asks for it.")


@app.default
def export_command(
    patient: int,
    *,
    to: Path,
    config: Annotated[Path | None, cyclopts.Parameter(name="--config")] = None,
) -> None:
    """Write everything about a patient as JSON, and her measurements as a table.

    It stands in the access log. Nobody but this account can read the files.

    Args:
        patient: Her number: the last part of her page's address.
        to: A directory for ``patient.json`` and ``matningar.csv``; neither is written over.
        config: alerts' TOML file.
    """
    try:
        settings = load(Config, config)
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command prints
        sys.exit(EXIT_CONFIG)
    try:
        files = [_create(to / name) for name in (DOCUMENT, READINGS)]
    except OSError as error:
        _fail(f"--to: {error.filename}: {error.strerror} → name an empty directory")
    try:
        document = asyncio.run(_export(settings.database.conninfo(), patient))
    except LookupError as error:
        _take_back(to)
        _fail(f"patient: {error}")
    except psycopg.OperationalError as error:
        _take_back(to)
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        _fail(f"database.dsn: {settings.database.address()} cannot be used ({said})")
    text = json.dumps(document, ensure_ascii=False, indent=1).encode()
    for descriptor, content in zip(files, (text, readings_csv(document)), strict=True):
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    rows = sum(map(len, document["tables"].values()))
    print(f"{to / DOCUMENT}: {rows} rows; {to / READINGS}")  # noqa: T201 - a command prints


async def _export(conninfo: str, patient_id: int) -> dict[str, Any]:
    async with await psycopg.AsyncConnection.connect(
        conninfo, autocommit=True, connect_timeout=CONNECT_S_MAX
    ) as connection:
        cursor = await connection.execute(
            "select now() from person where patient_id = %s", [patient_id]
        )
        row = await cursor.fetchone()
        if row is None:
            problem = "there is no such patient → see the last part of her page's address"
            raise LookupError(problem)
        entry = Entry(
            actor="system",
            action=Action.EXPORTED.value,
            ground="operator",
            patient_id=patient_id,
            detail={"account": operating_account()},
        )
        await append(connection, entry)  # before anything is read
        return await export(connection, patient_id, row[0])


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _take_back(directory: Path) -> None:
    for name in (DOCUMENT, READINGS):
        (directory / name).unlink()


def _fail(problem: str) -> NoReturn:
    print(problem, file=sys.stderr)  # noqa: T201 - a command prints
    sys.exit(EXIT_FAILED)
