"""What a person asks wrongly is said in a line, and what is wrong is told where she looks."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ingest import incident
from ingest.canary import patient
from ingest.commands import dry_run, incidents, recheck, tables
from ingest.config import Config
from ingest.schema.edition import Edition
from ingest.settings import ConfigError, load
from ingest.watch.health import Health
from ingest.watch.metrics import Metrics
from ingest.watch.watcher import Watcher
from tests.ingest.county import County, pressure
from tests.ingest.looking_back import call

EVER = datetime(1, 1, 1, tzinfo=UTC)


@pytest.fixture
def config(plain_county: County, tmp_path: Path) -> Path:
    path = tmp_path / "ingest.toml"
    path.write_text(f'[database]\ndsn = "{plain_county.dsn}"\n[broker]\nhost = "127.0.0.1"\n')
    return path


@pytest.mark.parametrize("number", [2**63, -(2**70), 0])
def test_a_number_that_no_patient_can_have_is_nobody_s(
    number: int, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        dry_run.dry_run_command(template="heart_failure", patient=[number], config=config)
    assert f"nobody has the number {number}" in capsys.readouterr().err


def test_a_plan_with_nothing_in_it_is_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(SystemExit, match="1"):
        dry_run.dry_run_command(rules=tmp_path / "plan.json", config=config)
    assert "has neither limits nor rules" in capsys.readouterr().err


def test_a_recheck_of_all_time_looks_at_what_there_is(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not go through two thousand years a day at a time, nor before them."""
    plain_county.settle([pressure(185, 81)])
    with pytest.raises(SystemExit, match="1"):
        recheck.recheck_command(until=EVER, config=config)
    assert "--until: nothing can be before it" in capsys.readouterr().err
    recheck.recheck_command(since=EVER, until=datetime(1990, 1, 1, tzinfo=UTC), config=config)
    assert capsys.readouterr().out == "0 readings looked at: 0 differences\n"
    plain_county.connection.execute("update breach set bound = 170")
    with pytest.raises(SystemExit, match="1"):
        recheck.recheck_command(since=EVER, config=config)
    told = capsys.readouterr().out
    assert "1 reading looked at: 1 difference\n" in told
    assert "bound 170" in told


def test_what_a_file_that_cannot_be_read_may_hold_is_not_missed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Config, tmp_path / "none.toml", {})
    assert [problem.key for problem in caught.value.problems] == ["--config"]


@pytest.mark.parametrize("content", [b"", b"\n", b"h\xe4st\n", b"a\x00b"])
def test_a_file_that_holds_no_password_is_told_before_it_is_used(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "password").write_bytes(content)
    (tmp_path / "ingest.toml").write_text(
        f"[database]\ndsn = ''\npassword_file = '{tmp_path}/password'\n"
        f"[broker]\nhost = 'x'\npassword_file = '{tmp_path}/password'\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(Config, tmp_path / "ingest.toml", {})
    problems = {problem.key: problem.problem for problem in caught.value.problems}
    assert problems.keys() == {"database.password_file", "broker.password_file"}
    assert all(str(tmp_path) in problem for problem in problems.values())


def test_a_table_that_a_terminal_cannot_hold_is_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("id", "arrived", "reason", "device", "detail")
    row = (7, datetime(2026, 11, 23, tzinfo=UTC), "unassigned", "C4:00:00:00:00:99", "x " * 30)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, for rich
    for width, is_table in ((80, True), (60, False)):
        monkeypatch.setenv("COLUMNS", str(width))
        tables.show(columns, [row, row])
        told = capsys.readouterr().out
        assert told.count("C4:00:00:00:00:99") == 2  # whole
        assert (" reason  unassigned\n" in told) is not is_table


def test_setting_the_canary_up_again_gives_her_what_she_lost(plain_county: County) -> None:
    county = plain_county
    cuffs, hers = (
        patient.cuffs(300),
        "patient_id in (select patient_id from patient where is_canary)",
    )
    lent = f"device_loan where returned_at is null and {hers}"
    plans = f"plan_limit join plan_version using (plan_version_id) where {hers}"
    for _ in range(2):
        call(county, lambda c: patient.set_up(c, "canary", 300))
        assert (county.count(lent), county.count(plans)) == (cuffs, 1)
    county.connection.execute(f"update device_loan set returned_at = now() where {hers}")
    county.connection.execute("delete from plan_limit")
    assert call(county, patient.next_cuff) is None
    for _ in range(2):
        call(county, lambda c: patient.set_up(c, "canary", 300))
        assert (county.count(lent), county.count(plans)) == (cuffs, 1)
    assert call(county, patient.next_cuff) is not None


def test_open_incidents_are_listed(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    incidents.incidents_command(config=config)
    assert capsys.readouterr().out == "no incident is open\n"
    call(plain_county, lambda c: incident.open_(c, "clock", "days", "it failed [bold]twice"))
    with pytest.raises(SystemExit, match="1"):
        incidents.incidents_command(config=config)
    told = capsys.readouterr().out
    assert "it failed [bold]twice" in told
    assert "days" in told


def test_a_worker_s_log_tells_incidents_of_others(plain_county: County) -> None:
    """A person who reads nothing but the log sees that one is open, and that it is over."""
    told = asyncio.Queue[dict[str, int]]()

    class Told(Metrics):
        def incidents(self, open_by_kind: dict[str, int]) -> None:
            super().incidents(open_by_kind)
            told.put_nowait(open_by_kind)

    config = Config.model_validate(
        {"database": {"dsn": plain_county.dsn}, "broker": {"host": "127.0.0.1"}}
    )
    health = Health(beat_s=0.0)

    async def story() -> None:
        looking = asyncio.create_task(Watcher(config, health, Told(health)).look(Edition.PLAIN))
        assert await told.get() == {"recheck": 1}
        plain_county.connection.execute("update incident set closed_at = now()")
        assert await told.get() == {}
        looking.cancel()

    call(plain_county, lambda c: incident.open_(c, "recheck", "", "one was missed"))
    with capture_logs() as lines:
        asyncio.run(asyncio.wait_for(story(), 20))
    assert [line["event"] for line in lines] == ["watch.incidents_open", "watch.incidents_over"]
    assert lines[0]["recheck"] == 1
