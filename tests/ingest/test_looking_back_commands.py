"""What an operator reads on a terminal of quarantine, recheck and retention."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.commands import dry_run, quarantine, recheck, retain
from ingest.quarantine import Reason
from tests.ingest.county import GATEWAY, NOW, County, pressure
from tests.ingest.looking_back import Row, noon, put

STRANGER = "C4:00:00:00:00:99"


@pytest.fixture
def config(plain_county: County, tmp_path: Path) -> Path:
    path = tmp_path / "ingest.toml"
    path.write_text(f'[database]\ndsn = "{plain_county.dsn}"\n[broker]\nhost = "127.0.0.1"\n')
    return path


def test_quarantine_is_counted_listed_shown_and_tried_again(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    county = plain_county
    quarantine.counts_command(config=config)
    assert capsys.readouterr().out == "quarantine is empty\n"
    county.settle(
        [
            pressure(185, 81, device_id=STRANGER, measured_at=NOW - timedelta(hours=n))
            for n in range(3)
        ]
    )
    quarantine.counts_command(config=config)
    lines = capsys.readouterr().out.split("\n")
    assert next(line for line in lines if "unassigned" in line).split()[:3] == [
        "unassigned",
        "3",
        "0",
    ]

    quarantine.list_command(reason=Reason.IMPLAUSIBLE, config=config)
    assert capsys.readouterr().out == "nothing of that kind lies in quarantine\n"
    quarantine.list_command(device=STRANGER, most=2, config=config)
    told = capsys.readouterr().out
    assert told.count(f"nobody had {STRANGER} on loan at") == 2
    assert "the newest 2; there are more: --most" in told

    number = county.one("select min(quarantine_id) from quarantine")
    quarantine.show_command(number, config=config)
    told = capsys.readouterr().out
    assert f"topic  egenmonitor/v1/{GATEWAY}/readings" in told
    assert '"device_id":"C4:00:00:00:00:99"' in told

    with pytest.raises(SystemExit, match="1"):
        quarantine.replay_command([number], config=config)
    assert "1 tried: 0 stored, 0 stored already, 1 refused again" in capsys.readouterr().out
    county.lend(STRANGER, county.patient_id)
    quarantine.replay_command(device=STRANGER, dry_run=True, config=config)
    assert "3 tried: 3 would be stored" in capsys.readouterr().out
    assert county.count("reading") == 0
    quarantine.replay_command(device=STRANGER, config=config)
    assert "3 tried: 3 stored" in capsys.readouterr().out
    assert county.count("reading") == 3
    quarantine.replay_command([number], config=config)
    assert "there is nothing to try" in capsys.readouterr().out


def test_a_replay_takes_ids_or_options_and_never_ignores_one(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for ids, device in (([1], STRANGER), (None, None), ([], None)):
        with pytest.raises(SystemExit, match="1"):
            quarantine.replay_command(ids, device=device, config=config)
        assert "say which rows" in capsys.readouterr().err


@pytest.mark.parametrize("most", [0, -1, quarantine.MOST_MAX + 1, 2**70])
def test_a_list_has_a_line_at_least_and_an_end(
    most: int, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        quarantine.list_command(most=most, config=config)
    assert f"--most {most}" in capsys.readouterr().err


def test_what_is_asked_wrongly_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        quarantine.show_command(999, config=config)
    assert "quarantine has no row 999" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        quarantine.replay_command(config=config)
    assert "say which rows" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        recheck.recheck_command(since=NOW, until=NOW, config=config)
    assert "not before --until" in capsys.readouterr().err


def test_what_a_stranger_sent_is_shown_as_text(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither markup nor a terminal's own commands get through."""
    number = plain_county.one(
        "insert into quarantine (fingerprint, gateway_id, topic, reason, detail, content)"
        " values ('x', 'g', 't', 'malformed_message', %s, %s) returning quarantine_id",
        "[bold]hello[/bold] \x1b[2J",
        b"\x1b]0;title\x07",
    )
    quarantine.list_command(config=config)
    quarantine.show_command(number, config=config)
    told = capsys.readouterr().out
    assert told.count("[bold]hello[/bold] \\x1b[2J") == 2
    assert "\x1b" not in told
    assert "\x07" not in told


def test_a_recheck_says_what_is_missing_and_fails(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    county = plain_county
    county.settle([pressure(185, 81)])
    recheck.recheck_command(config=config)
    assert capsys.readouterr().out == "1 reading looked at: 0 differences\n"
    county.connection.execute("update breach set bound = 170")
    with pytest.raises(SystemExit, match="1"):
        recheck.recheck_command(config=config)
    told = capsys.readouterr().out
    assert "differs" in told
    assert "1 reading looked at: 1 difference" in told


def test_retention_is_counted_before_it_is_done(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(plain_county, Row(plain_county.patient_id, noon(4000), 120.0))
    retain.retain_command(dry_run=True, config=config)
    assert capsys.readouterr().out == "1 reading older than 3,653 days would be removed\n"
    retain.retain_command(config=config)
    assert capsys.readouterr().out == "1 reading older than 3,653 days removed\n"
    assert plain_county.count("reading") == 0


def test_a_dry_run_leaves_the_canary_out_and_says_when_in_utc(
    plain_county: County, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    county = plain_county
    county.settle([pressure(185, 81, measured_at=NOW - timedelta(hours=1))])
    nobody = county.one("insert into patient (is_canary) values (true) returning patient_id")
    dry_run.dry_run_command(template="blood_pressure", days=2, config=config)
    told = capsys.readouterr().out
    assert told.startswith("1 patient, 2 days")
    assert f"{NOW - timedelta(hours=1):%Y-%m-%d %H:%M}Z  red     {county.patient_id}  " in told
    dry_run.dry_run_command(template="blood_pressure", patient=[nobody], config=config)
    assert capsys.readouterr().out.startswith("1 patient")


def test_a_dry_run_that_is_asked_wrongly_is_said(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "plan.json"
    broken.write_text("{")
    for asked, said in (
        ({"days": 0}, "--days: from 1 to 3,653"),
        ({"days": 10**8}, "--days: from 1 to 3,653"),
        ({"patient": [77]}, "--patient: nobody has the number 77"),
        ({"template": "x"}, "--template: none is called x"),
        ({"template": "", "rules": broken}, "is no plan\nInvalid JSON"),
    ):
        words: dict[str, Any] = {"template": "heart_failure", "config": config} | asked
        with pytest.raises(SystemExit, match="1"):
            dry_run.dry_run_command(**words)
        assert said in capsys.readouterr().err
