"""Pairing: from "search for the device" to a second, encrypted session that delivered a reading.

A read in the pairing connection proves no bond, so the bond is made in one connection and
proven by the next. Nothing here is tried for ever: a refusal ends the pairing, and so does
its time running out. ``Course`` is pure; ``Pairing`` lets the central run it.
"""

import asyncio
import enum
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bleak import BleakClient
from bleak.backends.device import BLEDevice

from devices.wire import PairingRequest, PairingStatus, PairingStep
from gateway.connection import RADIO_ERRORS, disconnect
from gateway.log import get_logger
from gateway.radio import AskPasskey, PasskeyNotGiven, Radio, Refusal

_log = get_logger()

# Tries to connect while a device is searched for. Each has its own window of advertising; a
# device that is heard and cannot be reached so often is too far away.
CONNECTS_MAX: Final = 5

# From the bond to the test measurement: putting the cuff on, measuring, and once more.
MEASURE_S_MAX: Final = 300.0

# No pairing is open for longer, whatever the wall clock says: a box that woke up in the past
# would wait for a request's end, and for any device that fits, for as long as it slept. Above
# what can be asked for at the box (control.PAIR_WITHIN_S_MAX) and the test measurement.
OPEN_S_MAX: Final = 3600.0

# The radio bounds each part of making a bond: 10 s to connect, 60 s for a person to type, 30 s
# for each answer of the device. This is for what it does not bound.
_BOND_S_MAX: Final = 180.0


class Failure(enum.StrEnum):
    """Why a pairing failed; pages and commands have the words for each."""

    NOT_HEARD = "not_heard"  # its time ran out, and no such device had advertised
    NOT_REACHED = "not_reached"  # it advertised, and every try to connect failed
    WRONG_PASSKEY = "wrong_passkey"  # the number was not the one the device showed
    NO_PASSKEY = "no_passkey"  # the device showed a number, and nobody gave it in time
    REFUSED = "refused"  # the device did not want to pair: it is not in its pairing mode
    LOST_AGAIN = "lost_again"  # bonded, and at the next connection it did not know us
    NO_TEST_READING = "no_test_reading"  # bonded, and no test measurement came
    EXPIRED = "expired"  # its time had run out before it began
    CANCELLED = "cancelled"


class PairingBusy(Exception):
    """Another pairing is going on; one at a time."""


class Course:
    """The course of one pairing. Pure: aware UTC comes in as an argument.

    Args:
        request: What is wanted.
        now: When it begins.
    """

    def __init__(self, request: PairingRequest, now: datetime) -> None:
        self._request = request
        self._connects = 0
        self._needs_bond = True
        self._hung_up = False
        self._measure_until = request.expires_at
        self.status = PairingStatus(
            request_id=request.request_id, step=PairingStep.SEARCHING, device_id=request.device_id
        )
        if now >= request.expires_at:
            self.fail(Failure.EXPIRED)

    @property
    def is_over(self) -> bool:
        """Whether it is done or has failed."""
        return self.status.step in (PairingStep.DONE, PairingStep.FAILED)

    def wants(self, device_id: str, model: str) -> bool:
        """Return whether a device that advertises is the one that is searched for."""
        if self.status.step is not PairingStep.SEARCHING:
            return False
        if self.status.device_id is not None:
            return device_id == self.status.device_id
        return self._request.model == model

    def connecting(self, device_id: str) -> None:
        """A try to connect to the device begins; from now on it is this one."""
        self._connects += 1
        self._step(PairingStep.PAIRING, device_id)

    def not_bonded(self, *, hung_up: bool) -> None:
        """The try came to nothing, by chance perhaps.

        Args:
            hung_up: There was a connection, and the device ended it.
        """
        self._hung_up = self._hung_up or hung_up
        if self._connects < CONNECTS_MAX:
            self._step(PairingStep.SEARCHING)
        else:
            self.fail(self._unreached)

    @property
    def _unreached(self) -> Failure:
        return Failure.REFUSED if self._hung_up else Failure.NOT_REACHED

    def asking(self) -> None:
        """The device shows a number."""
        self._step(PairingStep.PASSKEY)

    def answered(self) -> None:
        """The number was given."""
        self._step(PairingStep.PAIRING)

    def bonded(self, device_id: str, now: datetime, *, needs_bond: bool = True) -> None:
        """The bond is made, or none is needed; its address may be another than before."""
        self._needs_bond = needs_bond
        self._measure_until = max(self._request.expires_at, now + timedelta(seconds=MEASURE_S_MAX))
        self._step(PairingStep.MEASURE, device_id)

    def delivered(self, device_id: str, *, is_bonded: bool) -> None:
        """A later session brought a reading."""
        proves = is_bonded or not self._needs_bond
        if proves and self._is_measuring(device_id):
            self._step(PairingStep.DONE)

    def lost(self, device_id: str) -> None:
        """At a later connection the device did not know us."""
        if self._is_measuring(device_id):
            self.fail(Failure.LOST_AGAIN)

    def look(self, now: datetime, *, open_s: float = 0.0) -> None:
        """Fail if the time is up. While the bond is being made, the radio has its own limits.

        Args:
            now: The time.
            open_s: Seconds since it began, by a clock that nobody sets.
        """
        step, is_late = self.status.step, open_s >= OPEN_S_MAX
        if step is PairingStep.SEARCHING and (is_late or now >= self._request.expires_at):
            self.fail(self._unreached if self._connects else Failure.NOT_HEARD)
        elif step is PairingStep.MEASURE and (is_late or now >= self._measure_until):
            self.fail(Failure.NO_TEST_READING)

    def fail(self, failure: Failure) -> None:
        """It is over, and failed; harmless when it is over already."""
        self._step(PairingStep.FAILED, problem=failure.value)

    def _is_measuring(self, device_id: str) -> bool:
        return self.status.step is PairingStep.MEASURE and device_id == self.status.device_id

    def _step(self, step: PairingStep, device_id: str | None = None, problem: str = "") -> None:
        if not self.is_over:
            self.status = PairingStatus(
                request_id=self._request.request_id,
                step=step,
                device_id=device_id or self.status.device_id,
                problem=problem,
            )


class Pairing:
    """One pairing that was asked for; the central's loop runs it.

    The central makes one, gives it every advertisement it would serve (``wants``), runs
    ``bond`` in its serve loop in place of a session when a wanted device is heard, serves the
    device as usual afterwards, and tells how that went (``served``, ``refused``). It calls
    ``look`` now and then, for the time, and waits for ``over`` wherever it was asked.

    Args:
        request: What is wanted.
        ask_passkey: Asks a person for the number the device shows.
        tell: Called with each change, first with how it begins.
        now: The clock; aware UTC.
    """

    def __init__(
        self,
        request: PairingRequest,
        *,
        ask_passkey: AskPasskey | None,
        tell: Callable[[PairingStatus], None],
        now: Callable[[], datetime],
    ) -> None:
        self._ask = ask_passkey
        self._known_passkey = request.passkey
        self._tell = tell
        self._now = now
        self._course = Course(request, now())
        self._began_s = time.monotonic()
        self._told: PairingStatus | None = None
        self._over = asyncio.Event()
        self._bonding: asyncio.Task[None] | None = None
        self._was_asked = self._was_answered = False
        self._changed()

    @property
    def status(self) -> PairingStatus:
        """Where it stands."""
        return self._course.status

    @property
    def is_over(self) -> bool:
        """Whether it is done or has failed."""
        return self._course.is_over

    def wants(self, device_id: str, model: str) -> bool:
        """Return whether this device is to be bonded now: it is searched for, and fits.

        Args:
            device_id: Of the device that advertises.
            model: Name of its row of the models' table.
        """
        return self._course.wants(device_id, model)

    async def bond(
        self,
        radio: Radio,
        device: BLEDevice,
        device_id: str,
        *,
        timeout_s: float,
        needs_bond: bool = True,
    ) -> None:
        """Make the bond: connect, pair, disconnect.

        Afterwards it stands at MEASURE or FAILED, or at SEARCHING again if it came to nothing
        by chance, or an old bond was in the way and is thrown away. Raises nothing of the
        radio's.

        Args:
            radio: The radio that heard the device.
            device: As the scanner gave it.
            device_id: Its id.
            timeout_s: For connecting.
            needs_bond: Whether its model delivers to bonded centrals alone; if not, nothing is
                done here, and the test measurement is waited for.
        """
        if not needs_bond:
            self._course.bonded(device_id, self._now(), needs_bond=False)
            self._changed()
            return
        self._course.connecting(device_id)
        self._changed()
        # A task of its own, so that giving up ends it and not the central's loop.
        async with asyncio.TaskGroup() as tasks:
            self._bonding = tasks.create_task(
                self._bond(radio, device, device_id, timeout_s), name="bond"
            )
        self._bonding = None
        self._changed()
        _log.info("pairing.tried", device_id=device_id, step=self.status.step.value)

    def served(self, device_id: str, *, new_readings: int, is_bonded: bool) -> None:
        """Take note of a session that is over: DONE if it proves the bond."""
        if new_readings:
            self._course.delivered(device_id, is_bonded=is_bonded)
            self._changed()

    def refused(self, device_id: str, refusal: Refusal) -> None:
        """Take note that the device refused at a later connection."""
        if refusal in (Refusal.BOND_LOST, Refusal.NOT_PAIRED):
            self._course.lost(device_id)
            self._changed()

    def look(self) -> None:
        """Fail if the time is up."""
        self._course.look(self._now(), open_s=time.monotonic() - self._began_s)
        self._changed()

    def cancel(self) -> None:
        """Give up, at once, also in the middle of ``bond``. Harmless when over."""
        self._course.fail(Failure.CANCELLED)
        if self._bonding is not None:
            self._bonding.cancel()
        self._changed()

    async def over(self) -> PairingStatus:
        """Wait until it is over; return how."""
        await self._over.wait()
        return self.status

    async def _bond(
        self, radio: Radio, device: BLEDevice, device_id: str, timeout_s: float
    ) -> None:
        ends: list[BleakClient] = []
        ask = None if self._ask is None and self._known_passkey is None else self._asked
        error: Exception | None = None
        try:
            async with asyncio.timeout(_BOND_S_MAX), radio.pairing(device_id, ask):
                client = radio.client(device, ends.append, timeout_s=timeout_s, pair=True)
                try:
                    await client.connect()
                except RADIO_ERRORS as caught:
                    error = caught
                finally:
                    await disconnect(client)
                device_id = client.address
            await self._judge(radio, device_id, error, hung_up=bool(ends))
        except RADIO_ERRORS as caught:
            self._tell_error(device_id, caught)
            self._course.not_bonded(hung_up=bool(ends))

    async def _judge(
        self, radio: Radio, device_id: str, error: Exception | None, *, hung_up: bool
    ) -> None:
        refusal = None if error is None else radio.refusal(error)
        if error is not None:
            self._tell_error(device_id, error)
        if refusal is Refusal.BOND_LOST:
            # An old bond that the device has forgotten. It is searched for again, and then
            # there is none in the way.
            await radio.forget(device_id)
            self._course.not_bonded(hung_up=False)
        elif refusal in (Refusal.PAIRING_FAILED, Refusal.NOT_PAIRED):
            self._course.fail(self._failure())
        elif await radio.is_bonded(device_id):
            # Some devices hang up as soon as they are bonded: the bond counts.
            self._course.bonded(device_id, self._now())
        else:
            self._course.not_bonded(hung_up=hung_up)

    def _failure(self) -> Failure:
        if not self._was_asked:
            return Failure.REFUSED
        return Failure.WRONG_PASSKEY if self._was_answered else Failure.NO_PASSKEY

    async def _asked(self) -> int:
        """Return the number the device shows; told before it is known to anybody."""
        self._was_asked, self._was_answered = True, False
        self._course.asking()
        self._changed()
        if (passkey := self._known_passkey) is None:
            if self._ask is None:
                raise PasskeyNotGiven
            passkey = await self._ask()
        self._was_answered = True
        self._course.answered()
        self._changed()
        return passkey

    def _tell_error(self, device_id: str, error: Exception) -> None:
        _log.info("pairing.error", device_id=device_id, error=repr(error))

    def _changed(self) -> None:
        if self.status != self._told:
            self._told = self.status
            self._tell(self.status)
        if self.is_over:
            self._over.set()
