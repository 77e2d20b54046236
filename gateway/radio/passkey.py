"""The six digits a device shows while it pairs: asked of a person, within bounds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

# Asks a person for the six digits a device shows.
AskPasskey = Callable[[], Awaitable[int]]

# Devices show their number for 15 to 60 s.
PASSKEY_S_MAX: Final = 60.0
PASSKEY_MAX: Final = 999_999


class PasskeyNotGiven(Exception):
    """Nobody gave the number that a device shows; the pairing is refused."""


async def asked(ask: AskPasskey) -> int | None:
    """Return the number a person gave; None if nobody gave one that can be, in time."""
    try:
        async with asyncio.timeout(PASSKEY_S_MAX):
            passkey = await ask()
    except (PasskeyNotGiven, TimeoutError):
        return None
    return passkey if 0 <= passkey <= PASSKEY_MAX else None
