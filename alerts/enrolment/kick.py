"""Kick: end a client's live connection at the broker, by taking its place for a moment.

MQTT 5 has a server end the older of two connections with one client id (3.1.4-3). The gateways'
listener makes the id in their certificate their client id, so a service at the internal listener
can take any gateway's place, and no gateway another's. Mosquitto 2.0.11 looks at its revocation
list only when somebody connects; whoever is connected stays, until this is done.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alerts.enrolment.files import CA, CERTIFICATE, KEY

KICK_S_MAX: Final = 10.0

_CONNECT: Final = b"\x00\x04MQTT\x05\x02\x00\x0a\x00"  # MQTT 5, clean start, keep-alive 10 s
_CONNACK: Final = 0x20
_GOODBYE: Final = b"\xe0\x00"


class NotKicked(Exception):
    """The broker could not be asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Kicker:
    """Who kicks: a client of the broker's internal listener.

    Attributes:
        host: The broker.
        port: Its internal listener.
        directory: ca.pem, cert.pem and key.pem.
    """

    host: str
    port: int
    directory: Path

    async def kick(self, client_id: str) -> None:
        """End the connection of *client_id*, and its session; harmless if it has none.

        Raises:
            NotKicked: The broker was not reached, or refuses.
        """
        with _translated(f"{self.host}:{self.port}"):
            async with asyncio.timeout(KICK_S_MAX):
                reader, writer = await asyncio.open_connection(
                    self.host, self.port, ssl=self._context()
                )
                try:
                    answer = await _connect(reader, writer, client_id)
                finally:
                    writer.close()
        if answer:
            problem = f"the broker refuses the kicker (reason code 0x{answer:02x})"
            raise NotKicked(problem)

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.directory / CA)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.directory / CERTIFICATE, self.directory / KEY)
        return context


async def _connect(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client_id: str
) -> int:
    """Connect as *client_id* and leave; return the broker's reason code."""
    name = client_id.encode("ascii")
    body = _CONNECT + len(name).to_bytes(2) + name
    assert len(body) < 128, "one byte of length is enough for an id of 64 characters"  # noqa: PLR2004
    writer.write(bytes((0x10, len(body))) + body)
    head = await reader.readexactly(4)  # kind, length, flags, reason code
    if head[0] != _CONNACK:
        problem = f"no CONNACK but 0x{head[0]:02x}"
        raise ConnectionError(problem)
    writer.write(_GOODBYE)
    await writer.drain()
    return head[3]


@contextlib.contextmanager
def _translated(address: str) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, TimeoutError) as error:  # ssl.SSLError is an OSError
        problem = f"{address}: {str(error) or type(error).__name__}"
        raise NotKicked(problem) from error
