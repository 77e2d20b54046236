"""A TCP proxy before PostgreSQL that cuts the connection at its commit."""

import asyncio
import contextlib
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

Where = Literal["before", "after"]


class WireCutter:
    """Passes everything on until ``cut``; then breaks one connection around its next COMMIT.

    ``before``: the server never hears of the commit. ``after``: it has committed, and the
    client never hears of that.
    """

    def __init__(self, dsn: str) -> None:
        self._parts = urlsplit(dsn)
        self._cut: Where | None = None
        self.cuts = 0
        self._passing: list[asyncio.Task[None]] = []

    @property
    def dsn(self) -> str:
        """The way through this proxy."""
        port = self._server.sockets[0].getsockname()[1]
        place = self._parts.netloc.replace(f":{self._parts.port}", f":{port}")
        return urlunsplit(self._parts._replace(netloc=place))

    def cut(self, where: Where) -> None:
        """Break the connection that commits next."""
        self._cut = where

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        await asyncio.gather(*self._passing)

    async def _pass_on(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.append(task)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._parts.port)
        committing = asyncio.Event()
        there = asyncio.create_task(self._to_server(from_client, to_server, committing))
        back = asyncio.create_task(_to_client(from_server, to_client, committing))
        await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task
        for writer in (to_server, to_client):
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _to_server(
        self,
        from_client: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
        committing: asyncio.Event,
    ) -> None:
        while got := await from_client.read(65_536):
            if self._cut and b"COMMIT" in got:
                where, self._cut = self._cut, None
                self.cuts += 1
                if where == "before":
                    return
                committing.set()
            to_server.write(got)
            await to_server.drain()


async def _to_client(
    from_server: asyncio.StreamReader, to_client: asyncio.StreamWriter, committing: asyncio.Event
) -> None:
    while got := await from_server.read(65_536):
        if committing.is_set():
            return  # the server's word that it has committed
        to_client.write(got)
        await to_client.drain()
