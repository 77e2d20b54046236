"""The command line: what goes wrong is told with its key, its problem and its cure."""

import json
import socket
import subprocess
import sys
from pathlib import Path

from alerts.schema import SOURCES
from simulator.embedded.child import free_port
from tests.alerts.command import Ended, command
from tests.alerts.conftest import Served
from tests.alerts.world import World, care_record, encoded

ROOT = Path(__file__).parents[2]


def alerts(*words: str, config: str, directory: Path) -> Ended:
    path = directory / "alerts.toml"
    path.write_text(config)
    return command(*words, config=path)


def test_every_problem_of_a_configuration_is_told_at_once(tmp_path: Path) -> None:
    said = alerts(
        "check-config",
        config='[database]\n[web]\nport = 99999\ncolour = "blue"\n[lag]\nformat = "json"\n',
        directory=tmp_path,
    )
    assert said.returncode == 2
    for key in ("database.dsn: missing", "web.port: ", "web.colour: unknown key", "lag: unknown"):
        assert key in said.stderr
    assert all(" → " in line for line in said.stderr.strip().splitlines())


def test_the_database_that_is_away_and_the_port_that_is_taken_are_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = alerts(
            "check-config",
            "--connect",
            config=(
                f'[database]\ndsn = "postgresql://x@127.0.0.1:{free_port()}/y"\n'
                f"[web]\nport = {port}\n"
            ),
            directory=tmp_path,
        )
    assert said.returncode == 1
    database, web = said.stderr.strip().splitlines()
    assert database.startswith("database.dsn: 127.0.0.1:")
    assert web.startswith(f"web.port: 127.0.0.1:{port} cannot be served (Address already in use)")
    assert " → " in database
    assert " → " in web


def test_migrate_and_seed_make_an_empty_database_ready(plain_database: str, tmp_path: Path) -> None:
    config = f'[database]\ndsn = "{plain_database}"\n'
    record = tmp_path / "care.json"
    record.write_bytes(encoded(care_record()))
    early = alerts("seed", str(record), config=config, directory=tmp_path)
    assert early.returncode == 1
    assert "run: python -m alerts migrate" in early.stderr
    for _ in range(2):
        assert alerts("migrate", config=config, directory=tmp_path).returncode == 0
    said = alerts("seed", str(record), config=config, directory=tmp_path)
    assert said.stdout == "5 patients (5 new), 4 staff, 5 new loans, 5 new plan versions\n"


def test_a_care_record_that_is_wrong_is_refused_whole(world: World, tmp_path: Path) -> None:
    record = care_record()
    record["patients"][0]["contact"] = "nobody"
    record["gateways"].append("å")
    path = tmp_path / "care.json"
    path.write_bytes(encoded(record))
    said = alerts(
        "seed", str(path), config=f'[database]\ndsn = "{world.dsn}"\n', directory=tmp_path
    )
    assert said.returncode == 1
    assert "nothing was written" in said.stderr
    assert "'nobody' is not among the staff" in said.stderr
    assert "gateways[1]" in said.stderr


def test_run_says_which_port_is_taken(world: World, tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path.write_text(f'[database]\ndsn = "{world.dsn}"\n[web]\nport = {port}\n')
        said = subprocess.run(
            [sys.executable, "-m", "alerts", "run", "--config", str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert said.returncode == 1
    assert f"web.port: 127.0.0.1:{port}" in said.stderr
    assert "Traceback" not in said.stderr


def test_the_log_is_json_and_names_nobody(world: World, served: Served) -> None:
    world.measure("marta", None)
    served.says("sending.nobody_is_told")  # by another task than the one that is ready
    assert served.stop() == 0
    lines = [json.loads(line) for line in served.log_file.read_text().splitlines()]
    told = [line["event"] for line in lines]
    assert told[-1] == "alerts.stopped"
    assert {"alerts.ready", "sending.nobody_is_told"} <= set(told)
    assert "Märta" not in served.log_file.read_text()


def test_the_tables_that_alerts_needs_come_after_those_they_refer_to() -> None:
    assert [source.name for source in SOURCES] == ["ingest", "alerts"]
