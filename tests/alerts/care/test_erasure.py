"""What is needed only while she measures goes; what the law keeps stays; each table is decided."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import erasure
from alerts.care.erasure import GOES, STAYS, Obstacle
from alerts.care.erasure_command import erase_command
from alerts.technical.fault import FAILURES_OF_DEVICE, of_failures
from tests.alerts.care.reachable import reachable
from tests.alerts.world import D, S, World, device

Connection = AsyncConnection[Any]
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


def test_of_every_table_that_has_something_of_patients_it_is_decided(world: World) -> None:
    assert set(GOES) & set(STAYS) == set()
    assert set(GOES) | set(STAYS) == reachable(world)


def key_of_failures(world: World, key: str) -> str:
    """Return what the fault of her device is called among faults."""
    fault = of_failures(world.patient(key), device(key), None, FAILURES_OF_DEVICE)
    assert fault is not None
    return fault.key


def a_life(world: World, key: str) -> None:
    """Give a patient of everything that goes."""
    patient, run = world.patient(key), world.connection.execute
    relative = world.one(
        "insert into relative (patient_id, name, phone, email) "
        "values (%s, 'Karin', '070', 'k@example.se') returning relative_id",
        patient,
    )
    run("insert into account (username, relative_id) values (%s, %s)", [f"karin-{key}", relative])
    for (account,) in world.rows(
        "select account_id from account where patient_id = %s or relative_id = %s",
        patient,
        relative,
    ):
        run(
            "insert into login_session (token_hash, account_id, csrf_token) values (%s, %s, 'x')",
            [f"{account}".encode(), account],
        )
    run("insert into patient_channel values (%s, 'sms', '070')", [patient])
    reminder = world.one(
        "insert into reminder (patient_id, rule_key, expected_at, step) "
        "values (%s, 'x', now(), 1) returning reminder_id",
        patient,
    )
    run("insert into reminder_attempt values (%s, 1, 'sms')", [reminder])
    run(
        "insert into idempotency_key"
        " (account_id, key, request_hash, patient_id, status, etag, body)"
        " select account_id, %s, '', %s, 200, '', '{}' from account where staff_id = %s",
        [key, patient, world.staff("anna")],  # what her nurse was answered about her
    )
    run(
        "insert into technical (kind, patient_id, key, closed_at) "
        "values ('failed_measurements', %s, %s, now())",
        [patient, key_of_failures(world, key)],
    )


def end_loans(world: World) -> None:
    world.connection.execute("update device_loan set returned_at = '2026-01-01'")


def left(world: World, key: str) -> list[int]:
    patient = world.patient(key)
    return [
        world.one(query, *[patient] * query.count("%s"))
        for query in (
            (
                "select count(*) from account left join relative r using (relative_id) "
                "where account.patient_id = %s or r.patient_id = %s"
            ),
            (
                "select count(*) from login_session join account using (account_id) "
                "left join relative r using (relative_id) "
                "where account.patient_id = %s or r.patient_id = %s"
            ),
            "select count(*) from patient_channel where patient_id = %s",
            (
                "select count(*) from reminder_attempt join reminder using (reminder_id) "
                "where patient_id = %s"
            ),
            "select count(*) from relative where patient_id = %s and phone <> ''",
            "select count(*) from technical where patient_id = %s",
            "select count(*) from idempotency_key where patient_id = %s",
        )
    ]


async def test_what_may_go_goes_and_nothing_of_another(db: Connection, world: World) -> None:
    for key in ("marta", "ingrid"):
        a_life(world, key)
    await world.measure_soon("marta", {S: 120.0, D: 80.0})
    end_loans(world)
    assert left(world, "marta") == left(world, "ingrid") == [2, 2, 1, 1, 1, 1, 1]
    staff = world.one("select count(*) from account where staff_id is not null")
    erased = await erasure.erase(db, world.patient("marta"), by="root", now=NOW)
    assert erased.obstacles == ()
    assert set(erased.gone) == set(GOES)
    assert (left(world, "marta"), left(world, "ingrid")) == ([0] * 7, [2, 2, 1, 1, 1, 1, 1])
    assert world.one("select count(*) from account where staff_id is not null") == staff
    assert world.one("select count(*) from person") == 5
    assert world.one("select name from relative limit 1") == "Karin"
    stored: datetime = world.one("select stored_at from reading")
    assert erased.kept_until.year == stored.year + 10
    assert world.rows("select action, detail ->> 'account' from access_log") == [("erased", "root")]
    keys = {row[0] for row in world.rows("select key from technical")}
    hers = key_of_failures(world, "marta")
    assert hers.endswith(f":{world.patient('marta')}")
    assert hers not in keys
    assert key_of_failures(world, "ingrid") in keys
    again = await erasure.erase(db, world.patient("marta"), by="root", now=NOW)
    assert sum(again.gone.values()) == 0
    with pytest.raises(LookupError):
        await erasure.erase(db, 10**9, by="root", now=NOW)


async def test_nothing_goes_while_somebody_may_have_to_reach_her(
    db: Connection, world: World
) -> None:
    a_life(world, "marta")
    marta = world.patient("marta")
    await world.measure_soon("marta", {S: 200.0, D: 80.0})
    for statement in (
        "insert into task (patient_id, kind) values (%s, 'missing')",
        "insert into message (patient_id, text) values (%s, 'Hej')",
        "insert into plan_proposal (patient_id, spec) values (%s, '{}')",
        (
            "insert into rule_due (patient_id, rule_key, kind, plan_version_id, due_at) "
            "select patient_id, 'x', 'missing', plan_version_id, now() from plan_version "
            "where patient_id = %s limit 1"
        ),
        "insert into technical (kind, patient_id, key) values ('clock_off', %s, 'x')",
    ):
        world.connection.execute(statement.encode(), [marta])
    erased = await erasure.erase(db, marta, by="root", now=NOW)
    assert set(erased.obstacles) == set(Obstacle)
    assert erased.gone == {}
    assert left(world, "marta") == [2, 2, 1, 1, 1, 2, 1]
    for statement, ended in (
        ("update alert set state = 'closed'", Obstacle.ALERT),
        ("update device_loan set returned_at = '2026-01-01'", Obstacle.LOAN),
        ("update task set done_at = now()", Obstacle.TASK),
        ("update message set answered_at = now()", Obstacle.MESSAGE),
        ("update plan_proposal set state = 'withdrawn'", Obstacle.PROPOSAL),
        ("delete from rule_due", Obstacle.REMINDED),
    ):
        world.connection.execute(statement.encode())
        before, erased = erased, await erasure.erase(db, marta, by="root", now=NOW)
        assert set(before.obstacles) - set(erased.obstacles) == {ended}
    assert (erased.obstacles, erased.gone) == ((Obstacle.TECHNICAL,), {})


def test_the_command_says_what_goes_and_does_it_only_when_told(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, marta = tmp_path / "alerts.toml", world.patient("marta")
    config.write_text(f'[database]\ndsn = "{world.dsn}"\n')
    erase_command(marta, config=config)
    assert "patientdatalagen 3 kap. 17 §" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        erase_command(marta, do=True, config=config)
    assert "she has a device on loan" in capsys.readouterr().err
    end_loans(world)
    assert world.one("select count(*) from account where patient_id = %s", marta) == 1
    erase_command(marta, do=True, config=config)
    assert "Raderat: 1 rader." in capsys.readouterr().out
    assert world.one("select count(*) from account where patient_id = %s", marta) == 0
