"""One device, connect to disconnect: runs its driver and carries out its requests.

Each value goes to the durable inbox inside the radio's callback, then to the driver, and what
the driver makes of it to the outbox at once. Nothing is ever unsubscribed at the end: writing
0 to the CCCDs before a disconnect makes some cuffs forget their bond.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bleak import BleakClient

from devices.drivers import (
    Advertisement,
    DriverKind,
    Notes,
    RawValue,
    Request,
    Subscribe,
    driver_for,
)
from devices.reading import Reading
from gateway.agenda import CLOCK_QUIET_S, Agenda
from gateway.connection import Chance
from gateway.database import StoreFull
from gateway.event import OnEvent, tell, tell_nobody
from gateway.haul import Haul, verdict
from gateway.inbox import Inbox, InboxSession
from gateway.log import get_logger
from gateway.outbox import Outbox
from gateway.patience import Patience
from gateway.radio import Radio, Refusal
from gateway.request import ask

_log = get_logger()

# 200 records and as many frames beside them; a device that talks on is broken.
SESSION_VALUES_MAX: Final = 2000
# Subscriptions, clocks, battery, firmware and a registration are a dozen; a driver that asks
# on and on is broken.
REQUESTS_MAX: Final = 64

# How often it is looked whether somebody else waits.
_LOOK_S: Final = 0.25


class Session:
    """What is going on with one connected device.

    Args:
        device_id: The device.
        kind: Its driver's kind.
        inbox: Where raw values go first.
        outbox: Where readings go.
        now: The clock.
        memory: What its last session's driver asked to be remembered.
        may_set_clock: Whether the gateway knows what time it is.
        on_notes: Called when the driver has learnt something of the device.
        on_event: Called with what somebody in the room may want to know.
    """

    def __init__(
        self,
        device_id: str,
        kind: DriverKind,
        *,
        inbox: Inbox,
        outbox: Outbox,
        now: Callable[[], datetime],
        memory: Mapping[str, str] = {},
        may_set_clock: Callable[[], bool] = lambda: True,
        on_notes: Callable[[Notes], None] = lambda _: None,
        on_event: OnEvent = tell_nobody,
    ) -> None:
        self._kind = kind
        self._driver = kind.new(device_id, memory)
        self._place = InboxSession(device_id, kind.name)
        self._inbox = inbox
        self._outbox = outbox
        self._now = now
        self._may_set_clock = may_set_clock
        self._on_notes = on_notes
        self._on_event = on_event
        self._notes = Notes(memory=memory)
        self._haul = Haul()
        self._refusals: list[Refusal | None] = []  # why subscriptions were not granted
        self._last_s = time.monotonic()  # the last sign of life
        self._told_s: float | None = None  # when it last sent something by itself
        self._is_mute = False  # it has left a request without an answer
        self._is_waited_out = False  # a silence long enough to end the session has passed
        self._stirred = asyncio.Event()  # a value came, the connection went, or taking failed
        self._is_connected = True
        self._is_closed = False
        self._failure: Exception | None = None

    @property
    def result(self) -> Haul:
        """What it brought so far."""
        return self._haul

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
        self._tally(values=self._haul.values + 1)
        try:
            self._keep(self._driver.received(raw))
        except Exception as error:  # noqa: BLE001 - the radio would swallow it; `run` raises it again
            self._fail(error)
        self._stir()

    def disconnected(self) -> None:
        """Take note that the device has disconnected."""
        self._is_connected = False
        self._stir()

    def offered(self, services: Collection[str]) -> None:
        """Take note of what the device offers, before anything is asked of it.

        On BlueZ a known device advertises what was once remembered of it, so who was taken for
        a scale by its services may be a cuff. What it offers now is believed before that; a name
        is believed before both.
        """
        told = self._kind.model
        found = Advertisement(self._place.device_id, service_uuids=tuple(services))
        is_named = bool(told.advertised_prefixes)  # a name tells it, never a service alone
        if is_named or not told.services or told.is_served_by(found):
            return
        kind = driver_for(found, self._kind.zone)
        if kind is not None and kind.connects and kind.name != self._kind.name:
            _log.info("session.is_another", told=told.name, found=kind.model.name)
            self._kind = kind
            self._driver = kind.new(self._place.device_id, self._notes.memory)
            self._place = InboxSession(self._place.device_id, kind.name)

    def refused(self, refusal: Refusal) -> None:
        """Take note that the device refused the connection."""
        self._tally(refusal=refusal)

    async def run(
        self, radio: Radio, client: BleakClient, *, idle_s: float, chance: Chance
    ) -> None:
        """Ask what the driver wants to know, then listen until the device is done.

        Raises:
            StoreFull: A value could not be kept; what was kept before is.
        """
        await asyncio.sleep(self._kind.model.settle_s)
        self._last_s = time.monotonic()
        patience = Patience(idle_s, always_there=bool(self._kind.revisit_s), chance=chance)
        agenda, asked = Agenda(self._driver.connected()), 0
        while self._goes_on:
            if agenda.is_free:
                agenda.add(self._driver.asks())
                self._learn()  # what it counts before it asks must outlast a power cut
            request = agenda.next(is_quiet=self._is_quiet) if asked < REQUESTS_MAX else None
            if request is not None:
                asked += 1
                await self._carry_out(radio, client, request)
            elif not await self._stirs(patience):
                if self._is_waited_out or not agenda.left:
                    break
                self._is_waited_out = True
            self._raise_failure()
        for request in agenda.left:
            self._keep(self._driver.unanswered(request))
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

    @property
    def _goes_on(self) -> bool:
        is_refused = self._haul.refusal is not None
        return self._is_connected and not is_refused and self._haul.values < SESSION_VALUES_MAX

    @property
    def _is_quiet(self) -> bool:
        """Whether it has sent all it had; one that has sent nothing is given the whole wait."""
        if self._told_s is None:
            return self._is_waited_out
        return time.monotonic() - self._told_s >= CLOCK_QUIET_S

    async def _carry_out(self, radio: Radio, client: BleakClient, request: Request) -> None:
        """Carry out one request, and judge what a refused subscription means."""
        if self._is_mute:
            self._keep(self._driver.unanswered(request))
            return
        if not isinstance(request, Subscribe):
            self._judge()
            if not self._goes_on:
                self._keep(self._driver.unanswered(request))
                return
        answer = await ask(
            radio,
            client,
            request,
            self._told if isinstance(request, Subscribe) else self.take,
            local_now=lambda: self._now().astimezone(self._kind.zone).replace(tzinfo=None),
            may_set_clock=self._may_set_clock,
        )
        self._last_s = time.monotonic()
        if isinstance(request, Subscribe) and (answer.is_given or self._is_connected):
            self._tally(may_listen=self._haul.may_listen or answer.is_given)  # one is enough
            if not answer.is_given:
                self._refusals.append(answer.refusal)
        if not answer.is_given:
            self._is_mute = answer.is_awaited
            self._keep(self._driver.unanswered(request))
        self._learn()

    def _judge(self) -> None:
        """All subscriptions were asked for: if none was granted, say why."""
        if self._haul.may_listen is False and self._haul.refusal is None:
            self._tally(refusal=verdict(self._refusals))

    async def _stirs(self, patience: Patience) -> bool:
        """Wait for a sign of life; return whether to go on. Also returns now and then."""
        self._judge()
        if self._is_mute and not self._haul.may_listen and self._told_s is None:
            return False  # nothing stands that it could send on
        until_s = patience.ends_s(self._last_s, has_begun=self._haul.readings > 0)
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            return False
        self._stirred.clear()
        self._raise_failure()
        wait_s = min(left_s, _LOOK_S)
        if self._told_s is not None and not self._is_quiet:
            wait_s = min(wait_s, max(0.0, self._told_s + CLOCK_QUIET_S - time.monotonic()))
        try:
            async with asyncio.timeout(wait_s):
                await self._stirred.wait()
        except TimeoutError:
            return True
        self._last_s = time.monotonic()
        return True

    def _told(self, source: str, payload: bytes | bytearray) -> None:
        """Take what the device sends by itself."""
        self._told_s = time.monotonic()
        self.take(source, payload)

    def _stir(self) -> None:
        self._stirred.set()

    def _append_late(self, raw: RawValue) -> None:
        # Each in a place of its own: the last one's may have been replayed and be gone.
        place = InboxSession(self._place.device_id, self._kind.name)
        self._inbox.append(place, raw)
        self._inbox.release(place)

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stir()

    def _keep(self, readings: Sequence[Reading], *, finished: bool = False) -> None:
        try:
            new = self._outbox.append_from_session(self._place, readings, finished=finished)
        except StoreFull as error:
            # The driver has let go of them: only a replay of the raw values brings them back.
            self._fail(error)
            raise
        self._learn()
        if not readings:
            return
        self._tally(readings=self._haul.readings + len(readings))
        if new:
            first_s = self._haul.first_s or time.monotonic()
            undated = sum(reading.device_time is None for reading in readings)  # always new
            self._tally(
                new_readings=self._haul.new_readings + new,
                new_dated=self._haul.new_dated + max(0, new - undated),
                first_s=first_s,
            )
            if not self._kind.revisit_s:  # what a watch counts all day is no act of measuring
                tell(readings, self._on_event)

    def _learn(self) -> None:
        notes = self._driver.notes
        if not self._may_set_clock():  # nor say how far off the device's is
            notes = replace(notes, clock_offset_s=None, clock_set=None)
        if notes != self._notes:
            self._notes = notes
            self._on_notes(notes)

    def _tally(self, **what: object) -> None:
        self._haul = replace(self._haul, **what)  # type: ignore[arg-type] # its own fields

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
