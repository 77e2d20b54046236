"""Control: a running gateway listens to its own machine's staff, on a socket in its data directory.

``<data_dir>/control.sock``, 0600: who may read the store may ask for a pairing. A connection is
one request: a pairing with its passkey, or how the gateway is. Hanging up gives a pairing up.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from devices.wire import GatewayStatus, PairingRequest, PairingStatus
from gateway.control.message import (
    REQUEST_BYTES_MAX,
    REQUEST_S_MAX,
    SOCKET_NAME,
    AskPair,
    AskStatus,
    GivePasskey,
    No,
    Progress,
    Request,
    Status,
    address,
    request_from,
    say,
)
from gateway.pairing import PairingBusy
from gateway.radio import AskPasskey

# One person pairs, and somebody looks at the status beside it.
CONNECTIONS_MAX: Final = 4

# Central.pair: runs until the pairing is over; raises PairingBusy when another one is going on.
Pair = Callable[
    [PairingRequest, AskPasskey, Callable[[PairingStatus], None]], Awaitable[PairingStatus]
]


class Passkey:
    """A number that one asks for and another gives, in either order."""

    def __init__(self) -> None:
        self._given: asyncio.Queue[int] = asyncio.Queue(maxsize=1)

    def give(self, passkey: int) -> None:
        """Give it; a later one takes the place of one that nobody has asked for."""
        if self._given.full():
            self._given.get_nowait()
        self._given.put_nowait(passkey)

    async def ask(self) -> int:
        """Wait until it is given; whoever asks bounds the wait."""
        return await self._given.get()


class Control:
    """The socket, for as long as ``run`` runs.

    Args:
        data_dir: Where the socket lies.
        pair: What does the pairing.
        status: How the gateway is now.
        now: The clock.
    """

    def __init__(
        self,
        data_dir: Path,
        pair: Pair,
        status: Callable[[], GatewayStatus],
        now: Callable[[], datetime],
    ) -> None:
        self._data_dir = data_dir
        self._pair = pair
        self._status = status
        self._now = now
        self._connections = 0

    async def run(self) -> None:
        """Listen until cancelled.

        Raises:
            OSError: The socket cannot be made.
        """
        listening = _listening(self._data_dir)
        async with asyncio.TaskGroup() as tasks:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.create_task(self._serve(reader, writer), name="control")

            server = await asyncio.start_unix_server(
                connected, sock=listening, limit=REQUEST_BYTES_MAX
            )
            try:
                await asyncio.get_running_loop().create_future()  # until cancelled
            finally:
                server.close()
                (self._data_dir / SOCKET_NAME).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                say(writer, No("busy"))
            else:
                await self._answer(await _first(reader), reader, writer)
            async with asyncio.timeout(REQUEST_S_MAX):
                await writer.drain()
        except msgspec.MsgspecError:
            say(writer, No("malformed"))
        except (OSError, EOFError):  # too slow, or gone
            pass
        finally:
            self._connections -= 1
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match request:
            case AskStatus():
                say(writer, Status(self._status()))
            case AskPair():
                await self._pair_for(request, reader, writer)
            case _:  # there is nothing to give up, and nothing that asks for a number
                say(writer, No("malformed"))

    async def _pair_for(
        self, asked: AskPair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = pairing_request(asked, self._now())
        passkey = Passkey()
        async with asyncio.TaskGroup() as tasks:
            pairing = tasks.create_task(
                self._run(request, passkey, lambda status: say(writer, Progress(status))),
                name="pairing",
            )
            listening = tasks.create_task(_until_given_up(reader, passkey), name="listening")
            await asyncio.wait({pairing, listening}, return_when=asyncio.FIRST_COMPLETED)
            pairing.cancel()
            listening.cancel()
        if pairing.cancelled() or pairing.result() is None:
            return
        say(writer, No("busy"))

    async def _run(
        self, request: PairingRequest, passkey: Passkey, tell: Callable[[PairingStatus], None]
    ) -> PairingBusy | None:
        try:
            await self._pair(request, passkey.ask, tell)
        except PairingBusy as busy:
            return busy
        return None


def pairing_request(asked: AskPair, now: datetime) -> PairingRequest:
    """Return what the central is asked for, under a name of its own."""
    return PairingRequest(
        request_id=f"here-{secrets.token_hex(8)}",
        expires_at=now + timedelta(seconds=asked.within_s),
        device_id=asked.device_id,
        model=asked.model,
    )


async def _until_given_up(reader: asyncio.StreamReader, passkey: Passkey) -> None:
    """Take what the one who asked says; return when they hang up, cancel or talk nonsense."""
    with suppress(msgspec.MsgspecError, OSError, EOFError, ValueError):
        while True:
            match await request_from(reader):
                case GivePasskey(number):
                    passkey.give(number)
                case _:
                    return


async def _first(reader: asyncio.StreamReader) -> Request:
    async with asyncio.timeout(REQUEST_S_MAX):
        return await request_from(reader)


def _listening(data_dir: Path) -> socket.socket:
    """Return a socket bound in *data_dir*, for our account alone from its first moment."""
    (data_dir / SOCKET_NAME).unlink(missing_ok=True)  # of a gateway that was killed
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        with address(data_dir) as path:
            listening.bind(path)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(mask)
    listening.setblocking(False)
    return listening
