"""paho, a foreign implementation, reads what we write and writes what we read."""

import asyncio
import queue
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ingest.mqtt5 import Event, Puback, Publish, Reader, encode_pubacks, encode_publish, encode_text
from tests.ingest.mqtt5_words import connack

WAIT_S = 20.0


@asynccontextmanager
async def _with_paho(
    client: mqtt.Client,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Welcome paho as a server would; what it says after CONNECT is in the stream."""
    met: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    server = await asyncio.start_server(lambda *ends: met.put_nowait(ends), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client.connect_async("127.0.0.1", port)
    client.loop_start()
    try:
        reader, writer = await met.get()
        head = await reader.readexactly(2)
        await reader.readexactly(head[1])
        writer.write(connack())
        yield reader, writer
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
        writer.close()
        server.close()


async def _events(stream: asyncio.StreamReader, count: int) -> list[Event]:
    reader = Reader(1_000_000)
    events: list[Event] = []
    async with asyncio.timeout(WAIT_S):
        while len(events) < count:
            reader.feed(await stream.read(65_536), events)
    return events


async def test_paho_reads_our_publishes_and_we_its_acknowledgements() -> None:
    heard: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: heard.put(message)
    sizes = [0, 1, 90, 127, 128, 5000, 70_000]
    async with _with_paho(client) as (stream, writer):
        for number, size in enumerate(sizes, 1):
            topic, correlation = encode_text(f"å/{number}"), bytes(size % 300)
            writer.write(encode_publish(topic, b"x" * size, correlation, number))
        acknowledged = await _events(stream, len(sizes))
        assert acknowledged == [Puback(number) for number in range(1, len(sizes) + 1)]
    for number, size in enumerate(sizes, 1):
        message = heard.get_nowait()
        assert (message.topic, message.qos, message.retain) == (f"å/{number}", 1, False)
        assert message.payload == b"x" * size
        assert getattr(message.properties, "CorrelationData", b"") == bytes(size % 300)


def _call(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


async def test_we_read_pahos_publishes_and_paho_our_acknowledgements() -> None:
    confirmed: queue.Queue[int] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    is_connected, loop = asyncio.Event(), asyncio.get_running_loop()
    client.on_connect = lambda _client, *_: _call(loop, is_connected)
    client.on_publish = lambda _client, _data, mid, *_: confirmed.put(mid)
    sizes = [0, 1, 127, 128, 20_000]
    async with _with_paho(client) as (stream, writer):
        await is_connected.wait()
        for size in sizes:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.PayloadFormatIndicator = 0
            properties.MessageExpiryInterval = 60
            properties.ContentType = "text/plain"
            properties.UserProperty = [("a", "b"), ("a", "å")]
            properties.ResponseTopic = "answer/here"
            properties.CorrelationData = bytes(size % 250)
            client.publish("t/å", b"y" * size, qos=1, properties=properties)
        client.publish("t/0", b"bare", qos=1)
        events = await _events(stream, len(sizes) + 1)
        expected = [
            Publish("t/å", b"y" * size, "answer/here", bytes(size % 250), number)
            for number, size in enumerate(sizes, 1)
        ]
        assert events == [*expected, Publish("t/0", b"bare", None, None, len(sizes) + 1)]
        ids = [event.packet_id for event in events if isinstance(event, Publish)]
        writer.write(encode_pubacks(ids))
        heard = [await asyncio.to_thread(confirmed.get, timeout=WAIT_S) for _ in ids]
    assert heard == ids
