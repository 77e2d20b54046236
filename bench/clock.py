"""How fast the clock goes through a county's missing rules, on embedded PostgreSQL.

``python bench/clock.py --patients 1000000`` makes so many patients with a daily missing rule and a
gateway, and for each tenth a weekly mean over fourteen readings. A tenth has never measured. Then
it lets the clock look as if time went by, and prints rows a second for each thing: due rows made
from plans, looks that find a measurement, reminders, breaches with their alerts, weekly means.
``--phases 4`` does the first four only. Clock and database share the machine.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402

from ingest import pg_binary  # noqa: E402
from ingest.clock import due, means, missing  # noqa: E402
from ingest.clock.chore import Connection, Run  # noqa: E402
from ingest.registry import Registry  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
MOST = 5_000
GRACE = timedelta(hours=12)
DAY = timedelta(days=1)

_FILL = """
insert into patient (patient_id) select generate_series(1, %(n)s);
insert into plan_version (patient_id, in_force_from)
select patient_id, '2026-03-02 08:00Z' from patient order by patient_id;
insert into plan_rule (plan_version_id, rule_key, kind, level, spec)
select plan_version_id, 'missing:systolic', 'missing', 1,
    '{"quantity": "systolic", "interval_h": 24.0, "grace_h": 12.0}'
from plan_version;
insert into plan_rule (plan_version_id, rule_key, kind, level, spec)
select plan_version_id, 'rolling_mean:systolic:high:7d', 'rolling_mean', 1,
    '{"quantity": "systolic", "high": 135.0, "days": 7, "readings_min": 12, "days_min": 3}'
from plan_version where patient_id %% 10 = 0;
insert into gateway (gateway_id) select 'g' || generate_series(1, %(n)s);
insert into gateway_home (gateway_id, patient_id, from_at)
select 'g' || patient_id, patient_id, '2026-03-01' from patient;
insert into gateway_status (gateway_id, received_at, state, state_at)
select 'g' || patient_id, '2026-04-01', 'online', '2026-03-01' from patient;
insert into sample (patient_id, quantity_id, measured_at, reading_id, value)
select patient_id, 1, '2026-03-02 20:00Z'::timestamptz + d * interval '12 hours',
    gen_random_uuid(), 120 + patient_id %% 30
from patient, generate_series(0, 13) d where patient_id %% 10 = 0;
insert into sample (patient_id, quantity_id, measured_at, reading_id, value)
select patient_id, 1, '2026-03-02 20:00Z', gen_random_uuid(), 120 from patient
where patient_id %% 10 > 1;
analyze;
"""


async def _drain(connection: Connection, run: Run, now: datetime, most: int) -> tuple[int, float]:
    began_s = time.perf_counter()
    rows = 0
    while done := await run(connection, Registry(), now, most):
        rows += done
    return rows, time.perf_counter() - began_s


async def _measure(dsn: str, patients: int, phases: int) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        pg_binary.register(connection)
        began_s = time.perf_counter()
        for statement in _FILL.strip().rstrip(";").split(";\n"):
            await connection.execute(statement % {"n": patients} if "%" in statement else statement)
        print(f"filled {patients} patients in {time.perf_counter() - began_s:.0f} s")
        first = START + DAY + GRACE
        for name, run, now, most in (
            ("due rows made", due.make, START, MOST),
            ("first look at missing", missing.look, START, MOST),
            ("first look at means", means.weekly, START, 2_000),
            ("some measured", missing.look, first, MOST),
            ("nobody measured, reminded", missing.look, first + 12 * timedelta(hours=1), MOST),
            ("reminded again", missing.look, first + DAY, MOST),
            ("breaches", missing.look, first + DAY + 12 * timedelta(hours=1), MOST),
            ("weekly means", means.weekly, START + 7 * DAY, 2_000),
        )[:phases]:
            await connection.execute("update clock_turn set done_at = %s", [now])
            rows, took_s = await _drain(connection, run, now, most)
            print(f"{name}: {rows} rows in {took_s:.1f} s = {rows / max(took_s, 1e-9):,.0f} rows/s")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--phases", type=int, default=8)
    parser.add_argument("--tree", type=Path, help="with TimescaleDB: a tree with PostgreSQL 17")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as directory,
        Postgres(Path(directory) / "pg", tree=given.tree) as server,
    ):
        dsn = server.dsn("postgres")
        migrate(dsn)
        asyncio.run(_measure(dsn, given.patients, given.phases))


if __name__ == "__main__":
    main()
