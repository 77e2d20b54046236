"""Place: the demo's directory, what is kept in it, and the lock that makes it one demo's."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from simulator import care_record
from simulator.care_record import Login
from simulator.demo.supervisor import DemoError

ZONE: Final = ZoneInfo("Europe/Stockholm")
HISTORY_DAYS: Final = 30
SEED: Final = 20261122
GATEWAY_ID: Final = "demo-dosa-1"
# The history came from a box of its own, before the demo's box was put up.
HISTORY_GATEWAY_ID: Final = "demo-dosa-0"

_HISTORY_DONE: Final = "history_done"


@dataclass(frozen=True, slots=True)
class Begun:
    """When the demo in a directory was begun: its history stays that of that day."""

    at: datetime  # aware UTC

    @property
    def last_day(self) -> date:
        """The local date the history ends with."""
        return self.at.astimezone(ZONE).date()

    @property
    def history_from(self) -> datetime:
        """When the first day of the history begins."""
        first = self.last_day - timedelta(days=HISTORY_DAYS - 1)
        return datetime(first.year, first.month, first.day, tzinfo=ZONE)


class Place:
    """Paths in the demo's directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.logs = self.directory / "log"
        self.care_record = self.directory / "care_record.json"
        self.database = self.directory / "postgres"
        self.broker = self.directory / "broker"
        self.gateway = self.directory / "gateway"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the directory for this demo alone.

        Raises:
            DemoError: Another demo runs in it, or it cannot be made.
        """
        try:
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            lock = (self.directory / "lock").open("a+")
        except OSError as error:
            problem = f"--directory {self.directory} cannot be used: {error.strerror}"
            raise DemoError(problem) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                problem = (
                    f"a demo runs in {self.directory} already (process {lock.read().strip()}): "
                    "stop it, or name another --directory"
                )
                raise DemoError(problem) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def begun(self) -> Begun:
        """Return when the demo here was begun: now, if it has not been."""
        path = self.directory / "begun"
        if not path.exists():
            path.write_text(datetime.now(UTC).isoformat(timespec="seconds"))
        return Begun(datetime.fromisoformat(path.read_text()))

    def logins(self, begun: Begun) -> tuple[list[Login], bool]:
        """Return the demo's logins, and whether they were made just now, with the care record."""
        if self.care_record.exists():
            return care_record.read_logins(self.care_record), False
        made = care_record.write(
            self.care_record,
            gateways=(GATEWAY_ID, HISTORY_GATEWAY_ID),
            gateway_at_home=GATEWAY_ID,
            history_from=begun.history_from,
            now=begun.at,
        )
        return made, True

    @property
    def history_is_done(self) -> bool:
        """Whether every reading of the history has had its receipt."""
        return (self.directory / _HISTORY_DONE).exists()

    def finish_history(self, summary: Mapping[str, object]) -> None:
        """Remember that the history has had its receipts."""
        (self.directory / _HISTORY_DONE).write_text(json.dumps(summary))

    def config(self, name: str) -> Path:
        """Return the configuration file of a process."""
        return self.directory / f"{name}.toml"

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.logs / f"{name}.log"

    def write_config(self, name: str, tables: Mapping[str, Mapping[str, object]]) -> None:
        """Write a process's configuration; the table named "" comes first."""
        lines = []
        for table, keys in sorted(tables.items()):
            lines += [f"[{table}]"] if table else []
            # A JSON string, number or boolean is one in TOML too.
            lines += [
                f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()
            ]
            lines.append("")
        self.config(name).write_text("\n".join(lines), encoding="utf-8")
