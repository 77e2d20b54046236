"""Call: connect to a device, run its session, hang up."""

from contextlib import suppress

from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from gateway.connection import Chance, connect, disconnect
from gateway.radio import Radio, Refusal
from gateway.session import Session


async def call(
    radio: Radio,
    device: BLEDevice,
    session: Session,
    *,
    chance: Chance,
    timeout_s: float,
    idle_s: float,
    pair: bool = False,
) -> bool:
    """Connect to *device*, run *session* and disconnect; return whether there was a connection.

    Args:
        radio: The radio that heard it.
        device: As the scanner gave it.
        session: What to do with it.
        chance: Whether it is worth going on.
        timeout_s: For one try to connect.
        idle_s: Without a value, it is over after this.
        pair: Encrypt before the services are looked for.

    Raises:
        StoreFull: Something could not be kept.
        BleakError: The adapter hangs.
    """
    client = await connect(
        radio, device, session.disconnected, chance=chance, timeout_s=timeout_s, pair=pair
    )
    if client is None:
        return False
    if isinstance(client, Refusal):
        session.refused(client)
        return False
    try:
        with suppress(BleakError):  # it has hung up by now, and what it offered is gone with it
            session.offered([service.uuid for service in client.services])
        await session.run(radio, client, idle_s=idle_s, chance=chance)
    finally:
        try:
            await disconnect(client)  # first: what comes while it hangs up belongs to the session
        finally:
            session.close()
    return True
