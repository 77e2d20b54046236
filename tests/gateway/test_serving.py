"""Who is visited, when what holds has changed since the device was heard."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from bleak.backends.device import BLEDevice

from devices.drivers import driver_named
from devices.gatt import uuids
from devices.wire import PairingRequest, PairingStep
from gateway.advertised import AdvertisedSessions
from gateway.config import SessionConfig
from gateway.database import Database
from gateway.health import Health
from gateway.hearing import Hearing
from gateway.inbox import Inbox
from gateway.lending import local
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.pairing import Failure, Pairing
from gateway.radio import Refusal
from gateway.serving import Serving
from gateway.sighting import FRUITLESS_WAIT_S, Sightings
from gateway.visit import Visitor
from tests.gateway.fakes import FakeRadio, refused
from tests.gateway.home import ZONE, until
from tests.gateway.material import DEVICE

CUFF = driver_named("blood_pressure", ZONE)
RETURNED = "C0:00:00:00:00:01"


def now() -> datetime:
    return datetime.now(UTC)


class Round:
    """A serving loop with a fake radio, and what it is built of."""

    def __init__(self, store: Database, inbox: Inbox, outbox: Outbox) -> None:
        self.radio = FakeRadio()
        self.sightings = Sightings()
        lent, memory, health = local((DEVICE,)), Memory(store, now), Health()
        advertised = AdvertisedSessions(inbox, outbox, now)
        self.hearing = Hearing(
            ZONE,
            lambda: lent,
            sightings=self.sightings,
            advertised=advertised,
            memory=memory,
        )
        self.serving = Serving(
            slot=asyncio.Lock(),
            lending=lambda: lent,
            hearing=self.hearing,
            sightings=self.sightings,
            advertised=advertised,
            visitor=Visitor(
                SessionConfig(idle_s=0.5, connect_timeout_s=1),
                idle_s=lambda: None,
                inbox=inbox,
                outbox=outbox,
                memory=memory,
                health=health,
                now=now,
                may_set_clock=lambda: True,
                on_event=lambda *_: None,
            ),
            health=health,
            connect_timeout_s=1.0,
        )

    def hear(self, device_id: str) -> None:
        device = BLEDevice(device_id, None, None)
        if self.sightings.heard(device_id, device, CUFF, time.monotonic()):
            self.serving.stirred.set()

    async def measuring(self) -> Pairing:
        """Bring a pairing of the device as far as its test measurement."""
        request = PairingRequest(
            request_id="r-1", expires_at=now() + timedelta(minutes=5), device_id=DEVICE
        )
        pairing = Pairing(request, ask_passkey=None, tell=lambda _: None, now=now)
        device = BLEDevice(DEVICE, None, None)
        await pairing.bond(self.radio, device, DEVICE, timeout_s=1.0, needs_bond=False)
        assert pairing.status.step is PairingStep.MEASURE
        self.hearing.pairing = pairing
        return pairing

    async def run_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.serving.run(self.radio))
            await until(condition)
            running.cancel()


@pytest.fixture
def turn(store: Database, inbox: Inbox, outbox: Outbox) -> Round:
    return Round(store, inbox, outbox)


async def test_a_device_taken_off_the_list_since_it_was_heard_is_not_visited(
    turn: Round,
) -> None:
    turn.hear(RETURNED)
    turn.hear(DEVICE)
    await turn.run_until(lambda: "disconnect" in turn.radio.calls)
    assert turn.radio.visited == [DEVICE]


async def test_a_pairing_ends_when_the_device_does_not_know_us_at_its_test(turn: Round) -> None:
    pairing = await turn.measuring()
    turn.radio.denials = {uuids.BLOOD_PRESSURE_MEASUREMENT: refused(Refusal.BOND_LOST)}
    turn.hear(DEVICE)
    await turn.run_until(lambda: pairing.is_over)
    ended = pairing.status
    assert (ended.step, ended.problem) == (PairingStep.FAILED, Failure.LOST_AGAIN)
    assert turn.radio.visited == [DEVICE]  # refused: not again in this window


async def test_a_device_that_is_being_paired_is_visited_again_at_once_after_a_visit_in_vain(
    turn: Round,
) -> None:
    """Somebody stands there and measures."""
    pairing = await turn.measuring()

    def is_visited_twice() -> bool:
        turn.hear(DEVICE)  # it goes on advertising
        return turn.radio.calls.count("disconnect") >= 2

    async with asyncio.timeout(FRUITLESS_WAIT_S / 2):
        await turn.run_until(is_visited_twice)
    assert pairing.status.step is PairingStep.MEASURE
