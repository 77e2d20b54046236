"""Ingest, whole chain: publisher → broker → ingest → PostgreSQL → receipt at the publisher.

``python bench/ingest.py`` prints readings per second for 1, 20 and 200 readings per message, and
the ratio to a server-side COPY of the very same rows of ``reading`` and ``sample``. Chain and
COPY take turns (A B A B); medians last. ``--profile`` runs ingest under cProfile.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402

from bench.ingest_load import Load, fill_county, make_load  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.broker import Broker, EmbeddedBroker, Mosquitto  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

# Readings per run: a few seconds each, so that start and end weigh little.
SIZES = {1: 20_000, 20: 100_000, 200: 160_000}
ROUNDS = 3
WINDOW = 60_000  # messages without PUBACK; MQTT's packet ids end at 65,535
START_S_MAX = 30.0
RUN_S_MAX = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the chain and the COPY of what it stored."""

    readings: int
    samples: int
    chain_s: float
    copy_s: float
    cores: dict[str, float]


def main() -> None:
    """Run all sizes on each database there is, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--edition", choices=["plain", "timescaledb"], nargs="*")
    parser.add_argument("--profile", type=Path, help="write cProfile's figures of ingest here")
    options = parser.parse_args()
    lines = []
    for name, tree in _databases(options.edition):
        with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
            directory = Path(place)
            directory.chmod(0o755)  # the server may run under another account
            with (
                Postgres(directory / "pg", tree=tree) as server,
                _broker(directory / "broker") as broker,
            ):
                _prepare(server.dsn())
                with _ingest(server.dsn(), broker.port, directory, options.profile) as ingest:
                    pids = {"ingest": ingest.pid, "broker": broker.pid, "postgres": server.pid}
                    results = _rounds(options, server, broker, pids, directory)
                lines += _summary(name, type(broker).__name__, results)
            shutil.rmtree(server.outside_data_directory())  # a tree's lies inside the tree
    print("\n" + "\n".join(lines))


def _databases(wanted: list[str] | None) -> Iterator[tuple[str, Path | None]]:
    if not wanted or "plain" in wanted:
        yield "PostgreSQL 18, embedded", None
    tree = Path(os.environ.get("EGENMONITOR_TIMESCALE_TREE") or "/nonexistent")
    if wanted and "timescaledb" not in wanted:
        return
    if (tree / "usr/lib/postgresql/17/bin/postgres").exists() and os.geteuid() == 0:
        yield "PostgreSQL 17 + TimescaleDB", tree
    else:
        print("TimescaleDB: skipped, EGENMONITOR_TIMESCALE_TREE names no tree")


@contextmanager
def _broker(directory: Path) -> Iterator[Broker]:
    if Mosquitto.program() is None:
        print("mosquitto is not installed: the embedded broker stands in, which is slower")
    with (EmbeddedBroker if Mosquitto.program() is None else Mosquitto)(directory) as broker:
        yield broker


@contextmanager
def _ingest(
    dsn: str, port: int, directory: Path, profile: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "EGENMONITOR_INGEST__DATABASE__DSN": dsn,
        "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        "EGENMONITOR_INGEST__BROKER__PORT": str(port),
    }
    command = [sys.executable, "-m", "ingest", "run"]
    if profile:
        command[1:1] = ["-m", "cProfile", "-o", str(profile)]
    log = directory / "ingest.log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=file)
    deadline = time.monotonic() + START_S_MAX
    while b"broker.connected" not in log.read_bytes():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"ingest does not start: {log.read_text()}")
        time.sleep(0.05)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(START_S_MAX)
        print(_last_words(log))


def _last_words(log: Path) -> str:
    return "\n".join(
        line
        for line in log.read_text().splitlines()
        if '"warning"' in line or '"error"' in line or "ingest.progress" in line
    )[-2000:]


def _rounds(
    options: argparse.Namespace,
    server: Postgres,
    broker: Broker,
    pids: dict[str, int | None],
    directory: Path,
) -> dict[int, list[Run]]:
    results: dict[int, list[Run]] = {size: [] for size in options.sizes}
    for number in range(options.rounds):
        for size in options.sizes:
            load = make_load(SIZES[size], size, number)
            chain_s, cores = _chain(load, broker.port, pids, directory)
            run = _copy(server, chain_s, cores)
            assert run.readings == SIZES[size], f"{run.readings} stored, {SIZES[size]} sent"
            results[size].append(run)
            print(_line(size, run), flush=True)
    return results


def _chain(
    load: Load, port: int, pids: dict[str, int | None], directory: Path
) -> tuple[float, dict[str, float]]:
    path = directory / "load"
    path.write_bytes(load.packets)
    arguments = [str(port), str(path), str(load.messages), str(WINDOW)]
    publisher = subprocess.Popen(
        [sys.executable, "-m", "bench.ingest_load", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert publisher.stdin
    assert publisher.stdout
    guard = threading.Timer(RUN_S_MAX, publisher.kill)
    guard.start()
    publisher.stdout.readline()
    before = {name: _cpu_s(pid) for name, pid in pids.items()}
    before["publisher"] = _cpu_s(publisher.pid)
    publisher.stdin.write(b"\n")
    publisher.stdin.flush()
    line = publisher.stdout.readline()
    guard.cancel()
    if not line:
        sys.exit(f"no receipts for all of {load.messages} messages within {RUN_S_MAX:g} s")
    chain_s = float(line.split()[1])
    after = {name: _cpu_s(pid) for name, pid in pids.items()}
    after["publisher"] = before["publisher"]  # it may have ended; its own count is small
    publisher.wait(START_S_MAX)
    return chain_s, {name: (after[name] - before[name]) / chain_s for name in pids}


def _copy(server: Postgres, chain_s: float, cores: dict[str, float]) -> Run:
    """Copy what the chain stored out to files and, timed, in again; leave the tables empty."""
    folder = server.outside_data_directory()
    inside = server._data_directory()  # noqa: SLF001 - the server's own view of its folder
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        counts = []
        for table in ("reading", "sample"):
            row = connection.execute(f"select count(*) from {table}").fetchone()
            counts.append(row[0] if row else 0)
            connection.execute(
                f"copy (select * from {table}) to '{inside}/{table}.bench' (format binary)"
            )
        connection.execute("truncate reading, sample")
        connection.execute("checkpoint")
        began = time.monotonic()
        for table in ("reading", "sample"):
            connection.execute(f"copy {table} from '{inside}/{table}.bench' (format binary)")
        copy_s = time.monotonic() - began
        connection.execute("truncate reading, sample, breach")
        connection.execute("checkpoint")
    for table in ("reading", "sample"):
        (folder / f"{table}.bench").unlink()
    return Run(counts[0], counts[1], chain_s, copy_s, cores)


def _prepare(dsn: str) -> None:
    migrate(dsn)
    fill_county(dsn)


def _cpu_s(pid: int | None) -> float:
    """Return the CPU seconds of a process and its children so far, Linux only."""
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


def _line(size: int, run: Run) -> str:
    cores = ", ".join(f"{name} {cores:.2f}" for name, cores in run.cores.items())
    return (
        f"  {size:>3} per message: {run.readings / run.chain_s:>9,.0f} readings/s,"
        f" {run.samples / run.chain_s:>9,.0f} samples/s;"
        f" COPY {run.samples / run.copy_s:>9,.0f} samples/s;"
        f" ratio {run.copy_s / run.chain_s:.3f}; cores: {cores}"
    )


def _summary(name: str, broker: str, results: dict[int, list[Run]]) -> list[str]:
    lines = [f"{name}, {broker}, medians of {len(next(iter(results.values())))}:"]
    for size, runs in results.items():
        cores = {k: statistics.median(run.cores[k] for run in runs) for k in runs[0].cores}
        median = Run(
            runs[0].readings,
            runs[0].samples,
            statistics.median(run.chain_s for run in runs),
            statistics.median(run.copy_s for run in runs),
            cores,
        )
        ratio = statistics.median(run.copy_s / run.chain_s for run in runs)
        limit = max(cores, key=lambda key: cores[key])
        lines.append(f"{_line(size, median)}; busiest: {limit}; median ratio {ratio:.3f}")
    return lines


if __name__ == "__main__":
    main()
