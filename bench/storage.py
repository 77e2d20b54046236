"""Storage for years: how long a chunk is to be, and what the questions people ask cost then.

``python bench/storage.py`` fills a database with 10 M samples of 2,000 patients over three years,
once without chunks and once for each length of a chunk, and prints for each: the rate of a COPY
in the order of time, the size, late rows (a gateway's outage: 100 rows over a month), a patient's
year, the last values of 80 patients, and an indicator over a unit. ``--look-back`` measures the
nightly work too: days, the recheck, retention. Server and questions share the machine.
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402
from psycopg import sql  # noqa: E402

from bench.served import quantile  # noqa: E402
from ingest import days, recheck, retention  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

READINGS = 3_333_334  # three samples each
PATIENTS = 2_000
YEARS = 3
CHUNKS = ("1 day", "7 days", "30 days", "90 days")
ASKED = 60  # times each question
LATE_BATCHES, LATE_ROWS = 60, 100
QUANTITIES = (1, 2, 4)  # systolic, diastolic, pulse

# The k-th reading of the county, in the order of time; the patients take turns.
READINGS_QUERY = """
insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, outcome, measured_at,
    received_at, sent_at, arrived_at, stored_at, clock, source, payload)
select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0')
        || substr(md5(k::text), 13))::uuid,
    1 + k * 7919 %% %(patients)s, 0, 'g-' || k %% 1000, 'C4:00:00:00:' || k %% 100, 'measured', at,
    at, at, at, at + interval '5 s', 'ok', '2a35', '\\x1e80005100'
from generate_series(0::bigint, %(readings)s - 1) k,
    lateral (select %(since)s::timestamptz + k * %(step)s::interval as at) t
"""
SAMPLES = """
insert into sample (patient_id, quantity_id, measured_at, reading_id, value)
select patient_id, q, measured_at, reading_id,
    (array[100, 60, 0, 50])[q] + (hashtext(reading_id::text || q) & 1023) / 16.0::float8
from reading, unnest(%(quantities)s::smallint[]) q order by measured_at, patient_id, q
"""
PLANS = """
with p as (insert into patient select from generate_series(1, %s) returning patient_id),
v as (
    insert into plan_version (patient_id, in_force_from)
    select patient_id, '2000-01-01' from p returning plan_version_id
)
insert into plan_limit select plan_version_id, 1, null, 163, null, null from v
"""
# About one reading in a hundred.
BREACHES = """
with opened as (
    insert into alert (patient_id, rule, level, measured_at, state)
    select patient_id, 'limit:blood_pressure', 1, now(), 'closed' from patient
    returning alert_id, patient_id
)
insert into breach (alert_id, reading_id, patient_id, quantity_id, measured_at, rule, level, side,
    value, bound, plan_version_id, late, found_at)
select alert_id, reading_id, s.patient_id, 1, measured_at, 'limit:blood_pressure', 1, 'high', value,
    163, plan_version_id, false, measured_at + interval '5 s'
from sample s join opened using (patient_id) join plan_version using (patient_id)
where quantity_id = 1 and value >= 163
"""
_ROLLED = """
insert into sample_day
select patient_id, quantity_id, (measured_at at time zone 'Europe/Stockholm')::date,
    count(*)::integer, min(value), avg(value), max(value), sum(value)
from sample where measured_at < %s::date::timestamp at time zone 'Europe/Stockholm' group by 1, 2, 3
"""

YEAR = """
select quantity_id, measured_at, value from sample
where patient_id = %s and quantity_id = any ('{1,2}') and sample_counts(suspicion)
    and measured_at >= %s and measured_at < %s
order by quantity_id, measured_at
"""
YEAR_DAILY = """
select quantity_id, day, minimum, mean, maximum from sample_daily
where patient_id = %s and quantity_id = any ('{1,2}') and day >= %s::date and day < %s::date
order by quantity_id, day
"""
LAST = """
select p, q, s.* from unnest(%s::bigint[]) p cross join unnest('{1,2,4}'::smallint[]) q
join lateral (
    select measured_at, value from sample
    where patient_id = p and quantity_id = q order by measured_at desc limit 1
) s on true
"""
# Readings per patient-week over twelve weeks; a unit of 200 patients.
INDICATOR = """
select p, date_bin('7 days', measured_at, '2001-01-01') as week, count(*)
from unnest(%s::bigint[]) p join sample on patient_id = p and quantity_id = 1
where measured_at >= %s and measured_at < %s group by 1, 2
"""
INDICATOR_DAILY = """
select p, date_trunc('week', day::timestamp) as week, sum(readings)
from unnest(%s::bigint[]) p join sample_daily on patient_id = p and quantity_id = 1
where day >= %s::date and day < %s::date group by 1, 2
"""


def main() -> None:
    """Measure each database there is, and each length of a chunk."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readings", type=int, default=READINGS)
    parser.add_argument("--edition", choices=["plain", "timescaledb"], nargs="*")
    parser.add_argument("--chunks", nargs="*", default=list(CHUNKS))
    parser.add_argument("--look-back", action="store_true")
    options = parser.parse_args()
    for name, tree in _databases(options.edition):
        print(f"\n{name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
            directory = Path(place)
            directory.chmod(0o755)  # the server may run under another account
            with Postgres(directory / "pg", tree=tree) as server:
                _measure(server, options, options.chunks if tree else [None])
                outside = server.outside_data_directory()
            if tree:
                shutil.rmtree(outside, ignore_errors=True)


def _databases(wanted: list[str] | None) -> Iterator[tuple[str, Path | None]]:
    if not wanted or "plain" in wanted:
        yield "PostgreSQL 18, embedded", None
    tree = Path(os.environ.get("EGENMONITOR_TIMESCALE_TREE") or "/nonexistent")
    if (not wanted or "timescaledb" in wanted) and tree.exists() and os.geteuid() == 0:
        yield "PostgreSQL 17 + TimescaleDB", tree


def _measure(server: Postgres, options: argparse.Namespace, chunks: list[str | None]) -> None:
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(days=365 * YEARS)
    step = timedelta(days=365 * YEARS) / options.readings
    folder = server._data_directory()  # noqa: SLF001 - the server's own view of its folder
    source = fresh(server, "source", None)
    with psycopg.connect(source, autocommit=True) as connection:
        asked = {"patients": PATIENTS, "readings": options.readings, "since": since, "step": step}
        connection.execute(READINGS_QUERY, asked)
        for table, query in (("reading", "select * from reading"), ("sample", _selected())):
            connection.execute(f"copy ({query}) to '{folder}/{table}.bench' (format binary)")
    for chunk in chunks:
        dsn = fresh(server, "bench", chunk)
        with psycopg.connect(dsn, autocommit=True) as connection:
            _fill(connection, folder, chunk, options.readings)
            _ask(connection)
            if options.look_back and chunk in (None, options.chunks[0]):
                asyncio.run(_look_back(dsn, since))


def _selected() -> str:
    query = SAMPLES[SAMPLES.index("select") :]
    return query.replace("%(quantities)s", f"'{{{','.join(map(str, QUANTITIES))}}}'")


def fresh(server: Postgres, name: str, chunk: str | None) -> str:
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("drop database if exists {} with (force)").format(_name(name)))
        admin.execute(sql.SQL("create database {}").format(_name(name)))
    migrate(server.dsn(name))
    if chunk:
        with psycopg.connect(server.dsn(name), autocommit=True) as connection:
            connection.execute("select set_chunk_time_interval('sample', %s::interval)", [chunk])
    return server.dsn(name)


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name)


def _fill(
    connection: psycopg.Connection[Any], folder: Path, chunk: str | None, readings: int
) -> None:
    connection.execute(f"copy reading from '{folder}/reading.bench' (format binary)")
    columns = "patient_id, quantity_id, measured_at, reading_id, value"
    began = time.monotonic()
    connection.execute(f"copy sample ({columns}) from '{folder}/sample.bench' (format binary)")
    took_s = time.monotonic() - began
    connection.execute(PLANS, [PATIENTS])
    connection.execute("update plan_version set revision = 0")  # known to those who judged
    connection.execute(BREACHES)
    connection.execute("vacuum analyze")
    size = "hypertable_size('sample')" if chunk else "pg_total_relation_size('sample')"
    stored = _one(connection, f"select {size}")
    print(
        f"  chunks of {chunk or 'no length'}: COPY {3 * readings / took_s:,.0f} samples/s;"
        f" {stored / 2**20:,.0f} MiB",
        flush=True,
    )


def _ask(connection: psycopg.Connection[Any]) -> None:
    dice = random.Random(1)
    now = datetime.now(UTC)
    year, weeks = now - timedelta(days=365), now - timedelta(days=84)

    def patients(count: int) -> list[int]:
        return dice.sample(range(1, PATIENTS + 1), count)

    asked: dict[str, tuple[str, Callable[[], list[Any]]]] = {
        "a patient's year": (YEAR, lambda: [*patients(1), year, now]),
        "last values of 80": (LAST, lambda: [patients(80)]),
        "indicator, 200 patients": (INDICATOR, lambda: [patients(200), weeks, now]),
    }
    for name, (query, parameters) in asked.items():
        _say(name, [_timed(connection, query, parameters()) for _ in range(ASKED)])
        _plan(connection, query, parameters())
    _say("late rows, 100", [_late(connection, dice, now) for _ in range(LATE_BATCHES)])


def _late(connection: psycopg.Connection[Any], dice: random.Random, now: datetime) -> float:
    """Store what a home's gateway kept for a month; returns milliseconds."""
    patient, until = dice.randint(1, PATIENTS), now - timedelta(days=dice.uniform(0, 900))
    query = (
        "insert into sample (patient_id, quantity_id, measured_at, reading_id, value)"
        " select %s, 1, %s::timestamptz - n * interval '7 hours', gen_random_uuid(), 120"
        " from generate_series(1, %s) n"
    )
    return _timed(connection, query, [patient, until, LATE_ROWS])


async def _look_back(dsn: str, since: datetime) -> None:
    now = datetime.now(UTC)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        # As if days had been kept all the time, but for the last two months.
        rolled_until = now - timedelta(days=60)
        await connection.execute(_ROLLED, [rolled_until])
        await connection.execute(
            "update sample_day_state set live_from = %s::date, seen_until = %s", [rolled_until] * 2
        )
        began = time.monotonic()
        rolled = 0
        while done := await days.roll(connection, now, 50_000):
            rolled += done
        took_s = time.monotonic() - began
        print(f"    days: {rolled:,} patient-days rolled, {rolled / took_s:,.0f} /s", flush=True)
        await connection.execute("analyze sample_day")
        began = time.monotonic()
        report = await recheck.run(connection, since, now)
        took_s = time.monotonic() - began
        print(
            f"    recheck: {report.readings:,} readings, {report.differences} differences,"
            f" {took_s:.1f} s ({report.readings / took_s:,.0f} readings/s)",
            flush=True,
        )
        began = time.monotonic()
        await recheck.run(connection, now - timedelta(days=3), now)
        print(f"    recheck of three days: {time.monotonic() - began:.2f} s", flush=True)
    with psycopg.connect(dsn, autocommit=True) as plain:
        _ask_daily(plain, now)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        began = time.monotonic()
        gone = 0
        while done := await retention.run(connection, now, 1_090, 5_000):
            gone += done
        took_s = time.monotonic() - began
        print(f"    retention: {gone:,} readings removed, {gone / took_s:,.0f} /s", flush=True)


def _ask_daily(connection: psycopg.Connection[Any], now: datetime) -> None:
    year, weeks = now - timedelta(days=365), now - timedelta(days=84)
    dice = random.Random(2)
    patients = list(range(1, PATIENTS + 1))
    times = [
        _timed(connection, YEAR_DAILY, [dice.choice(patients), year, now]) for _ in range(ASKED)
    ]
    _say("a patient's year, daily", times)
    _plan(connection, YEAR_DAILY, [1, year, now])
    units = [dice.sample(patients, 200) for _ in range(ASKED)]
    _say("indicator, daily", [_timed(connection, INDICATOR_DAILY, [u, weeks, now]) for u in units])
    _plan(connection, INDICATOR_DAILY, [units[0], weeks, now])


def _timed(connection: psycopg.Connection[Any], query: str, parameters: list[Any]) -> float:
    began = time.monotonic()
    cursor = connection.execute(query, parameters)
    if cursor.description:
        cursor.fetchall()
    return (time.monotonic() - began) * 1000


def _say(name: str, times_ms: list[float]) -> None:
    print(
        f"    {name:>24}: p50 {statistics.median(times_ms):.1f} ms,"
        f" p95 {quantile(times_ms, 0.95):.1f} ms",
        flush=True,
    )


def _plan(connection: psycopg.Connection[Any], query: str, parameters: list[Any]) -> None:
    """Print the plan's head, and what does not depend on who else uses the machine."""
    asked = f"explain (analyze, buffers, timing off, format json) {query}"
    row = connection.execute(asked, parameters).fetchone()
    assert row is not None
    (explained,) = row[0]
    top = explained["Plan"]
    pages = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    scans = [node for node in _nodes(top) if "Scan" in node["Node Type"]]
    kinds = sorted({node["Node Type"] for node in scans})
    print(
        f"    {'':>24}  {top['Node Type']}; {len(scans)} scans ({', '.join(kinds)});"
        f" {pages:,} pages, planned in {explained['Planning Time']:.1f} ms",
        flush=True,
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for part in node.get("Plans", []):
        yield from _nodes(part)


def _one(connection: psycopg.Connection[Any], query: str) -> Any:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


if __name__ == "__main__":
    main()
