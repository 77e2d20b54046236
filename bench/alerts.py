"""Alerts: routing, escalation and the worklist over a county of 1,000,000 patients.

``python bench/alerts.py`` fills a database with patients, nurses and 50,000 open alerts (one in ten
red), then

- routes them all with 8 workers,
- asks for the worklist of nurses drawn at random, on one connection: p50 and p95;
- lets 8 workers take the alerts' steps, with the time moved on between, and counts the told;
- asks for the worklists again, when nobody has acted for two days;
- asks as workers do each second, when nothing is due.

Figures come last.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402

from alerts import course, engine  # noqa: E402
from alerts.care.people import Viewer  # noqa: E402
from alerts.connections import OPTIONS  # noqa: E402
from alerts.schema import SOURCES  # noqa: E402
from alerts.worklist import worklist  # noqa: E402
from bench.chain import SETTINGS  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

PATIENTS = 1_000_000
ALERTS = 50_000
WORKERS = 8
PATIENTS_A_NURSE = 80
NURSES_A_UNIT = 10
LISTS = 2_000
# A Tuesday morning: everybody is at work, so every step has somebody.
NOW = datetime(2026, 10, 6, 9, 0, tzinfo=ZoneInfo("Europe/Stockholm"))
# When steps are due after it: red at once, 10, 20 and 50 minutes; yellow at once, 4 and 8 hours of
# work, the next mornings.
ROUNDS = [timedelta(minutes=m) for m in (0, 11, 22, 53, 84, 245, 1442, 1920, 2882)]

_FILL = """
insert into unit (unit_id, name, phone, hours) overriding system value
select u, 'Enhet ' || u, '', '' from generate_series(1, %(units)s) u;
insert into staff (staff_id, unit_id, name, role, phone) overriding system value
select s, 1 + (s - 1) / %(nurses)s, 'Sköterska ' || s, 'sjuksköterska', ''
from generate_series(1, %(staff)s) s;
insert into staff_function (staff_id, name, from_at)
select staff_id, 'care', '2020-01-01' from staff;
insert into channel (staff_id, kind, address, verified_at)
select staff_id, 'email', staff_id || '@example.org', now() from staff;
insert into channel (unit_id, kind, address, verified_at)
select unit_id, 'email', 'u' || unit_id || '@example.org', now() from unit;
insert into substitute (for_staff_id, place, staff_id, from_at)
select s.staff_id, 1, o.staff_id, '2020-01-01' from staff s
join staff o on o.staff_id = s.staff_id + case when s.staff_id %% 2 = 1 then 1 else -1 end;
insert into patient (patient_id) overriding system value
select p from generate_series(1, %(patients)s) p;
insert into person (patient_id, unit_id, given_name, family_name, personal_number, born_on, phone,
                    diagnosis)
select p, 1 + (p - 1) / (%(each)s * %(nurses)s), 'Test', 'Person ' || p, 'bench-' || p,
       '1944-01-01', '', 'Hjärtsvikt'
from generate_series(1, %(patients)s) p;
insert into care_contact (patient_id, staff_id, from_at)
select p, 1 + (p - 1) / %(each)s, '2020-01-01' from generate_series(1, %(patients)s) p;
insert into plan_version (plan_version_id, patient_id, in_force_from) overriding system value
select p, p, '2020-01-01' from generate_series(1, %(patients)s) p;
insert into alert (alert_id, patient_id, rule, level, measured_at, opened_at, level_since,
                   changed_at) overriding system value
select a, 1 + (a * 19::bigint) %% %(patients)s, 'limit:blood_pressure',
       case when a %% 10 = 0 then 2 else 1 end, %(now)s, %(now)s, %(now)s, %(now)s
from generate_series(1, %(alerts)s) a;
insert into breach (alert_id, reading_id, patient_id, quantity_id, measured_at, rule, rule_key,
                    level, side, value, bound, plan_version_id, late)
select alert_id, gen_random_uuid(), patient_id, 1, measured_at, rule, '', level, 'high',
       case level when 2 then 190 else 165 end, case level when 2 then 180 else 160 end,
       patient_id, false
from alert;
"""


def main() -> None:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--alerts", type=int, default=ALERTS)
    options = parser.parse_args()
    staff = options.patients // PATIENTS_A_NURSE
    with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
        directory = Path(place)
        directory.chmod(0o755)  # the server may run under another account
        with Postgres(directory / "pg", settings=SETTINGS) as server:
            migrate(server.dsn(), SOURCES)
            _fill(server.dsn(), options.patients, options.alerts, staff)
            dsn = server.dsn()
            people = f"{options.patients:,} patients, {staff:,} nurses"
            print(f"{people}, {options.alerts:,} open alerts", flush=True)
            print(_routing(dsn), flush=True)
            print(_lists(dsn, staff, "new alerts", NOW), flush=True)
            print(*_escalation(dsn), sep="\n", flush=True)
            print(_lists(dsn, staff, "nobody acted for two days", NOW + ROUNDS[-1]), flush=True)
            print(asyncio.run(_idle(dsn)))


def _fill(dsn: str, patients: int, alerts: int, staff: int) -> None:
    numbers = {
        "patients": patients,
        "alerts": alerts,
        "staff": staff,
        "units": staff // NURSES_A_UNIT,
        "nurses": NURSES_A_UNIT,
        "each": PATIENTS_A_NURSE,
        "now": NOW,
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in filter(str.strip, _FILL.split(";")):
            psycopg.ClientCursor(connection).execute(statement, numbers)
        connection.execute("vacuum analyze")


def _routing(dsn: str) -> str:
    count, took_s = _together(_route, dsn, NOW)
    return f"routed by {WORKERS} workers: {count:,} alerts, {count / took_s:,.0f} a second"


def _escalation(dsn: str) -> list[str]:
    """Return what each moment came to, and all of them."""
    told, spent_s, lines = 0, 0.0, []
    for after in ROUNDS:
        count, took_s = _together(_advance, dsn, NOW + after)
        with psycopg.connect(dsn) as connection:
            row = connection.execute("select count(*) from notification").fetchone()
        now_told = row[0] if row else 0
        lines.append(f"  after {after}: {count:,} looks, {now_told - told:,} told, {took_s:.1f} s")
        told, spent_s = now_told, spent_s + took_s
    twice = "select count(*) - count(distinct (alert_id, began_at, step, staff_id, unit_id)) "
    with psycopg.connect(dsn) as connection:
        row = connection.execute(twice + "from notification").fetchone()
    summary = (
        f"steps by {WORKERS} workers: {told:,} told in {spent_s:.1f} s,"
        f" {told / spent_s:,.0f} a second, {row[0] if row else '?'} told twice in a step"
    )
    return [summary, *lines]


def _together(work: Callable[[str, datetime], int], dsn: str, now: datetime) -> tuple[int, float]:
    """Let all workers do it at once; returns the sum of what they did, and the time it took."""
    with ProcessPoolExecutor(WORKERS) as workers:
        list(workers.map(abs, range(WORKERS)))  # all have started
        began = time.monotonic()
        counts = [workers.submit(work, dsn, now) for _ in range(WORKERS)]
        return sum(count.result() for count in counts), time.monotonic() - began


def _route(dsn: str, now: datetime) -> int:
    return asyncio.run(_until_done(engine.advance, engine.CLAIM_ROWS_MAX, dsn, now))


def _advance(dsn: str, now: datetime) -> int:
    return asyncio.run(_until_done(course.advance, course.CLAIM_ROWS_MAX, dsn, now))


def _connected(dsn: str) -> Awaitable[psycopg.AsyncConnection[Any]]:
    return psycopg.AsyncConnection.connect(dsn, autocommit=True, options=OPTIONS)


async def _until_done(
    advance: Callable[..., Awaitable[int]], full: int, dsn: str, now: datetime
) -> int:
    """Take what there is until a claim finds less than a whole one."""
    total = 0
    async with await _connected(dsn) as connection:
        while True:
            count = await advance(connection, now=now)
            total += count
            if count < full:
                return total


def _lists(dsn: str, staff: int, when: str, now: datetime) -> str:
    took_ms, rows = asyncio.run(_ask(dsn, staff, now))
    took_ms.sort()
    p95 = took_ms[int(len(took_ms) * 0.95)]
    return (
        f"worklist, {when}: p50 {statistics.median(took_ms):.1f} ms, p95 {p95:.1f} ms,"
        f" slowest {took_ms[-1]:.0f} ms; {rows / LISTS:.1f} rows each, {LISTS:,} nurses"
    )


async def _ask(dsn: str, staff: int, now: datetime) -> tuple[list[float], int]:
    took_ms, rows = [], 0
    async with await _connected(dsn) as connection:
        for staff_id in random.Random(1).choices(range(1, staff + 1), k=LISTS):
            viewer = Viewer(name="", staff_id=staff_id, unit_id=1 + (staff_id - 1) // NURSES_A_UNIT)
            began = time.monotonic()
            rows += len((await worklist(connection, viewer, now)).rows)
            took_ms.append((time.monotonic() - began) * 1000)
    return took_ms, rows


async def _idle(dsn: str) -> str:
    """Return how long a worker's question takes when the answer is no."""
    told = []
    async with await _connected(dsn) as connection:
        await connection.execute("vacuum analyze")
        for name, advance in (("routing", engine.advance), ("steps", course.advance)):
            took_ms = []
            for _ in range(50):
                began = time.monotonic()
                if await advance(connection, now=NOW + ROUNDS[-1]):
                    return f"{name}: something was left to do"
                took_ms.append((time.monotonic() - began) * 1000)
            told.append(f"{name} {statistics.median(took_ms):.1f} ms, slowest {max(took_ms):.1f}")
    return f"asked when nothing is due: {'; '.join(told)}"


if __name__ == "__main__":
    main()
