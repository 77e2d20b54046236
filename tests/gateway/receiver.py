"""Receiver: stands in for ingest at the end of a real broker; answers as the test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from devices.wire import (
    GatewayStatus,
    Message,
    Receipt,
    TopicKind,
    decode_message,
    decode_status,
    encode_receipt,
    parse_topic,
    topic,
)

Answer = Callable[[Message], Receipt | bytes | None]


def store_all(message: Message) -> Receipt:
    return Receipt(v=message.v, stored=tuple(each.reading_id for each in message.readings))


def say_nothing(_message: Message) -> None:
    return None


class Receiver:
    """Receives every gateway's readings and statuses.

    Attributes:
        answer: What to say to a message: a receipt, raw bytes, or nothing.
        messages: All that came, repeats too.
        stored: How often each reading was put in a receipt.
        statuses: All that gateways said of themselves.
    """

    def __init__(self, port: int, answer: Answer = store_all) -> None:
        self.answer = answer
        self.messages: list[Message] = []
        self.stored: dict[UUID, int] = {}
        self.statuses: list[GatewayStatus] = []
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"receiver-{uuid4().hex}", protocol=paho.MQTTv5
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        connect = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        connect.SessionExpiryInterval = 600
        self._client.connect_async(
            "127.0.0.1", port, keepalive=5, clean_start=False, properties=connect
        )
        self.ready = asyncio.Event()

    @property
    def reading_ids(self) -> list[UUID]:
        """Every reading that came, repeats too, in order."""
        return [each.reading_id for message in self.messages for each in message.readings]

    async def until(self, condition: Callable[[], bool], within_s: float = 30.0) -> None:
        """Wait until *condition* holds, looked at after each arrival."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def start(self) -> None:
        self._client.loop_start()

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(topic("+", kind), 1) for kind in (TopicKind.READINGS, TopicKind.STATUS)])

    def _on_subscribe(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.ready.set)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take, message)

    def _take(self, message: paho.MQTTMessage) -> None:
        _, kind = parse_topic(message.topic)
        if kind is TopicKind.STATUS:
            self.statuses.append(decode_status(bytes(message.payload)))
        else:
            decoded, errors = decode_message(bytes(message.payload))
            assert not errors
            self.messages.append(decoded)
            self._reply(message, self.answer(decoded))
        self._changed.set()

    def _reply(self, message: paho.MQTTMessage, answer: Receipt | bytes | None) -> None:
        if answer is None:
            return
        if isinstance(answer, Receipt):
            for reading_id in answer.stored:
                self.stored[reading_id] = self.stored.get(reading_id, 0) + 1
            answer = encode_receipt(answer)
        sent = message.properties
        assert sent is not None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = vars(sent)["CorrelationData"]
        self._client.publish(vars(sent)["ResponseTopic"], answer, qos=1, properties=properties)


@contextlib.asynccontextmanager
async def receiving(port: int, answer: Answer = store_all) -> AsyncIterator[Receiver]:
    """Receive for as long as the block lasts."""
    receiver = Receiver(port, answer)
    receiver.start()
    try:
        async with asyncio.timeout(20):
            await receiver.ready.wait()
        yield receiver
    finally:
        receiver.stop()
