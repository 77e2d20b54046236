"""History through the real chain: a month of readings over MQTT, kept when the receipts say so.

Nothing is written into the database by hand: the readings go the way every reading goes, from
a gateway id of their own, up to 200 in a message, and are sent again until each message has
its receipt. Sending them twice is harmless, since a reading's id follows from what it is.
"""

import math
import queue
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from devices import wire
from devices.gatt import uuids
from devices.gatt.blood_pressure import BloodPressure
from devices.gatt.infinitime import StepCount
from devices.gatt.weight import WeightMeasurement
from devices.quantity import Quantity
from devices.reading import ClockVerdict, Outcome, Reading, Value, identify
from devices.wire import TopicKind
from simulator.people import Kit, Person
from simulator.physiology import KITS, History

# A broker and ingest just started answer within 1 s; what is sent too early goes unheard.
RESEND_AFTER_S: Final = 1.5
_STOP_LOOK_S: Final = 0.1
# The device is fetched from a few seconds after the button is pressed.
_FETCHED_AFTER: Final = timedelta(seconds=9)
_BATTERY_PERCENT: Final = 84


class HistoryError(Exception):
    """The history did not get its receipts in time."""


@dataclass(slots=True)
class Receipted:
    """What the receipts said.

    Attributes:
        stored: Readings that are in the database, now or since before.
        refused: How many readings were refused, by reason.
    """

    stored: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def readings(history: History, people: Sequence[Person], zone: ZoneInfo) -> list[Reading]:
    """Return the readings a gateway would have made of *history*, in its order."""
    made = []
    for row in range(len(history)):
        person, kit = people[int(history.person[row])], KITS[int(history.kit[row])]
        measured_at = history.measured_at[row].astype(datetime).replace(tzinfo=UTC)
        local = measured_at.astimezone(zone).replace(tzinfo=None)
        source, payload, values = _act(history, row, kit, local)
        told = None if kit is Kit.STEPS else local  # a step counter tells no time
        received_at = measured_at if told is None else measured_at + _FETCHED_AFTER
        made.append(
            Reading(
                reading_id=identify(
                    device_id=person.address(kit),
                    device_time=told,
                    received_at=received_at,
                    slot=None,
                    payload=payload,
                ),
                device_id=person.address(kit),
                source=source,
                payload=payload.hex(),
                outcome=Outcome.MEASURED,
                measured_at=measured_at,
                received_at=received_at,
                clock=ClockVerdict.ABSENT if told is None else ClockVerdict.OK,
                device_time=told,
                clock_offset_s=None if told is None else 0.0,
                values=values,
                battery_percent=_BATTERY_PERCENT,
            )
        )
    return made


def send(
    made: Sequence[Reading],
    *,
    gateway_id: str,
    port: int,
    timeout_s: float,
    stopping: threading.Event,
) -> Receipted:
    """Send *made* to the broker at 127.0.0.1:*port* and wait for every receipt. Blocks.

    Raises:
        HistoryError: Receipts are missing after *timeout_s*, or when *stopping* is set.
    """
    with _Uplink(gateway_id, port, time.monotonic() + timeout_s, stopping) as uplink:
        return uplink.send(made)


class _Uplink:
    """One MQTT connection and the receipts that come over it."""

    def __init__(
        self, gateway_id: str, port: int, deadline_s: float, stopping: threading.Event
    ) -> None:
        self._stopping = stopping
        self._gateway_id = gateway_id
        self._port = port
        self._deadline_s = deadline_s
        self._inbox: queue.SimpleQueue[tuple[bytes, wire.Receipt] | None] = queue.SimpleQueue()
        self._receipts = wire.topic(gateway_id, TopicKind.RECEIPTS)
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{gateway_id}-{secrets.token_hex(4)}",
            protocol=mqtt.MQTTv5,
        )
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._received

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, made: Sequence[Reading]) -> Receipted:
        self._wait_until_subscribed()
        waiting = {
            secrets.token_bytes(16): made[first : first + wire.READINGS_MAX]
            for first in range(0, len(made), wire.READINGS_MAX)
        }
        result = Receipted()
        while waiting:
            for correlation, batch in waiting.items():
                self._publish(correlation, batch)
            for correlation, receipt in self._heard(RESEND_AFTER_S, len(waiting)):
                batch = waiting.pop(correlation, ())
                _count(result, batch, receipt)
            if waiting and time.monotonic() > self._deadline_s:
                problem = f"{len(waiting)} messages of history have no receipt"
                raise HistoryError(problem)
        return result

    def _publish(self, correlation: bytes, batch: Sequence[Reading]) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
        properties.ResponseTopic = self._receipts
        properties.CorrelationData = correlation
        self._client.publish(
            wire.topic(self._gateway_id, TopicKind.READINGS),
            wire.encode_message(self._gateway_id, datetime.now(UTC), batch),
            qos=1,
            properties=properties,
        )

    def _heard(self, within_s: float, wanted: int) -> Iterator[tuple[bytes, wire.Receipt]]:
        """Yield receipts until *wanted* have come, or none has for *within_s*."""
        for _ in range(wanted):
            try:
                heard = self._next(within_s)
            except queue.Empty:
                return
            if heard is not None:
                yield heard

    def _wait_until_subscribed(self) -> None:
        try:
            self._next(self._deadline_s - time.monotonic())
        except queue.Empty as error:
            problem = f"no broker answers at 127.0.0.1:{self._port}"
            raise HistoryError(problem) from error

    def _next(self, within_s: float) -> tuple[bytes, wire.Receipt] | None:
        """Return what came next; ``queue.Empty`` if nothing did."""
        until_s = time.monotonic() + within_s
        while True:
            if self._stopping.is_set():
                problem = "stopped before every receipt had come"
                raise HistoryError(problem)
            try:
                return self._inbox.get(timeout=_STOP_LOOK_S)
            except queue.Empty:
                if time.monotonic() > until_s:
                    raise

    def _connected(self, client: mqtt.Client, *_details: object) -> None:
        client.subscribe(self._receipts, qos=1)

    def _subscribed(self, *_details: object) -> None:
        self._inbox.put(None)

    def _received(self, _client: mqtt.Client, _userdata: object, message: Any) -> None:
        correlation = getattr(message.properties, "CorrelationData", b"")
        self._inbox.put((correlation, wire.decode_receipt(message.payload)))


def _count(result: Receipted, batch: Sequence[Reading], receipt: wire.Receipt) -> None:
    if not batch:  # its first receipt has been counted
        return
    result.stored += len(receipt.stored)
    result.refused.update(refusal.reason for refusal in receipt.refused)
    if receipt.message_refused is not None:
        result.refused[receipt.message_refused] += len(batch)


def _act(
    history: History, row: int, kit: Kit, local: datetime
) -> tuple[str, bytes, tuple[Value, ...]]:
    """Return characteristic, bytes and values of one act of measuring."""
    if kit is Kit.CUFF:
        systolic = float(history.systolic_mmhg[row])
        diastolic = float(history.diastolic_mmhg[row])
        pulse = float(history.pulse_per_min[row])
        mean = float(mean_arterial_mmhg(systolic, diastolic))
        pressure = BloodPressure(
            systolic=systolic, diastolic=diastolic, mean=mean, time_stamp=local, pulse=pulse
        )
        values = (
            _value(Quantity.SYSTOLIC, systolic),
            _value(Quantity.DIASTOLIC, diastolic),
            _value(Quantity.MEAN_ARTERIAL, mean),
            _value(Quantity.PULSE, pulse),
        )
        return uuids.short(uuids.BLOOD_PRESSURE_MEASUREMENT), pressure.encode(), values
    if kit is Kit.SCALE:
        weight = WeightMeasurement(weight=float(history.weight_kg[row]), time_stamp=local)
        kept_kg = WeightMeasurement.decode(weight.encode()).weight
        assert kept_kg is not None
        value = _value(Quantity.BODY_WEIGHT, kept_kg)
        return uuids.short(uuids.WEIGHT_MEASUREMENT), weight.encode(), (value,)
    steps = float(history.steps[row])
    value = _value(Quantity.STEPS, steps)
    return uuids.short(uuids.STEP_COUNT), StepCount(int(steps)).encode(), (value,)


def mean_arterial_mmhg(systolic_mmhg: float, diastolic_mmhg: float) -> int:
    """Return the mean arterial pressure a cuff shows: a third of the way up."""
    return math.floor(diastolic_mmhg + (systolic_mmhg - diastolic_mmhg) / 3 + 0.5)


def _value(quantity: Quantity, value: float) -> Value:
    return Value(quantity=quantity.value, value=value, unit=quantity.facts.unit)
