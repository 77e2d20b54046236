"""Who is visited, when what holds has changed since the device was heard."""

import asyncio
import time
from datetime import UTC, datetime

from bleak.backends.device import BLEDevice

from devices.drivers import driver_named
from gateway.advertised import AdvertisedSessions
from gateway.config import SessionConfig
from gateway.database import Database
from gateway.health import Health
from gateway.hearing import Hearing
from gateway.inbox import Inbox
from gateway.lending import local
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.serving import Serving
from gateway.sighting import Sightings
from gateway.visit import Visitor
from tests.gateway.fakes import FakeRadio
from tests.gateway.home import ZONE, until
from tests.gateway.material import DEVICE

CUFF = driver_named("blood_pressure", ZONE)
RETURNED = "C0:00:00:00:00:01"


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_device_taken_off_the_list_since_it_was_heard_is_not_visited(
    store: Database, inbox: Inbox, outbox: Outbox
) -> None:
    radio, health, sightings, memory = FakeRadio(), Health(), Sightings(), Memory(store, now)
    lent = local((DEVICE,))
    advertised = AdvertisedSessions(inbox, outbox, now)

    serving = Serving(
        slot=asyncio.Lock(),
        lending=lambda: lent,
        hearing=Hearing(
            ZONE,
            lambda: lent,
            sightings=sightings,
            advertised=advertised,
            memory=memory,
        ),
        sightings=sightings,
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
    for device_id in (RETURNED, DEVICE):
        device = BLEDevice(device_id, None, None)
        sightings.heard(device_id, device, CUFF, time.monotonic())
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(serving.run(radio))
        await until(lambda: "disconnect" in radio.calls)
        running.cancel()
    assert radio.visited == [DEVICE]
