"""The whole of ingest as a process, with a real broker and a real database."""

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from devices import wire
from simulator.embedded.broker import Broker
from tests.ingest.county import GATEWAY, County, message, pressure

WAIT_S = 20.0


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

    def send(self, payload: bytes, *, topic: str | None = None) -> bytes:
        correlation = uuid4().bytes
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = wire.topic(self._id, wire.TopicKind.RECEIPTS)
        properties.CorrelationData = correlation
        topic = topic or wire.topic(self._id, wire.TopicKind.READINGS)
        self._client.publish(topic, payload, qos=1, properties=properties)
        return correlation

    def receipt(self, correlation: bytes) -> Received:
        """Return the receipt of a send, passing over others."""
        while True:
            received = self.received.get(timeout=WAIT_S)
            if received.correlation == correlation:
                return received

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: object, _userdata: object, incoming: mqtt.MQTTMessage) -> None:
        stored: set[Any] = set()
        if self._dsn:
            with psycopg.connect(self._dsn) as connection:
                stored = {row[0] for row in connection.execute("select reading_id from reading")}
        receipt = wire.decode_receipt(bytes(incoming.payload))
        self.received.put(Received(receipt, incoming.properties.CorrelationData, stored))


class Ingest:
    """ingest as a process."""

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
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingest", "run"], env=self._environment, stderr=log
            )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)

    def log(self) -> str:
        return self.log_file.read_text()

    def wait_for(self, event: str) -> None:
        """Wait until the log tells of *event*."""
        _until(lambda: event in self.log(), f"{event} in the log: {self.log()[-2000:]}")


def _until(claim: Callable[[], bool], what: str) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.02)):
        if claim():
            return
        pause.wait(0.02)
    pytest.fail(f"waited {WAIT_S:g} s for {what}")


@contextmanager
def running(directory: Path, dsn: str, port: int, **environment: str) -> Iterator[Ingest]:
    ingest = Ingest(directory, dsn, port, **environment)
    try:
        ingest.wait_for("broker.connected")
        yield ingest
    finally:
        if ingest.process.poll() is None:
            ingest.kill()


def test_a_receipt_comes_only_after_the_commit(
    county: County, broker: Broker, tmp_path: Path
) -> None:
    with running(tmp_path, county.dsn, broker.port) as ingest:
        gateway = Gateway(broker.port, dsn=county.dsn)
        for count in (1, 20, 200):
            readings = [pressure(120, 80, device_id=f"D{count}-{n}") for n in range(count)]
            for one in readings:
                county.lend(one.device_id, county.patient_id)
            received = gateway.receipt(gateway.send(message(readings)))
            ids = {one.reading_id for one in readings}
            assert set(received.receipt.stored) == ids
            assert received.receipt.refused == ()
            assert ids <= received.stored  # seen from another connection when the receipt came
        gateway.close()
        assert ingest.stop() == 0
    assert county.count("reading") == 221
