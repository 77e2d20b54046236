"""A dry run says what the rules would have said: held against the chain itself."""

import asyncio
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from devices.quantity import Quantity
from devices.reading import Reading, Status
from ingest.dry_run import DryRun, dry_run
from ingest.dry_run import run as dry_run_module
from ingest.dry_run.report import ALERTS_SHOWN_MAX
from ingest.pg_binary import register
from ingest.registry import Registry
from ingest.repeat import settle_due
from ingest.rules.explain import explain
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
from ingest.waits import FIRST
from tests.ingest.county import CUFF, LIMITS, NOW, SCALE, County, pressure, reading, weight
from tests.ingest.plans import DAY, HOUR, MINUTE, agree, pause

LATEST = NOW + HOUR
LIMIT_ROWS = tuple(Limit(quantity=q, **bounds) for q, bounds in LIMITS.items())
AT_READING: tuple[Rule, ...] = (
    KOfN(quantity=Quantity.SYSTOLIC, k=3, n=5, high=150),
    KOfN(quantity=Quantity.SYSTOLIC, k=2, n=6, status=int(Status.IRREGULAR_PULSE)),
    Change(quantity=Quantity.BODY_WEIGHT, days=3, up=2.0),
    Change(quantity=Quantity.BODY_WEIGHT, days=7, down=3.0),
)
REPEATS = (
    Repeat(quantity=Quantity.SYSTOLIC, wait_min=30),
    Repeat(quantity=Quantity.PULSE, wait_min=60),
)
MADE = """
select b.patient_id, a.rule, b.measured_at, b.level, b.reading_id, b.quantity_id, b.rule_key,
    b.detail
from breach b join alert a using (alert_id)
"""
# Where a repeat has decided, its own breach is what counts, and not the values it was made of.
DECIDED = """
select unnest(array[reading_id, repeat_reading_id]), quantity_id from repeat_wait
where outcome <> 'unrepeated'
"""
ZONE = ZoneInfo("Europe/Stockholm")
AlertKey = tuple[int, str, date]  # patient, family, day


def made(county: County, since: datetime) -> dict[AlertKey, list[tuple[int, datetime, str]]]:
    """Return the chain's breaches that a person was told of: level, when, sentence if it has one.

    Limits have none; nor is a single that no repeat came for told in a rehearsal's words.
    """
    decided = set(county.rows(DECIDED))
    found: dict[AlertKey, list[tuple[int, datetime, str]]] = {}
    for patient, family, at, level, reading_id, quantity, rule_key, detail in county.rows(MADE):
        if at >= since and (rule_key or (reading_id, int(FIRST[quantity])) not in decided):
            said = explain(detail["kind"], detail) if detail else ""
            key = (patient, family, at.astimezone(ZONE).date())
            found.setdefault(key, []).append((level, at, said))
    return found


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


def history(seed: int, cuff: str, scale: str, days: int = 40) -> list[Reading]:
    """Return what a patient measured, twice a day, with some repeats and doubted values."""
    random_ = random.Random(seed)
    found: list[Reading] = []

    def cuffed(systolic: float, at: datetime) -> None:
        values = {
            Quantity.SYSTOLIC: systolic,
            Quantity.DIASTOLIC: min(systolic - 60, 130),  # of 262 it is doubted
            Quantity.PULSE: random_.choice([70.0, 85.0, 105.0, 125.0]),
        }
        status = random_.choice([Status.NONE, Status.IRREGULAR_PULSE])
        found.append(reading(values, device_id=cuff, measured_at=at, status=status))

    for day in range(days, 0, -1):
        at = NOW - day * DAY
        kilos = 80 + random_.gauss(0, 1.4)
        found.append(reading({Quantity.BODY_WEIGHT: kilos}, device_id=scale, measured_at=at))
        for hour in (1, 12):
            when = at + hour * HOUR
            cuffed(random_.choice([128.0, 145.0, 152.0, 165.0, 186.0, 262.0, 88.0]), when)
            for minutes in (10, 45):
                if random_.random() < 0.4:
                    cuffed(random_.choice([140.0, 170.0, 190.0]), when + minutes * MINUTE)
    return found


@pytest.mark.parametrize("repeats", [(), REPEATS], ids=["singles", "repeats"])
def test_it_counts_the_alerts_that_the_chain_would_have_made(
    plain_county: County, repeats: tuple[Repeat, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dry_run_module, "PATIENTS_AT_ONCE", 2)
    county = plain_county
    rules: tuple[Rule, ...] = (*AT_READING, *repeats)
    patients, readings = [county.patient_id], history(len(repeats), CUFF, SCALE)
    for number in range(2):
        patients.append(county.add_patient())
        county.lend(f"cuff-{number}", patients[-1])
        county.lend(f"scale-{number}", patients[-1])
        readings += history(10 + number, f"cuff-{number}", f"scale-{number}", days=25)
    for patient in patients:
        agree(county, *rules, patient_id=patient)
    for first in range(0, len(readings), 100):
        county.settle(readings[first : first + 100])
    asyncio.run(run_out(county))
    proposed = Rules(limits=LIMIT_ROWS[::-1], rules=rules)
    for days in (90, 20):  # of the second the beginning is a reading, and others lie before it
        expected = made(county, LATEST - days * DAY)
        told = run(county, proposed, patients=patients, days=days)
        assert told.total == len(expected)
        assert told.by_family == Counter(family for _, family, _ in expected)
        assert told.by_patient == Counter(patient for patient, *_ in expected)
        worst = [max(level for level, *_ in found) for found in expected.values()]
        assert (told.red, told.yellow) == (worst.count(2), worst.count(1))
        assert told.per_patient_week == pytest.approx(len(expected) * 7 / days / len(patients))
        assert len(told.alerts) == min(len(expected), ALERTS_SHOWN_MAX)
        for alert in told.alerts:
            found = expected[alert.patient_id, alert.family, alert.at.astimezone(ZONE).date()]
            leading = min(found, key=lambda one: (-one[0], one[1]))[:2]
            assert (alert.level, alert.at, alert.breaches) == (*leading, len(found))
            said = {sentence for *when, sentence in found if tuple(when) == leading}
            assert alert.sentence_sv in said or "" in said
    irregular = AT_READING[1]
    days_of_it = """
select count(distinct (patient_id, (measured_at at time zone 'Europe/Stockholm')::date))
from breach where rule_key = %s
"""
    told = run(county, Rules(rules=(irregular,)), patients=patients)
    assert told.total == county.one(days_of_it, irregular.key) > 0
    looked_at = "select count(*) from sample where quantity_id = any (%s) and measured_at >= %s"
    ids = [quantity.facts.id for quantity in LIMITS]
    told = run(county, Rules(limits=LIMIT_ROWS), patients=patients, days=20)
    assert told.samples == county.one(looked_at, ids, LATEST - 20 * DAY)
    assert county.one("select count(*) from sample where not sample_counts(suspicion)") > 20


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
    rules = Rules(rules=(Missing(quantity=Quantity.BODY_WEIGHT, interval_h=24),))
    told = run(county, rules, days=32)
    at = [alert.at for alert in reversed(told.alerts)]
    # The two days at the beginning were a reminder's; the gap of eight; since day 19, each week.
    reminded = 36 * HOUR + 2 * 12 * HOUR
    begun = [NOW - 28 * DAY, *(NOW - (19 - 7 * week) * DAY for week in range(3))]
    assert at == [moment + reminded for moment in begun]
    assert {alert.family for alert in told.alerts} == {"missing:body_weight"}
    county.connection.execute(
        "update sample set suspicion = suspicion | 1024 where measured_at = %s", [NOW - 19 * DAY]
    )
    # Somebody else stood on the scale.
    again = run(county, rules, days=32).alerts
    assert again[0].at == NOW - 6 * DAY + reminded
    # A pause silences, and begins anew when it ends.
    pause(county, NOW - 19 * DAY, NOW - 5 * DAY)
    paused = [alert.at for alert in run(county, rules, days=32).alerts]
    assert paused == [NOW - 5 * DAY + reminded, NOW - 28 * DAY + reminded]
    # A part of a composite reminds nobody.
    part = Missing(quantity=Quantity.BODY_WEIGHT, interval_h=24, level=PART)
    steps = Missing(quantity=Quantity.STEPS, interval_h=24, level=PART)
    both = Composite(quantity=Quantity.BODY_WEIGHT, name="b", components=(part.key, steps.key))
    silent = run(county, Rules(rules=(part, steps, both)), days=32).alerts
    assert silent[0].at == NOW - 5 * DAY + 36 * HOUR


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
    # What was usual lies before the days that are looked at.
    alone = Baseline(quantity=Quantity.STEPS, percent=70)
    assert run(county, Rules(rules=(alone,)), days=4).total >= 3


def test_a_pause_is_silent_and_nobody_else_is_counted(plain_county: County) -> None:
    county = plain_county
    other = county.add_patient()
    for day in (5, 4, 3):
        county.settle([pressure(190, 100, measured_at=NOW - day * DAY)])
    rules = Rules(limits=LIMIT_ROWS)
    assert run(county, rules).total == 3
    assert run(county, rules, until=NOW - 3 * DAY).total == 2  # exclusive
    assert run(county, rules, patients=2 * [county.patient_id]).per_patient_week == 3 * 7 / 90
    pause(county, NOW - 4 * DAY, NOW - 3 * DAY)
    assert run(county, rules).total == 2
    both = run(county, rules, patients=[county.patient_id, other])
    assert (both.patients, both.by_patient) == (2, {county.patient_id: 2})
    assert run(county, rules, patients=[other]).total == 0
    pause(county, NOW - 200 * DAY, NOW - 5 * DAY + HOUR)
    assert run(county, rules).total == 1
    county.connection.execute("update sample set suspicion = suspicion | 1024")  # taken back
    assert run(county, rules).total == 0


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
    assert "1 alert (1 red, 0 yellow)" in told
    assert "190" in told
    plan.write_text(
        json.dumps({"rules": [{"kind": "k_of_n", "quantity": "pulse", "k": 4, "n": 3}]})
    )
    refused = command(county, f"--rules={plan}")
    assert refused.returncode == 1
    assert "is no plan" in refused.stderr
