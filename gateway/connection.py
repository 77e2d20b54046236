"""Connection: to a device that was just heard, with short back-off, for as long as it is there.

A device advertises for seconds, and there is one adapter. So an attempt ends as soon as the
device must have fallen silent, and sooner when somebody else waits whose window closes. On
BlueZ nothing is heard of anybody while a connection is being made, on other stacks advertising
goes on being heard; both are served by counting from when the device was last heard.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from gateway.log import get_logger
from gateway.radio import Radio, Refusal
from gateway.sighting import HEARD_WITHIN_S

_log = get_logger()

# What the radio's own libraries raise when the world is to blame. EOFError: D-Bus went away.
RADIO_ERRORS: Final = (BleakError, OSError, EOFError)

# Waits between tries to connect. "le-connection-abort-by-local" is common, and the second or
# third try usually succeeds; together they stay within a cuff's advertising window.
CONNECT_WAITS_S: Final = (0.1, 0.25, 0.5)

# A link begins at the first advertisement that the controller hears after it was told to: at
# most 2 s with the slowest scales, and half a second for the adapter. Who has none by then has
# fallen silent, and with others waiting no second chance is given before them.
LINK_PRESSED_S: Final = 2.5

# How often it is looked whether there is still hope; a tenth of the shortest bound above.
_LOOK_S: Final = 0.1

# Letting go of an attempt is a command and its answer. Who does not answer in this time never
# does: the adapter hangs, and only a radio opened anew will work.
LET_GO_S_MAX: Final = 5.0

# A GATT transaction times out after 30 s by specification (Core 5.4, Vol 3, Part F, 3.3.3);
# a device that has not answered by now does not, and others wait. A session pays this once.
REQUEST_S_MAX: Final = 5.0

_DISCONNECT_S_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class Chance:
    """What decides how long to go on.

    Attributes:
        heard_s: Returns when the device was last heard, monotonic seconds.
        share_s: Returns how long it may last for the sake of others whose windows close; none
            if nobody else waits.
    """

    heard_s: Callable[[], float]
    share_s: Callable[[], float | None]

    @property
    def is_heard(self) -> bool:
        """Whether the device still advertises, as far as can be known."""
        return time.monotonic() - self.heard_s() <= HEARD_WITHIN_S

    def is_gone(self, began_s: float) -> bool:
        """Return whether an attempt that has no link yet is not to be waited for any more."""
        waited_s = time.monotonic() - began_s
        return not self.is_heard or (waited_s > LINK_PRESSED_S and self.share_s() is not None)


async def connect(
    radio: Radio,
    device: BLEDevice,
    on_disconnect: Callable[[], None],
    *,
    chance: Chance,
    timeout_s: float,
    pair: bool,
) -> BleakClient | Refusal | None:
    """Return a connected client, why the device refuses us, or none if it cannot be reached.

    Args:
        radio: The radio that heard it.
        device: As the scanner gave it.
        on_disconnect: Called when the connection ends, whoever ended it.
        chance: Whether it is worth going on.
        timeout_s: For one try, its services found.
        pair: Encrypt before the services are looked for.

    Raises:
        BleakError: The adapter does not let go of an attempt.
    """
    for wait_s in (*CONNECT_WAITS_S, None):
        client = radio.client(device, lambda _: on_disconnect(), timeout_s=timeout_s, pair=pair)
        try:
            await _attempt(client, chance, timeout_s)
        except _GoneError:
            _log.info("session.given_up", device_id=device.address)
            return None
        except _HangsError:
            raise
        except RADIO_ERRORS as error:
            _log.info("session.not_connected", device_id=device.address, error=repr(error))
            if refusal := radio.refusal(error):
                return refusal
        else:
            return client
        if wait_s is None or not chance.is_heard:
            break
        await asyncio.sleep(wait_s)
    return None


async def _attempt(client: BleakClient, chance: Chance, timeout_s: float) -> None:
    """Connect, or raise one of ``RADIO_ERRORS``; ``_GoneError`` if there is no hope."""
    began_s = time.monotonic()
    attempt = asyncio.create_task(client.connect(), name="connect")
    try:
        while not attempt.done():
            await asyncio.wait({attempt}, timeout=_LOOK_S)
            is_late = time.monotonic() - began_s > timeout_s + REQUEST_S_MAX
            # With a link, its services are being asked for.
            if is_late or (not client.is_connected and chance.is_gone(began_s)):
                break
    except asyncio.CancelledError:
        await _let_go(attempt)
        if attempt.done() and not attempt.cancelled() and attempt.exception() is None:
            await disconnect(client)  # BlueZ would keep the device when we are gone
        raise
    if not await _let_go(attempt):
        raise _HangsError
    if attempt.cancelled():
        raise _GoneError
    attempt.result()


async def _let_go(attempt: "asyncio.Task[None]") -> bool:
    """End the attempt; return whether it did end."""
    if not attempt.done():
        attempt.cancel()
        await asyncio.wait({attempt}, timeout=LET_GO_S_MAX)
    return attempt.done()


class _GoneError(BleakError):
    """The device has fallen silent, or others wait for it too long."""


class _HangsError(BleakError):
    def __init__(self) -> None:
        super().__init__("the adapter does not let go of a connection attempt")


async def disconnect(client: BleakClient) -> None:
    """Hang up."""
    try:
        async with asyncio.timeout(_DISCONNECT_S_MAX):
            await client.disconnect()
    except RADIO_ERRORS as error:  # it is gone either way
        _log.debug("session.disconnect_failed", error=repr(error))
