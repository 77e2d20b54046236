"""Consumer over paho-mqtt: MQTT 5, acknowledged by hand and in the order of arrival.

paho's own thread reads the socket and puts deliveries into a bounded queue; everything else
happens in the event loop. When the queue is full that thread waits, so a broker that
ignores Receive Maximum is held back by TCP: Mosquitto 2.0.11 keeps to it only until the first
acknowledgement, then sends all it has.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import structlog
from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from devices import wire
from ingest.config import BrokerSettings
from ingest.delivery import Answer, Delivery
from ingest.mqtt import new_client

KEEPALIVE_S: Final = 30
# The broker keeps what comes while we are away this long; gateways resend all the same.
SESSION_EXPIRY_S: Final = 24 * 3600
PACKET_BYTES_MAX: Final = wire.MESSAGE_BYTES_MAX + 4096  # a message, its topic and properties
# What may wait or be in hand, in bytes: half of the 300 MiB that ingest may use, for a message
# takes as much again when it is decoded.
HELD_BYTES_MAX: Final = 64 * 1024 * 1024
_OVERHEAD_BYTES: Final = 1024  # of a delivery in memory, beside its payload
# Receipts without the broker's PUBACK. A county's peak of 1,000 a second has about ten.
RECEIPTS_IN_FLIGHT_MAX: Final = 100
_FAREWELL_S: Final = 2.0
_FAREWELL_POLL_S: Final = 0.01


class ConsumerStopped(Exception):
    """paho's thread ended by itself: a fault of ours or of the library, never of the broker."""


class AckOrder:
    """Lets acknowledgements out in the order of arrival, whatever order work is done in.

    iotcore loses a message when acknowledgements go out of order, and [MQTT-4.6.0-2] asks for
    the order too.
    """

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._done: set[int] = set()

    def __len__(self) -> int:
        """Count what has arrived and was not let out yet."""
        return len(self._waiting)

    def arrived(self, number: int) -> None:
        """Note that message *number* arrived, after all earlier ones."""
        self._waiting.append(number)

    def done(self, number: int) -> list[int]:
        """Note that *number* is done; return which may be acknowledged now, in order."""
        self._done.add(number)
        ready = []
        while self._waiting and self._waiting[0] in self._done:
            first = self._waiting.popleft()
            self._done.discard(first)
            ready.append(first)
        return ready


class PahoConsumer:
    """Subscribes to the readings of all gateways. Use as an async context manager.

    Reconnects for ever. Deliveries of a connection that has broken are not acknowledged: the
    broker sends them again, and they are repeats.
    """

    def __init__(self, settings: BrokerSettings, receive_max: int) -> None:
        self._settings = settings
        self._receive_max = receive_max
        self._log = structlog.get_logger().bind(
            key="broker.host", address=f"{settings.host}:{settings.port}"
        )
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._is_woken = False
        # Shared with paho's thread, under _room.
        self._room = threading.Condition()
        self._queue: deque[Delivery] = deque()
        self._order = AckOrder()
        self._packet_ids: dict[int, int] = {}  # of the present connection, by arrival number
        self._next_number = 0
        self._held_bytes = 0
        self._is_closing = False
        self._client = self._make_client()

    async def __aenter__(self) -> Self:
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = SESSION_EXPIRY_S
        connect.ReceiveMaximum = self._receive_max
        connect.MaximumPacketSize = PACKET_BYTES_MAX
        self._client.connect_async(
            self._settings.host,
            self._settings.port,
            keepalive=KEEPALIVE_S,
            clean_start=False,
            properties=connect,
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
        await asyncio.to_thread(self._say_goodbye)

    async def wait(self, wait_s: float) -> bool:
        """See ``Consumer.wait``.

        Raises:
            ConsumerStopped: Nothing will ever come again.
        """
        if self._queue:
            return True
        if self._client._thread is None:  # noqa: SLF001 - paho shows its thread's end nowhere else
            raise ConsumerStopped
        if wait_s <= 0:
            return False
        self._wake.clear()
        self._is_woken = False
        if self._queue:  # it came in between
            return True
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            return bool(self._queue)
        return True

    @property
    def is_full(self) -> bool:
        """See ``Consumer.is_full``."""
        return len(self._order) >= self._receive_max

    def take(self, most: int) -> list[Delivery]:
        """See ``Consumer.take``."""
        return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Consumer.acknowledge``."""
        with self._room:
            packet_ids = []
            for delivery in deliveries:
                assert isinstance(delivery.handle, int)
                self._held_bytes -= len(delivery.payload) + _OVERHEAD_BYTES
                for number in self._order.done(delivery.handle):
                    packet_id = self._packet_ids.pop(number, None)
                    if packet_id is not None:
                        packet_ids.append(packet_id)
            self._room.notify_all()
        for packet_id in packet_ids:
            self._client.ack(packet_id, qos=1)

    def publish(self, answers: Sequence[Answer]) -> None:
        """See ``Consumer.publish``.

        At QoS 1 while the broker keeps up, at QoS 0 beyond: a flood must neither pile receipts
        up here nor wait for the broker, which may itself be waiting for us to read.
        """
        for answer in answers:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            if answer.correlation is not None:
                properties.CorrelationData = answer.correlation
            qos = 1 if self._unconfirmed() < RECEIPTS_IN_FLIGHT_MAX else 0
            self._client.publish(answer.topic, answer.payload, qos, properties=properties)

    def _unconfirmed(self) -> int:
        return len(self._client._out_messages)  # noqa: SLF001 - paho counts them nowhere else

    def _make_client(self) -> mqtt.Client:
        settings = self._settings
        client = new_client(settings, settings.client_id, manual_ack=True)
        client.max_inflight_messages_set(RECEIPTS_IN_FLIGHT_MAX)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    # Called in paho's thread, which an exception would end.

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: Any,
        flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._log.error(
                "broker.refused", reason=str(reason), cure="correct broker.username or certificate"
            )
            return
        self._log.info("broker.connected", session_kept=flags.session_present)
        name = wire.topic("+", wire.TopicKind.READINGS)
        if self._settings.shared_group:
            name = f"$share/{self._settings.shared_group}/{name}"
        # Nobody retains readings; what is retained there would come again at every connect.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        client.subscribe(name, options=options)

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: Any) -> None:
        self._log.error(
            "broker.unreachable",
            cure="start the broker, or correct broker.host and broker.port; retrying",
        )

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: Any,
        _flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._room:
            self._packet_ids.clear()
        if not self._is_closing:
            self._log.warning("broker.lost", reason=str(reason))

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._log.error(
                    "broker.subscription_refused",
                    reason=str(reason),
                    cure="let this client read the readings of all gateways",
                )

    def _on_message(self, _client: mqtt.Client, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        arrived_at = datetime.now(UTC)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        size = len(message.payload) + _OVERHEAD_BYTES
        with self._room:
            while not self._has_room(size) and not self._is_closing:
                self._room.wait()
            number = self._next_number
            self._next_number += 1
            self._held_bytes += size
            self._order.arrived(number)
            if message.qos:
                self._packet_ids[number] = message.mid
            self._queue.append(
                Delivery(
                    topic=topic,
                    payload=bytes(message.payload),
                    response_topic=getattr(message.properties, "ResponseTopic", None),
                    correlation=getattr(message.properties, "CorrelationData", None),
                    arrived_at=arrived_at,
                    handle=number,
                )
            )
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._wake.set)

    def _has_room(self, size: int) -> bool:
        # Twice, for deliveries of a broken connection may still be in hand.
        within = len(self._order) < 2 * self._receive_max
        return within and self._held_bytes + size <= HELD_BYTES_MAX

    def _say_goodbye(self) -> None:
        """Let acknowledgements and receipts out, then disconnect; the session stays there."""
        deadline = time.monotonic() + _FAREWELL_S
        while self._client.want_write() and time.monotonic() < deadline:
            time.sleep(_FAREWELL_POLL_S)
        self._client.disconnect()
        self._client.loop_stop()
