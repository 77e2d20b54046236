"""docker-compose.yml against the code: every command, port, file, secret and volume in it.

Its commands then run as plain processes, with its configuration files, on a real Mosquitto
with its password file and access list and on a real TimescaleDB.
"""

import importlib
import queue
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psycopg
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion

from simulator.demo.supervisor import Program
from simulator.embedded.broker import Broker, Mosquitto
from simulator.embedded.child import free_port
from simulator.embedded.postgres import Postgres
from tests.conftest import missing
from tests.system.chain import PATIENCE_S, wait_until

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
CONFIGS = {path.stem: path for path in (ROOT / "deploy" / "config").glob("*.toml")}
LISTENER = re.compile(r"^listener (\d+)", re.MULTILINE)


def config_of(service: dict[str, Any]) -> str | None:
    """Return the name of the configuration a service is started with."""
    words = service["command"]
    return Path(words[words.index("--config") + 1]).stem if "--config" in words else None


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("secrets")
    script = ROOT / "deploy" / "make_secrets.py"
    subprocess.run([sys.executable, str(script), str(directory)], check=True, capture_output=True)
    return directory


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours(name: str) -> None:
    room, *words = OURS[name]["command"]
    app = importlib.import_module(f"{room}.__main__").app
    _, bound, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert bound is not None


@pytest.mark.parametrize("name", OURS)
def test_every_image_installs_the_lock_of_a_room_that_has_what_the_command_needs(name: str) -> None:
    build = OURS[name]["build"]
    room = build["args"]["ROOM"]
    assert (ROOT / "requirements" / f"{room}.txt").exists()
    assert room in {OURS[name]["command"][0], "demo"}
    copied = re.findall(r"^COPY (\S+) ", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    folders = [source for source in copied if "$" not in source]
    assert all((ROOT / source).is_dir() for source in folders)
    assert OURS[name]["command"][0] in folders


def test_the_image_is_pinned_and_does_not_run_as_root() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert "--require-hashes" in text
    assert text.index("USER egenmonitor") < text.index("ENTRYPOINT")


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_every_foreign_image_is_pinned_to_a_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]+", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_alone_and_are_the_ones_that_are_listened_at(
    name: str,
) -> None:
    for published in SERVICES[name].get("ports", []):
        host, _, inside = published.split(":")
        assert host == "127.0.0.1"
        if name == "mosquitto":
            assert inside in LISTENER.findall(
                (ROOT / "deploy/mosquitto/mosquitto.conf").read_text()
            )
        elif config := config_of(SERVICES[name]) if name in OURS else None:
            assert int(inside) == tomllib.loads(CONFIGS[config].read_text())["web"]["port"]


@pytest.mark.parametrize("name", SERVICES)
def test_volumes_and_secrets_are_there(name: str, secrets: Path) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert (ROOT / source).is_dir() if source.startswith(".") else source in COMPOSE["volumes"]
    for secret in service.get("secrets", []):
        file = Path(COMPOSE["secrets"][secret]["file"])
        assert file.parent == Path("deploy/secrets")
        assert (secrets / file.name).stat().st_size > 0


@pytest.mark.parametrize("name", [name for name in OURS if config_of(OURS[name])])
def test_every_file_and_host_a_configuration_names_is_given_to_its_service(name: str) -> None:
    service = OURS[name]
    path = CONFIGS[str(config_of(service))]
    assert "./deploy/config:/etc/egenmonitor:ro" in service["volumes"]
    text = path.read_text()
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= set(service["secrets"])
    settings = tomllib.loads(text)
    for table in ("broker", "uplink"):
        if table in settings:
            assert settings[table]["host"] in SERVICES
            listeners = LISTENER.findall((ROOT / "deploy/mosquitto/mosquitto.conf").read_text())
            assert str(settings[table]["port"]) in listeners
    if "database" in settings:
        environment = SERVICES["timescaledb"]["environment"]
        user, database = environment["POSTGRES_USER"], environment["POSTGRES_DB"]
        assert settings["database"]["dsn"] == f"postgresql://{user}@timescaledb:5432/{database}"
    if "radio" in settings:
        words = SERVICES["simulator"]["command"]
        port = words[words.index("--listen") + 1].rpartition(":")[2]
        assert settings["radio"]["transport"] == f"tcp-client:simulator:{port}"


def test_every_setting_of_ours_in_the_environment_is_known() -> None:
    prefixes = ("EGENMONITOR_GATEWAY__", "EGENMONITOR_INGEST__", "EGENMONITOR_ALERTS__")
    for service in OURS.values():
        assert all(key.startswith(prefixes) for key in service.get("environment", {}))


class ComposedMosquitto(Mosquitto):
    """Mosquitto with the configuration that compose mounts, its paths made this machine's."""

    def __init__(self, directory: Path, secrets: Path) -> None:
        super().__init__(directory)
        self._secrets = secrets

    def configuration(self) -> str:
        text = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text()
        text = LISTENER.sub(f"listener {self.port} 127.0.0.1", text)
        text = text.replace("/run/secrets", str(self._secrets))
        text = text.replace("/mosquitto/config", str(ROOT / "deploy/mosquitto"))
        text = text.replace("/mosquitto/data/", f"{self.directory}/")
        return f"{text}\nuser root\n"


@pytest.fixture
def composed(
    tmp_path: Path, timescale_postgres: Postgres, database: str, secrets: Path
) -> Iterator["Composed"]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    (secrets / "database_password").write_text(timescale_postgres.password_file.read_text())
    with ComposedMosquitto(tmp_path / "mosquitto", secrets) as broker:
        composed = Composed(tmp_path, database, broker, secrets)
        yield composed
        composed.stop()


class Composed:
    """The services of the demo profile as plain processes."""

    def __init__(self, directory: Path, dsn: str, broker: Broker, secrets: Path) -> None:
        self.directory = directory
        self.dsn = dsn
        self.broker = broker
        self._radio_port = free_port()
        self.web_port = free_port()
        self._secrets = secrets
        self._programs: dict[str, Program] = {}
        for service in OURS.values():
            if config := config_of(service):
                self._config(config).write_text(self._here(CONFIGS[config].read_text()))

    def program(self, name: str) -> Program:
        """Return a service with the words compose has for it, ready to start."""
        words = [self._here(word) for word in OURS[name]["command"]]
        program = Program([sys.executable, "-m", *words], self.directory / f"{name}.log")
        self._programs[name] = program
        return program

    def stop(self) -> None:
        for program in reversed(self._programs.values()):
            program.stop()

    def count(self, query: str) -> int:
        try:
            with psycopg.connect(self.dsn) as connection:
                found = connection.execute(query.encode()).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(found[0]) if found else 0

    def logs(self) -> str:
        return "\n".join(p.log_file.read_text()[-1500:] for p in self._programs.values())

    def _config(self, name: str) -> Path:
        return self.directory / f"{name}.toml"

    def _here(self, text: str) -> str:
        """Return a text of compose with its paths and addresses made this machine's."""
        server = self.dsn.rpartition("@")[2]
        for there, here in {
            "/etc/egenmonitor": str(self.directory),
            "/run/secrets/gateway_mqtt_password": f"{self._secrets}/demo-dosa-1_mqtt_password",
            "/run/secrets": str(self._secrets),
            "timescaledb:5432/egenmonitor": server,
            'host = "mosquitto"': 'host = "127.0.0.1"',
            "port = 1883": f"port = {self.broker.port}",
            "port = 8080": f"port = {self.web_port}",
            "0.0.0.0:7777": f"127.0.0.1:{self._radio_port}",
            'host = "0.0.0.0"': 'host = "127.0.0.1"',
            "simulator:7777": f"127.0.0.1:{self._radio_port}",
        }.items():
            text = text.replace(there, here)
        return re.sub(r'(?<![\w/])/data(?=["/]|$)', str(self.directory / "data"), text)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("edition", ["timescaledb"], indirect=True)
async def test_the_composed_commands_carry_a_reading_from_a_virtual_cuff_to_the_database(
    composed: Composed,
) -> None:
    for name in ("simulator", "ingest", "alerts"):
        composed.program(name).start()
    record = composed.directory / "data" / "care_record.json"
    tables = "select count(*) from information_schema.tables where table_name = 'alert_case'"
    await wait_until("tables", lambda: composed.count(tables) > 0, composed.logs)
    await wait_until("care record", record.exists)
    assert composed.program("seed").finish(PATIENCE_S) == 0, composed.logs()
    composed.program("gateway").start()
    await wait_until(
        "reading stored", lambda: composed.count("select count(*) from reading") > 0, composed.logs
    )


@pytest.mark.parametrize("edition", ["timescaledb"], indirect=True)
def test_a_gateway_is_heard_under_its_own_topic_alone(composed: Composed) -> None:
    """By delivery: a denied publish is acknowledged too, with a reason code or without one."""
    heard: queue.Queue[str] = queue.Queue()
    ingest = _client(composed, "ingest", "ingest_mqtt_password")
    ingest.on_message = lambda _client, _data, message: heard.put(message.topic)
    listens = threading.Event()
    ingest.on_subscribe = lambda *_answer: listens.set()
    ingest.subscribe("egenmonitor/v1/+/readings", qos=1)
    assert listens.wait(10)
    # Mosquitto 2.0.11 answers a denied publish, and then drops the connection it came on.
    for topic in ("egenmonitor/v1/other/readings", "egenmonitor/v1/demo-dosa-1/readings"):
        gateway = _client(composed, "demo-dosa-1", "demo-dosa-1_mqtt_password")
        gateway.publish(topic, b"x", qos=1).wait_for_publish(10)
        gateway.disconnect()
    # The denied one went first: had it been let through, it would be heard first.
    first = heard.get(timeout=10)
    ingest.disconnect()
    assert first == "egenmonitor/v1/demo-dosa-1/readings"
    assert heard.empty()


def _client(composed: Composed, user: str, secret: str) -> paho.Client:
    """Return a connected client whose thread runs."""
    client = paho.Client(CallbackAPIVersion.VERSION2, f"test-{user}", protocol=paho.MQTTv5)
    client.username_pw_set(user, (composed._secrets / secret).read_text())
    answers: queue.Queue[str] = queue.Queue()
    client.on_connect = lambda _client, _data, _flags, code, _properties: answers.put(str(code))
    client.connect("127.0.0.1", composed.broker.port)
    client.loop_start()
    assert answers.get(timeout=10) == "Success", composed.broker.log_file.read_text()
    return client


def test_nothing_is_let_in_without_a_password(composed: Composed) -> None:
    anonymous = paho.Client(CallbackAPIVersion.VERSION2, "nobody", protocol=paho.MQTTv5)
    codes: list[int] = []
    anonymous.on_connect = lambda _c, _d, _f, code, _p: codes.append(code.value)
    anonymous.connect("127.0.0.1", composed.broker.port)
    while not codes:
        anonymous.loop(0.1)
    assert codes[0] >= 0x80
