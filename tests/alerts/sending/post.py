"""A mail server and an SMS provider on loopback, which can be told to behave badly."""

import asyncio
import base64
import contextlib
import enum
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Letter
from http import HTTPStatus
from urllib.parse import parse_qsl

from aiosmtpd.smtp import SMTP, Envelope, Session

ELKS_USER, ELKS_PASSWORD = "u0123", "hemligt-elkslösen"


@dataclass
class Postbox:
    """What a mail server was given, and what it answers.

    Attributes:
        said_to_rcpt: What it answers to an address; none: it takes it.
        said_to_data: The same of a letter; the letter is kept all the same if it begins with 2.
        hangs: It answers no letter at all, until it is set free.
    """

    port: int = 0
    letters: list[Letter] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    said_to_rcpt: str = ""
    said_to_data: str = "250 2.0.0 OK queued as 4F2A"
    hangs: bool = False
    says_goodbye: bool = True
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_QUIT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if not self.says_goodbye:
            await self.freed.wait()
        return "221 2.0.0 bye"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.said_to_rcpt:
            return self.said_to_rcpt
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        if self.said_to_data.startswith("2"):
            self.letters.append(message_from_bytes(envelope.content))
            self.recipients.append([str(one) for one in envelope.rcpt_tos])
        if self.hangs:
            await self.freed.wait()
        return self.said_to_data


@contextlib.asynccontextmanager
async def mail_server() -> AsyncIterator[Postbox]:
    """A real SMTP server."""
    box = Postbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(box, hostname="post.example", loop=loop, enable_SMTPUTF8=True),
        "127.0.0.1",
        0,
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        box.freed.set()
        server.close()


class Behaviour(enum.Enum):
    GOOD = enum.auto()
    BUSY = enum.auto()  # 503
    REFUSES = enum.auto()  # 401, whatever the password
    BAD_REQUEST = enum.auto()  # 400
    BABBLES = enum.auto()  # 200 and a page
    NESTS = enum.auto()  # 200 and JSON that is deeper than Python
    NAMELESS = enum.auto()  # 200 and JSON without an id
    FLOODS = enum.auto()  # 200 and no end
    SLOW = enum.auto()  # takes it, and answers when it is set free
    HANGS = enum.auto()  # takes it, and answers nothing
    CUTS = enum.auto()  # takes it, and closes


@dataclass
class Elks:
    """46elks, as far as an SMS or a call needs it: every request that it took is kept.

    Whether receipts come is the test's to decide: their addresses are in ``receipts``.
    """

    port: int = 0
    behaviour: Behaviour = Behaviour.GOOD
    messages: list[dict[str, str]] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    spoken: list[dict[str, str]] = field(default_factory=list)  # by one who speaks texts
    keys: list[str] = field(default_factory=list)
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/a1/sms"

    @property
    def receipts(self) -> list[str]:
        return [message["whendelivered"] for message in self.messages]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.rstrip().split("\r\n")
                said = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
                body = await reader.readexactly(int(said["content-length"]))
                status, text = self._answer(first, said, body.decode())
                if self.behaviour in (Behaviour.SLOW, Behaviour.HANGS):
                    await self.freed.wait()
                if self.behaviour in (Behaviour.CUTS, Behaviour.HANGS):
                    break
                await self._write(writer, status, text)
        writer.close()

    async def _write(self, writer: asyncio.StreamWriter, status: int, text: str) -> None:
        length = 10**9 if self.behaviour is Behaviour.FLOODS else len(text.encode())
        phrase = HTTPStatus(status).phrase
        head = f"HTTP/1.1 {status} {phrase}\r\ncontent-length: {length}\r\n\r\n"
        writer.write(head.encode() + text.encode())
        await writer.drain()
        while self.behaviour is Behaviour.FLOODS and not self.freed.is_set():
            writer.write(b"x" * 10_000)
            await writer.drain()  # ends when the other side has had enough

    def _answer(self, first: str, said: dict[str, str], body: str) -> tuple[int, str]:
        path = first.split()[1]
        if not first.startswith("POST ") or path not in ("/a1/sms", "/a1/calls", "/speak"):
            return 404, "not here"
        password = base64.b64encode(f"{ELKS_USER}:{ELKS_PASSWORD}".encode()).decode()
        if self.behaviour is Behaviour.REFUSES or said.get("authorization") != f"Basic {password}":
            return 401, "API access requires Basic HTTP authentication"
        if self.behaviour is Behaviour.BUSY:
            return 503, "try again later"
        if self.behaviour is Behaviour.BAD_REQUEST:
            return 400, "Invalid 'to' number +46700000001"
        if path == "/speak":
            self.spoken.append(json.loads(body))
            return 202, ""
        taken = self.calls if path == "/a1/calls" else self.messages
        taken.append(dict(parse_qsl(body, strict_parsing=True)))
        if self.behaviour is Behaviour.BABBLES:
            return 200, "<html>hotell-wifi: logga in</html>"
        if self.behaviour is Behaviour.NESTS:
            return 200, "[" * 60_000
        if self.behaviour is Behaviour.NAMELESS:
            return 200, json.dumps({"status": "created"})
        self.keys.append(f"s{len(self.keys):032x}")
        word = "state" if path == "/a1/calls" else "status"
        how = "ongoing" if path == "/a1/calls" else "created"
        return 200, json.dumps({"id": self.keys[-1], word: how, "direction": "outgoing"})


@contextlib.asynccontextmanager
async def sms_provider() -> AsyncIterator[Elks]:
    """A local server that speaks as 46elks does."""
    elks = Elks()
    server = await asyncio.start_server(elks.serve, "127.0.0.1", 0)
    elks.port = server.sockets[0].getsockname()[1]
    try:
        yield elks
    finally:
        elks.freed.set()
        server.close()
