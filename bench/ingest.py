"""Ingest, whole chain: publisher → broker → ingest → PostgreSQL → receipt at the publisher.

``python bench/ingest.py`` prints, each pair taken in turns (A B A B) in one run, medians last:

- readings per second with 20 and 200 readings a message, and the ratio to a server-side COPY of
  the very same rows of ``reading`` and ``sample``;
- 1 reading a message, live and from a backlog in the broker, and the ratio to mq-bridge, which
  carries the same readings without rules, receipts or plausibility;
- a stream with a tenth of duplicates ÷ one without;
- how long a reading takes from its sending to its receipt, at half the load just reached: all of
  them, and those that break a limit, whose alert is committed before the receipt goes out.

Every patient has limits, a repeat rule, k-of-n, a rolling mean and a missing rule. ``--only`` picks
parts, ``--profile FILE`` runs ingest under cProfile. The peer wants a Python that has mq-bridge:
``--peer-python`` or EGENMONITOR_MQ_BRIDGE_PYTHON; this one, if it has it.
"""

import argparse
import importlib.util
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

from bench.chain import Run, Servers, ingest, peer, publish, servers  # noqa: E402
from bench.county import flat_load, make_load  # noqa: E402

PARTS = ("copy", "peer", "duplicates", "latency")
# Readings per run: some seconds each, so that start and end weigh little.
SIZES = {20: 200_000, 200: 300_000}
SINGLES = 60_000
LATENCY_S = 5.0
ROUNDS = 3
WORKERS = 2  # as deployed on a machine with two processors
RUN_S_MAX = 180.0
PAUSE_S = 0.2


def main() -> None:
    """Run the parts on each database there is, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--only", choices=PARTS, nargs="*", default=list(PARTS))
    parser.add_argument("--edition", choices=["plain", "timescaledb"], nargs="*")
    parser.add_argument("--peer-python", default=os.environ.get("EGENMONITOR_MQ_BRIDGE_PYTHON"))
    parser.add_argument("--profile", type=Path, help="write cProfile's figures of ingest here")
    options = parser.parse_args()
    lines: list[str] = []
    for name, tree in _databases(options.edition):
        lines.append(f"{name}, {options.workers} workers, medians of {options.rounds}:")
        with (
            tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place,
            servers(name, tree, Path(place)) as there,
        ):
            for part in options.only:
                for line in _MEASURES[part](there, options):
                    print(f"  {line}", flush=True)
                    lines.append(f"  {line}")
            outside = there.database.outside_data_directory()
        if tree:
            shutil.rmtree(outside, ignore_errors=True)  # a tree's data lies inside the tree
    print("\n" + "\n".join(lines))


def _databases(wanted: list[str] | None) -> Iterator[tuple[str, Path | None]]:
    if not wanted or "plain" in wanted:
        yield "PostgreSQL 18, embedded", None
    if wanted and "timescaledb" not in wanted:
        return
    tree = Path(os.environ.get("EGENMONITOR_TIMESCALE_TREE") or "/nonexistent")
    if (tree / "usr/lib/postgresql/17/bin/postgres").exists() and os.geteuid() == 0:
        yield "PostgreSQL 17 + TimescaleDB", tree
    else:
        print("TimescaleDB: skipped, EGENMONITOR_TIMESCALE_TREE names no tree")


def _measure_copy(there: Servers, options: argparse.Namespace) -> Iterator[str]:
    with ingest(there, options.workers, options.profile) as workers:
        for per_message, readings in SIZES.items():
            runs, copies = [], []
            for number in range(options.rounds):
                load = make_load(readings, per_message, seed=number)
                runs.append(publish(there, load, there.pids(*workers)))
                stored = there.one("select count(*) from reading")
                assert stored == readings, f"{stored} stored, {readings} sent"
                copies.append(_copy_s(there))
                there.empty()
            ratios = [c / r.sent.answered_s for c, r in zip(copies, runs, strict=True)]
            yield (
                f"{per_message:>3} per message: {_rate(runs, readings):>9,.0f} readings/s"
                f" ({_rate(runs, 3 * readings):,.0f} samples/s); COPY of the same rows"
                f" {3 * readings / statistics.median(copies):,.0f} samples/s;"
                f" ratio {statistics.median(ratios):.3f}; {_cores(runs)}"
            )


def _copy_s(there: Servers) -> float:
    """Copy what was stored out to files and, timed, in again."""
    folder = there.database.outside_data_directory()
    inside = there.database._data_directory()  # noqa: SLF001 - the server's own view of its folder
    tables = ("reading", "sample")
    there.do(*(f"copy (select * from {t}) to '{inside}/{t}.bench' (format binary)" for t in tables))
    there.empty()
    began = time.monotonic()
    there.do(*(f"copy {t} from '{inside}/{t}.bench' (format binary)" for t in tables))
    took_s = time.monotonic() - began
    for table in tables:
        (folder / f"{table}.bench").unlink()
    return took_s


def _measure_peer(there: Servers, options: argparse.Namespace) -> Iterator[str]:
    python = options.peer_python
    if python is None and importlib.util.find_spec("mq_bridge"):
        python = sys.executable
    if python is None:
        yield "mq-bridge: skipped, no Python with it (--peer-python)"
    ours: dict[str, list[float]] = {"live": [], "backlog": []}
    theirs: dict[str, list[float]] = {"live": [], "backlog": []}
    live: list[Run] = []
    for number in range(options.rounds):
        with ingest(there, options.workers, options.profile) as workers:
            load = make_load(SINGLES, 1, seed=100 + number)
            live.append(publish(there, load, there.pids(*workers)))
        ours["live"].append(_stored_rate(there, "reading", "stored_at", load.messages))
        there.empty()
        load = make_load(SINGLES, 1, seed=200 + number)
        publish(there, load, {}, acks_only=True)
        with ingest(there, options.workers, options.profile):
            ours["backlog"].append(_stored_rate(there, "reading", "stored_at", load.messages))
        there.empty()
        if python:
            one, other = _peer_rates(there, python, number)
            theirs["live"].append(one)
            theirs["backlog"].append(other)
    for how, rates in ours.items():
        text = f"  1 per message, {how}: {statistics.median(rates):>9,.0f} readings/s"
        if python:
            ratios = [a / b for a, b in zip(rates, theirs[how], strict=True)]
            text += f"; mq-bridge {statistics.median(theirs[how]):,.0f}"
            text += f"; ratio {statistics.median(ratios):.2f}"
        yield text + (f"; {_cores(live)}" if how == "live" else "")


def _peer_rates(there: Servers, python: str, number: int) -> tuple[float, float]:
    """Return the peer's messages a second, live and from a backlog."""
    topic, greeting = flat_load(1, 1000 + number)
    with peer(there, python, topic, f"bench-peer-{number}"):
        while not there.one("select count(*) from bridged"):  # it does not tell when it listens
            publish(there, greeting, {}, acks_only=True)
            time.sleep(PAUSE_S)
        there.do("truncate bridged")
        _, load = flat_load(SINGLES, number)
        publish(there, load, {}, acks_only=True)
        live = _stored_rate(there, "bridged", "at", SINGLES)
    there.do("truncate bridged")
    publish(there, load, {}, acks_only=True)
    with peer(there, python, topic, f"bench-peer-{number}"):
        backlog = _stored_rate(there, "bridged", "at", SINGLES)
    there.do("truncate bridged")
    return live, backlog


def _stored_rate(there: Servers, table: str, column: str, rows: int) -> float:
    """Return rows a second from the first to the last, once there are so many."""
    deadline = time.monotonic() + RUN_S_MAX
    while (found := there.one(f"select count(*) from {table}")) < rows:
        if time.monotonic() > deadline:
            sys.exit(f"{found} of {rows} rows in {table} after {RUN_S_MAX:g} s")
        time.sleep(PAUSE_S)
    span = f"select extract(epoch from max({column}) - min({column})) * 1e6 from {table}"
    return rows / (there.one(span) / 1e6)


def _measure_duplicates(there: Servers, options: argparse.Namespace) -> Iterator[str]:
    plain, doubled = [], []
    with ingest(there, options.workers, options.profile):
        for number in range(options.rounds):
            load = make_load(SIZES[20], 20, seed=300 + number)
            again = make_load(SIZES[20], 20, seed=350 + number, repeat_every=10)
            plain.append(publish(there, load, {}))
            there.empty()
            doubled.append(publish(there, again, {}))
            stored = there.one("select count(*) from reading")
            assert stored == SIZES[20], f"{stored} stored, {SIZES[20]} sent"
            there.empty()
    # The same new readings in both; the copies are extra work.
    ratios = [a.sent.answered_s / b.sent.answered_s for a, b in zip(plain, doubled, strict=True)]
    yield (
        f"a tenth sent twice: {_rate(doubled, SIZES[20]):,.0f} new readings/s, without"
        f" {_rate(plain, SIZES[20]):,.0f}; ratio {statistics.median(ratios):.2f}"
    )


def _measure_latency(there: Servers, options: argparse.Namespace) -> Iterator[str]:
    with ingest(there, options.workers, options.profile) as workers:
        for per_message, readings in {1: SINGLES, **SIZES}.items():
            runs = []
            for number in range(options.rounds):
                load = make_load(readings, per_message, seed=400 + number)
                full = publish(there, load, {})
                there.empty()
                rate = load.messages / full.sent.answered_s / 2
                load = make_load(
                    int(min(rate * LATENCY_S, load.messages)) * per_message,
                    per_message,
                    seed=500 + number,
                )
                runs.append(publish(there, load, there.pids(*workers), rate=rate))
                there.empty()
            middle = {
                name: statistics.median(getattr(run.sent, name) for run in runs)
                for name in ("p50_ms", "p99_ms", "marked_p50_ms", "marked_p99_ms")
            }
            yield (
                f"{per_message:>3} per message, half load ({rate * per_message:,.0f} readings/s):"
                f" sent to receipt p50 {middle['p50_ms']:.0f} ms, p99 {middle['p99_ms']:.0f} ms;"
                f" with an alert p50 {middle['marked_p50_ms']:.0f} ms,"
                f" p99 {middle['marked_p99_ms']:.0f} ms; {_cores(runs)}"
            )


_MEASURES = {
    "copy": _measure_copy,
    "peer": _measure_peer,
    "duplicates": _measure_duplicates,
    "latency": _measure_latency,
}


def _rate(runs: list[Run], rows: int) -> float:
    return rows / statistics.median(run.sent.answered_s for run in runs)


def _cores(runs: list[Run]) -> str:
    cores = {name: statistics.median(run.cores[name] for run in runs) for name in runs[0].cores}
    busiest = max(cores, key=lambda name: cores[name])
    said = ", ".join(f"{name} {cores[name]:.2f}" for name in cores)
    return f"cores: {said}; busiest: {busiest}"


if __name__ == "__main__":
    main()
