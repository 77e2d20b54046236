"""docker-compose.yml against the code: every command, port, file, secret and volume in it.

Its commands then run as plain processes, with its configuration files, on a real Mosquitto
with its script, certificates and access rules, and on a real TimescaleDB.
"""

import importlib
import queue
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psycopg
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from psycopg.conninfo import make_conninfo

from alerts.config import Config as AlertsConfig
from alerts.roles import INGEST, MIGRATOR, NOTIFIER, WEB
from ingest.config import Config
from ingest.settings import load
from simulator.demo.supervisor import Program
from simulator.embedded.broker import Mosquitto
from simulator.embedded.child import free_port
from simulator.embedded.postgres import Postgres
from tests.conftest import missing
from tests.system.chain import PATIENCE_S, wait_until
from tests.system.site import Client, GuardedBroker, Keys

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
CONFIGS = {path.stem: path for path in (ROOT / "deploy" / "config").glob("*.toml")}
LISTENER = re.compile(r"^listener (\d+)", re.MULTILINE)
MOSQUITTO = ROOT / "deploy" / "mosquitto"
LISTENERS = [
    port
    for file in (MOSQUITTO / "mosquitto.conf", MOSQUITTO / "demo" / "listener.conf")
    for port in LISTENER.findall(file.read_text())
]
# The only port that may be opened to others, by setting this; mTLS guards it.
OPENED = "${EGENMONITOR_MQTT_ADDRESS:-127.0.0.1}:8883:8883"


def config_of(service: dict[str, Any]) -> str | None:
    """Return the name of the configuration a service is started with."""
    words = service["command"]
    return Path(words[words.index("--config") + 1]).stem if "--config" in words else None


# Who is who in the database; those who are not named are its superuser, and gone again soon.
ROLE_OF = {
    "authority": WEB,
    "ingest": INGEST,
    "ingest-2": INGEST,
    "alerts": WEB,
    "notifier": NOTIFIER,
    "seed": MIGRATOR,
}


def database_of(service: dict[str, Any], settings: dict[str, Any]) -> dict[str, str]:
    """Return how a service connects: what its environment tells goes before its file."""
    told = dict(settings["database"])
    for key, value in service.get("environment", {}).items():
        if "__DATABASE__" in key:
            told[key.rpartition("__")[2].lower()] = value
    return told


def test_the_superuser_s_password_is_given_to_nobody_who_stays() -> None:
    holders = {n for n, each in SERVICES.items() if "database_password" in each.get("secrets", ())}
    assert holders == {"timescaledb", "schema", "roles"}
    assert {SERVICES[name]["restart"] for name in holders - {"timescaledb"}} == {"on-failure"}
    for name, role in ROLE_OF.items():
        assert set(SERVICES[name]["secrets"]) == {f"{role}_password"}


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
        here = "127.0.0.1:8883:8883" if published == OPENED else published
        host, _, inside = here.split(":")
        assert host == "127.0.0.1"
        if name == "mosquitto":
            assert inside in LISTENERS
            assert inside != "8884"  # for services inside alone
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
    text = re.sub(r"(?m)^#.*$", "", path.read_text())  # what is offered there is not in use
    settings = tomllib.loads(text)
    if "database" in settings:
        told = database_of(service, settings)
        settings["database"] = told
        text = re.sub(r"/run/secrets/database_password", told["password_file"], text)
    assert set(re.findall(r"/run/secrets/(\w+)", text)) <= set(service["secrets"])
    for table in ("broker", "uplink"):
        if table in settings:
            assert settings[table]["host"] in SERVICES
            assert str(settings[table]["port"]) in LISTENERS
    if "database" in settings:
        environment = SERVICES["timescaledb"]["environment"]
        user = ROLE_OF.get(name, environment["POSTGRES_USER"])
        place = f"timescaledb:5432/{environment['POSTGRES_DB']}"
        assert settings["database"]["dsn"] == f"postgresql://{user}@{place}"
    if "enrolment" in settings:
        told = settings["enrolment"]
        assert str(told["broker_port"]) in LISTENERS
        assert set(told["broker_names"]) <= set(SERVICES)
    if "radio" in settings:
        words = SERVICES["simulator"]["command"]
        port = words[words.index("--listen") + 1].rpartition(":")[2]
        assert settings["radio"]["transport"] == f"tcp-client:simulator:{port}"


def test_every_setting_of_ours_in_the_environment_is_known() -> None:
    prefixes = ("EGENMONITOR_GATEWAY__", "EGENMONITOR_INGEST__", "EGENMONITOR_ALERTS__")
    for service in OURS.values():
        assert all(key.startswith(prefixes) for key in service.get("environment", {}))


def test_the_demo_s_mail_ends_in_its_own_mailbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (ROOT / "deploy/demo.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    for name in ("alerts", "notifier"):
        unset = {key for key, value in SERVICES[name]["environment"].items() if value is None}
        assert told.keys() == unset  # what is not set stays unset
    file = tmp_path / "alerts.toml"
    file.write_text('[database]\ndsn = "host=x"\n')
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    config = load(AlertsConfig, file)
    assert config.mail is not None
    assert config.mail.host in SERVICES
    assert (config.mail.port, config.mail.tls) == (1025, "none")  # as mailpit listens


def test_every_worker_has_a_name_of_its_own_and_the_readings_are_shared() -> None:
    key = "EGENMONITOR_INGEST__BROKER__CLIENT_ID"
    workers = [each for each in OURS.values() if each["command"][:2] == ["ingest", "run"]]
    names = {each["environment"][key] for each in workers}
    assert len(names) == len(workers) == 2
    assert tomllib.loads(CONFIGS["ingest"].read_text())["broker"]["shared_group"]
    unit = (ROOT / "deploy/systemd/egenmonitor-ingest@.service").read_text()
    told = dict(re.findall(r"^Environment=(EGENMONITOR_\w+)=(.*)$", unit, re.MULTILINE))
    assert "%i" in told[key]
    assert "%i" in told["EGENMONITOR_INGEST__WATCH__PORT"]
    environment = {name: text.replace("%i", "9101") for name, text in told.items()}
    assert environment.pop("EGENMONITOR_INGEST__DATABASE__PASSWORD_FILE").startswith("%d/")
    parts: dict[str, dict[str, str]] = {"database": {"dsn": "host=x"}, "broker": {"host": "x"}}
    for name, text in environment.items():
        part, field = name.removeprefix("EGENMONITOR_INGEST__").lower().split("__")
        parts.setdefault(part, {})[field] = text
    config = Config.model_validate(parts)
    assert (config.broker.client_id, config.watch.port) == ("egenmonitor-ingest-9101", 9101)


@pytest.mark.parametrize("name", OURS)
def test_certificates_are_on_volumes_that_those_who_need_them_share(name: str) -> None:
    config = config_of(OURS[name])
    if config is None:
        return
    mounted = dict(each.split(":")[:2][::-1] for each in OURS[name].get("volumes", []))
    settings = tomllib.loads(CONFIGS[config].read_text())
    for key in ("ca_file", "cert_file", "key_file"):
        if key in settings.get("broker", {}):
            place = str(Path(settings["broker"][key]).parent)
            assert mounted[place] == _volumes("authority")[place]
    if OURS[name]["command"][1] in {"ca", "serve", "work"} and "enrolment" in settings:
        told = settings["enrolment"]
        wanted = {told["authority_dir"], told["broker_dir"], f"{told['services_dir']}/ingest"}
        assert wanted <= set(mounted)
        assert not any(each.endswith(":ro") for each in OURS[name]["volumes"][1:])


def _volumes(name: str) -> dict[str, str]:
    """Return volume by place."""
    return dict(each.split(":")[:2][::-1] for each in SERVICES[name]["volumes"])


def test_the_authority_s_key_is_given_to_nobody_but_alerts() -> None:
    holders = {
        name
        for name, service in SERVICES.items()
        if any(volume.startswith("authority:") for volume in service.get("volumes", []))
    }
    assert holders == {"alerts", "authority", "notifier"}


def test_the_broker_reads_what_alerts_writes() -> None:
    broker = SERVICES["mosquitto"]
    assert _volumes("mosquitto")["/broker"] == _volumes("alerts")["/broker"]
    assert broker["command"] == ["/bin/sh", "/mosquitto/config/run.sh"]
    # Its key is readable by the group of the account that our image runs as.
    account = re.search(r"groupadd --gid (\d+)", (ROOT / "Dockerfile").read_text())
    assert account is not None
    assert broker["group_add"] == [account[1]]
    for place in _volumes("authority"):
        if place.startswith(("/authority", "/broker", "/services")):
            assert re.search(rf"chown .* {place}\b", (ROOT / "Dockerfile").read_text()), place


@pytest.fixture
def composed(
    tmp_path: Path, timescale_postgres: Postgres, database: str, secrets: Path
) -> Iterator["Composed"]:
    if Mosquitto.program() is None:
        missing("mosquitto", "the program is not installed")
    (secrets / "database_password").write_text(timescale_postgres.password_file.read_text())
    passwords = secrets / "mosquitto_passwords"
    broker = GuardedBroker(tmp_path / "mosquitto", tmp_path / "tls", demo=passwords)
    composed = Composed(tmp_path, database, broker, secrets)
    assert composed.program("authority").finish(PATIENCE_S) == 0, composed.logs()
    with broker:
        yield composed
        composed.stop()


class Composed:
    """The services of the demo profile as plain processes."""

    def __init__(self, directory: Path, dsn: str, broker: GuardedBroker, secrets: Path) -> None:
        self.directory = directory
        self.dsn = dsn
        self.broker = broker
        self._radio_port = free_port()
        self.web_port = free_port()
        self._watch_port = free_port()
        self.secrets = secrets
        self._programs: dict[str, Program] = {}
        for service in OURS.values():
            if config := config_of(service):
                self._config(config).write_text(self._here(CONFIGS[config].read_text()))

    def program(self, name: str) -> Program:
        """Return a service with the words compose has for it, ready to start."""
        words = [self._here(word) for word in OURS[name]["command"]]
        told = [
            f"{key}={self._here(value)}"
            for key, value in OURS[name].get("environment", {}).items()
            if value is not None and "__DATABASE__" in key
        ]
        words = ["/usr/bin/env", *told, sys.executable, "-m", *words]
        program = Program(words, self.directory / f"{name}.log")
        self._programs[name] = program
        return program

    def database(self, name: str) -> str:
        """Return how a service connects to the database."""
        settings = tomllib.loads(CONFIGS[str(config_of(OURS[name]))].read_text())
        told = database_of(OURS[name], settings)
        password = Path(self._here(told["password_file"])).read_text().strip()
        return make_conninfo(self._here(told["dsn"]), password=password)

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
            "/run/secrets/gateway_mqtt_password": f"{self.secrets}/demo-dosa-1_mqtt_password",
            "/run/secrets": str(self.secrets),
            "timescaledb:5432/egenmonitor": server,
            'host = "mosquitto"': 'host = "127.0.0.1"',
            '["mosquitto"]': '["127.0.0.1"]',
            "port = 1883": f"port = {self.broker.demo_port}",
            "port = 8883": f"port = {self.broker.port}",
            "port = 8884": f"port = {self.broker.service_port}",
            '"/authority"': f'"{self.directory}/authority"',
            '"/broker"': f'"{self.directory}/tls"',
            '"/services': f'"{self.directory}/services',
            "port = 8080": f"port = {self.web_port}",
            "port = 9100": f"port = {self._watch_port}",
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
    for name in ("schema", "roles"):
        assert composed.program(name).finish(PATIENCE_S) == 0, composed.logs()
    for name in ("simulator", "ingest", "alerts", "notifier"):
        composed.program(name).start()
    record = composed.directory / "data" / "care_record.json"
    await wait_until("care record", record.exists)
    assert composed.program("seed").finish(PATIENCE_S) == 0, composed.logs()
    composed.program("gateway").start()
    await wait_until(
        "reading stored", lambda: composed.count("select count(*) from reading") > 0, composed.logs
    )
    beats = "select count(*) from pulse"
    await wait_until("the notifier at work", lambda: composed.count(beats) > 0, composed.logs)
    for log in composed.directory.glob("*.log"):
        assert "permission denied" not in log.read_text(), log


# What each must not do, of the many things in tests/alerts/test_roles.py.
DENIED = {
    INGEST: "select from person",
    WEB: "update sample set value = 120",
    NOTIFIER: "select from account",
    MIGRATOR: "create role mine",
}


@pytest.mark.parametrize("edition", ["timescaledb"], indirect=True)
def test_each_service_is_its_own_role_in_the_database(composed: Composed) -> None:
    for name in ("schema", "roles", "schema", "roles"):  # at each start
        assert composed.program(name).finish(PATIENCE_S) == 0, composed.logs()
    for name, role in ROLE_OF.items():
        with psycopg.connect(composed.database(name), autocommit=True) as connection:
            assert connection.execute("select current_user").fetchone() == (role,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(DENIED[role].encode())


@pytest.mark.parametrize("edition", ["timescaledb"], indirect=True)
def test_nothing_is_let_in_without_a_password_or_a_certificate(composed: Composed) -> None:
    anonymous = paho.Client(CallbackAPIVersion.VERSION2, "nobody", protocol=paho.MQTTv5)
    codes: list[int] = []
    anonymous.on_connect = lambda _c, _d, _f, code, _p: codes.append(code.value)
    anonymous.connect("127.0.0.1", composed.broker.demo_port)
    while not codes:
        anonymous.loop(0.1)
    assert codes[0] >= 0x80
    for port in (composed.broker.port, composed.broker.service_port):
        client = Client(Keys(composed.directory / "authority/ca.pem"), port, "nobody")
        assert client.connect() != "Success"
        client.close()


@pytest.mark.parametrize("edition", ["timescaledb"], indirect=True)
def test_the_demo_s_gateway_speaks_under_its_own_topic_alone(composed: Composed) -> None:
    """By delivery: a denied publish is acknowledged too, with a reason code or without one."""
    place = composed.directory / "services/ingest"
    keys = Keys(place / "ca.pem", place / "cert.pem", place / "key.pem")
    ingest = Client(keys, composed.broker.service_port, "test-ingest")
    assert ingest.connect() == "Success"
    ingest.subscribe("egenmonitor/v1/+/readings")
    password = (composed.secrets / "demo-dosa-1_mqtt_password").read_text()
    # Mosquitto 2.0.11 answers a denied publish, and then drops the connection it came on.
    for topic in ("egenmonitor/v1/other/readings", "egenmonitor/v1/demo-dosa-1/readings"):
        gateway = paho.Client(CallbackAPIVersion.VERSION2, "any", protocol=paho.MQTTv5)
        gateway.username_pw_set("demo-dosa-1", password)
        answers: queue.Queue[str] = queue.Queue()
        gateway.on_connect = lambda _c, _d, _f, code, _p, to=answers: to.put(str(code))
        gateway.connect("127.0.0.1", composed.broker.demo_port)
        gateway.loop_start()
        assert answers.get(timeout=10) == "Success"
        gateway.publish(topic, b"x", qos=1).wait_for_publish(10)
        gateway.disconnect()
        gateway.loop_stop()
    # The denied one went first: had it been let through, it would be heard first.
    assert ingest.next() == ("egenmonitor/v1/demo-dosa-1/readings", b"x")
    ingest.close()
    assert ingest.heard.empty()
