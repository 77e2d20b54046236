"""The real processes on real servers, for tests that cut wires and pull plugs."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from simulator.demo.supervisor import Program
from simulator.embedded.broker import Broker
from simulator.embedded.postgres import Postgres

GATEWAY_ID = "g-system"
ZONE = "Europe/Stockholm"
# The slowest step seen, a database that replays its log on a busy machine, took 6 s.
PATIENCE_S = 90.0
_POLL_S = 0.1
_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass
class Chain:
    """Gateway, ingest and alerts as processes of their own.

    Attributes:
        directory: For configurations, logs and the gateway's store.
        postgres: The database server.
        broker: The MQTT broker.
        transport: The virtual radio's address for the gateway.
        gateway_command: How the gateway is started, for a test that needs a worse one.
    """

    directory: Path
    postgres: Postgres
    broker: Broker
    transport: str
    gateway_command: Sequence[str] = ()
    gateway: Program = field(init=False)
    ingest: Program = field(init=False)
    alerts: Program = field(init=False)

    def __post_init__(self) -> None:
        database = {
            "dsn": self.postgres.dsn_without_password(),
            "password_file": str(self.postgres.password_file),
        }
        port = self.broker.port
        broker = {"host": "127.0.0.1", "port": port}
        self._write("ingest", {"database": database, "broker": broker})
        self._write("alerts", {"database": database})
        gateway: dict[str, dict[str, Any]] = {
            "": {
                "gateway_id": GATEWAY_ID,
                "time_zone": ZONE,
                "data_dir": str(self.directory / "gateway"),
            },
            "radio": {"backend": "bumble", "transport": self.transport},
            "session": {"idle_s": 2.0},
            "uplink": {"host": "127.0.0.1", "port": port, "resend_after_s": 1.0},
            "clock": {"doubt_after_boot_s": 0.0},
            "heartbeat": {"interval_s": 1.0},
        }
        self._write("gateway", gateway)
        self.gateway = self.program("gateway", "run", command=self.gateway_command)
        self.ingest = self.program("ingest", "run")
        self.alerts = self.program("alerts", "run")

    def program(self, room: str, *words: str, command: Sequence[str] = ()) -> Program:
        """Return a command of *room* with its configuration, ready to start."""
        start = command or [sys.executable, "-m", room]
        config = str(self.config(room))
        call = [*start, words[0], "--config", config, *words[1:]]
        return Program(call, self.directory / f"{room}.log")

    def config(self, room: str) -> Path:
        """Return where the configuration of *room* lies."""
        return self.directory / f"{room}.toml"

    def prepare(self, care_record: Mapping[str, Any]) -> None:
        """Migrate the database and seed it."""
        path = self.directory / "care.json"
        path.write_text(json.dumps(care_record))
        for words in (["migrate"], ["seed", str(path)]):
            program = self.program("alerts", *words)
            code = program.finish(PATIENCE_S)
            assert code == 0, program.log_file.read_text()

    def stop(self) -> None:
        """Stop the processes, those that send first."""
        for program in (self.gateway, self.alerts, self.ingest):
            program.stop()

    def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Return what the database answers; nothing while it is down."""
        try:
            with psycopg.connect(self.postgres.dsn(), connect_timeout=2) as connection:
                return connection.execute(query.encode(), arguments).fetchall()
        except psycopg.OperationalError:
            return []

    def stored(self) -> int:
        """Return how many readings the database holds."""
        found = self.rows("select count(*) from reading")
        return int(found[0][0]) if found else 0

    def waiting(self) -> int:
        """Return how many raw values and readings the gateway still holds."""
        status = self.program("gateway", "status", "--json")
        said = subprocess.run(status.command, stdout=subprocess.PIPE, check=True).stdout
        depths = json.loads(said)
        return int(depths["inbox"]) + int(depths["outbox"])

    async def until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait until something is so; a failure names what, and quotes the logs."""
        await wait_until(what, is_so, self._logs)

    def _logs(self) -> str:
        tails = [
            f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}"
            for path in sorted(self.directory.glob("*.log"))
        ]
        return "\n".join(tails)

    def _write(self, room: str, tables: Mapping[str, Mapping[str, Any]]) -> None:
        lines: list[str] = []
        for table, keys in tables.items():
            lines += [f"[{table}]"] if table else []
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.config(room).parent.mkdir(parents=True, exist_ok=True)
        self.config(room).write_text("\n".join(lines) + "\n")


async def wait_until(
    what: str, is_so: Callable[[], bool], logs: Callable[[], str] = lambda: ""
) -> None:
    """Wait until something is so; a failure names what, and quotes the logs."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not await asyncio.to_thread(is_so):
        assert loop.time() < deadline, f"not within {PATIENCE_S:.0f} s: {what}\n{logs()}"
        await asyncio.sleep(_POLL_S)


def care_record(
    device_ids: Sequence[str], limits: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return a care record with one nurse and one patient, who has all the devices."""
    plan = {
        "in_force_from": _LONG_AGO.isoformat(),
        "agreed_how": "vid besök",
        "limits": list(limits) or [{"quantity": "systolic", "yellow_high": 250, "red_high": 280}],
    }
    nurse = {
        "key": "nurse",
        "unit": "unit",
        "name": "Testsköterska Ett",
        "role": "distriktssköterska",
        "phone": "060-000 00 00",
        "username": "nurse",
        "password": "a-long-test-password",
    }
    patient = {
        "key": "patient",
        "given_name": "Testpatient",
        "family_name": "Ett",
        "personal_number": "191212121212",
        "born_on": "1912-12-12",
        "phone": "060-000 00 01",
        "diagnosis": "Högt blodtryck",
        "contact": "nurse",
        "username": "patient",
        "password": "another-test-password",
        "loans": [
            {"device_id": device_id, "lent_from": _LONG_AGO.isoformat()} for device_id in device_ids
        ],
        "plans": [plan],
    }
    unit = {
        "key": "unit",
        "name": "Testenheten",
        "phone": "060-000 00 00",
        # Always: nothing may depend on when the tests run.
        "opening": [
            {
                "weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
                "opens": "00:00",
                "closes": "24:00",
                "on_holidays": True,
            }
        ],
    }
    return {
        "units": [unit],
        "staff": [nurse],
        "gateways": [GATEWAY_ID],
        "patients": [patient],
    }
