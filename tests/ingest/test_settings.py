"""Configuration: file and environment, and every problem at once with its key and cure."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.config import Config
from ingest.settings import ConfigError, load

_SOUND = """
[database]
dsn = "postgresql://egenmonitor@127.0.0.1/egenmonitor"
[broker]
host = "127.0.0.1"
"""


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ingest.toml"
    path.write_text(text)
    return path


def _problems(path: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as refused:
        load(Config, path)
    return {problem.key: str(problem) for problem in refused.value.problems}


def test_a_short_file_is_enough(tmp_path: Path) -> None:
    config = load(Config, _write(tmp_path, _SOUND))
    assert (config.broker.port, config.broker.shared_group) == (1883, "")
    with pytest.raises(ValueError, match="frozen"):
        config.broker.port = 1


def test_the_environment_wins_over_the_file_and_leaves_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGENMONITOR_INGEST__BROKER__PORT", "8883")
    monkeypatch.setenv("EGENMONITOR_INGEST__BATCH__WAIT_MS", "7")
    config = load(Config, _write(tmp_path, _SOUND))
    assert (config.broker.host, config.broker.port, config.batch.wait_ms) == ("127.0.0.1", 8883, 7)


def test_all_problems_are_told_at_once_with_key_and_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGENMONITOR_INGEST__BROKR__HOST", "x")
    monkeypatch.setenv("EGENMONITOR_INGEST__BATCH__ROWSMAX", "5")
    text = """
    colour = "red"
    [database]
    dsn = "host=a nonsense"
    password_file = "/nowhere/password"
    [broker]
    port = 99999
    hots = "127.0.0.1"
    shared_group = "a/b"
    cert_file = "/nowhere/cert"
    """
    problems = _problems(_write(tmp_path, text))
    assert set(problems) == {
        "EGENMONITOR_INGEST__BROKR__HOST",
        "batch.rowsmax",
        "colour",
        "database.dsn",
        "database.password_file",
        "broker.port",
        "broker.hots",
        "broker.host",
        "broker.shared_group",
        "broker.cert_file",
    }
    assert "write broker" in problems["EGENMONITOR_INGEST__BROKR__HOST"]
    assert "write host" in problems["broker.hots"]
    assert "write rows_max" in problems["batch.rowsmax"]
    assert "less than or equal to 65535 (it is 99999)" in problems["broker.port"]
    assert "EGENMONITOR_INGEST__BROKER__HOST" in problems["broker.host"]
    assert all("→" in problem for problem in problems.values())


def test_half_a_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").touch()
    text = f'{_SOUND}cert_file = "{tmp_path / "c"}"\n'
    assert "give both or neither" in _problems(_write(tmp_path, text))["broker"]


def test_a_missing_file_and_a_broken_file_are_named(tmp_path: Path) -> None:
    assert "No such file" in _problems(tmp_path / "none.toml")["--config"]
    assert "not TOML" in _problems(_write(tmp_path, "[broker"))["--config"]


def test_the_password_comes_from_its_file_and_stays_out_of_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hemligt\n")
    text = _SOUND.replace("[broker]", f'password_file = "{tmp_path / "password"}"\n[broker]')
    database = load(Config, _write(tmp_path, text)).database
    assert "password=hemligt" in database.conninfo()
    assert "hemligt" not in repr(database) + database.address()


def test_the_command_ends_with_2_and_names_every_problem(tmp_path: Path) -> None:
    path = _write(tmp_path, '[broker]\nport = 0\n[database]\ndsn = ""\nx = 1\n')
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "check-config", "--config", str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        check=False,
    )
    assert done.returncode == 2
    for key in ("broker.port", "broker.host", "database.x"):
        assert key in done.stderr


def test_a_worker_s_name_is_its_machine_s_unless_it_has_one(tmp_path: Path) -> None:
    assert (
        load(Config, _write(tmp_path, _SOUND)).broker.client_id
        == (f"egenmonitor-ingest-{socket.gethostname()}"[:64])
    )
    named = load(Config, _write(tmp_path, f'{_SOUND}client_id = "a-{{hostname}}-1"\n'))
    assert named.broker.client_id == f"a-{socket.gethostname()}-1"
    problems = _problems(_write(tmp_path, f'{_SOUND}client_id = "ingest-{{pid}}"\n'))
    assert "only {hostname} may stand in braces" in problems["broker.client_id"]


def test_watching_is_off_and_the_clock_on_unless_it_is_said(tmp_path: Path) -> None:
    config = load(Config, _write(tmp_path, _SOUND))
    assert (config.watch.port, config.canary, config.clock.enabled) == (None, None, True)
    text = f"{_SOUND}[retention]\nkeep_days = 100\n[canary]\ngateway_id = 'a b'\nevery_s = 5\n"
    problems = _problems(_write(tmp_path, text))
    assert set(problems) == {"retention.keep_days", "canary.gateway_id", "canary.every_s"}


def test_the_canary_s_own_broker_needs_a_whole_certificate(tmp_path: Path) -> None:
    (tmp_path / "c").touch()
    text = (
        f'{_SOUND}[canary]\ngateway_id = "canary"\n'
        f'[canary.broker]\nhost = "mqtt.example"\ncert_file = "{tmp_path / "c"}"\n'
    )
    assert "give both or neither" in _problems(_write(tmp_path, text))["canary.broker"]
