"""ingest as a process, and a gateway that talks to it."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from devices import wire
from devices.reading import Reading
from tests.ingest.county import GATEWAY, message

WAIT_S = 30.0
# As a gateway does when no receipt comes; short, so that a test need not wait.
RESEND_AFTER_S = 2.0


@dataclass
class Received:
    """A receipt, and what a second connection saw in the database when it came."""

    receipt: wire.Receipt
    correlation: bytes
    stored: set[Any]


class Gateway:
    """Sends messages as a gateway does, and takes its receipts."""

    def __init__(self, port: int, gateway_id: str = GATEWAY, dsn: str | None = None) -> None:
        self.received: queue.Queue[Received] = queue.Queue()
        self._dsn = dsn
        self._id = gateway_id
        self._is_subscribed = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=gateway_id, protocol=mqtt.MQTTv5
        )
        self._client.max_inflight_messages_set(10_000)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(
            wire.topic(gateway_id, wire.TopicKind.RECEIPTS), qos=1
        )
        self._client.on_subscribe = lambda *_: self._is_subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, clean_start=False)
        self._client.loop_start()
        assert self._is_subscribed.wait(WAIT_S)

    def send(self, payload: bytes) -> bytes:
        """Publish one message; return its correlation data."""
        correlation = uuid4().bytes
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = wire.topic(self._id, wire.TopicKind.RECEIPTS)
        properties.CorrelationData = correlation
        topic = wire.topic(self._id, wire.TopicKind.READINGS)
        self._client.publish(topic, payload, qos=1, properties=properties)
        return correlation

    def receipt(self, correlation: bytes) -> Received:
        """Return the receipt of a send, passing over others."""
        while True:
            received = self.received.get(timeout=WAIT_S)
            if received.correlation == correlation:
                return received

    def deliver(self, messages: Sequence[Sequence[Reading]], meanwhile: Callable[[], None]) -> None:
        """Send *messages* until every reading has its receipt; *meanwhile* runs half way."""
        waiting: dict[UUID, Sequence[Reading]] = {}
        for number, readings in enumerate(messages):
            waiting |= {one.reading_id: readings for one in readings}
            self.send(message(readings))
            if number == len(messages) // 2:
                meanwhile()
        deadline = time.monotonic() + WAIT_S
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} readings without a receipt"
            try:
                received = self.received.get(timeout=RESEND_AFTER_S)
            except queue.Empty:
                for readings in {id(some): some for some in waiting.values()}.values():
                    self.send(message(readings))
            else:
                for reading_id in received.receipt.stored:
                    waiting.pop(reading_id, None)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _userdata: object, incoming: mqtt.MQTTMessage) -> None:
        stored: set[Any] = set()
        if self._dsn:
            with psycopg.connect(self._dsn) as connection:
                stored = {row[0] for row in connection.execute("select reading_id from reading")}
        receipt = wire.decode_receipt(bytes(incoming.payload))
        correlation = getattr(incoming.properties, "CorrelationData", b"")
        self.received.put(Received(receipt, correlation, stored))


class Ingest:
    """``python -m ingest run``."""

    def __init__(self, directory: Path, dsn: str, port: int, **environment: str) -> None:
        self.log_file = directory / "ingest.log"
        self._environment = {
            **os.environ,
            "EGENMONITOR_INGEST__DATABASE__DSN": dsn,
            "EGENMONITOR_INGEST__BROKER__HOST": "127.0.0.1",
            "EGENMONITOR_INGEST__BROKER__PORT": str(port),
            "EGENMONITOR_INGEST__BROKER__CLIENT_ID": f"ingest-{uuid4().hex[:8]}",
            **environment,
        }
        self.start()

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            self._started_at = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingest", "run"], env=self._environment, stderr=log
            )

    def stop(self) -> int:
        """Ask it to stop, which only one that is ready hears; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)

    def log(self) -> str:
        return self.log_file.read_text()

    def wait_for(self, event: str) -> None:
        """Wait until it has logged that since it was started."""
        until(
            lambda: event.encode() in self.log_file.read_bytes()[self._started_at :],
            lambda: f"{event} in the log: {self.log()[-2000:]}",
        )


def until(claim: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait until *claim* holds."""
    pause = threading.Event()
    deadline = time.monotonic() + WAIT_S
    while not claim():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {WAIT_S:g} s for {what()}")
        pause.wait(0.02)


@contextmanager
def running(
    directory: Path, dsn: str, port: int, *, ready: str = "broker.subscribed", **environment: str
) -> Iterator[Ingest]:
    """Run ingest, from its log's *ready* on."""
    ingest = Ingest(directory, dsn, port, **environment)
    try:
        ingest.wait_for(ready)
        yield ingest
    finally:
        if ingest.process.poll() is None:
            ingest.kill()


@contextmanager
def connected(port: int, dsn: str | None = None) -> Iterator[Gateway]:
    """A gateway that is connected and subscribed."""
    gateway = Gateway(port, dsn=dsn)
    try:
        yield gateway
    finally:
        gateway.close()
