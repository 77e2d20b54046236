"""The link that hears every gateway: it holds the broker back when nobody takes what it hears."""

import threading

from paho.mqtt.client import MQTTMessage

from devices.wire import TopicKind, topic
from ingest import link as link_module
from ingest.config import BrokerSettings
from ingest.link import Link


def test_what_is_not_taken_is_bounded_and_none_of_it_is_lost() -> None:
    """At a start the broker sends what it retains of every gateway at once."""
    most = link_module.HELD_MAX
    link = Link(BrokerSettings(host="localhost"))
    message = MQTTMessage(topic=topic("g-test", TopicKind.STATUS).encode())

    def hear() -> None:
        for _ in range(most + 3):
            link._on_message(link._client, None, message)

    hearing = threading.Thread(target=hear, daemon=True)
    hearing.start()
    while len(link._heard) < most:
        hearing.join(0.01)
    hearing.join(0.1)
    assert hearing.is_alive()  # it waits for room: the broker is read no further
    assert len(link._heard) == most
    assert len(link.take(most)) == most
    hearing.join(5)
    assert not hearing.is_alive()
    assert len(link.take(most)) == 3
