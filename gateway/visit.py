"""Visiting one device: what it takes to be let in, what the session brought, and whom to tell.

A device that knows us no more is tried once in each of its advertising windows, and a person is
told. Our keys are kept until it is paired anew: one refusal may be an impostor's with its address.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.wire import Bond, ConditionCode
from gateway.call import call
from gateway.config import SessionConfig
from gateway.connection import REQUEST_S_MAX, Chance
from gateway.database import StoreFull
from gateway.event import GatewayEvent, OnEvent
from gateway.haul import Haul
from gateway.health import Health
from gateway.inbox import Inbox
from gateway.lending import Lending, local
from gateway.log import get_logger
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.radio import Radio, Refusal
from gateway.session import Session
from gateway.sighting import Sighting, Visit

_log = get_logger()

# What is remembered of a device's services goes stale with a firmware update. Thrown away once,
# it is true again; a device that lacks what it should have would otherwise be forgotten for ever.
FORGET_AGAIN_S: Final = 3600.0
# As many devices as may be heard at a time.
_FORGOTTEN_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Visited:
    """How a visit went.

    Attributes:
        visit: In a word.
        result: What the session brought.
        is_bonded: Whether we have a bond with the device.
    """

    visit: Visit
    result: Haul
    is_bonded: bool


class Visitor:
    """Visits devices, one at a time.

    Args:
        config: Timeouts.
        idle_s: What came down in place of the configuration's; none if nothing did.
        inbox: Where raw values go.
        outbox: Where readings go.
        memory: What is known of devices.
        health: Where problems are told.
        now: The clock.
        may_set_clock: Whether the gateway knows what time it is.
        on_event: Called with what somebody in the room may want to know.
    """

    def __init__(
        self,
        config: SessionConfig,
        *,
        idle_s: Callable[[], float | None],
        inbox: Inbox,
        outbox: Outbox,
        memory: Memory,
        health: Health,
        now: Callable[[], datetime],
        may_set_clock: Callable[[], bool],
        on_event: OnEvent,
    ) -> None:
        self._config = config
        self._idle_s = idle_s
        self._inbox = inbox
        self._outbox = outbox
        self._memory = memory
        self._health = health
        self._now = now
        self._may_set_clock = may_set_clock
        self._on_event = on_event
        self._forgotten_s: OrderedDict[str, float] = OrderedDict()
        self._lending = local(())

    async def visit(
        self,
        radio: Radio,
        device_id: str,
        sighting: Sighting,
        share_s: Callable[[], float | None],
    ) -> Visited:
        """Visit a device that was just heard.

        Args:
            radio: The radio that heard it.
            device_id: Its address.
            sighting: As it is heard; goes on changing.
            share_s: How long it may last for the sake of others; none if nobody waits.

        Raises:
            BleakError: The adapter hangs.
        """
        began_s, heard_s = time.monotonic(), sighting.heard_s
        async with asyncio.timeout(REQUEST_S_MAX):
            is_bonded = await radio.is_bonded(device_id)
        session = self._session(device_id, sighting)
        visit = Visit.UNREACHED
        if sighting.kind.model.pairs_before_discovery and not is_bonded:
            # Such a device switches itself off when it is touched unencrypted.
            session.refused(Refusal.NOT_PAIRED)
        else:
            chance = Chance(lambda: sighting.heard_s, share_s)
            visit = await self._serve(radio, sighting, session, chance)
        visited = await self._judge(radio, device_id, visit, session.result, is_bonded=is_bonded)
        _log.info(
            "session.over",
            device_id=device_id,
            model=sighting.kind.model.name,
            visit=visited.visit.value,
            refusal=session.result.refusal and session.result.refusal.value,
            values=session.result.values,
            new_readings=session.result.new_readings,
            waited_ms=_ms(sighting.woke_s, began_s),
            outbox_ms=_ms(heard_s, session.result.first_s),
            took_ms=_ms(began_s, time.monotonic()),
        )
        return visited

    def follow(self, lending: Lending) -> None:
        """Take back what was told of devices that are not served any more; recall the lost.

        A device that is lent as another model is tried as that.
        """
        before, self._lending = self._lending, lending
        for condition in self._health.conditions:
            device_id = condition.device_id
            if device_id is not None and not lending.serves(device_id):
                self._health.solved(ConditionCode.NOT_PAIRED, device_id)
                self._health.solved(ConditionCode.BOND_LOST, device_id)
                self._health.solved(ConditionCode.MODEL_WRONG, device_id)
            elif device_id is not None and lending.model(device_id) != before.model(device_id):
                self._health.solved(ConditionCode.MODEL_WRONG, device_id)
        if not lending.serves_others:
            self._health.solved(ConditionCode.STRANGERS)
        for device_id in self._memory.with_bond(Bond.LOST):
            if lending.serves(device_id):
                self._tell_lost(device_id)

    async def prepare_pairing(self, radio: Radio, device_id: str) -> None:
        """Throw away a bond that is lost, and what came with it, before a new one is made."""
        if self._memory.of(device_id).bond is Bond.LOST:
            await self._forget(radio, device_id)
            self._memory.bonded(device_id, Bond.NONE)

    async def paired(self, radio: Radio, device_id: str) -> None:
        """Take note that a pairing was made; nothing that was remembered holds any more."""
        async with asyncio.timeout(REQUEST_S_MAX):
            is_bonded = await radio.is_bonded(device_id)
        self._memory.paired(device_id, Bond.PAIRED if is_bonded else Bond.NONE)
        self._forgotten_s.pop(device_id, None)
        self._health.solved(ConditionCode.NOT_PAIRED, device_id)
        self._health.solved(ConditionCode.BOND_LOST, device_id)
        self._health.solved(ConditionCode.MODEL_WRONG, device_id)

    def _session(self, device_id: str, sighting: Sighting) -> Session:
        return Session(
            device_id,
            sighting.kind,
            inbox=self._inbox,
            outbox=self._outbox,
            now=self._now,
            memory=self._memory.of(device_id).notes.memory,
            may_set_clock=self._may_set_clock,
            on_notes=lambda notes: self._memory.noted(device_id, notes),
            on_event=self._on_event,
        )

    async def _serve(
        self, radio: Radio, sighting: Sighting, session: Session, chance: Chance
    ) -> Visit:
        try:
            connected = await call(
                radio,
                sighting.device,
                session,
                chance=chance,
                timeout_s=self._config.connect_timeout_s,
                idle_s=self._idle_s() or self._config.idle_s,
                pair=sighting.kind.model.pairs_before_discovery,
            )
        except StoreFull as error:
            self._health.problem(ConditionCode.STORAGE_FULL, f"a measurement was not kept: {error}")
            return Visit.NO_ROOM
        if not connected:
            return Visit.UNREACHED
        if not session.result.new_readings:
            return Visit.FRUITLESS
        self._health.solved(ConditionCode.STORAGE_FULL)
        return Visit.FRUITFUL if session.result.new_dated else Visit.UNDATED

    async def _judge(
        self, radio: Radio, device_id: str, visit: Visit, result: Haul, *, is_bonded: bool
    ) -> Visited:
        """Take the consequences of how it went."""
        match result.refusal:
            case Refusal.BOND_LOST:
                self._pair_again(device_id)
                visit = Visit.REFUSED
            case Refusal.NOT_PAIRED | Refusal.PAIRING_FAILED:
                self._tell_not_paired(device_id)
                visit = Visit.REFUSED
            case Refusal.STALE_SERVICES:
                visit = await self._forget_services(radio, device_id, is_bonded=is_bonded)
            case None if result.may_listen:
                self._let_in(device_id, result, is_bonded=is_bonded)
            case None if result.may_listen is False:
                self._tell_not_paired(device_id)
        if result.new_readings:
            self._memory.served(device_id)
        return Visited(visit, result, is_bonded)

    def _pair_again(self, device_id: str) -> None:
        self._memory.bonded(device_id, Bond.LOST)
        self._tell_lost(device_id)
        self._on_event(GatewayEvent.PAIR_AGAIN)

    def _tell_lost(self, device_id: str) -> None:
        self._health.solved(ConditionCode.NOT_PAIRED, device_id)
        words = f"{device_id} does not know this gateway any more: pair them again"
        self._health.problem(ConditionCode.BOND_LOST, words, device_id)

    def _tell_not_paired(self, device_id: str) -> None:
        if self._memory.of(device_id).bond is not Bond.NONE:  # our half of it was lost
            self._pair_again(device_id)
            return
        words = f"{device_id} gives nothing to a gateway it is not paired with: pair them"
        self._health.problem(ConditionCode.NOT_PAIRED, words, device_id)

    def _tell_model_wrong(self, device_id: str) -> None:
        """Tell of a device that is ours; what the neighbours have is nobody's to mend."""
        if device_id in self._lending.models or self._memory.of(device_id).is_ours:
            words = f"{device_id} does not offer what its model has: lend it as the right one"
            self._health.problem(ConditionCode.MODEL_WRONG, words, device_id)

    def _let_in(self, device_id: str, result: Haul, *, is_bonded: bool) -> None:
        self._health.solved(ConditionCode.NOT_PAIRED, device_id)
        self._health.solved(ConditionCode.BOND_LOST, device_id)
        self._health.solved(ConditionCode.MODEL_WRONG, device_id)
        self._forgotten_s.pop(device_id, None)
        if not is_bonded:
            self._memory.bonded(device_id, Bond.NONE)
        elif result.readings:
            self._memory.bonded(device_id, Bond.PROVEN)

    async def _forget_services(self, radio: Radio, device_id: str, *, is_bonded: bool) -> Visit:
        """What we remember of its services is not true: throw it away once, and try again.

        A bond would go with it, and the fault may be a wrong model on the list: that is left to
        a person, who pairs the device anew.
        """
        if is_bonded:
            self._pair_again(device_id)
            return Visit.REFUSED
        now_s = time.monotonic()
        if now_s - self._forgotten_s.get(device_id, float("-inf")) < FORGET_AGAIN_S:
            self._tell_model_wrong(device_id)
            return Visit.REFUSED
        self._forgotten_s[device_id] = now_s
        while len(self._forgotten_s) > _FORGOTTEN_MAX:
            self._forgotten_s.popitem(last=False)
        _log.warning("session.services_forgotten", device_id=device_id)
        await self._forget(radio, device_id)
        return Visit.AGAIN

    async def _forget(self, radio: Radio, device_id: str) -> None:
        async with asyncio.timeout(REQUEST_S_MAX):
            await radio.forget(device_id)


def _ms(since_s: float, until_s: float | None) -> int | None:
    return None if until_s is None else round((until_s - since_s) * 1000)
