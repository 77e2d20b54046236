"""Years of a home in a minute: a gateway from visit to receipt, without radio and network.

Everything between bleak's client and the broker's connection is the real thing: visits,
sessions, drivers, inbox, outbox, dispatch, receipts, heartbeat, replay.
"""

import contextlib
import math
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, cast

from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from devices.drivers import Advertisement, DriverKind, driver_for
from devices.gatt import uuids
from devices.gatt.blood_pressure import BloodPressure
from devices.gatt.mi_scale import MiScaleV1
from devices.gatt.weight import WeightMeasurement
from devices.wire import (
    ConditionCode,
    GatewayState,
    Receipt,
    decode_message,
    decode_receipt,
    decode_status,
    encode_receipt,
    join_message,
)
from gateway.advertised import AdvertisedSessions
from gateway.config import SessionConfig
from gateway.database import Database
from gateway.dispatch import Dispatch
from gateway.health import Health
from gateway.heartbeat import Heartbeat
from gateway.inbox import Inbox
from gateway.lending import local
from gateway.memory import Memory
from gateway.outbox import Outbox
from gateway.radio import Radio
from gateway.replay import replay_and_tell
from gateway.sighting import Sighting, Sightings
from gateway.visit import Visitor
from tests.gateway.home import ZONE

# How often things go wrong, by session.
NOT_REACHED: Final = 0.0002  # its retry is a real wait
TOLD_AGAIN: Final = 0.05
FAILED: Final = 0.02
GARBAGE: Final = 0.02
RECEIPT_LOST: Final = 0.05
BROKER_LOST: Final = 0.002
PROBLEM: Final = 0.01

# The broker is there a quarter of the time.
UPLOAD: Final = 0.25

# Between two sessions: five measurements a day in a home.
STEP: Final = timedelta(hours=5)
CUFF, WEIGHT, MI = (f"C4:64:E3:00:00:0{number}" for number in (1, 2, 3))


class Client:
    """A device that is connected, sends its records and goes; where bleak's client stands."""

    def __init__(self, years: "Years", source: str, records: list[bytes]) -> None:
        self._years = years
        self._source = source
        self._records = records
        self._on_disconnect: Callable[[Any], None] = lambda _: None
        self.is_connected = False
        self.services: list[Any] = []

    def told(self, on_disconnect: Callable[[Any], None]) -> Self:
        self._on_disconnect = on_disconnect
        return self

    async def connect(self) -> None:
        if self._years.happens(NOT_REACHED):
            problem = "le-connection-abort-by-local"
            raise BleakError(problem)
        self.is_connected = True

    async def start_notify(self, source: str, take: Callable[[object, bytearray], None]) -> None:
        if source != self._source:
            raise BleakError(source)
        for record in self._records:
            take(self, bytearray(record))

    async def read_gatt_char(self, source: str) -> bytes:
        if source != uuids.BATTERY_LEVEL:
            raise BleakError(source)
        await self.disconnect()
        return b"\x50"

    async def write_gatt_char(self, source: str, _payload: bytes, **_: bool) -> None:
        raise BleakError(source)

    async def disconnect(self) -> None:
        if self.is_connected:
            self.is_connected = False
            self._on_disconnect(self)


class NoRadio:
    """Gives out the client that stands ready."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def client(self, _device: object, on_disconnect: Callable[[Any], None], **_: object) -> Client:
        return self._client.told(on_disconnect)

    async def is_bonded(self, _device_id: str) -> bool:
        return True

    async def forget(self, _device_id: str) -> None:
        return

    def refusal(self, _error: Exception) -> None:
        return


class Years:
    """A gateway and its home.

    Attributes:
        produced: How many different records the devices made.
        stored: How many readings the service has.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        self._random = random.Random(seed)
        self._at = datetime(2026, 1, 1, tzinfo=UTC)
        self._open = contextlib.ExitStack()
        self.database = self._open.enter_context(Database(directory))
        self.inbox = Inbox(self.database)
        self.outbox = Outbox(self.database, self.inbox, now=self._now)
        self.health = Health(now=self._now)
        self.memory = Memory(self.database, self._now)
        self.visitor = Visitor(
            SessionConfig(idle_s=0.5),
            idle_s=lambda: None,
            inbox=self.inbox,
            outbox=self.outbox,
            memory=self.memory,
            health=self.health,
            now=self._now,
            may_set_clock=lambda: True,
            on_event=lambda _event, _ids=(): None,
        )
        self._sightings = Sightings()
        self._advertised = AdvertisedSessions(self.inbox, self.outbox, self._now)
        self._heartbeat = Heartbeat(
            "g-soak",
            60.0,
            inbox=self.inbox,
            outbox=self.outbox,
            health=self.health,
            now=self._now,
            devices=lambda: self.memory.statuses(local(())),
        )
        self._dispatch = Dispatch(newest_row_id=0, resend_after_s=30.0, random=self._random)
        self._last: dict[str, bytes] = {}
        self._kinds = {
            CUFF: _kind(CUFF, "BP", [uuids.BLOOD_PRESSURE_SERVICE]),
            WEIGHT: _kind(WEIGHT, "WS", [uuids.WEIGHT_SCALE_SERVICE]),
            MI: _kind(MI, "MI_SCALE", [], {uuids.WEIGHT_SCALE_SERVICE: bytes(10)}),
        }
        self._visits: dict[str, Callable[[], Awaitable[None]]] = {
            CUFF: lambda: self._visit(CUFF, uuids.BLOOD_PRESSURE_MEASUREMENT, self._pressure()),
            WEIGHT: lambda: self._visit(WEIGHT, uuids.WEIGHT_MEASUREMENT, self._weight()),
            MI: self._hear_weight,
        }
        self.produced = 0
        self.stored = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability

    async def session(self) -> None:
        """Let one device bring something, and the service take it."""
        self._at += STEP
        self._neighbours()
        await self._visits[self._random.choice((CUFF, WEIGHT, MI))]()
        if self.happens(PROBLEM):
            self._troubles()
        if self.happens(UPLOAD):
            self._upload()

    def settle(self) -> None:
        """Let everything arrive that is on its way."""
        replay_and_tell(self.database, self.inbox, self.outbox, self.health, ZONE)
        while self.outbox.depth:
            self._at += STEP
            self._dispatch.expire(self._now_s)
            self._upload(is_lossy=False)

    @property
    def _now_s(self) -> float:
        return self._at.timestamp()

    def _now(self) -> datetime:
        return self._at

    async def _visit(self, device_id: str, source: str, record: bytes) -> None:
        records = [record]
        if self.happens(TOLD_AGAIN) and device_id in self._last:
            records.insert(0, self._last[device_id])
        if self.happens(GARBAGE):
            records.append(self._random.randbytes(self._random.randrange(20)))
        self._last[device_id] = record
        heard_s = time.monotonic()
        device = BLEDevice(device_id, None, None)
        kind = self._kinds[device_id]
        radio = cast(Radio, NoRadio(Client(self, source, records)))
        self.memory.heard(device_id, kind.model.name)
        sighting = Sighting(device, kind, heard_s, heard_s)
        await self.visitor.visit(radio, device_id, sighting, lambda: False)

    async def _hear_weight(self) -> None:
        scale = MiScaleV1(
            weight=self._kg(), stabilised=True, removed=False, time_stamp=self._local()
        )
        self.produced += 1
        for _ in range(3):
            self._advertised.take(MI, self._kinds[MI], scale.encode(), self._now_s)
        self._advertised.finish_silent(self._now_s + 60)

    def _pressure(self) -> bytes:
        self.produced += 1
        systolic = math.nan if self.happens(FAILED) else float(self._random.randrange(90, 180))
        return BloodPressure(
            systolic=systolic,
            diastolic=systolic - 40,
            mean=systolic - 30,
            time_stamp=self._local(),
            pulse=70.0,
            user_id=1,
        ).encode()

    def _weight(self) -> bytes:
        self.produced += 1
        return WeightMeasurement(weight=self._kg(), time_stamp=self._local()).encode()

    def _kg(self) -> float:
        return self._random.randrange(12_000, 20_000) * 0.005

    def _local(self) -> datetime:
        return self._at.astimezone(ZONE).replace(tzinfo=None, microsecond=0)

    def _neighbours(self) -> None:
        """Phones change their address every quarter of an hour, for ever."""
        for _ in range(3):
            device_id = ":".join(f"{byte:02X}" for byte in self._random.randbytes(6))
            device = BLEDevice(device_id, None, None)
            self._sightings.heard(device_id, device, self._kinds[CUFF], self._now_s)

    def _troubles(self) -> None:
        """Something is wrong for a while, each time with another device; a person is told."""
        neighbour = self._random.randbytes(6).hex(":").upper()
        self.health.problem(ConditionCode.NOT_PAIRED, f"{neighbour} is not paired", neighbour)
        self.health.problem(ConditionCode.BROKER_AWAY, f"nobody listens at {self._at}")
        self.health.radio_step("scanner_restarted")
        decode_status(self._heartbeat.say(GatewayState.ONLINE, self._now_s))
        self.health.solved(ConditionCode.BROKER_AWAY)
        replay_and_tell(self.database, self.inbox, self.outbox, self.health, ZONE)

    def _upload(self, *, is_lossy: bool = True) -> None:
        self._dispatch.expire(self._now_s)
        if is_lossy and self.happens(BROKER_LOST):
            self._dispatch.connection_lost(self._now_s)
        while (send := self._dispatch.next_send(self.outbox, self._now_s)) is not None:
            encoded = join_message("g-soak", self._at, [row.encoded for row in send.rows])
            message, errors = decode_message(encoded)
            assert not errors
            if is_lossy and self.happens(RECEIPT_LOST):
                continue
            stored = tuple(reading.reading_id for reading in message.readings)
            payload = encode_receipt(Receipt(v=message.v, stored=stored))
            settlement = self._dispatch.receipt(send.correlation, decode_receipt(payload))
            settled = self.outbox.settle(stored=settlement.stored, refused=settlement.refused)
            self._dispatch.settled(settlement.stored)
            self.stored += settled.stored


def _kind(
    device_id: str, name: str, services: list[str], frames: dict[str, bytes] | None = None
) -> DriverKind:
    kind = driver_for(Advertisement(device_id, name, services, frames or {}), ZONE)
    assert kind is not None
    return kind
