"""Dry run: seconds for one patient and for a cohort of 10,000, over their last 90 days.

``python bench/dry_run.py`` fills a database with blood pressures twice a day, a weight and a step
count a day (8 values a patient and day, history of 40 days before included) and holds both
templates against it. Prints the figures last.
"""

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # this file's own folder would hide the package ingest

import psycopg  # noqa: E402

from devices.quantity import Quantity  # noqa: E402
from ingest.dry_run import DryRun, dry_run  # noqa: E402
from ingest.rules.plan import Rules  # noqa: E402
from ingest.rules.templates import BLOOD_PRESSURE, HEART_FAILURE  # noqa: E402
from ingest.schema.migrate import migrate  # noqa: E402
from simulator.embedded.postgres import Postgres  # noqa: E402

PATIENTS = 10_000
DAYS = 130
RULES = Rules(limits=BLOOD_PRESSURE.limits, rules=(*BLOOD_PRESSURE.rules, *HEART_FAILURE.rules))

_FILL = """
insert into sample (patient_id, quantity_id, measured_at, reading_id, value)
select p, q, now() - interval '1 day' * d - interval '12 hours' * h, gen_random_uuid(),
    case q
        when %(systolic)s then 128 + 12 * sin(p) + random() * 24
        when %(diastolic)s then 76 + 6 * sin(p) + random() * 12
        when %(pulse)s then 68 + random() * 16
        when %(weight)s then 78 + 9 * sin(p) + random() * 1.6
        else 2000 + random() * 5000
    end
from generate_series(1, %(patients)s) p, generate_series(0, %(days)s - 1) d,
    (values (%(systolic)s, 0), (%(systolic)s, 1), (%(diastolic)s, 0), (%(diastolic)s, 1),
            (%(pulse)s, 0), (%(pulse)s, 1), (%(weight)s, 0), (%(steps)s, 0)) as v (q, h)
order by 1, 2, 3
"""


def main() -> None:
    """Fill, run both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=PATIENTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="egenmonitor-bench-") as place:
        directory = Path(place)
        directory.chmod(0o755)  # the server may run under another account
        with Postgres(directory / "pg") as server:
            migrate(server.dsn())
            _fill(server.dsn(), options.patients)
            for patients in (1, options.patients):
                began = time.monotonic()
                run = asyncio.run(_run(server.dsn(), patients))
                print(_line(run, time.monotonic() - began), flush=True)


async def _run(dsn: str, patients: int) -> DryRun:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        ids = range(1, patients + 1)
        return await dry_run(connection, ids, RULES, until=datetime.now(UTC))


def _fill(dsn: str, patients: int) -> None:
    numbers = {
        "systolic": Quantity.SYSTOLIC.facts.id,
        "diastolic": Quantity.DIASTOLIC.facts.id,
        "pulse": Quantity.PULSE.facts.id,
        "weight": Quantity.BODY_WEIGHT.facts.id,
        "steps": Quantity.STEPS.facts.id,
    }
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_FILL, {**numbers, "patients": patients, "days": DAYS}, binary=False)
        connection.execute("vacuum analyze sample")


def _line(run: DryRun, took_s: float) -> str:
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{run.patients:>6} patients, {run.samples:,} values: {took_s:.2f} s,"
        f" {run.total:,} alerts, {run.per_patient_week:.2f} a patient-week;"
        f" {memory_mib:.0f} MiB at most"
    )


if __name__ == "__main__":
    main()
