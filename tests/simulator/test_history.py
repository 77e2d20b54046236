"""The history is sent again until every message has its receipt, and each is counted once."""

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from devices import wire
from devices.reading import Reading
from simulator import physiology
from simulator.demo import history
from simulator.demo.place import ZONE
from simulator.embedded.broker import Broker
from simulator.people import PEOPLE

GATEWAY_ID = "g-history"


@pytest.fixture
def made() -> list[Reading]:
    acts = physiology.history(PEOPLE, seed=1, last_day=date(2026, 11, 22), days=10, zone=ZONE)
    return history.readings(acts, PEOPLE, ZONE)


class ForgetfulIngest:
    """Answers a message the second time it comes; refuses the first reading of each."""

    def __init__(self, port: int) -> None:
        self.heard: Counter[bytes] = Counter()
        self._subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "ingest", protocol=mqtt.MQTTv5)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(wire.topic(GATEWAY_ID, wire.TopicKind.READINGS), qos=1)
        self._client.loop_start()
        assert self._subscribed.wait(20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, client: mqtt.Client, _data: object, incoming: mqtt.MQTTMessage) -> None:
        sent: Any = incoming.properties
        correlation = sent.CorrelationData
        self.heard[correlation] += 1
        if self.heard[correlation] == 1:
            return
        message, _ = wire.decode_message(bytes(incoming.payload))
        refused, *stored = [reading.reading_id for reading in message.readings]
        receipt = wire.Receipt(
            v=message.v,
            stored=tuple(stored),
            refused=(wire.Refusal(reading_id=refused, reason="unassigned"),),
        )
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = correlation
        topic = wire.topic(GATEWAY_ID, wire.TopicKind.RECEIPTS)
        client.publish(topic, wire.encode_receipt(receipt), qos=1, properties=properties)


@pytest.fixture
def ingest(embedded_broker: Broker) -> Iterator[ForgetfulIngest]:
    ingest = ForgetfulIngest(embedded_broker.port)
    yield ingest
    ingest.close()


def _send(made: list[Reading], port: int, timeout_s: float) -> history.Receipted:
    stopping = threading.Event()
    return history.send(
        made, gateway_id=GATEWAY_ID, port=port, timeout_s=timeout_s, stopping=stopping
    )


def test_what_went_unheard_is_sent_again_and_counted_once(
    made: list[Reading], ingest: ForgetfulIngest, embedded_broker: Broker
) -> None:
    said = _send(made, embedded_broker.port, timeout_s=20)
    messages = -(-len(made) // wire.READINGS_MAX)
    assert messages > 1
    assert len(ingest.heard) == messages
    assert said.stored == len(made) - messages
    assert said.refused == {"unassigned": messages}


def test_a_history_without_receipts_is_no_history(
    made: list[Reading], embedded_broker: Broker
) -> None:
    with pytest.raises(history.HistoryError, match="have no receipt"):
        _send(made, embedded_broker.port, timeout_s=1)
