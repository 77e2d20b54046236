"""Central: one permanent scanner, a list of who waits, one connection at a time.

Two scans, or a scan started beside a connection attempt, freeze many adapters; a second scan
to look for a known address loses the device. So the scanner runs all the time, and a device
is connected to at once, with what its own advertisement brought.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from devices.drivers import Advertisement, DriverKind, driver_for
from devices.wire import ConditionCode
from gateway.advertised import AdvertisedSessions
from gateway.config import SessionConfig
from gateway.database import StoreFull
from gateway.health import Health, RadioState
from gateway.inbox import Inbox
from gateway.outbox import Outbox
from gateway.radio import Radio, RadioConfig, open_radio
from gateway.session import RADIO_ERRORS, Session, serve
from gateway.sighting import Sighting, Sightings, Visit

_log = structlog.get_logger()

# Waits before the radio is opened again: doubled from the first to the last.
REOPEN_S_MIN: Final = 0.5
REOPEN_S_MAX: Final = 30.0

# How often silence is looked for among devices that only advertise.
_LOOK_S: Final = 5.0

# A second address type may follow the address in Bumble's notation.
_TYPE_SUFFIX: Final = "/P"


class Central:
    """Hears devices and visits them, for ever.

    Args:
        radio: Which adapter.
        config: Timeouts and the allow-list.
        zone: Where the devices are.
        inbox: Where raw values go.
        outbox: Where readings go.
        health: Where the radio's state is told.
        now: The clock.
    """

    def __init__(
        self,
        radio: RadioConfig,
        config: SessionConfig,
        zone: ZoneInfo,
        *,
        inbox: Inbox,
        outbox: Outbox,
        health: Health,
        now: Callable[[], datetime],
    ) -> None:
        self._radio = radio
        self._config = config
        self._zone = zone
        self._inbox = inbox
        self._outbox = outbox
        self._health = health
        self._now = now
        self._allowed = frozenset(config.devices)
        self._sightings = Sightings()
        self._advertised = AdvertisedSessions(inbox, outbox, now)
        self._stirred = asyncio.Event()  # a device waits, or hearing failed
        self._failure: Exception | None = None

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
                self._finish_silent(float("inf"))  # without a radio there is only silence
                was_open = self._health.radio is not RadioState.LOST
                failures = 0 if was_open else failures + 1
                self._health.radio = RadioState.LOST
                self._health.problem(
                    ConditionCode.RADIO_LOST, f"the Bluetooth radio does not work: {words}"
                )
                await asyncio.sleep(min(REOPEN_S_MAX, REOPEN_S_MIN * 2.0 ** min(failures, 10)))
        finally:
            self._health.radio = RadioState.STOPPED
            with suppress(StoreFull):  # told already; the frames stay in the inbox
                self._advertised.finish_all()

    async def _with_radio(self) -> None:
        """Use the radio until it is lost, then raise ``RADIO_ERRORS`` in a group."""
        self._sightings = Sightings()  # what another adapter found, this one cannot connect to
        async with open_radio(self._radio) as radio, radio.scanner(self._heard):
            self._health.radio = RadioState.SCANNING
            self._health.solved(ConditionCode.RADIO_LOST)
            _log.info("radio.scanning", backend=self._radio.backend)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_raise_when_lost(radio), name="radio-lost")
                tasks.create_task(self._serve_all(radio), name="serve")

    def _heard(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        """Take an advertisement; called by the scanner, dozens of times a second."""
        try:
            self._take(device, advertisement)
        except StoreFull as error:
            self._health.problem(ConditionCode.STORAGE_FULL, f"a measurement was not kept: {error}")
        except Exception as error:  # noqa: BLE001 - the scanner would swallow it; raised in `_serve_all`
            self._failure = self._failure or error
            self._stirred.set()

    def _take(self, device: BLEDevice, advertisement: AdvertisementData) -> None:
        device_id = device.address.removesuffix(_TYPE_SUFFIX).upper()
        if self._allowed and device_id not in self._allowed:
            return
        seen = Advertisement(
            device_id,
            advertisement.local_name or device.name,
            advertisement.service_uuids,
            advertisement.service_data,
        )
        kind = driver_for(seen, self._zone)
        if kind is None:
            return
        now_s = time.monotonic()
        if kind.connects:
            if self._sightings.heard(device_id, device, kind, now_s):
                self._stirred.set()
        elif payload := advertisement.service_data.get(kind.advertised_source or ""):
            self._advertised.take(device_id, kind, payload, now_s)

    async def _serve_all(self, radio: Radio) -> None:
        while True:
            self._stirred.clear()
            if self._failure is not None:
                raise self._failure
            now_s = time.monotonic()
            self._finish_silent(now_s)
            if (found := self._sightings.next(now_s)) is not None:
                await self._visit(radio, *found)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._stirred.wait()

    def _finish_silent(self, now_s: float) -> None:
        try:
            self._advertised.finish_silent(now_s)
        except StoreFull as error:
            self._health.problem(
                ConditionCode.STORAGE_FULL, f"a measurement waits in the inbox: {error}"
            )

    async def _visit(self, radio: Radio, device_id: str, sighting: Sighting) -> None:
        session = self._session(device_id, sighting.kind)
        self._health.radio = RadioState.CONNECTED
        try:
            connected = await serve(
                radio,
                sighting.device,
                session,
                config=self._config,
                is_heard=lambda: self._sightings.is_heard(device_id, time.monotonic()),
            )
        except StoreFull as error:
            self._health.problem(ConditionCode.STORAGE_FULL, f"a measurement was not kept: {error}")
            visit = Visit.FRUITLESS
        else:
            visit = _visit(session, connected=connected)
            if session.result.new_readings:
                self._health.solved(ConditionCode.STORAGE_FULL)
            self._tell_refusal(device_id, may_listen=session.result.may_listen)
        self._health.radio = RadioState.SCANNING
        self._sightings.visited(device_id, visit, time.monotonic())
        _log.info(
            "session.over",
            device_id=device_id,
            driver=sighting.kind.name,
            visit=visit.value,
            values=session.result.values,
            new_readings=session.result.new_readings,
        )

    def _tell_refusal(self, device_id: str, *, may_listen: bool | None) -> None:
        if may_listen is None:
            return
        if may_listen:
            self._health.solved(ConditionCode.NOT_PAIRED, device_id)
        else:
            words = f"{device_id} refused to be listened to: pair it anew"
            self._health.problem(ConditionCode.NOT_PAIRED, words, device_id)

    def _session(self, device_id: str, kind: DriverKind) -> Session:
        return Session(device_id, kind, inbox=self._inbox, outbox=self._outbox, now=self._now)


def _visit(session: Session, *, connected: bool) -> Visit:
    if not connected:
        return Visit.UNREACHED
    return Visit.FRUITFUL if session.result.new_readings else Visit.FRUITLESS


async def _raise_when_lost(radio: Radio) -> None:
    await radio.lost()
    problem = "the adapter is gone"
    raise ConnectionError(problem)


def _words(error: BaseException) -> str:
    return str(error.args[0]) if error.args else repr(error)  # bleak adds an enum after the words


def _leaves(errors: BaseExceptionGroup[Exception]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in errors.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
