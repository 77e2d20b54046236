"""The demo's care record: what alerts itself accepts, with passwords that are random and hidden."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from simulator import care_record
from simulator.people import PEOPLE

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HISTORY_FROM = NOW - timedelta(days=30)


def write(path: Path) -> list[care_record.Login]:
    return care_record.write(
        path,
        gateways=["demo-dosa-1", "demo-dosa-0"],
        gateway_at_home="demo-dosa-1",
        history_from=HISTORY_FROM,
        now=NOW,
    )


def run_alerts(config: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alerts", words[0], "--config", config, *words[1:]],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_alerts_accepts_it_and_a_second_time_changes_nothing(
    tmp_path: Path, plain_database: str
) -> None:
    record, config = tmp_path / "care_record.json", tmp_path / "alerts.toml"
    write(record)
    config.write_text(f'[database]\ndsn = "{plain_database}"\n')
    run_alerts(config, "migrate")
    assert "12 patients (12 new)" in run_alerts(config, "seed", str(record))
    assert "12 patients (0 new)" in run_alerts(config, "seed", str(record))
    with psycopg.connect(plain_database) as connection:
        plans = connection.execute(
            "select count(*) from plan_version group by patient_id order by 1"
        ).fetchall()
        loans = connection.execute("select count(*) from device_loan").fetchone()
        gateways = connection.execute("select gateway_id from gateway order by 1").fetchall()
        homes = connection.execute(
            "select gateway_id, count(*) from gateway_home where until_at is null group by 1"
        ).fetchall()
    assert [count for (count,) in plans] == [1] * 11 + [2]
    assert loans == (sum(len(person.kit) for person in PEOPLE),)
    assert gateways == [("demo-dosa-0",), ("demo-dosa-1",)]
    assert homes == [("demo-dosa-1", len(PEOPLE))]


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    write(tmp_path / "care_record.json")
    assert (tmp_path / "care_record.json").stat().st_mode & 0o777 == 0o600


def test_passwords_are_new_in_each_file_and_found_again_in_it(tmp_path: Path) -> None:
    first = write(tmp_path / "first.json")
    second = write(tmp_path / "second.json")
    assert {login.password for login in first}.isdisjoint(login.password for login in second)
    assert care_record.read_logins(tmp_path / "first.json") == first
    assert [login.username for login in first] == [
        "anna",
        "lisa",
        "tove",
        "marta",
        "kalle",
    ]


def test_loans_and_plans_begin_before_the_history(tmp_path: Path) -> None:
    write(tmp_path / "record.json")
    for patient in json.loads((tmp_path / "record.json").read_text())["patients"]:
        begun = [loan["lent_from"] for loan in patient["loans"]]
        begun.append(patient["plans"][0]["in_force_from"])
        assert all(datetime.fromisoformat(moment) < HISTORY_FROM for moment in begun)


def test_every_patient_has_a_contact_who_can_be_named() -> None:
    for person in PEOPLE:
        assert care_record.contact_name(person.contact)
