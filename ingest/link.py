"""Link: the connection that hears every gateway's status and says each its configuration.

A session of its own, and a clean one: what the broker retains tells how each gateway is, so a
queue of old heartbeats would only be in the way.
"""

import asyncio
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import structlog
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from devices import wire
from ingest.config import BrokerSettings
from ingest.mqtt import new_client

KEEPALIVE_S: Final = 30

# Statuses not yet stored. When there are more, the broker is read no further, and TCP holds it
# back: at a start it sends what it retains of every gateway at once.
HELD_MAX: Final = 2_000
PACKET_BYTES_MAX: Final = wire.MESSAGE_BYTES_MAX + 4096

# Configurations without the broker's PUBACK.
IN_FLIGHT_MAX: Final = 100
_GOODBYE_S_MAX: Final = 2.0
_FAILURE: Final = 0x80  # MQTT 5, 2.4: reason codes from here on are failures


@dataclass(frozen=True, slots=True)
class Heard:
    """A message of a status topic."""

    topic: str
    payload: bytes
    is_retained: bool
    arrived_at: datetime


class Link:
    """Listens and publishes; reconnects for ever. Use as an async context manager, once."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._log = structlog.get_logger().bind(
            key="broker.host", address=f"{settings.host}:{settings.port}"
        )
        self._room = threading.Condition()  # between paho's thread and the event loop
        self._heard: deque[Heard] = deque()
        self._is_closing = False
        self.connections = 0  # that stood, this one included: a new one may be to a broker anew
        self._client = new_client(settings, f"{settings.client_id}-control", manual_ack=False)
        self._client.max_inflight_messages_set(IN_FLIGHT_MAX)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    async def __aenter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = PACKET_BYTES_MAX
        self._client.connect_async(
            self._settings.host,
            self._settings.port,
            KEEPALIVE_S,
            clean_start=True,
            properties=properties,
        )
        self._client.loop_start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._room:
            self._is_closing = True
            self._room.notify_all()
        with suppress(TimeoutError):  # a thread that hangs in a connect ends by itself
            async with asyncio.timeout(_GOODBYE_S_MAX):
                await asyncio.to_thread(self._say_goodbye)

    def take(self, most: int) -> list[Heard]:
        """Return what was heard since the last call, in order, at most so many."""
        with self._room:
            found = [self._heard.popleft() for _ in range(min(most, len(self._heard)))]
            self._room.notify_all()
        return found

    @property
    def is_connected(self) -> bool:
        """Whether the broker is there."""
        return self._client.is_connected()

    def publish(self, gateway_id: str, config: bytes) -> bool:
        """Let the broker keep *config* for the gateway; false while there is no broker."""
        if not self.is_connected:
            return False
        topic = wire.topic(gateway_id, wire.TopicKind.CONFIG)
        self._client.publish(topic, config, qos=1, retain=True)
        return True

    # Called in paho's thread, which an exception would end.

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._log.error("control.refused", reason=str(reason))
            return
        self.connections += 1
        self._log.info("control.connected")
        client.subscribe(wire.topic("+", wire.TopicKind.STATUS), qos=1)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if not self._is_closing:
            self._log.warning("control.lost", reason=str(reason))

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                cure = "let this client read the status of all gateways"
                self._log.error("control.subscription_refused", reason=str(reason), cure=cure)

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: Any,
        _mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.value >= _FAILURE:
            cure = "let this client write the configuration of all gateways"
            self._log.error("control.publish_refused", reason=str(reason), cure=cure)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        arrived_at = datetime.now(UTC)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        with self._room:
            while len(self._heard) >= HELD_MAX and not self._is_closing:
                self._room.wait()
            self._heard.append(Heard(topic, bytes(message.payload), message.retain, arrived_at))

    def _say_goodbye(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
