"""Home: a virtual radio with devices in it, and a gateway's central listening."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from devices.reading import Reading
from devices.wire import decode_reading
from gateway.central import Central
from gateway.config import SessionConfig
from gateway.event import GatewayEvent
from gateway.health import Health, RadioState
from gateway.inbox import Inbox
from gateway.lending import Lending
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.radio import RadioConfig
from simulator.devices.peripheral import Happening, Peripheral
from simulator.radio import VirtualRadio

ZONE = ZoneInfo("Europe/Stockholm")


class Home:
    """What a test does in a home, and sees of its gateway."""

    def __init__(
        self,
        radio: VirtualRadio,
        inbox: Inbox,
        outbox: Outbox,
        *,
        plug: RadioConfig | None = None,  # the gateway's adapter in this room, if not our stack
    ) -> None:
        self.radio = radio
        self.plug = plug or RadioConfig(backend="bumble", transport=radio.transport)
        self.inbox = inbox
        self.outbox = outbox
        self.memory = Memory(inbox._database, lambda: datetime.now(UTC))
        self.keys = inbox._database._ballast.parent / "keys"  # kept over two listenings
        self.health = Health()
        self.events: list[GatewayEvent] = []
        self.connections: list[str] = []
        self.confirmed = 0

    async def attach(self, device: Peripheral) -> None:
        """Bring a device in; every connection to it is counted."""

        def happened(happening: Happening, _at: datetime) -> None:
            if happening is Happening.CONNECTED:
                self.connections.append(device.device_id)
            elif happening is Happening.CONFIRMED:
                self.confirmed += 1

        device.on_event = happened
        await self.radio.attach(device)

    def build(
        self,
        *,
        allowed: tuple[str, ...] = (),
        lending: Callable[[], Lending] | None = None,
        now: Callable[[], datetime] | None = None,
        idle_s: float = 1.0,
    ) -> Central:
        """Return a central, not yet running."""
        self.central = Central(
            self.plug,
            SessionConfig(idle_s=idle_s, connect_timeout_s=5.0, devices=allowed),
            ZONE,
            inbox=self.inbox,
            outbox=self.outbox,
            memory=self.memory,
            health=self.health,
            now=now or (lambda: datetime.now(UTC)),
            keys=self.keys,
            lending=lending,
            on_event=lambda event, _ids=(): self.events.append(event),
        )
        return self.central

    @contextlib.asynccontextmanager
    async def listening(
        self,
        *,
        allowed: tuple[str, ...] = (),
        lending: Callable[[], Lending] | None = None,
        now: Callable[[], datetime] | None = None,
        idle_s: float = 1.0,
    ) -> AsyncIterator[None]:
        """Run the central for as long as the block lasts."""
        central = self.build(allowed=allowed, lending=lending, now=now, idle_s=idle_s)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(central.run(), name="central")
            await until(lambda: self.health.radio is RadioState.SCANNING)
            try:
                yield
            finally:
                running.cancel()

    @property
    def readings(self) -> list[Reading]:
        """All that waits in the outbox, oldest first."""
        return [decode_reading(row.encoded) for row in self.outbox.peek(10_000)]

    async def has(self, count: int) -> list[Reading]:
        """Wait until the outbox holds so many readings; return them."""
        await until(lambda: self.outbox.depth >= count)
        return self.readings

    async def is_quiet(self) -> None:
        """Wait until every session is over and nothing is left in the inbox."""
        await until(lambda: self.inbox.depth == 0 and self.health.radio is RadioState.SCANNING)


async def until(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    """Wait for something that no event tells of."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what it looks at is another process's or paho's
            await asyncio.sleep(0.005)
