"""Central: what a gateway does with a device, in the tests of the radio."""

import asyncio

from bleak import BleakClient

from devices.gatt import uuids
from gateway.radio import Radio
from simulator.devices.cuff import Cuff
from simulator.devices.recording import Habits
from tests.radio.ear import WAIT_S, Ear

QUICK = Habits(wake_s=0, linger_s=0.05)
CONNECT_S = 5.0


class Central:
    """A client and what came over it."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.ends = 0
        self.ended = asyncio.Event()

    def take(self, _characteristic: object, payload: bytearray) -> None:
        self.received.append(bytes(payload))

    def end(self, _client: BleakClient) -> None:
        self.ends += 1
        self.ended.set()

    async def until_hung_up(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.ended.wait()


async def connected(
    radio: Radio, ear: Ear, device_id: str, central: Central, timeout_s: float = CONNECT_S
) -> BleakClient:
    client = radio.client(await ear.device(device_id), central.end, timeout_s=timeout_s)
    await client.connect()
    return client


async def fetch(radio: Radio, ear: Ear, cuff: Cuff) -> list[bytes]:
    """Fetch what the cuff has, as a gateway does, until it hangs up."""
    return await fetch_from(radio, ear, cuff.device_id)


async def fetch_from(radio: Radio, ear: Ear, device_id: str) -> list[bytes]:
    central = Central()
    client = await connected(radio, ear, device_id, central)
    await client.start_notify(uuids.BLOOD_PRESSURE_MEASUREMENT, central.take)
    await central.until_hung_up()
    return central.received
