"""A broker that behaves as a test says: a real peer over TCP or TLS, packet by packet."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from ingest.config import BrokerSettings
from ingest.consumer import MqttConsumer
from tests.gateway.certificates import Authority
from tests.ingest.consuming import WAIT_S, Watched
from tests.ingest.mqtt5_words import connack, suback

SUBSCRIPTION = 0xFFFF
Visit = Callable[["Guest"], Awaitable[None]]


class Guest:
    """The consumer, as a broker sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def packet(self) -> tuple[int, bytes]:
        """Return the first byte and the body of the next packet; (0, b"") at the end."""
        try:
            first = (await self._reader.readexactly(1))[0]
            length = shift = 0
            while True:
                digit = (await self._reader.readexactly(1))[0]
                length |= (digit & 0x7F) << shift
                shift += 7
                if digit < 0x80:
                    return first, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""

    async def goodbye(self) -> int | None:
        """Return the reason of the DISCONNECT that ends this connection; none without one."""
        while True:
            first, body = await self.packet()
            if first == 0:
                return None
            if first == 0xE0:
                return body[0] if body else 0

    def say(self, *packets: bytes) -> None:
        """Send."""
        self.writer.write(b"".join(packets))

    async def welcome(self, properties: bytes = b"", flags: int = 0) -> None:
        """Take CONNECT and SUBSCRIBE as a broker should."""
        assert (await self.packet())[0] == 0x10
        self.say(connack(flags=flags, properties=properties))
        assert (await self.packet())[0] == 0x82
        self.say(suback(SUBSCRIPTION))


class Misleading:
    """Plays one visit after the other, the last one for ever."""

    def __init__(self, *visits: Visit) -> None:
        self._visits = list(visits)
        self.visits = 0
        self.port = 0
        self.is_done = asyncio.Event()

    async def receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = self._visits[min(self.visits, len(self._visits) - 1)]
        self.visits += 1
        try:
            await visit(Guest(reader, writer))
        finally:
            if self.visits >= len(self._visits):
                self.is_done.set()
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()


@asynccontextmanager
async def misled_by(
    *visits: Visit, receive_max: int = 10, authority: Authority | None = None
) -> AsyncIterator[tuple[MqttConsumer, Watched, Misleading]]:
    """A consumer of a broker that behaves so, one visit after the other; by TLS if it can."""
    broker, watched = Misleading(*visits), Watched()
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("broker"))
    server = await asyncio.start_server(broker.receive, "127.0.0.1", 0, ssl=context)
    broker.port = server.sockets[0].getsockname()[1]
    settings = BrokerSettings(
        host="127.0.0.1", port=broker.port, ca_file=authority.file if authority else None
    )
    async with asyncio.timeout(WAIT_S):
        async with MqttConsumer(settings, receive_max, watched) as consumer:
            yield consumer, watched, broker
    server.close()
