"""``alerts audit``: the proof, the patient's extract, and the review, as an operator runs them."""

import asyncio
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import AsyncConnection

from alerts.access import Ground
from alerts.audit import words
from alerts.audit.chain import append
from alerts.audit.commands import audit
from alerts.audit.entry import DENIED, Action, Entry
from alerts.audit.review import Answer, Verdict, sample, sign
from alerts.care import emergency
from alerts.care.hours import local_day
from alerts.care.people import Viewer
from tests.alerts.audit.people import People
from tests.alerts.world import PATIENTS, World

Run = Callable[..., tuple[int, str, str]]
WHY = "Hittad medvetslös hemma"
FROM, UNTIL = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def run(people: People, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command on the database of *people*; return its exit code and what it said."""

    def ran(*tokens: str, dsn: str = people.dsn) -> tuple[int, str, str]:
        config = tmp_path / "alerts.toml"
        config.write_text(f'[database]\ndsn = "{dsn}"\n')
        with pytest.raises(SystemExit) as ended:
            audit([*tokens, "--config", str(config)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return ran


def log(people: People, *entries: Entry) -> None:
    async def logged() -> None:
        async with await AsyncConnection.connect(people.dsn, autocommit=True) as connection:
            for entry in entries:
                await append(connection, entry)

    asyncio.run(logged())


def look(viewer: Viewer, ground: str, patient: Viewer) -> Entry:
    return Entry.by(viewer, Action.PATIENT_SEEN, ground, patient_id=patient.patient_id)


def test_a_whole_log_is_anchored_and_a_shorter_one_is_not(
    world: World, run: Run, tmp_path: Path
) -> None:
    own = People(world.dsn, world.connection)
    anna, marta = world.viewer("anna"), world.viewer("marta")
    anchors = tmp_path / "anchors"
    log(own, look(anna, "contact", marta), look(anna, "contact", marta))
    for lines in (1, 2):
        code, said, _ = run("verify", "--anchors", str(anchors), dsn=world.dsn)
        assert (code, said) == (0, "2 entries, whole\n")
        assert len(anchors.read_text().splitlines()) == lines
    for table in ("access_log", "access_chain"):
        world.connection.execute(f"alter table {table} disable trigger all".encode())
    world.connection.execute("delete from access_log where number = 2")
    code, said, _ = run("verify", dsn=world.dsn)
    assert code == 1
    assert f"chain {(marta.patient_id or 0) % 16} entry 2: tail_missing" in said
    assert "not as they were written" in said
    world.connection.execute(
        "update access_chain c set number = 1, previous = l.previous, hash = l.hash "
        "from access_log l where l.chain = c.chain"
    )
    assert run("verify", dsn=world.dsn)[0] == 0
    code, said, _ = run("verify", "--anchors", str(anchors), dsn=world.dsn)
    assert code == 1
    assert "not_as_anchored" in said
    assert len(anchors.read_text().splitlines()) == 2  # what is broken is no anchor
    anchors.write_text("x")
    code, _, problem = run("verify", "--anchors", str(anchors), dsn=world.dsn)
    assert (code, "line 1 is no anchor" in problem) == (1, True)
    code, _, problem = run("verify", "--anchors", str(tmp_path), dsn=world.dsn)
    assert (code, "read and write there" in problem) == (1, True)


def test_a_database_that_is_away_says_so(run: Run) -> None:
    code, _, problem = run("verify", dsn="postgresql://nobody@127.0.0.1:1/x")
    assert (code, "cannot be used" in problem) == (1, True)


def test_a_patient_is_told_who_has_looked_at_her_and_nothing_of_others(
    people: People, run: Run
) -> None:
    home = people.unit()
    anna, lisa = people.staff(home), people.staff(people.unit(), "undersköterska")
    hers, other = people.patient(home, contact=anna), people.patient(home)
    daughter = people.relative(hers)
    shown = (hers.patient_id or 0, other.patient_id or 0)
    log(
        people,
        look(anna, Ground.CONTACT, hers),
        look(lisa, DENIED, hers),
        look(lisa, Ground.QUEUE, other),
        Entry.by(anna, Action.WORKLIST_SEEN, Ground.RELATION, patient_ids=shown),
        Entry.by(hers, Action.OWN_PAGE_SEEN, Ground.SELF, patient_id=hers.patient_id),
        Entry.by(daughter, Action.RELATIVE_PAGE_SEEN, Ground.RELATIVE, patient_id=hers.patient_id),
    )
    code, said, problem = run("extract", str(hers.patient_id))
    assert code == 0, problem
    lines = [line.partition("  ")[2] for line in said.splitlines()[:-1]]
    unit = people.one("select name from unit where unit_id = %s", home)
    away = people.one("select name from unit where unit_id = %s", lisa.unit_id)
    assert lines == [
        f"{anna.name}, distriktssköterska, {unit}: öppnade din sida (din fasta vårdkontakt)",
        f"{lisa.name}, undersköterska, {away}: öppnade din sida (nekades)",
        f"{anna.name}, distriktssköterska, {unit}: såg dig i sin lista (deltar i din vård)",
        "Du: öppnade Min sida (du själv)",
        f"{daughter.name}: läste det du delar (du delar med personen)",
        "Driften: tog ut den här listan (driften)",
    ]
    assert said.splitlines()[-1].startswith("6 rader, ")
    again = run("extract", str(hers.patient_id), "--until", "2020-01-01")
    assert (again[0], again[1].startswith("0 rader")) == (0, True)
    assert people.logged(hers)[-1] == ("system", "log_extracted", "operator")


def test_a_number_is_read_where_nobody_else_sees_it(
    people: People, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for typed, code, told in (
        (PATIENTS["marta"][2], 0, ""),
        ("19", 1, "the number must be"),
        ("", 1, "the number must be"),
        ("199001012385", 1, "there is no such patient"),
    ):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed + "\n"))
        ended, said, problem = run("extract")
        assert ended == code
        assert told in problem
        assert not typed or typed not in said + problem
    assert run("extract", "0")[0] == 1
    assert run("extract", "1", "--since", "2026-02-02", "--until", "2026-02-01")[0] == 1


async def test_what_an_operator_or_a_relative_did_is_drawn_at_the_patients_unit(
    people: People, connection: AsyncConnection
) -> None:
    home, away = people.unit(), people.unit()
    hers = people.patient(home)
    before = (await sample(connection, away, FROM, UNTIL, size=200)).entries
    for entry in (
        Entry(actor="system", action="exported", ground="operator", patient_id=hers.patient_id),
        Entry.by(
            people.relative(hers),
            Action.RELATIVE_PAGE_SEEN,
            Ground.RELATIVE,
            patient_id=hers.patient_id,
        ),
        Entry.by(hers, Action.OWN_PAGE_SEEN, Ground.SELF, patient_id=hers.patient_id),
    ):
        await append(connection, entry)
    drawn = await sample(connection, home, FROM, UNTIL, size=200)
    of_hers = [each.ground for each in drawn.looks if each.patient_id == hers.patient_id]
    assert sorted(of_hers) == ["operator", "relative"]
    (first,) = (await sample(connection, home, FROM, UNTIL, size=1)).looks
    assert first.ground != "relative"
    assert (await sample(connection, away, FROM, UNTIL, size=200)).entries == before
    gone = Entry(actor="system", action="erased", ground="operator", patient_id=2**40)
    async with connection.transaction(force_rollback=True):
        await append(connection, gone)
        for unit_id in (home, away):
            looks = (await sample(connection, unit_id, FROM, UNTIL, size=200)).looks
            assert 2**40 in {each.patient_id for each in looks}


async def test_a_sample_draws_what_explains_itself_least_before_the_rest(
    people: People, connection: AsyncConnection
) -> None:
    home = people.unit()
    anna, eva = people.staff(home), people.staff(home)
    hers = people.patient(home)
    odd = [look(anna, ground, hers) for ground in (Ground.EMERGENCY, DENIED, Ground.SHARED)]
    for entry in [*odd, *[look(anna, Ground.CONTACT, hers)] * 20, look(eva, Ground.QUEUE, hers)]:
        await append(connection, entry)
    assert home
    drawn = await sample(connection, home, FROM, UNTIL, size=5)
    assert drawn.entries == 24
    assert len(drawn.looks) == 5
    assert {entry.ground for entry in odd} <= {each.ground for each in drawn.looks}
    others = {
        each.number
        for _ in range(12)
        for each in (await sample(connection, home, FROM, UNTIL, size=5)).looks
    }
    assert len(others) > 5  # not the same each time
    own = await sample(connection, home, FROM, UNTIL, size=100, reviewer=anna.staff_id)
    assert {each.actor for each in own.looks} == {f"staff:{eva.staff_id}"}
    assert (await sample(connection, home, FROM, FROM, size=5)).entries == 0
    assert (await sample(connection, people.unit(), FROM, UNTIL, size=5)).entries == 0


async def test_a_review_is_signed_by_who_is_appointed_when_its_time_is_over(
    people: People, connection: AsyncConnection
) -> None:
    home = people.unit()
    eva = people.staff(home)

    async def signed(until: datetime, verdict: Verdict, note: str = "") -> Answer:
        return await sign(
            connection, eva, home, FROM, until, entries=9, sampled=3, verdict=verdict, note=note
        )

    now = datetime.now(UTC) - timedelta(seconds=5)
    assert await signed(now, Verdict.NOTHING) is Answer.NO_REVIEWER
    people.run("insert into staff_function (staff_id, name) values (%s, 'reviewer')", eva.staff_id)
    assert await signed(UNTIL, Verdict.NOTHING) is Answer.PERIOD
    assert await signed(FROM, Verdict.NOTHING) is Answer.PERIOD
    assert await signed(now, Verdict.ASKED, "  ") is Answer.NO_NOTE
    assert await signed(now, Verdict.NOTHING, "x" * 2_001) is Answer.NO_NOTE
    assert await signed(now, Verdict.ASKED, "Frågat Prov Provsson") is Answer.DONE
    kept = people.connection.execute(
        "select reviewed_by, entries, sampled, verdict, note from access_review where unit_id = %s",
        (home,),
    ).fetchall()
    assert kept == [(eva.staff_id, 9, 3, "asked", "Frågat Prov Provsson")]
    logged = people.connection.execute(
        "select action, ground from access_log where staff_id = %s", (eva.staff_id,)
    ).fetchall()
    assert logged == [("log_reviewed", "reviewer")]


def test_an_operator_prints_a_review_and_signs_for_who_did_it(people: People, run: Run) -> None:
    home = people.unit()
    anna, eva = people.staff(home), people.staff(home)
    hers = people.patient(people.unit(), contact=people.staff(people.unit()))
    unit = people.one("select name from unit where unit_id = %s", home)
    for viewer, name in ((anna, "granskad"), (eva, "granskare")):
        people.run(
            "insert into account (username, password_hash, staff_id) values (%s, '', %s)",
            name,
            viewer.staff_id,
        )
    people.run("insert into staff_function (staff_id, name) values (%s, 'reviewer')", eva.staff_id)
    asyncio.run(_open_up(people, anna, hers))
    today = local_day(datetime.now(UTC)).isoformat()
    code, said, problem = run("review", unit, "--until", today)
    assert code == 0, problem
    assert f"{anna.name}: patient {hers.patient_id}: ”{WHY}”" in said
    assert f"emergency_opened, patient {hers.patient_id} (nödsituation)" in said
    access_id = people.one(
        "select access_id from emergency_access where patient_id = %s", hers.patient_id
    )
    for words_, code, told in (
        (("emergency", str(access_id), "--reviewer", "granskad", "--said", "x"), 1, "herself"),
        (("emergency", str(access_id), "--reviewer", "ingen", "--said", "x"), 1, "no staff"),
        (("emergency", str(access_id), "--reviewer", "granskare", "--said", ""), 1, "missing"),
        (("emergency", str(access_id), "--reviewer", "granskare", "--said", "Bra"), 0, ""),
        (("emergency", str(access_id), "--reviewer", "granskare", "--said", "Bra"), 1, "already"),
        (("emergency", "999999", "--reviewer", "granskare", "--said", "Bra"), 1, "no such"),
        (("review", "Ingen enhet"), 1, "there is none called"),
        (("review", unit, "--verdict", "nothing"), 1, "reviewer: missing"),
        (("review", unit, "--verdict", "nothing", "--reviewer", "granskad"), 1, "appointed"),
        (("review", unit, "--verdict", "asked", "--reviewer", "granskare"), 1, "note:"),
        (("review", unit, "--verdict", "nothing", "--reviewer", "granskare"), 0, ""),
    ):
        ended, said, problem = run(*words_)
        assert (ended, told in problem) == (code, True), (words_, said, problem)
    assert "NÖDÅTKOMST" not in run("review", unit)[1]
    count = people.one("select count(*) from access_review where reviewed_by = %s", eva.staff_id)
    assert count == 1


async def _open_up(people: People, viewer: Viewer, patient: Viewer) -> None:
    async with await AsyncConnection.connect(people.dsn, autocommit=True) as connection:
        done = await emergency.open_up(connection, viewer, patient.patient_id or 0, WHY)
        assert done is emergency.Answer.DONE


def test_every_action_and_ground_has_its_words() -> None:
    assert set(words.ACTIONS) == set(Action)
    assert set(words.GROUNDS) == set(Ground)
    assert words.done("newer") == words.why("newer") == "newer"


def test_no_entry_of_the_log_can_be_written_over(people: People) -> None:
    with pytest.raises(psycopg.errors.RestrictViolation):
        people.run("update access_log set ground = 'contact'")
