"""A county of a million in memory: how long it takes to begin, how much, and a change in force.

``python bench/registry.py`` fills a database with patients who have a device, a gateway, limits for
three quantities and, one in ten, a rule that looks back; reads all of it as ingest does at its
start, in a process of its own; and prints seconds, MiB and milliseconds, the targets beside them.
"""

import argparse
import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import numpy as np  # noqa: E402
import psycopg  # noqa: E402

from ingest import pg_binary  # noqa: E402
from ingest.registry import Registry  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

PATIENTS = 1_000_000
CHANGES = 50
BATCH_PATIENTS = 10_000
# Start-up, memory, and the change of a rule, in seconds, MiB, seconds.
TARGETS = (10.0, 500.0, 2.0)

_FILL = {
    "patients": """
        insert into patient (patient_id) overriding system value
        select n from generate_series(1, %(patients)s) n""",
    "gateways": """
        insert into gateway (gateway_id)
        select 'g-' || n from generate_series(1, %(patients)s) n""",
    "loans": """
        insert into device_loan (patient_id, device_id, lent_from)
        select n, 'C4:BE:' || lpad(n::text, 11, '0'), now() - interval '3 years'
        from generate_series(1, %(patients)s) n""",
    "plans": """
        insert into plan_version (patient_id, in_force_from)
        select n, now() - interval '3 years' from generate_series(1, %(patients)s) n""",
    "limits": """
        insert into plan_limit
        select v.plan_version_id, q, low, high, null, high + 20
        from plan_version v,
            (values (1, 100, 160), (2, null, 95), (4, 45, 100)) as l (q, low, high)""",
    "rules": """
        insert into plan_rule
        select plan_version_id, 'change:body_weight:up:3d', 'change', 1,
            '{"quantity": "body_weight", "days": 3, "up": 2.0}'
        from plan_version where patient_id %% 10 = 0""",
}


def main() -> None:
    """Fill a database and measure, or (``--dsn``) measure one that is full."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--dsn", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.dsn:
        asyncio.run(_measure(options.dsn, options.patients))
        return
    with tempfile.TemporaryDirectory() as folder:
        settings = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "8GB"}
        with Postgres(Path(folder) / "postgres", settings=settings) as postgres:
            migrate(postgres.dsn())
            _fill(postgres.dsn(), options.patients)
            command = [sys.executable, __file__, "--dsn", postgres.dsn()]
            subprocess.run([*command, f"--patients={options.patients}"], check=True)


def _fill(dsn: str, patients: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for what, statement in _FILL.items():
            began = time.perf_counter()
            connection.execute(statement, {"patients": patients})
            print(f"bulk load of {what:9}{time.perf_counter() - began:8.1f} s", flush=True)
        connection.execute("vacuum (analyze)")


async def _measure(dsn: str, patients: int) -> None:
    before = _resident_mib()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        pg_binary.register(connection)
        registry = Registry()
        start_s = await _took_s(registry, connection)
        resident = _resident_mib()
        print(f"nothing changed    {1e3 * await _took_s(registry, connection):8.2f} ms")
        changes = []
        for number in range(CHANGES):
            await connection.execute(
                "with v as (insert into plan_version (patient_id, in_force_from)"
                " values (%s, now()) returning plan_version_id)"
                " insert into plan_limit select plan_version_id, 1, 90, 150, null, null from v",
                [number * patients // CHANGES + 1],
            )
            changes.append(await _took_s(registry, connection))
        print(f"a batch's limits   {1e3 * _limits_s(registry, patients):8.2f} ms")
        print(f"process at first   {before:8.0f} MiB; highest {_highest_mib():.0f} MiB")
        targets = [f"(target {target:g})" for target in TARGETS]
        print(f"start-up           {start_s:8.2f} s   {targets[0]}")
        print(f"memory             {resident:8.0f} MiB {targets[1]}")
        print(
            f"a rule's change    {statistics.median(changes):8.4f} s   {targets[2]},"
            f" slowest of {CHANGES}: {max(changes):.4f} s"
        )


async def _took_s(registry: Registry, connection: psycopg.AsyncConnection) -> float:
    began = time.perf_counter()
    await registry.refresh(connection)
    return time.perf_counter() - began


def _limits_s(registry: Registry, patients: int) -> float:
    chance = np.random.default_rng(1)
    took = []
    for _ in range(9):
        some = chance.integers(1, patients + 1, BATCH_PATIENTS)
        began = time.perf_counter()
        registry.limits_of(some)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _highest_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
