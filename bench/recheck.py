"""Recheck: how long the independent look takes over three days, and over everything.

``python bench/recheck.py`` fills a database with 10 M samples of 2,000 patients (readings over
``--days``; one in fifty late by up to two months, one in a hundred a breach). It looks at the last
three days as they are after a COPY, without statistics, and with them; then at all of it.
"""

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402

from bench import storage  # noqa: E402
from ingest import recheck  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

_IN_TIME = "'measured', at,"
_SOME_LATE = "'measured', at - case when k %% 50 = 0 then k %% 61 else 0 end * interval '1 day',"
_QUANTITIES = f"'{{{','.join(map(str, storage.QUANTITIES))}}}'"


def main() -> None:
    """Measure each database there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=storage.READINGS)
    parser.add_argument("--days", type=int, default=1_095)
    options = parser.parse_args()
    trees: dict[str, Path | None] = {"PostgreSQL 18, embedded": None}
    tree = Path(os.environ.get("EGENMONITOR_TIMESCALE_TREE") or "/nonexistent")
    if tree.exists() and os.geteuid() == 0:
        trees["PostgreSQL 17 + TimescaleDB"] = tree
    for name, where in trees.items():
        print(f"\n{name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
            directory = Path(place)
            directory.chmod(0o755)  # the server may run under another account
            with Postgres(directory / "pg", tree=where) as server:
                _measure(server, options.readings, options.days)
                outside = server.outside_data_directory()
            if where:
                shutil.rmtree(outside, ignore_errors=True)


def _measure(server: Postgres, readings: int, days: int) -> None:
    dsn = storage.fresh(server, "bench", None)
    now = datetime.now(UTC).replace(microsecond=0)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in ("reading", "breach"):  # no statistics until they are asked for
            connection.execute(f"alter table {table} set (autovacuum_enabled = off)")
        _fill(connection, readings, days, now)
        asyncio.run(_look(dsn, "three days, no statistics", now, 3))
        connection.execute("vacuum analyze")
    asyncio.run(_look(dsn, "three days", now, 3))
    asyncio.run(_look(dsn, f"all {days:,} days", now, days + 1))


def _fill(
    connection: psycopg.Connection[tuple[object, ...]], readings: int, days: int, now: datetime
) -> None:
    length = timedelta(days=days)
    assert _IN_TIME in storage.READINGS_QUERY
    connection.execute(
        storage.READINGS_QUERY.replace(_IN_TIME, _SOME_LATE),
        {
            "patients": storage.PATIENTS,
            "readings": readings,
            "since": now - length,
            "step": length / readings,
        },
    )
    connection.execute(storage.SAMPLES.replace("%(quantities)s", _QUANTITIES))
    connection.execute(storage.PLANS, [storage.PATIENTS])
    connection.execute("update plan_version set revision = 0")  # known to those who judged
    connection.execute(storage.BREACHES)


async def _look(dsn: str, name: str, until: datetime, days: int) -> None:
    began_s = time.monotonic()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        report = await recheck.run(connection, until - timedelta(days=days), until)
    took_s = time.monotonic() - began_s
    print(
        f"  {name}: {report.readings:,} readings, {report.differences} differences,"
        f" {took_s:.1f} s ({report.readings / took_s:,.0f} readings/s)",
        flush=True,
    )


if __name__ == "__main__":
    main()
