"""One device, connect to disconnect: runs its driver and carries out its requests.

Each value goes to the durable inbox inside the radio's callback, then to the driver, and what
the driver makes of it to the outbox at once. Nothing is ever unsubscribed at the end: writing
0 to the CCCDs before a disconnect makes some cuffs forget their bond.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from devices.drivers import DriverKind, RawValue, Read, Request, Subscribe, Write
from devices.reading import Reading
from gateway.config import SessionConfig
from gateway.database import StoreFull
from gateway.inbox import Inbox, InboxSession
from gateway.outbox import Outbox
from gateway.radio import Radio

_log = structlog.get_logger()

# What the radio's own libraries raise when the world is to blame. EOFError: D-Bus went away.
RADIO_ERRORS: Final = (BleakError, OSError, EOFError)

# Waits between tries to connect. "le-connection-abort-by-local" is common, and the second or
# third try usually succeeds; together they stay within a cuff's advertising window.
CONNECT_WAITS_S: Final = (0.1, 0.25, 0.5)

# A GATT transaction times out after 30 s by specification (Core 5.4, Vol 3, Part F, 3.3.3);
# a device that has not answered by now does not, and others wait.
REQUEST_S_MAX: Final = 5.0

_DISCONNECT_S_MAX: Final = 3.0

# A cuff's full memory, 200 records, takes 10 to 40 s.
SESSION_S_MAX: Final = 120.0
# A device that always advertises, such as a watch on a walk, never falls silent by itself.
VISIT_S_MAX: Final = 15.0
# 200 records and as many frames beside them; a device that talks on is broken.
SESSION_VALUES_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Yield:
    """What a session brought."""

    values: int
    new_readings: int
    may_listen: bool | None  # none: the connection went before a subscription was answered


class Session:
    """What is going on with one connected device.

    Args:
        device_id: The device.
        kind: Its driver's kind.
        inbox: Where raw values go first.
        outbox: Where readings go.
        now: The clock.
    """

    def __init__(
        self,
        device_id: str,
        kind: DriverKind,
        *,
        inbox: Inbox,
        outbox: Outbox,
        now: Callable[[], datetime],
    ) -> None:
        self._kind = kind
        self._driver = kind.new(device_id)
        self._place = InboxSession(device_id, kind.name)
        self._inbox = inbox
        self._outbox = outbox
        self._now = now
        self._values = 0
        self._new_readings = 0
        self._may_listen: bool | None = None
        self._stirred = asyncio.Event()  # a value came, the connection went, or taking failed
        self._is_connected = True
        self._is_closed = False
        self._failure: Exception | None = None

    @property
    def result(self) -> Yield:
        """What it brought so far."""
        return Yield(self._values, self._new_readings, self._may_listen)

    def take(self, source: str, payload: bytes | bytearray) -> None:
        """Take a value, inside the radio's callback: durable when this returns.

        Raises:
            StoreFull: It was not kept. A radio that confirms after the callback does not
                confirm then, and the device keeps its record.
        """
        raw = RawValue(source, bytes(payload), self._now())
        try:
            if self._is_closed:  # its driver has closed: the next replay gives it another
                self._append_late(raw)
                return
            self._inbox.append(self._place, raw)
        except Exception as error:
            self._fail(error)
            raise
        self._values += 1
        try:
            self._keep(self._driver.received(raw))
        except Exception as error:  # noqa: BLE001 - the radio would swallow it; `run` raises it again
            self._fail(error)
        self._stirred.set()

    def disconnected(self) -> None:
        """Take note that the device has disconnected."""
        self._is_connected = False
        self._stirred.set()

    async def run(self, client: BleakClient, idle_s: float) -> None:
        """Ask what the driver wants to know, then listen until the device is done.

        Raises:
            StoreFull: A value could not be kept; what was kept before is.
        """
        until_s = time.monotonic() + (VISIT_S_MAX if self._kind.revisit_s else SESSION_S_MAX)
        for request in self._driver.connected():
            is_answered = self._is_connected and await _ask(client, request, self.take)
            if isinstance(request, Subscribe) and (is_answered or self._is_connected):
                self._may_listen = self._may_listen or is_answered  # one is enough
            if not is_answered:
                self._keep(self._driver.unanswered(request))
            self._raise_failure()
        while self._is_connected and self._values < SESSION_VALUES_MAX:
            wait_s = min(idle_s, until_s - time.monotonic())
            if not await self._stirs(wait_s):
                break
            self._raise_failure()

    def close(self) -> None:
        """The session is over: readings that waited for something go to the outbox.

        Raises:
            StoreFull: The session stays in the inbox, and is replayed.
        """
        self._is_closed = True
        self._inbox.release(self._place)
        if self._failure is None:
            self._keep(self._driver.finished(), finished=True)

    def _append_late(self, raw: RawValue) -> None:
        # Each in a place of its own: the last one's may have been replayed and be gone.
        place = InboxSession(self._place.device_id, self._kind.name)
        self._inbox.append(place, raw)
        self._inbox.release(place)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stirred.set()

    def _keep(self, readings: Iterable[Reading], *, finished: bool = False) -> None:
        try:
            self._new_readings += self._outbox.append_from_session(
                self._place, readings, finished=finished
            )
        except StoreFull as error:
            # The driver has let go of them: only a replay of the raw values brings them back.
            self._fail(error)
            raise

    async def _stirs(self, within_s: float) -> bool:
        self._stirred.clear()
        self._raise_failure()
        try:
            async with asyncio.timeout(within_s):
                await self._stirred.wait()
        except TimeoutError:
            return False
        return True

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


async def serve(
    radio: Radio,
    device: BLEDevice,
    session: Session,
    *,
    config: SessionConfig,
    is_heard: Callable[[], bool],
) -> bool:
    """Connect to *device*, run *session* and disconnect; return whether there was a connection.

    Args:
        radio: The radio that heard it.
        device: As the scanner gave it.
        session: What to do with it.
        config: Timeouts.
        is_heard: Whether the device still advertises; without that no new try is made.

    Raises:
        StoreFull: Something could not be kept.
    """
    client = await _connect(radio, device, session, config=config, is_heard=is_heard)
    if client is None:
        return False
    try:
        await session.run(client, config.idle_s)
    finally:
        await _disconnect(client)  # first: what comes while it hangs up belongs to the session
        session.close()
    return True


async def _connect(
    radio: Radio,
    device: BLEDevice,
    session: Session,
    *,
    config: SessionConfig,
    is_heard: Callable[[], bool],
) -> BleakClient | None:
    for wait_s in (*CONNECT_WAITS_S, None):
        client = radio.client(
            device, lambda _: session.disconnected(), timeout_s=config.connect_timeout_s
        )
        try:
            async with asyncio.timeout(config.connect_timeout_s + REQUEST_S_MAX):
                await client.connect()
        except RADIO_ERRORS as error:
            _log.info("session.not_connected", device_id=device.address, error=repr(error))
        else:
            return client
        if wait_s is None or not is_heard():
            break
        await asyncio.sleep(wait_s)
    return None


async def _ask(
    client: BleakClient, request: Request, take: Callable[[str, bytes | bytearray], None]
) -> bool:
    """Carry out *request*; return whether the device did."""
    try:
        async with asyncio.timeout(REQUEST_S_MAX):
            match request:
                case Subscribe(characteristic):
                    source = characteristic
                    await client.start_notify(source, lambda _, payload: take(source, payload))
                case Read(characteristic):
                    take(characteristic, await client.read_gatt_char(characteristic))
                case Write(characteristic, payload):
                    await client.write_gatt_char(characteristic, payload, response=True)
    except RADIO_ERRORS as error:
        _log.debug("session.unanswered", request=repr(request), error=repr(error))
        return False
    return True


async def _disconnect(client: BleakClient) -> None:
    try:
        async with asyncio.timeout(_DISCONNECT_S_MAX):
            await client.disconnect()
    except RADIO_ERRORS as error:  # it is gone either way
        _log.debug("session.disconnect_failed", error=repr(error))
