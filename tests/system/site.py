"""A site as it stands in a data centre: alerts with its authority, the guarded broker, ingest.

Everything is the real thing: ``deploy/mosquitto`` with its script and rules, ``python -m alerts``,
``python -m ingest``. Clients here are paho's, so that they may misbehave.
"""

import asyncio
import os
import queue
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from alerts.enrolment import authority, codes, files, revocation
from devices.enrolment import parse_code
from gateway.certificate import enrolled
from gateway.enrol import enrol
from simulator.demo.supervisor import Program
from simulator.embedded.broker import Mosquitto
from simulator.embedded.child import free_port, is_listening

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0
# deploy/mosquitto/run.sh looks so often at its files here.
_LOOK_S = "0.1"


class GuardedBroker(Mosquitto):
    """Mosquitto as deploy/mosquitto has it, its paths made this machine's; ``port`` is 8883's."""

    def __init__(self, directory: Path, tls: Path, *, demo: Path | None = None) -> None:
        super().__init__(directory)
        self.service_port = free_port()
        self.demo_port = free_port()
        self._tls = tls
        self._passwords = demo

    def start(self) -> None:
        super().start()
        ports = [self.service_port] if self._passwords is None else [self.demo_port]
        _until(lambda: all(map(is_listening, ports)), self.log_file)

    def configuration(self) -> str:
        """Return mosquitto.conf; write what lies beside it."""
        config = self.directory / "config"
        shutil.copytree(ROOT / "deploy/mosquitto", config, dirs_exist_ok=True)
        if self._passwords is None:
            (config / "demo/listener.conf").unlink()
        else:
            demo = (config / "demo/listener.conf").read_text()
            demo = demo.replace("listener 1883", f"listener {self.demo_port} 127.0.0.1")
            demo = demo.replace("/run/secrets/mosquitto_passwords", str(self._passwords))
            (config / "demo/listener.conf").write_text(demo)
        text = (config / "mosquitto.conf").read_text()
        for there, here in {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "listener 8884": f"listener {self.service_port} 127.0.0.1",
            "/broker/": f"{self._tls}/",
            "/mosquitto/config": str(config),
            "/mosquitto/data": str(self.directory),
        }.items():
            assert there in text, there
            text = text.replace(there, here)
        text += "\nuser root\n" if os.geteuid() == 0 else ""
        (config / "mosquitto.conf").write_text(text)
        return text

    def command(self, configuration: Path) -> Sequence[str]:
        """Return the words that run deploy/mosquitto/run.sh here."""
        config = configuration.parent / "config"
        return [
            "env",
            f"PATH={os.environ['PATH']}:/usr/sbin",
            f"MOSQUITTO_CONFIG={config}",
            f"MOSQUITTO_TLS={self._tls}",
            f"MOSQUITTO_LOOK_S={_LOOK_S}",
            "MOSQUITTO_LEAST_LOOKS=1",
            "sh",
            str(config / "run.sh"),
        ]


@dataclass(frozen=True)
class Keys:
    """Files by which a client proves who it is; a client without has none."""

    ca_file: Path
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


class Client:
    """A client of the broker, as bad as a test wants it.

    Attributes:
        heard: Topic and payload of what came, in order.
        ended: Set when the connection ends.
    """

    def __init__(self, keys: Keys, port: int, client_id: str, *, will: str = "") -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.ended = threading.Event()
        self._answers: queue.Queue[str] = queue.Queue()
        self._subscribed: queue.Queue[list[int]] = queue.Queue()
        client = self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5, reconnect_on_failure=False
        )
        client.tls_set_context(keys.context())
        client.on_connect = lambda _c, _d, _f, code, _p: self._answers.put(str(code))
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = lambda _c, _d, _m, codes, _p: self._subscribed.put(
            [code.value for code in codes]
        )
        client.on_message = lambda _c, _d, message: self.heard.put(
            (message.topic, bytes(message.payload))
        )
        if will:
            client.will_set(will, b"will", qos=1)
        self._port = port

    def _on_disconnect(self, *_: object) -> None:
        self._answers.put("ended")
        self.ended.set()

    def connect(self) -> str:
        """Return what came of it: ``Success``, or why not."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = 60
        try:
            self._client.connect("127.0.0.1", self._port, clean_start=False, properties=properties)
        except OSError as error:  # a TLS alert is one
            return str(error)
        self._client.loop_start()
        return self._answers.get(timeout=WAIT_S)

    def subscribe(self, *filters: str) -> None:
        for each in filters:
            self._client.subscribe(each, qos=1)
            self._subscribed.get(timeout=WAIT_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish and wait until the broker has answered, or has ended the connection."""
        sent = self._client.publish(topic, payload, qos=1, retain=retain)
        while not sent.is_published() and not self.ended.is_set():
            sent.wait_for_publish(0.1)

    def drop(self) -> None:
        """Lose the connection without a goodbye."""
        link = self._client.socket()
        assert isinstance(link, socket.socket)
        link.shutdown(socket.SHUT_RDWR)
        assert self.ended.wait(WAIT_S)

    def next(self) -> tuple[str, bytes]:
        return self.heard.get(timeout=WAIT_S)

    def close(self) -> None:
        """Say goodbye; harmless to repeat."""
        client: paho.Client | None = self.__dict__.pop("_client", None)
        if client is None:
            return
        client.disconnect()
        client.loop_stop()
        # They hold us, and we held the client: apart, its sockets close now.
        client.on_connect = client.on_disconnect = client.on_subscribe = client.on_message = None


@dataclass
class Site:
    """The running site."""

    directory: Path
    dsn: str
    broker: GuardedBroker
    alerts: Program
    ingest: Program
    address: str
    opened: list[Client] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.directory / "alerts.toml"

    @property
    def authority(self) -> authority.Authority:
        return authority.load(self.directory / "authority")

    def enrol(self, gateway_id: str) -> Keys:
        """Enrol a box as *gateway_id*; return its keys."""
        code = asyncio.run(self._ask(lambda it: codes.new_code(it, gateway_id))).code
        home = self.directory / "boxes" / gateway_id
        enrol(home, parse_code(code), self.address, datetime.now(UTC))
        found = enrolled(home)
        assert found is not None
        return Keys(found.ca_file, found.cert_file, found.key_file)

    def revoke(self, gateway_id: str) -> None:
        """Revoke a gateway, and wait until the broker has been started anew for it."""
        self._take_away(lambda it: revocation.revoke(it, gateway_id))

    def revoke_certificate(self, serial: str) -> None:
        """Revoke one certificate of a gateway that keeps its others."""
        statement = b"update gateway_certificate set revoked_at = now() where serial = %s"
        self._take_away(lambda it: it.execute(statement, (serial,)))

    def _take_away(self, question: Any) -> None:
        starts = self._starts()
        asyncio.run(self._ask(question))
        _until(lambda: self._starts() > starts, self.broker.log_file)
        ports = (self.broker.port, self.broker.service_port)
        _until(lambda: all(map(is_listening, ports)), self.broker.log_file)

    def _starts(self) -> int:
        return self.broker.log_file.read_text().count("started anew")

    async def _ask(self, question: Any) -> Any:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            return await question(connection)

    def issue(self, name: str, *, since: timedelta, lasts: timedelta) -> Keys:
        """Return keys of a certificate of this site's authority that nobody was enrolled with."""
        key = ec.generate_private_key(ec.SECP256R1())
        at = datetime.now(UTC) + since
        signed = self.authority.for_gateway(key.public_key(), name, at, lasts)
        files_of = [self.directory / f"{name}.{kind}" for kind in ("crt", "key")]
        files_of[0].write_text(authority.certificate_pem(signed))
        files_of[1].write_bytes(authority.key_pem(key))
        return Keys(self.directory / "authority/ca.pem", *files_of)

    def client(self, keys: Keys, client_id: str, **options: Any) -> Client:
        """Return a client at the gateways' listener; closed with the site."""
        client = Client(keys, self.broker.port, client_id, **options)
        self.opened.append(client)
        return client

    def connected(self, keys: Keys, client_id: str, **options: Any) -> Client:
        client = self.client(keys, client_id, **options)
        assert client.connect() == "Success", self.logs()
        return client

    def service(self, client_id: str = "ear") -> Client:
        """Return a connected client that may what ingest may."""
        place = self.directory / "services/ingest"
        keys = Keys(place / files.CA, place / files.CERTIFICATE, place / files.KEY)
        client = Client(keys, self.broker.service_port, client_id)
        self.opened.append(client)
        assert client.connect() == "Success", self.logs()
        return client

    def one(self, query: str, *values: object) -> Any:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(query.encode(), values).fetchone()
        return row[0] if row else None

    def logs(self) -> str:
        found = [*self.directory.glob("*.log"), self.broker.log_file]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in found)


@contextmanager
def running_site(directory: Path, dsn: str) -> Iterator[Site]:
    """Run a site of its own in *directory*."""
    tls, web_port = directory / "broker_tls", free_port()
    broker = GuardedBroker(directory / "broker", tls)
    (directory / "alerts.toml").write_text(
        f"""
        [database]
        dsn = "{dsn}"
        [web]
        port = {web_port}
        [enrolment]
        authority_dir = "{directory}/authority"
        broker_host = "127.0.0.1"
        broker_port = {broker.port}
        broker_dir = "{tls}"
        services_dir = "{directory}/services"
        """
    )
    ours = directory / "services/ingest"
    (directory / "ingest.toml").write_text(
        f"""
        [database]
        dsn = "{dsn}"
        [broker]
        host = "127.0.0.1"
        port = {broker.service_port}
        ca_file = "{ours}/{files.CA}"
        cert_file = "{ours}/{files.CERTIFICATE}"
        key_file = "{ours}/{files.KEY}"
        """
    )
    config = ("--config", str(directory / "alerts.toml"))
    made = subprocess.run(
        [sys.executable, "-m", "alerts", "ca", "init", *config], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()
    alerts = Program([sys.executable, "-m", "alerts", "run", *config], directory / "alerts.log")
    ingest = Program(
        [sys.executable, "-m", "ingest", "run", "--config", str(directory / "ingest.toml")],
        directory / "ingest.log",
    )
    with broker:
        site = Site(directory, dsn, broker, alerts, ingest, f"http://127.0.0.1:{web_port}")
        try:
            alerts.start()
            ingest.start()
            _until_said(alerts.log_file, "alerts.ready")
            _until_said(ingest.log_file, "broker.subscribed")
            yield site
        finally:
            for client in site.opened:
                client.close()
            ingest.stop()
            alerts.stop()


def _until_said(log_file: Path, words: str) -> None:
    _until(lambda: words in log_file.read_text(), log_file)


def _until(holds: Callable[[], bool], log_file: Path) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        if holds():
            return
        pause.wait(0.05)
    pytest.fail(f"not within {WAIT_S:.0f} s\n{log_file.read_text()[-3000:]}")
