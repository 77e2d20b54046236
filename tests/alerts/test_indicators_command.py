"""The command ``indicators``: a table in a file, and what is wrong in words."""

import csv
import io
from pathlib import Path

import pytest

from alerts.indicators.command import app
from tests.alerts.world import World


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(words)
    return int(ended.value.code or 0)


@pytest.fixture
def config(world: World, tmp_path: Path) -> str:
    path = tmp_path / "alerts.toml"
    path.write_text(f'[database]\ndsn = "{world.dsn}"\n')
    return str(path)


def test_a_period_is_written_as_a_table(config: str, tmp_path: Path) -> None:
    out = tmp_path / "tal.csv"
    days = ("--from", "2026-10-01", "--until", "2026-11-01")
    assert run(*days, "--out", str(out), "--config", config) == 0
    _, *rows = csv.reader(io.StringIO(out.read_text("utf-8-sig")), delimiter=";")
    assert {tuple(row[-2:]) for row in rows} == {("2026-10-01 00:00", "2026-11-01 00:00")}
    assert {row[2] for row in rows} == {"Provbyns hemsjukvård", "Testköpings hälsocentral"}
    assert ["Patienter", "visas inte"] in [[row[0], row[4]] for row in rows]  # few as they are


def test_what_is_wrong_is_said(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ("--from", "2026-11-01", "--until", "2026-11-01")
    assert run(*days, "--config", config) == 1
    assert "nothing lies between → the first must be earlier" in capsys.readouterr().err
    assert run("--out", str(tmp_path / "no" / "x.csv"), "--config", config) == 1
    assert "x.csv: No such file or directory → name a file" in capsys.readouterr().err
    assert run("--config", str(tmp_path / "none.toml")) == 2
