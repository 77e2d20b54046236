"""Bad configuration: every problem at once, each with its key and its cure, and an exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from simulator.embedded.child import free_port

GATEWAY = """
gateway_id = "g-1"
time_zone = "Europe/Stockholm"
data_dir = "{directory}/gateway"
[uplink]
host = "127.0.0.1"
port = {port}
"""
INGEST = """
[database]
dsn = "postgresql://nobody@127.0.0.1:{port}/none"
[broker]
host = "127.0.0.1"
port = {port}
"""
ALERTS = """
[database]
dsn = "postgresql://nobody@127.0.0.1:{port}/none"
"""
GOOD = {"gateway": GATEWAY, "ingest": INGEST, "alerts": ALERTS}

# What is wrong with each, and the keys that must be named.
BAD = {
    "gateway": (
        """
gateway_id = "å"
time_zone = "Europe/Stokholm"
data_dir = "x"
colour = "red"
[uplink]
port = 99999
hots = "broker"
""",
        ["gateway_id", "time_zone", "colour", "uplink.host", "uplink.port", "uplink.hots"],
    ),
    "ingest": (
        '[database]\ndsn = 3\n[broker]\nport = "mqtt"\nsecret = 1\n[batch]\nrows_max = 0\n',
        ["database.dsn", "broker.host", "broker.port", "broker.secret", "batch.rows_max"],
    ),
    "alerts": (
        '[web]\nport = 0.5\ncookie = true\n[log]\nformat = "xml"\n',
        ["database", "web.port", "web.cookie", "log.format"],
    ),
}


def call(room: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", room, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("room", BAD)
@pytest.mark.parametrize("words", [("run",), ("check-config",)], ids=" ".join)
def test_every_problem_is_named_at_once(room: str, words: tuple[str, ...], tmp_path: Path) -> None:
    text, keys = BAD[room]
    config = tmp_path / "bad.toml"
    config.write_text(text)
    ended = call(room, *words, "--config", str(config))
    assert ended.returncode == 2
    said = ended.stderr.strip().splitlines()
    for key in keys:
        (line,) = [line for line in said if line.startswith(f"{key}:")]
        assert len(line) > len(key) + 20, "a problem and a cure"
    assert "Traceback" not in ended.stderr


def test_a_mistyped_time_zone_is_answered_with_the_right_one(tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text(BAD["gateway"][0])
    assert "'Europe/Stockholm'" in call("gateway", "run", "--config", str(config)).stderr


@pytest.mark.parametrize("room", GOOD)
def test_a_server_that_is_not_there_is_named_with_its_key_and_address(
    room: str, tmp_path: Path
) -> None:
    port = free_port()
    config = tmp_path / "good.toml"
    config.write_text(GOOD[room].format(directory=tmp_path, port=port))
    assert call(room, "check-config", "--config", str(config)).returncode == 0
    ended = call(room, "check-config", "--connect", "--config", str(config))
    assert ended.returncode not in {0, None}
    key = {"gateway": "uplink.", "ingest": "broker.", "alerts": "database."}[room]
    assert key in ended.stderr
    assert str(port) in ended.stderr


@pytest.mark.parametrize("room", GOOD)
def test_a_missing_file_is_said_in_a_line(room: str, tmp_path: Path) -> None:
    ended = call(room, "run", "--config", str(tmp_path / "none.toml"))
    assert ended.returncode == 2
    assert "none.toml" in ended.stderr
    assert "Traceback" not in ended.stderr
