"""The chain as the benchmarks run it: servers, ingest, the peer and the publisher as processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from bench.county import Load, fill_county
from bench.peer import TABLE
from bench.publisher import Sent
from ingest.schema.migrate import migrate
from simulator.embedded.broker import Broker, EmbeddedBroker, Mosquitto
from simulator.embedded.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
START_S_MAX = 30.0
# A server's, and not a laptop's: docs/operations.md.
SETTINGS = {"shared_buffers": "1GB", "wal_compression": "on"}
RUN_S_MAX = 180.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Servers:
    """One database, one broker, a folder; the county is registered."""

    name: str
    database: Postgres
    broker: Broker
    directory: Path

    def pids(self, *workers: subprocess.Popen[bytes]) -> dict[str, int | None]:
        """Return whose processor time is counted."""
        named = {f"ingest {number}": one.pid for number, one in enumerate(workers, start=1)}
        return {"broker": self.broker.pid, "postgres": self.database.pid, **named}

    @property
    def url(self) -> str:
        """The database as a URL."""
        parts = conninfo_to_dict(self.database.dsn())
        place = f"{parts['host']}:{parts['port']}/{parts['dbname']}"
        return f"postgres://{parts['user']}:{parts['password']}@{place}"

    def one(self, query: str) -> int:
        """Return the one number that *query* gives."""
        with psycopg.connect(self.database.dsn()) as connection:
            row = connection.execute(query).fetchone()
        return int(row[0]) if row and row[0] is not None else 0

    def do(self, *statements: str) -> None:
        """Run *statements*."""
        with psycopg.connect(self.database.dsn(), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def empty(self) -> None:
        """Forget what was measured."""
        self.do(
            "truncate reading, sample, breach_reading, breach, quarantine, repeat_wait",
            "alter table alert_log disable trigger all",
            "truncate alert_log, alert cascade",
            "alter table alert_log enable trigger all",
            "checkpoint",
        )


@contextmanager
def servers(name: str, tree: Path | None, directory: Path) -> Iterator[Servers]:
    """Start a database of the edition and a broker, and register the county."""
    directory.chmod(0o755)  # the server may run under another account
    if Mosquitto.program() is None:
        print("mosquitto is not installed: the embedded broker stands in, which is slower")
    kind = EmbeddedBroker if Mosquitto.program() is None else Mosquitto
    with (
        Postgres(directory / "pg", tree=tree, settings=SETTINGS) as database,
        kind(directory / "broker") as broker,
    ):
        migrate(database.dsn())
        fill_county(database.dsn())
        found = Servers(name, database, broker, directory)
        found.do(TABLE, "vacuum analyze")
        yield found


@contextmanager
def ingest(
    servers: Servers, workers: int = 1, profile: Path | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run ingest's workers, from the last one's subscription on.

    More than one share the readings, as they do where they are deployed. Only the first is
    profiled.
    """
    with contextlib.ExitStack() as ending:
        processes = [
            ending.enter_context(_worker(servers, number, workers, profile if not number else None))
            for number in range(workers)
        ]
        yield processes


@contextmanager
def _worker(
    servers: Servers, number: int, workers: int, profile: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "EGENMONITOR_INGEST__DATABASE__DSN": servers.database.dsn(),
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__BROKER__PORT": str(servers.broker.port),
        "EGENMONITOR_INGEST__BROKER__CLIENT_ID": f"bench-ingest-{workers}-{number}",
        "EGENMONITOR_INGEST__BROKER__SHARED_GROUP": "bench" if workers > 1 else "",
    }
    command = [sys.executable, "-m", "ingest", "run"]
    if profile:
        command[1:1] = ["-m", "cProfile", "-o", str(profile)]
    log = servers.directory / f"ingest-{number}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=file)
    deadline = time.monotonic() + START_S_MAX
    while b"broker.subscribed" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"ingest does not start: {log.read_text()}")
        time.sleep(0.02)
    with _ending(process):
        yield process
    print(_warnings(log), end="")


@contextmanager
def peer(
    servers: Servers, python: str, topic: str, client_id: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the peer; it says nothing of its subscription, so ask the broker by a message."""
    command = [python, str(ROOT / "bench/peer.py"), str(servers.broker.port), servers.url]
    command += [topic, client_id]
    with (servers.directory / "peer.log").open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file)
    with _ending(process):
        yield process


@contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(START_S_MAX)


def _warnings(log: Path) -> str:
    lines = [
        line for line in log.read_text().splitlines() if '"warning"' in line or '"error' in line
    ]
    return "".join(f"{line[:300]}\n" for line in lines[-5:])


@dataclass(frozen=True, slots=True)
class Run:
    """What the publisher saw, and what each process took of a core."""

    sent: Sent
    cores: dict[str, float]


def publish(
    servers: Servers,
    load: Load,
    pids: Mapping[str, int | None],
    *,
    rate: float = 0.0,
    acks_only: bool = False,
) -> Run:
    """Send *load* and wait for its receipts, or for the broker's acknowledgements only."""
    path = servers.directory / "load"
    path.write_bytes(load.packets)
    Path(f"{path}.marked").write_text("\n".join(map(str, load.marked)))
    words = [str(servers.broker.port), str(path), str(load.messages), "--rate", str(rate)]
    publisher = subprocess.Popen(
        [sys.executable, "-m", "bench.publisher", *words, *(["--acks-only"] * acks_only)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert publisher.stdin
    assert publisher.stdout
    guard = threading.Timer(RUN_S_MAX, publisher.kill)
    guard.start()
    publisher.stdout.readline()
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    began = time.monotonic()
    publisher.stdin.write(b"\n")
    publisher.stdin.flush()
    line = publisher.stdout.readline()
    took_s = time.monotonic() - began
    cores = {name: (cpu_s(pid) - before[name]) / took_s for name, pid in pids.items()}
    guard.cancel()
    if not line:
        sys.exit(f"{load.messages} messages were not answered within {RUN_S_MAX:g} s")
    publisher.wait(START_S_MAX)
    return Run(Sent(**json.loads(line)), cores)


def cpu_s(pid: int | None) -> float:
    """Return the processor seconds of a process and its children so far; Linux only."""
    total = 0.0
    for one in [pid, *_children(pid)]:
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def _children(pid: int | None) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
