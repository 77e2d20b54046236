"""Serving: who is visited next, or paired; one at a time, for as long as the radio is open."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from devices.models import Pairing as ModelPairing
from devices.wire import ConditionCode, PairingStep
from gateway.advertised import AdvertisedSessions
from gateway.connection import RADIO_ERRORS
from gateway.database import StoreFull
from gateway.health import Health, RadioState
from gateway.hearing import Hearing
from gateway.lending import Lending
from gateway.pairing import Pairing
from gateway.radio import Radio
from gateway.sighting import Sighting, Sightings, Visit
from gateway.visit import Visitor

# How often silence is looked for among devices that only advertise.
_LOOK_S: Final = 5.0

# The longest lawful round: a pairing waits two minutes for a person who reads a number, a
# session of a full memory lasts two, and each of the adapter's commands has its own bound of
# seconds. Twice that is a loop that hangs.
BEAT_S: Final = 600.0


class Serving:
    """The loop that serves devices.

    Args:
        slot: Held while the adapter is used.
        lending: Which devices are served.
        hearing: Knows which pairing is going on.
        sightings: Who waits.
        advertised: Sessions of devices that are never visited.
        visitor: Visits.
        health: Where the radio's state is told.
        connect_timeout_s: For one try to connect for a pairing.

    Attributes:
        stirred: Set when a device has come to wait.
    """

    def __init__(
        self,
        *,
        slot: asyncio.Lock,
        lending: Callable[[], Lending],
        hearing: Hearing,
        sightings: Sightings,
        advertised: AdvertisedSessions,
        visitor: Visitor,
        health: Health,
        connect_timeout_s: float,
    ) -> None:
        self._slot = slot
        self._lending = lending
        self._hearing = hearing
        self._sightings = sightings
        self._advertised = advertised
        self._visitor = visitor
        self._health = health
        self._connect_timeout_s = connect_timeout_s
        self._lent: Lending | None = None  # as it was last looked at
        self.stirred = asyncio.Event()

    async def run(self, radio: Radio) -> None:
        """Serve for ever; raises ``RADIO_ERRORS`` when the radio works no more."""
        while True:
            self.stirred.clear()
            self._health.pulse.beat("central", BEAT_S)
            self._follow(self._lending())
            now_s = time.monotonic()
            self.finish_silent(now_s)
            if (found := self._sightings.next(now_s)) is not None:
                await self._serve(radio, *found)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self.stirred.wait()

    def finish_silent(self, now_s: float) -> None:
        """Finish the sessions of devices that only advertise and do so no more."""
        try:
            self._advertised.finish_silent(now_s)
        except StoreFull as error:
            words = f"a measurement waits in the inbox: {error}"
            self._health.problem(ConditionCode.STORAGE_FULL, words)

    def _follow(self, lending: Lending) -> None:
        if lending != self._lent:
            self._lent = lending
            self._visitor.follow(lending)

    async def _serve(self, radio: Radio, device_id: str, sighting: Sighting) -> None:
        visit = Visit.BROKEN  # if our own program fails in it: others first
        async with self._slot:
            self._health.radio = RadioState.CONNECTED
            try:
                visit = await self._receive(radio, device_id, sighting)
            except (*RADIO_ERRORS, asyncio.CancelledError):
                visit = Visit.UNREACHED
                raise
            finally:
                self._health.radio = RadioState.SCANNING
                self._sightings.visited(device_id, visit, time.monotonic())

    async def _receive(self, radio: Radio, device_id: str, sighting: Sighting) -> Visit:
        pairing = self._hearing.pairing
        if pairing is not None and pairing.wants(device_id, sighting.kind.model.name):
            return await self._bond(radio, device_id, sighting, pairing)
        if not self._hearing.serves(device_id, self._lending()):
            return Visit.AGAIN  # off the list since it was heard: whenever it is on it again
        visited = await self._visitor.visit(
            radio, device_id, sighting, lambda: self._sightings.share_s(time.monotonic())
        )
        if pairing is None or pairing.status.device_id != device_id:
            return visited.visit
        if refusal := visited.result.refusal:
            pairing.refused(device_id, refusal)
            return visited.visit
        new_readings = visited.result.new_readings
        pairing.served(device_id, new_readings=new_readings, is_bonded=visited.is_bonded)
        # Somebody stands there and measures: no waiting after a visit in vain.
        return Visit.AGAIN if visited.visit is Visit.FRUITLESS else visited.visit

    async def _bond(
        self, radio: Radio, device_id: str, sighting: Sighting, pairing: Pairing
    ) -> Visit:
        """Make the bond that was asked for; the next visit proves it."""
        await self._visitor.prepare_pairing(radio, device_id)
        await pairing.bond(
            radio,
            sighting.device,
            device_id,
            timeout_s=self._connect_timeout_s,
            needs_bond=sighting.kind.model.pairing is not ModelPairing.NONE,
        )
        if pairing.status.step is not PairingStep.MEASURE:
            return Visit.UNREACHED
        bonded_id = pairing.status.device_id or device_id  # an identity address by now, perhaps
        await self._visitor.paired(radio, bonded_id)
        self._sightings.forgive(bonded_id)
        return Visit.AGAIN
