"""The command ``seed`` of alerts' command line: writes a care record file, and says what it did."""

import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import cyclopts
import psycopg

from alerts import command_error
from alerts.audit.operator import operating_account
from alerts.care.file import CareRecordError, read
from alerts.care.seed import Seeded, seed
from alerts.care.seed_accounts import Left
from alerts.config import Config
from ingest.settings import ConfigError, load

EXIT_CONFIG: Final = 2
EXIT_FAILED: Final = 1
CONNECT_S_MAX: Final = 5
# A person can read so many names; the rest is counted.
_NAMES_SHOWN_MAX: Final = 20

app = cyclopts.App(name="seed", help="Write a care record file into the database.")


@app.default
def seed_command(
    care_record: Path,
    *,
    end_left_out: Annotated[int | None, cyclopts.Parameter(name="--end-left-out")] = None,
    config: Annotated[Path | None, cyclopts.Parameter(name="--config")] = None,
) -> None:
    """Write a care record file (JSON) into the database, all of it or nothing.

    Args:
        care_record: The file.
        end_left_out: End staff who work in the file's units and are not in it, if there are no more
            of them than this; otherwise nothing is written. Without it nobody ends, and the command
            says how many there are.
        config: alerts' TOML file.
    """
    if end_left_out is not None and end_left_out < 0:
        _say(f"--end-left-out: {end_left_out} is no number of people → give 0 or more")
    try:
        settings = load(Config, config)
    except ConfigError as error:
        _say(str(error), EXIT_CONFIG)
    try:
        record = read(care_record.read_bytes())
        with psycopg.connect(
            settings.database.conninfo(), connect_timeout=CONNECT_S_MAX
        ) as connection:
            done = seed(connection, record, end_max=end_left_out, by=operating_account())
    except OSError as error:
        _say(f"{care_record}: {error.strerror} → give the path of a readable file")
    except CareRecordError as error:
        _say(f"{care_record}: nothing was written → mend what follows, and run it again\n{error}")
    except psycopg.Error as error:
        told = command_error.told(error, settings)
        if told is None:
            raise
        _say(told)
    _tell(done)


def _tell(done: Seeded) -> None:
    kept = f", {done.kept} patients kept as somebody has decided since" if done.kept else ""
    print(  # noqa: T201 - a command prints
        f"{done.patients} patients ({done.patients_new} new), {done.staff} staff, "
        f"{done.loans_new} new loans, {done.plans_new} new plan versions{kept}"
    )
    for sentence in _about_staff(done.left):
        print(sentence)  # noqa: T201 - the same


def _about_staff(left: Left) -> list[str]:
    """Return what there is to say of staff whom the file leaves out, or names in vain."""
    said = []
    if left.here and left.ended:
        said.append(f"{_count(left.here)} ended: not in the file ({_names(left.here)})")
    elif left.here:
        said.append(
            f"{_count(left.here)} of these units not in the file ({_names(left.here)}), and work "
            f"here still → have they left? Then: --end-left-out {len(left.here)}"
        )
    if left.staying_ended:
        said.append(
            f"{_count(left.staying_ended)} of the file ended here, and stay so "
            f"({_names(left.staying_ended)}) → back? Then: python -m alerts account reopen"
        )
    return said


def _count(names: tuple[str, ...]) -> str:
    return f"{len(names)} staff"


def _names(names: tuple[str, ...]) -> str:
    shown = [name or "without an account" for name in names[:_NAMES_SHOWN_MAX]]
    more = len(names) - len(shown)
    return ", ".join([*shown, f"… and {more} more"] if more else shown)


def _say(problem: str, code: int = EXIT_FAILED) -> NoReturn:
    print(problem, file=sys.stderr)  # noqa: T201 - a command prints
    sys.exit(code)
