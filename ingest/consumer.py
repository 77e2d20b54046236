"""Consumer over our own MQTT 5: acknowledged by hand and in the order of arrival.

Everything happens in the event loop. What is held is bounded: when it is too much the socket is
not read, so a broker that ignores Receive Maximum is held back by TCP. Mosquitto 2.0.11 keeps
to it only until the first acknowledgement, then sends all it has.
"""

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import structlog

from devices import wire
from ingest.broker_link import BrokerLink, End
from ingest.config import BrokerSettings
from ingest.delivery import Answer, Delivery
from ingest.dialing import dial, introduction
from ingest.meter import NOBODY, Meter
from ingest.mqtt5 import (
    AckOrder,
    Connack,
    InFlight,
    Puback,
    Publish,
    Suback,
    describe,
    encode_pubacks,
    encode_publish,
    encode_text,
    is_failure,
)
from ingest.rival import Rival

# What may wait or be in hand, in bytes: half of the 300 MiB that ingest may use, for a message
# takes as much again when it is decoded. One read of the socket, 256 KiB, may go beyond.
HELD_BYTES_MAX: Final = 64 * 1024 * 1024
_OVERHEAD_BYTES: Final = 1024  # of a delivery in memory, beside what its sender wrote
# Receipts without the broker's PUBACK. A county's peak of 1,000 a second has about ten.
RECEIPTS_IN_FLIGHT_MAX: Final = 100
# Topics of receipts kept as bytes; each gateway has one.
_TOPICS_MAX: Final = 32_768
RECONNECT_S_MIN: Final = 1.0
RECONNECT_S_MAX: Final = 10.0
# How soon what was refused is asked for again: somebody may have mended the access list.
SUBSCRIBE_AGAIN_S: Final = 10.0
_FAREWELL_S: Final = 2.0
# What may happen with every receipt is told no more often.
_TELL_EVERY_S: Final = 60.0


class ConsumerStopped(Exception):
    """Nothing will ever come again: a fault of ours, never of the broker."""


class MqttConsumer:
    """Subscribes to the readings of all gateways. Use as an async context manager.

    Reconnects for ever. Deliveries of a connection that has broken are not acknowledged: the
    broker sends them again, and they are repeats.
    """

    def __init__(self, settings: BrokerSettings, receive_max: int, meter: Meter = NOBODY) -> None:
        self._settings = settings
        self._receive_max = receive_max
        self._meter = meter
        self._log = structlog.get_logger().bind(
            key="broker.host", address=f"{settings.host}:{settings.port}"
        )
        self._arrival = asyncio.Event()
        self._queue: deque[Delivery] = deque()
        self._order = AckOrder()
        self._held_bytes = 0
        self._in_flight = InFlight(RECEIPTS_IN_FLIGHT_MAX)
        self._topics: dict[str, bytes] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._link: BrokerLink | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._keeping = asyncio.create_task(self._keep_connected(), name="broker")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._keeping is not None
        link = self._link
        self._link = None
        if link is not None:
            await _say_goodbye(link)
        self._keeping.cancel()
        await asyncio.wait({self._keeping})

    async def wait(self, wait_s: float) -> bool:
        """See ``Consumer.wait``.

        Raises:
            ConsumerStopped: Nothing will ever come again.
        """
        if self._queue:
            return True
        if self._keeping is not None and self._keeping.done():
            cause = None if self._keeping.cancelled() else self._keeping.exception()
            raise ConsumerStopped from cause
        if wait_s <= 0:
            return False
        self._arrival.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._arrival.wait()
        return bool(self._queue)

    @property
    def is_full(self) -> bool:
        """See ``Consumer.is_full``."""
        return len(self._order) >= self._receive_max

    def take(self, most: int) -> list[Delivery]:
        """See ``Consumer.take``."""
        queue = self._queue
        if most >= len(queue):
            taken = list(queue)
            queue.clear()
            return taken
        return [queue.popleft() for _ in range(most)]

    @property
    def held(self) -> tuple[int, int]:
        """How many messages the broker waits for, and their size in bytes."""
        return len(self._order), self._held_bytes

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """See ``Consumer.acknowledge``."""
        self._held_bytes -= _weight(deliveries)
        numbers: list[int] = [one.handle for one in deliveries]  # type: ignore[misc]
        packet_ids = self._order.done(numbers)
        link = self._link
        if link is not None:
            if packet_ids and link.is_open:
                link.send(encode_pubacks(packet_ids))
            if link.is_paused and self._has_room():
                link.resume()
        self._meter.held(len(self._order), self._held_bytes)

    def publish(self, answers: Sequence[Answer]) -> None:
        """See ``Consumer.publish``.

        At QoS 1 while the broker keeps up, at QoS 0 beyond: a flood must neither pile receipts
        up here nor wait for the broker, which may itself be waiting for us to read.
        """
        link = self._link if self._link is not None and self._link.is_open else None
        size_max = link.connection.limits.packet_bytes_max if link is not None else None
        is_deaf = link is None or link.is_congested
        in_flight = self._in_flight
        room = in_flight.room
        packets: list[bytes] = []
        dropped = 0
        for name, payload, correlation in answers:
            if is_deaf and not room:
                dropped += 1
                continue
            topic = self._topics.get(name) or self._topic(name)
            packet_id = in_flight.next_id() if room else 0
            packet = encode_publish(topic, payload, correlation, packet_id)
            if size_max is not None and len(packet) > size_max:  # [MQTT-3.2.2-15]
                dropped += 1
                continue
            if packet_id:
                in_flight.keep(packet_id, packet, is_sent=link is not None)
                room -= 1
            packets.append(packet)
        if link is not None and packets:
            link.send(b"".join(packets))
        if dropped:
            self._tell_at_times(
                "receipts.dropped", dropped, cure="let the broker take more of them"
            )

    # Called by the link.

    def opened(self, link: BrokerLink, connack: Connack) -> None:
        """Subscribe, and send again what the broker has not confirmed."""
        self._log.info("broker.connected", session_kept=connack.session_present)
        link.send(self._subscription(link) + self._in_flight.resume(connack))
        if not self._has_room():  # of earlier connections
            link.pause()

    def subscribed(self, suback: Suback) -> None:
        """Tell how the subscription went."""
        for reason in suback.reasons:
            if is_failure(reason):
                self._log.error(
                    "broker.subscription_refused",
                    reason=describe(reason, suback.text),
                    cure="let this client read the readings of all gateways; retrying",
                )
        is_subscribed = not any(map(is_failure, suback.reasons))
        if is_subscribed:
            self._log.info("broker.subscribed")
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(SUBSCRIBE_AGAIN_S, self._subscribe_again, self._link)
        self._meter.subscribed(is_subscribed)

    def arrived(self, link: BrokerLink, publishes: Sequence[Publish]) -> None:
        """Queue messages."""
        arrived_at = datetime.now(UTC)
        first = self._order.arrived([one[-1] for one in publishes])
        new = tuple.__new__  # a keyword call of a NamedTuple takes three times as long
        deliveries: list[Delivery] = [
            new(Delivery, (topic, payload, correlation, arrived_at, number))
            for number, (topic, payload, _, correlation, _) in enumerate(publishes, first)
        ]
        self._queue.extend(deliveries)
        self._held_bytes += _weight(deliveries)
        if not self._has_room():
            link.pause()
        self._arrival.set()

    def confirmed(self, puback: Puback) -> None:
        """Let go of a receipt, and tell of one that was refused."""
        if self._in_flight.acknowledged(puback.packet_id) and is_failure(puback.reason):
            self._tell_at_times(
                "receipts.refused",
                1,
                reason=describe(puback.reason, puback.text),
                cure="let this client write the receipts of all gateways",
            )

    def _has_room(self) -> bool:
        # Twice, for deliveries of a broken connection may still be in hand.
        return len(self._order) < 2 * self._receive_max and self._held_bytes < HELD_BYTES_MAX

    def _subscription(self, link: BrokerLink) -> bytes:
        name = wire.topic("+", wire.TopicKind.READINGS)
        if self._settings.shared_group:
            name = f"$share/{self._settings.shared_group}/{name}"
        return link.connection.subscribe([name])

    def _subscribe_again(self, link: BrokerLink | None) -> None:
        if link is not None and link is self._link and link.is_open:
            link.send(self._subscription(link))

    def _topic(self, name: str) -> bytes:
        if len(self._topics) >= _TOPICS_MAX:
            self._topics.clear()
        return self._topics.setdefault(name, encode_text(name))

    async def _keep_connected(self) -> None:
        wait_s = RECONNECT_S_MIN
        rival = Rival()
        while True:
            end = await self._one_connection()
            if end is not None and end.was_open:
                wait_s = RECONNECT_S_MIN
            pause_s = rival.pause_s(end)
            if end is not None:
                self._mourn(end, is_rivals=pause_s is not None)
            if pause_s is None:
                pause_s, wait_s = wait_s, min(RECONNECT_S_MAX, 2 * wait_s)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads workers

    async def _one_connection(self) -> End | None:
        """Carry one connection to its end; none if there was none."""
        try:
            connect = introduction(self._settings, self._receive_max)
            link = await dial(self._settings, lambda: BrokerLink(connect, self))
        except ssl.SSLError as error:
            cure = "correct broker.ca_file, broker.cert_file and broker.key_file; retrying"
            self._log.error("broker.unreachable", problem=str(error), cure=cure)
            return None
        except OSError as error:
            cure = "start the broker, or correct broker.host and broker.port; retrying"
            problem = str(error) or type(error).__name__
            self._log.error("broker.unreachable", problem=problem, cure=cure)
            return None
        except UnicodeError:
            cure = "correct broker.host; retrying"
            self._log.error("broker.unreachable", problem="the host is no name", cure=cure)
            return None
        self._link = link
        try:
            end = await asyncio.shield(link.ended)
        finally:
            link.abort()
            self._order.lose()
        if self._link is None:  # it was we who left
            return None
        self._link = None
        self._meter.subscribed(False)
        return end

    def _mourn(self, end: End, *, is_rivals: bool) -> None:
        if is_rivals:
            self._meter.taken_over()
            self._log.error(
                "broker.session_taken_over",
                key="broker.client_id",
                client_id=self._settings.client_id,
                reason=end.problem,
                cure="give each worker a client_id of its own; retrying",
            )
        elif end.was_open:
            self._log.warning("broker.lost", reason=end.problem)
        elif end.reason is not None:
            cure = "correct broker.username or certificate"
            self._log.error("broker.refused", reason=end.problem, cure=cure)
        else:
            cure = "see that the broker speaks MQTT 5 there and takes our certificate; retrying"
            self._log.error("broker.unreachable", problem=end.problem, cure=cure)

    def _tell_at_times(self, event: str, count: int, **facts: str) -> None:
        now = asyncio.get_running_loop().time()
        trouble = self._troubles.setdefault(event, _Trouble())
        trouble.count += count
        if trouble.told_at is None or now - trouble.told_at >= _TELL_EVERY_S:
            self._log.warning(event, count=trouble.count, **facts)
            trouble.count, trouble.told_at = 0, now


class _Trouble:
    """What happened since it was last told."""

    def __init__(self) -> None:
        self.count = 0
        self.told_at: float | None = None


def _weight(deliveries: Sequence[Delivery]) -> int:
    """Return what *deliveries* take in memory. Topics, too, may be 64 KiB of their sender's."""
    written = sum(
        # By number, which is twice as quick.
        [len(one[0]) + len(one[1]) + len(one[2] or b"") for one in deliveries]
    )
    return written + len(deliveries) * _OVERHEAD_BYTES


async def _say_goodbye(link: BrokerLink) -> None:
    """Let acknowledgements and receipts out, then disconnect; the session stays there."""
    if link.is_open:
        link.part()
        await asyncio.wait({link.ended}, timeout=_FAREWELL_S)
    link.abort()
