"""A dry run says what the rules would have said: held against the chain itself."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Reading, Status
from ingest.dry_run import DryRun, dry_run
from ingest.pg_binary import register
from ingest.registry import Registry
from ingest.repeat import settle_due
from ingest.rules.model import (
    PART,
    Baseline,
    Change,
    Composite,
    KOfN,
    Missing,
    Repeat,
    RollingMean,
    Rule,
)
from ingest.rules.plan import Limit, Rules
from ingest.rules.templates import BLOOD_PRESSURE, HEART_FAILURE
from tests.ingest.county import CUFF, LIMITS, NOW, County, pressure, reading, weight
from tests.ingest.plans import DAY, HOUR, MINUTE, agree, pause

LATEST = NOW + HOUR
LIMIT_ROWS = tuple(Limit(quantity=q, **bounds) for q, bounds in LIMITS.items())
AT_READING: tuple[Rule, ...] = (
    KOfN(quantity=Quantity.SYSTOLIC, k=3, n=5, high=150),
    KOfN(quantity=Quantity.SYSTOLIC, k=2, n=6, status=int(Status.IRREGULAR_PULSE)),
    Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0),
    Change(quantity=Quantity.BODY_WEIGHT, days=7, down=3.0),
)
# Where a repeat has decided, its own breach is what counts, and not the values it was made of.
MADE = """
select a.rule, b.measured_at, b.level from breach b join alert a using (alert_id)
where rule_key <> '' or not exists (
    select from repeat_wait w
    where w.outcome <> 'unrepeated' and b.reading_id in (w.reading_id, w.repeat_reading_id)
)
"""


async def run_out(county: County) -> None:
    """Let the time for every repeat run out."""
    async with await psycopg.AsyncConnection.connect(county.dsn, autocommit=True) as connection:
        register(connection)
        registry = Registry()
        await registry.refresh(connection)
        await settle_due(connection, registry, NOW + DAY, 1000)


def run(
    county: County,
    rules: Rules,
    *,
    patients: Sequence[int] | None = None,
    until: datetime = LATEST,
    days: int = 90,
) -> DryRun:
    async def asked() -> DryRun:
        async with await psycopg.AsyncConnection.connect(county.dsn) as connection:
            ids = [county.patient_id] if patients is None else patients
            return await dry_run(connection, ids, rules, until=until, days=days)

    return asyncio.run(asked())


def history(seed: int, days: int = 40) -> list[Reading]:
    """Return what a patient measured, twice a day, with some repeats and doubted values."""
    random_ = random.Random(seed)
    found: list[Reading] = []
    for day in range(days, 0, -1):
        at = NOW - day * DAY
        found.append(weight(80 + random_.gauss(0, 1.4), measured_at=at))
        for hour in (1, 12):
            systolic = random_.choice([128.0, 145.0, 152.0, 165.0, 186.0, 262.0, 88.0])
            status = random_.choice([Status.NONE, Status.IRREGULAR_PULSE])
            values = {Quantity.SYSTOLIC: systolic, Quantity.DIASTOLIC: systolic - 60}
            when = at + hour * HOUR
            found.append(reading(values, device_id=CUFF, measured_at=when, status=status))
            if systolic > 180 and random_.random() < 0.6:
                found.append(
                    pressure(random_.choice([140, 170, 190]), 90, measured_at=when + 10 * MINUTE)
                )
    return found


@pytest.mark.parametrize("repeats", [(), (Repeat(quantity=Quantity.SYSTOLIC),)])
def test_it_counts_the_alerts_that_the_chain_would_have_made(
    plain_county: County, repeats: tuple[Repeat, ...]
) -> None:
    county = plain_county
    rules: tuple[Rule, ...] = (*AT_READING, *repeats)
    agree(county, *rules)
    readings = history(seed=len(repeats))
    for first in range(0, len(readings), 30):
        county.settle(readings[first : first + 30])
    asyncio.run(run_out(county))
    zone = ZoneInfo("Europe/Stockholm")
    made: dict[tuple[str, object], int] = {}
    rows = county.rows(MADE)
    for family, at, level in rows:
        key = (family, at.astimezone(zone).date())
        made[key] = max(level, made.get(key, 0))
    told = run(county, Rules(limits=LIMIT_ROWS, rules=rules))
    assert {(a.family, a.at.astimezone(zone).date()): a.level for a in told.alerts} == made
    assert told.by_family == dict(Counter(family for family, _ in made))
    assert (told.red, told.yellow) == (
        sum(level == 2 for level in made.values()),
        sum(level == 1 for level in made.values()),
    )
    assert told.per_patient_week == pytest.approx(len(made) * 7 / 90)


def test_the_clocks_kinds_are_asked_as_the_clock_asks(plain_county: County) -> None:
    county = plain_county
    for day in range(42):
        at = NOW - (42 - day) * DAY
        high = 20 if day >= 21 else 0  # three weeks of a higher mean
        county.settle(
            [
                pressure(120 + high, 70, measured_at=at - 3 * HOUR),
                pressure(122 + high, 72, measured_at=at),
            ]
        )
    rules = Rules(rules=(RollingMean(quantity=Quantity.SYSTOLIC, high=135),))
    told = run(county, rules, days=42)
    # Once a week, from when the mean of the week is high.
    assert told.yellow in {2, 3}
    assert {a.at.astimezone(ZoneInfo("Europe/Stockholm")).hour for a in told.alerts} == {6}


def test_a_gap_is_one_missing_measurement(plain_county: County) -> None:
    county = plain_county
    for day in (30, 29, 28, 20, 19):
        county.settle([weight(80, measured_at=NOW - day * DAY)])
    told = run(
        county, Rules(rules=(Missing(quantity=Quantity.BODY_WEIGHT, interval_h=24),)), days=32
    )
    at = [alert.at for alert in reversed(told.alerts)]
    # Two days at the beginning, the gap of eight, and since day 19: once each.
    begun = [LATEST - 32 * DAY, NOW - 28 * DAY, NOW - 19 * DAY]
    assert at == [moment + 36 * HOUR for moment in begun]
    assert {alert.family for alert in told.alerts} == {"missing:body_weight"}


def test_a_composite_needs_all_its_parts(plain_county: County) -> None:
    county = plain_county
    heavier = Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0, level=PART)
    fewer = Baseline(quantity=Quantity.STEPS, percent=70, level=PART)
    both = Composite(
        quantity=Quantity.BODY_WEIGHT, name="both", components=(heavier.key, fewer.key), level=2
    )
    for day in range(40, 0, -1):
        at = NOW - day * DAY
        steps = 5000.0 if day > 9 else 1000.0
        county.settle(
            [
                reading({Quantity.STEPS: steps}, measured_at=at),
                weight(80 if day > 3 else 83, measured_at=at),
            ]
        )
    told = run(county, Rules(rules=(heavier, fewer, both)), days=60)
    assert told.by_family.keys() == {"composite:both"}
    assert told.red == told.total > 0
    assert "och samtidigt" in told.alerts[0].sentence_sv
    assert (
        run(county, Rules(rules=(heavier, fewer, both)), days=60, until=NOW - 12 * DAY).total == 0
    )


def test_a_pause_is_silent_and_nobody_else_is_counted(plain_county: County) -> None:
    county = plain_county
    other = county.add_patient()
    for day in (5, 4, 3):
        county.settle([pressure(190, 100, measured_at=NOW - day * DAY)])
    rules = Rules(limits=LIMIT_ROWS)
    assert run(county, rules).total == 3
    pause(county, NOW - 4 * DAY, NOW - 3 * DAY)
    assert run(county, rules).total == 2
    both = run(county, rules, patients=[county.patient_id, other])
    assert (both.patients, both.by_patient) == (2, {county.patient_id: 2})
    assert run(county, rules, patients=[other]).total == 0


@pytest.mark.parametrize("rules", [BLOOD_PRESSURE, HEART_FAILURE, Rules()])
def test_nothing_measured_is_nothing_but_missing(plain_county: County, rules: Rules) -> None:
    told = run(plain_county, rules, days=30)
    assert told.samples == 0
    assert {alert.family.split(":")[0] for alert in told.alerts} <= {"missing"}
    assert run(plain_county, rules, patients=[]).per_patient_week == 0


def command(county: County, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ingest", "dry-run", *words],
        env={
            **os.environ,
            "EGENMONITOR_INGEST__DATABASE__DSN": county.dsn,
            "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_tells_it(plain_county: County, tmp_path: Path) -> None:
    county = plain_county
    plan = tmp_path / "plan.json"
    plan.write_text(Rules(limits=LIMIT_ROWS).model_dump_json())
    assert "measured nothing" in command(county, f"--rules={plan}").stdout
    county.settle([pressure(190, 100, measured_at=NOW - timedelta(days=2))])
    told = command(county, f"--rules={plan}", f"--patient={county.patient_id}").stdout
    assert "1 alerts (1 red, 0 yellow)" in told
    assert "190" in told
    plan.write_text(
        json.dumps({"rules": [{"kind": "k_of_n", "quantity": "pulse", "k": 4, "n": 3}]})
    )
    refused = command(county, f"--rules={plan}")
    assert refused.returncode == 1
    assert "is no plan" in refused.stderr
