"""Everything about one patient is in the document, nothing of another, and no secret."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg import AsyncConnection

from alerts.care import export, loan, pause, proposal, reading_review
from alerts.care.agreement import agree
from alerts.care.export import LEFT_OUT, PARTS
from alerts.care.export_command import export_command
from alerts.care.lent import Answer, Device
from alerts.care.plan_spec import PlanSpec
from alerts.care.proposal import How
from ingest import asked, pg_binary
from ingest.asked import Verdict
from tests.alerts.care.reachable import reachable
from tests.alerts.world import PATIENTS, D, S, W, World, device

Connection = AsyncConnection[Any]

DAY = timedelta(days=1)
SPEC = PlanSpec.model_validate(
    {
        "limits": [{"quantity": "systolic", "yellow_high": 150}],
        "rules": [{"kind": "missing", "quantity": "systolic", "interval_h": 24}],
        "schedule": [{"quantity": "systolic"}],
    }
)


@pytest.fixture
async def db(world: World) -> AsyncIterator[Connection]:
    async with await AsyncConnection.connect(world.dsn, autocommit=True) as connection:
        yield connection


def test_every_table_that_has_something_of_patients_is_exported_or_excused(world: World) -> None:
    exported = {part.table for part in PARTS}
    assert reachable(world) - exported - set(LEFT_OUT) == set()
    assert exported & set(LEFT_OUT) == set()
    assert set(LEFT_OUT) <= reachable(world), "an excuse for a table that is not there"
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())
    for part in PARTS:
        columns = {
            row[0]
            for row in world.rows(
                "select attname from pg_attribute where attrelid = %s::regclass", part.table
            )
        }
        assert set(part.omit) <= columns, part.table
    # And one that nobody thought of is found.
    before = reachable(world)
    world.connection.execute("create table note (note_id int primary key, patient_id bigint)")
    world.connection.execute("create table note_word (note_id int references note)")
    world.connection.execute("create table seen (reading_id uuid)")
    world.connection.execute("create table several (patient_ids bigint[])")
    assert reachable(world) - before == {"note", "note_word", "seen", "several"}


async def a_life(db: Connection, world: World, key: str, now: datetime) -> None:
    """Let a patient have something of most kinds."""
    anna, patient = world.viewer("anna"), world.patient(key)
    await world.measure_soon(key, {S: 200.0, D: 100.0}, at=now - DAY)
    made = await proposal.propose(db, anna, patient, SPEC, why=f"hemligt {key}", now=now)
    assert made.proposal_id is not None
    await proposal.show_past(db, anna, made.proposal_id, now)
    await agree(db, anna, made.proposal_id, How.PHONE, now=now)
    await pause.begin(db, anna, patient, until_at=now + DAY, reason=f"resa {key}", now=now)
    serial = f"serie-{key}"
    lent = await loan.lend(
        db, anna, patient, Device(address=f"C4:99:00:00:00:{patient:02d}", serial=serial), now=now
    )
    assert lent.answer is Answer.DONE
    text, words = f"text om {key}", ("message", "relative")
    for table, column in zip(words, ("text", "name"), strict=True):
        world.connection.execute(
            f"insert into {table} (patient_id, {column}) values (%s, %s)".encode(), [patient, text]
        )
    world.connection.execute(
        "insert into patient_channel (patient_id, kind, address) values (%s, 'sms', %s)",
        [patient, text],
    )
    world.connection.execute(
        "insert into task (patient_id, kind, key) values (%s, 'missing', %s)", [patient, text]
    )
    world.connection.execute(
        "insert into reminder (patient_id, rule_key, expected_at, step) values (%s, %s, now(), 1)",
        [patient, text],
    )
    world.connection.execute(
        "insert into quarantine"
        " (fingerprint, gateway_id, topic, reason, detail, device_id, content)"
        " values (%s, 'g-test', '', 'x', %s, %s, '')",
        [text.encode(), text, device(key)],
    )


async def test_it_has_all_that_is_hers_and_nothing_of_his(db: Connection, world: World) -> None:
    now = datetime.now(UTC)
    for key in ("marta", "kalle"):
        await a_life(db, world, key, now)
    marta, kalle = world.patient("marta"), world.patient("kalle")
    documents = {
        key: await export.export(db, world.patient(key), now) for key in ("marta", "kalle")
    }
    for key, document in documents.items():
        other = "kalle" if key == "marta" else "marta"
        text = json.dumps(document, ensure_ascii=False)
        for word in ("text om", "serie-", "resa", "hemligt"):
            assert (f"{word} {key}" in text) or (f"{word}{key}" in text)
        assert other not in text
        for secret in (PATIENTS[other][0], PATIENTS[other][2], device(other), "argon2"):
            assert secret not in text
        rows = [row for some in document["tables"].values() for row in some]
        assert {row["patient_id"] for row in rows if "patient_id" in row} == {world.patient(key)}
    document = documents["marta"]
    assert marta != kalle
    filled = {name for name, rows in document["tables"].items() if rows}
    assert filled >= {
        *("patient", "person", "relative", "patient_channel", "account", "care_contact"),
        *("plan_proposal", "plan_version", "plan_limit", "plan_rule", "plan_advice"),
        *("plan_schedule", "patient_pause", "pause_log", "device_loan", "loan_note", "reading"),
        *("sample", "quarantine", "breach", "alert", "alert_log", "reminder", "task", "message"),
    }
    assert (document["format"], document["version"]) == ("egenmonitor.patient", 1)
    assert document["staff"][str(world.staff("anna"))]["name"] == "Anna Provberg"
    assert "Provbyns hemsjukvård" in json.dumps(document["units"], ensure_ascii=False)


async def test_a_reading_that_moved_names_neither_of_them_to_the_other(
    db: Connection, world: World
) -> None:
    now = datetime.now(UTC)
    await world.measure_soon("marta", {W: 70.0}, at=now - DAY)
    reading_id = world.one("select reading_id from reading")
    await reading_review.ask(
        db,
        world.viewer("anna"),
        reading_id,
        Verdict.MOVED,
        to_patient_id=world.patient("kalle"),
        why="Kalle i stället för Märta",
        now=now,
    )
    pg_binary.register(db)
    await asked.settle(db, 1)
    hers = await export.export(db, world.patient("marta"), now)
    his = await export.export(db, world.patient("kalle"), now)
    (away,) = hers["tables"]["review_request"]
    (here,) = his["tables"]["reading_moved_here"]
    assert away["reading_id"] == str(reading_id)
    assert {"to_patient_id", "new_reading_id"}.isdisjoint(away)
    assert "i stället för" not in json.dumps([hers, his], ensure_ascii=False)
    assert {"patient_id", "reading_id"}.isdisjoint(here)
    assert str(reading_id) not in json.dumps(his)
    table = export.readings_csv(hers).decode("utf-8-sig").splitlines()
    assert table[1].split(";")[1:5] == ["Vikt", "70,0", "kg", "nej"]
    assert export.readings_csv(his).decode("utf-8-sig").splitlines()[1].split(";")[4] == "ja"


async def test_the_table_of_measurements_opens_in_a_spreadsheet(
    db: Connection, world: World
) -> None:
    for at in (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)):
        await world.measure_soon("marta", {S: 120.0, D: 80.0}, at=at)
    document = await export.export(db, world.patient("marta"), datetime.now(UTC))
    table = export.readings_csv(json.loads(json.dumps(document)))
    assert table.startswith(b"\xef\xbb\xbf")
    head, *rows = [line.split(";") for line in table.decode("utf-8-sig").splitlines()]
    assert head[:4] == ["mätt (svensk tid)", "vad", "värde", "enhet"]
    assert [row[:5] for row in rows] == [
        ["2026-03-01 01:00:00", "Systoliskt blodtryck", "120", "mmHg", "ja"],
        ["2026-03-01 01:00:00", "Diastoliskt blodtryck", "80", "mmHg", "ja"],
        ["2026-10-25 02:30:00", "Systoliskt blodtryck", "120", "mmHg", "ja"],
        ["2026-10-25 02:30:00", "Diastoliskt blodtryck", "80", "mmHg", "ja"],
    ]


async def test_of_nobody_there_is_no_document(db: Connection, world: World) -> None:
    with pytest.raises(LookupError):
        await export.export(db, 10**9, datetime.now(UTC))


def test_the_command_writes_both_files_once_and_it_is_logged(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    marta, out, config = world.patient("marta"), tmp_path / "out", tmp_path / "alerts.toml"
    config.write_text(f'[database]\ndsn = "{world.dsn}"\n')
    with pytest.raises(SystemExit):
        export_command(10**9, to=out, config=config)
    assert "there is no such patient" in capsys.readouterr().err
    assert list(out.iterdir()) == []
    assert world.one("select count(*) from access_log") == 0
    export_command(marta, to=out, config=config)
    assert "Märta" not in "".join(capsys.readouterr())
    document = json.loads((out / "patient.json").read_text())
    assert document["tables"]["person"][0]["given_name"] == "Märta"
    assert {path.name: path.stat().st_mode & 0o777 for path in out.iterdir()} == {
        "patient.json": 0o600,
        "matningar.csv": 0o600,
    }
    with pytest.raises(SystemExit):
        export_command(marta, to=out, config=config)
    assert "name an empty directory" in capsys.readouterr().err
    logged = world.rows("select action, actor, ground, patient_id from access_log")
    assert logged == [("exported", "system", "operator", marta)]
