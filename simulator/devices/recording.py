"""RecordingPeripheral: keeps what it measures until a central has confirmed it (cuffs, scales)."""

import asyncio
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from bumble import gatt
from bumble.device import Connection

from devices.gatt import uuids
from simulator.devices import attributes
from simulator.devices.clock import DeviceClock, utc_now
from simulator.devices.host import Asked
from simulator.devices.peripheral import Happening, Peripheral
from simulator.devices.quirks import Guard, Quirks

# Home cuffs remember 30 to 200 measurements and then write over the oldest.
MEMORY_RECORDS_MAX = 200

# A device that sends before it answers has long answered when a request would time out.
ANSWER_S_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Habits:
    """How a recording device behaves on the air; times in seconds.

    Attributes:
        wake_s: From the end of a measurement to the first advertisement.
        window_s: How long it then advertises; None is until everything is delivered.
        patience_s: How long a connected central may take to subscribe.
        gather_s: From the first subscription to the first record, where a device sends on more
            than one characteristic: the central is given time to subscribe to the others.
        pause_s: Between two records.
        linger_s: From the last confirmation to hanging up; clocks are read and set now.
    """

    wake_s: float = 3.0
    window_s: float | None = 45.0
    patience_s: float = 20.0
    gather_s: float = 0.3
    pause_s: float = 0.0
    linger_s: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One act of measuring as the device keeps it: what to send on which characteristic."""

    payloads: dict[str, bytes]


class RecordingPeripheral(Peripheral):
    """Sleeps; wakes to advertise when there is something to tell; tells it; hangs up.

    Each record is indicated and forgotten only when the central has confirmed it; the rest is
    kept for the next time. A record made over a full memory takes the oldest one's place.

    Args:
        encrypted: Subscriptions need an encrypted link: short for ``Guard.SUBSCRIPTIONS``.
        clock: None is a device that has no clock to read.
        battery_percent: None is a device that does not tell.
    """

    def __init__(
        self,
        name: str,
        *,
        address: str | None = None,
        habits: Habits | None = None,
        clock: DeviceClock | None = None,
        battery_percent: int | None = 90,
        encrypted: bool = False,
        quirks: Quirks | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        quirks = quirks or Quirks()
        if encrypted and quirks.guard is Guard.OPEN:
            quirks = replace(quirks, guard=Guard.SUBSCRIPTIONS)
        super().__init__(name, address=address, quirks=quirks, now=now)
        self.habits = habits or Habits()
        self.clock = clock
        self.battery_percent = battery_percent
        self.overwritten = 0  # records lost to a full memory
        self._records: deque[Record] = deque()
        self._told: deque[Record] = deque(maxlen=MEMORY_RECORDS_MAX)  # to be repeated
        self._is_to_be_paired = False
        self._awake = asyncio.Event()
        self._off_air = asyncio.Event()
        self._off_air.set()
        self._subscription = asyncio.Event()  # a central changed what it subscribes to
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def pending(self) -> int:
        return len(self._records)

    async def drained(self) -> None:
        """Wait until every record is delivered."""
        await self._empty.wait()

    async def silent(self) -> None:
        """Wait until it is off the air: everything is told, or its window has closed."""
        await self._off_air.wait()

    def wake(self) -> None:
        """Press the transfer button: advertise without a new measurement."""
        self._off_air.clear()
        self._awake.set()

    def hold_button(self) -> None:
        """Make it ready to be paired with: it advertises with nothing to tell."""
        self._is_to_be_paired = True
        self.wake()

    async def run(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            await asyncio.sleep(self.habits.wake_s)
            await self._offer()
            if not self._awake.is_set():
                self._off_air.set()

    @abstractmethod
    def _measuring_services(self) -> list[gatt.Service]:
        """Return the services records are sent from, in ``_measuring`` characteristics."""

    @property
    @abstractmethod
    def _measures(self) -> tuple[str, ...]:
        """The UUIDs of the characteristics records are sent on."""

    @property
    def _short_measures(self) -> set[str]:
        return {uuids.short(uuid).lower() for uuid in self._measures}

    def _time_stamp(self) -> datetime | None:
        """Return the clock's time as records carry it: naive, whole seconds."""
        return None if self.clock is None else self.clock.read().replace(microsecond=0)

    def _keep(self, record: Record) -> None:
        """Store an act of measuring and wake up to tell of it."""
        if len(self._records) == MEMORY_RECORDS_MAX:
            self._records.popleft()
            self.overwritten += 1
        self._records.append(record)
        self.produced += 1
        self._empty.clear()
        self._tell(Happening.PRESSED)
        self.wake()

    def _services(self) -> list[gatt.Service]:
        self._measuring = {
            uuid: attributes.sending(uuid, attributes.INDICATE) for uuid in self._measures
        }
        for characteristic in self._measuring.values():
            attributes.subscription(
                characteristic,
                self._device.gatt_server,
                needs_encryption=self.quirks.guard is not Guard.OPEN,
                before_answer=self._before_answer,
            )
            characteristic.on(characteristic.EVENT_SUBSCRIPTION, self._on_subscription)
        self._hideable = self._measuring_services()
        services = [*self._hideable]
        if self.clock is not None and not self.quirks.has_date_time_clock:
            services.append(attributes.current_time_service(self.clock, self.quirks.clock))
        if self.battery_percent is not None:
            services.append(attributes.battery_service(lambda: self.battery_percent or 0))
        services.append(attributes.device_information_service(self.name, self.device_id))
        return services

    def _clock_beside(self) -> list[attributes.Characteristic]:
        """Return the clock, if it stands beside the measurements."""
        if self.clock is None or not self.quirks.has_date_time_clock:
            return []
        return [attributes.date_time(self.clock, self.quirks.clock)]

    def _on_subscription(self, _connection: Connection, *kinds: bool) -> None:
        if self.quirks.forgets_bond_when_unsubscribed and not any(kinds):
            self.bonds.all_keys.clear()
        self._subscription.set()

    async def _before_answer(self) -> None:
        if self.quirks.sends_before_answering:
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S_MAX):
                    await self.drained()

    def _is_asked(self, asked: Asked) -> bool:
        is_reading = asked.what.startswith("READ") and asked.uuid in self._short_measures
        if is_reading and self.quirks.hangs_up_when_read:
            self._has_enough.set()
        return super()._is_asked(asked)

    async def _offer(self) -> None:
        """Advertise until everything is told or the window closes."""
        loop = asyncio.get_running_loop()
        window_s = self.habits.window_s
        closes_at = None if window_s is None else loop.time() + window_s
        self._is_awake = True
        await self._change_address()
        while self._is_awake and self._has_to_tell:
            left_s = None if closes_at is None else closes_at - loop.time()
            if left_s is not None and left_s <= 0:
                break
            self._tell(Happening.ADVERTISING)
            is_hidden = self._device.connections_made < self.quirks.hidden_for
            self._device.offer_services(without=self._hideable if is_hidden else ())
            if connection := await self._central(left_s):
                await self._serve(connection, self._transfer(connection))
                self._is_to_be_paired &= not self.is_bonded
        self._is_to_be_paired = False
        self._tell(Happening.SILENT)

    @property
    def _has_to_tell(self) -> bool:
        return bool(self._records) or self._is_to_be_paired

    async def _transfer(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self.habits.patience_s):
                await self._subscribed(connection, any)
            self._tell(Happening.SUBSCRIBED)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.habits.gather_s):
                    await self._subscribed(connection, all)
            await self._send_all(connection)
        except (TimeoutError, _NobodyListensError):
            return  # nobody subscribed, or nobody confirmed: hang up and keep the rest
        await asyncio.sleep(self.habits.linger_s)

    async def _send_all(self, connection: Connection) -> None:
        """Send what is to be sent of the past, and each record that is pending."""
        for frame in self.quirks.prelude:
            await self._indicate(connection, Record({self._measures[0]: frame}))
        for record in tuple(self._told) if self.quirks.repeats_history else ():
            await self._indicate(connection, record)
        while self._records:
            await self._deliver(connection, self._records[0])
            await asyncio.sleep(self.habits.pause_s if self._records else 0)

    async def _subscribed(
        self, connection: Connection, enough: Callable[[Iterable[bool]], bool]
    ) -> None:
        """Wait until the central is subscribed to *enough* of the measuring characteristics."""
        measuring = self._measuring.values()
        while not enough(self._sends(connection, characteristic) for characteristic in measuring):
            self._subscription.clear()
            await self._subscription.wait()

    def _sends(self, connection: Connection, characteristic: attributes.Characteristic) -> bool:
        configuration = self._device.gatt_server.read_cccd(connection, characteristic)
        return bool(configuration[0] & attributes.INDICATIONS_ENABLED)

    async def _deliver(self, connection: Connection, record: Record) -> None:
        """Indicate a record and forget it; raises as ``_indicate``."""
        await self._indicate(connection, record)
        if self._records[0] is record:  # a full memory may have written over it meanwhile
            self._records.popleft()
        self._told.append(record)
        self.delivered += 1
        if not self._records:
            self._empty.set()
        self._tell(Happening.CONFIRMED)

    async def _indicate(self, connection: Connection, record: Record) -> None:
        """Indicate a record's payloads, each when the one before is confirmed.

        What the central has not subscribed to is not sent, as on a bought device.

        Raises:
            TimeoutError: The central does not confirm.
            _NobodyListensError: It has subscribed to nothing of the record, or left.
        """
        sending = {
            self._measuring[uuid]: payload
            for uuid, payload in record.payloads.items()
            if self._sends(connection, self._measuring[uuid])
        }
        if not sending:
            raise _NobodyListensError
        for characteristic, payload in sending.items():
            if not self._sends(connection, characteristic):
                raise _NobodyListensError
            self._tell(Happening.INDICATED)
            server = self._device.gatt_server
            await server.indicate_subscriber(connection, characteristic, payload)


class _NobodyListensError(Exception):
    """There is no subscription to send on."""
