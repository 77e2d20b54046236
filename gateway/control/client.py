"""The other end of the control socket: what a command asks of a running gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from devices.wire import GatewayStatus
from gateway.control.message import (
    ANSWER_BYTES_MAX,
    REQUEST_S_MAX,
    Answer,
    AskStatus,
    Request,
    Status,
    address,
    answer_from,
    say,
)

STATUS_S_MAX: Final = 2.0


class NobodyListens(Exception):
    """No gateway listens in this data directory."""


class Conversation:
    """One request to a running gateway, and its answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, request: Request) -> None:
        """Say something; what the other end does not read any more is lost."""
        say(self._writer, request)

    async def hear(self) -> Answer:
        """Return the next answer.

        Raises:
            NobodyListens: The gateway has hung up, or says what nobody understands.
        """
        try:
            return await answer_from(self._reader)
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            raise NobodyListens from error


@asynccontextmanager
async def conversation(data_dir: Path) -> AsyncIterator[Conversation]:
    """Talk to the gateway that runs on *data_dir*.

    Raises:
        NobodyListens: None does.
    """
    try:
        with address(data_dir) as path:
            async with asyncio.timeout(REQUEST_S_MAX):
                reader, writer = await asyncio.open_unix_connection(path, limit=ANSWER_BYTES_MAX)
    except OSError as error:
        raise NobodyListens from error
    try:
        yield Conversation(reader, writer)
    finally:
        writer.close()


async def ask_status(data_dir: Path) -> GatewayStatus | None:
    """Return how the gateway that runs on *data_dir* is; None if none answers in time."""
    try:
        async with asyncio.timeout(STATUS_S_MAX), conversation(data_dir) as gateway:
            gateway.say(AskStatus())
            answer = await gateway.hear()
    except (NobodyListens, TimeoutError):
        return None
    return answer.status if isinstance(answer, Status) else None
