"""Central: one permanent scanner, a list of who waits, one connection at a time.

Two scans, or a scan started beside a connection attempt, freeze many adapters; a second scan
to look for a known address loses the device. So the scanner runs all the time, and a device
is connected to at once, with what its own advertisement brought.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from devices.wire import ConditionCode, DeviceStatus, PairingRequest, PairingStatus
from gateway.adapter import Adapter
from gateway.advertised import STRANGERS_MAX, AdvertisedSessions
from gateway.config import SessionConfig
from gateway.connection import RADIO_ERRORS
from gateway.database import StoreFull
from gateway.event import OnEvent, tell_nobody
from gateway.health import Health, RadioState
from gateway.hearing import Hearing
from gateway.inbox import Inbox
from gateway.lending import Lending, local
from gateway.log import get_logger
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.pairing import Pairing, PairingBusy
from gateway.radio import AskPasskey, RadioConfig
from gateway.serving import BEAT_S, Serving
from gateway.sighting import Sightings
from gateway.visit import Visitor

_log = get_logger()

# Waits before the radio is opened again: doubled from the first to the last.
REOPEN_S_MIN: Final = 0.5
REOPEN_S_MAX: Final = 30.0

# How often it is looked whether the time of a pairing is up.
_PAIRING_LOOK_S: Final = 1.0


class Central:
    """Hears devices and visits them, for ever. ``run`` may be called again after it failed.

    Args:
        radio: Which adapter.
        config: Timeouts, and the list of devices that holds while no other came down.
        zone: Where the devices are.
        inbox: Where raw values go.
        outbox: Where readings go.
        memory: What is known of devices.
        health: Where the radio's state and devices' problems are told.
        now: The clock.
        keys: The directory of our own stack's bonds; none: they last as long as the radio.
        lending: Which devices are served; asked at each advertisement.
        idle_s: Without a value, a session ends after this; none: as the configuration says.
        may_set_clock: Whether the gateway knows what time it is.
        on_event: Called with what somebody in the room may want to know.
    """

    def __init__(
        self,
        radio: RadioConfig,
        config: SessionConfig,
        zone: ZoneInfo,
        *,
        inbox: Inbox,
        outbox: Outbox,
        memory: Memory,
        health: Health,
        now: Callable[[], datetime],
        keys: Path | None = None,
        lending: Callable[[], Lending] | None = None,
        idle_s: Callable[[], float | None] = lambda: None,
        may_set_clock: Callable[[], bool] = lambda: True,
        on_event: OnEvent = tell_nobody,
    ) -> None:
        listed = local(config.devices)
        self._lending = lending or (lambda: listed)
        self._memory = memory
        self._health = health
        self._now = now
        self._sightings = Sightings()
        self._advertised = AdvertisedSessions(
            inbox,
            outbox,
            now,
            on_event=on_event,
            on_served=memory.served,
            on_many_strangers=self._tell_strangers,
        )
        self._hearing = Hearing(
            zone,
            self._lending,
            sightings=self._sightings,
            advertised=self._advertised,
            memory=memory,
        )
        visitor = Visitor(
            config,
            idle_s=idle_s,
            inbox=inbox,
            outbox=outbox,
            memory=memory,
            health=health,
            now=now,
            may_set_clock=may_set_clock,
            on_event=on_event,
        )
        self._adapter = Adapter(radio, keys, self._heard)
        self._serving = Serving(
            slot=self._adapter.slot,
            lending=self._lending,
            hearing=self._hearing,
            sightings=self._sightings,
            advertised=self._advertised,
            visitor=visitor,
            health=health,
            connect_timeout_s=config.connect_timeout_s,
        )
        self._failed: asyncio.Future[None] | None = None  # hearing failed

    @property
    def devices(self) -> tuple[DeviceStatus, ...]:
        """What is known of the devices served."""
        return self._memory.statuses(self._lending())

    @property
    def heard_any_s(self) -> float:
        """When anybody at all was last heard, monotonic; -inf before the first."""
        return self._hearing.heard_any_s

    @property
    def is_serving(self) -> bool:
        """Whether a connection is open or being made."""
        return self._health.radio is RadioState.CONNECTED

    async def restart_scanner(self) -> None:
        """Stop the scanner and start it anew; raises as ``Adapter.restart_scanner``."""
        await self._adapter.restart_scanner()

    async def power_cycle(self) -> None:
        """Switch the adapter off and on; raises as ``Adapter.power_cycle``."""
        await self._adapter.power_cycle()
        self._serving.stirred.set()

    async def pair(
        self,
        request: PairingRequest,
        ask_passkey: AskPasskey,
        tell: Callable[[PairingStatus], None],
    ) -> PairingStatus:
        """Pair with a device, and return how it ended.

        Args:
            request: What is wanted.
            ask_passkey: Asks a person for the number the device shows.
            tell: Called with each change.

        Raises:
            PairingBusy: Another pairing is going on.
        """
        if self._hearing.pairing is not None:
            raise PairingBusy
        pairing = Pairing(request, ask_passkey=ask_passkey, tell=tell, now=self._now)
        self._hearing.pairing = pairing
        try:
            while True:
                pairing.look()  # its time runs also while there is no radio
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PAIRING_LOOK_S):
                        return await pairing.over()
        finally:
            self._hearing.pairing = None
            pairing.cancel()

    async def run(self) -> None:
        """Scan and serve until cancelled; a radio that goes away is opened again."""
        failures = 0
        try:
            while True:
                words = "it ended"
                try:
                    await self._with_radio()
                except* RADIO_ERRORS as errors:
                    words = "; ".join(_words(error) for error in _leaves(errors))
                self._serving.finish_silent(float("inf"))  # without a radio there is only silence
                was_open = self._health.radio is not RadioState.LOST
                failures = 0 if was_open else failures + 1
                self._health.radio = RadioState.LOST
                self._health.problem(
                    ConditionCode.RADIO_LOST, f"the Bluetooth radio does not work: {words}"
                )
                self._health.pulse.beat("central", BEAT_S)
                self._serving.stirred.clear()
                with suppress(TimeoutError):  # the watchdog may have cured it
                    async with asyncio.timeout(
                        min(REOPEN_S_MAX, REOPEN_S_MIN * 2.0 ** min(failures, 10))
                    ):
                        await self._serving.stirred.wait()
        finally:
            self._health.radio = RadioState.STOPPED
            with suppress(StoreFull):  # told already; the frames stay in the inbox
                self._advertised.finish_all()

    async def _with_radio(self) -> None:
        """Use the radio until it is lost, then raise ``RADIO_ERRORS`` in a group."""
        self._sightings.drop_all()  # what another adapter found, this one cannot connect to
        self._failed = asyncio.get_running_loop().create_future()
        async with self._adapter.open() as radio:
            self._health.radio = RadioState.SCANNING
            self._health.solved(ConditionCode.RADIO_LOST)
            _log.info("radio.scanning", backend=self._adapter.backend)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._adapter.raise_when_lost(), name="radio-lost")
                tasks.create_task(_raise_what(self._failed), name="hearing")
                tasks.create_task(self._serving.run(radio), name="serve")

    def _tell_strangers(self, are_many: bool) -> None:  # noqa: FBT001 - an answer, not a choice
        if are_many:
            words = f"more than {STRANGERS_MAX} unknown scales in a day: lend the home's devices"
            self._health.problem(ConditionCode.STRANGERS, words)
        else:
            self._health.solved(ConditionCode.STRANGERS)

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        """Take an advertisement; called by the scanner, dozens of times a second."""
        try:
            if self._hearing.take(device, advertisement):
                self._serving.stirred.set()
        except StoreFull as error:
            self._health.problem(ConditionCode.STORAGE_FULL, f"a measurement was not kept: {error}")
        except Exception as error:  # noqa: BLE001 - the scanner would swallow it; raised in `run`
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(error)


async def _raise_what(failed: "asyncio.Future[None]") -> None:
    await failed


def _words(error: BaseException) -> str:
    return str(error.args[0]) if error.args else repr(error)  # bleak adds an enum after the words


def _leaves(errors: BaseExceptionGroup[Exception]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in errors.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
