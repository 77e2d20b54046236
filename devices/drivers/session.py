"""What all drivers share: from an act of measuring to a ``Reading``, and the wait for the clock.

A record that names its time is known by that time, however often it is sent. One that does not
is known by when it was first received; the same bytes again in the same session are the same
record, since devices repeat themselves and nobody gets two results alike to the last bit
within seconds.
"""

import contextlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from devices.clock import place
from devices.drivers.device_clock import DeviceClock
from devices.drivers.driver import Notes, RawValue, Read, Request
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.battery import BatteryLevel
from devices.gatt.device_information import DeviceInformation
from devices.models import Model
from devices.quantity import Quantity, is_value
from devices.reading import Outcome, Reading, Status, Value, identify

# A cuff or scale stores 30 to 200 records; one that sends more than this without an end is not
# waited for, so that a broken device cannot fill the gateway's memory.
HELD_MAX: Final = 1000
# What a person reads when a device gave no value.
FAILED: Final = "the device says that the measurement failed"
# Longest problem text that a reading takes (devices.reading.Problem).
_PROBLEM_MAX: Final = 500
# Longest text of Device Information that is kept (devices.wire.limits.Word).
_TEXT_MAX: Final = 64

Values = tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act of measuring, before its time is placed."""

    source: str
    payload: bytes
    received_at: datetime
    values: Values = ()  # only finite ones; none: failed, unless ``problem`` is set
    device_time: datetime | None = None
    slot: int | None = None
    status: Status = Status.NONE
    problem: str | None = None  # why the bytes cannot be read
    known_by: bytes | None = None  # what identifies it, where that is less than the payload


def unreadable(raw: RawValue, error: MalformedPayload) -> Act:
    """Return the act behind bytes that cannot be read."""
    return Act(
        source=uuids.short(raw.source),
        payload=raw.payload,
        received_at=raw.received_at,
        problem=str(error)[:_PROBLEM_MAX],
    )


def value(quantity: Quantity, number: float | None, original: float | None, unit: str) -> Values:
    """Return the value in *quantity*'s unit, or nothing for a number absent or not finite.

    *original* and *unit* say how the device put it; they are kept where that differs.
    """
    if number is None or not is_value(number):
        return ()
    known = quantity.facts.unit
    if unit == known:
        return (Value(quantity=quantity, value=number, unit=known),)
    return (
        Value(
            quantity=quantity, value=number, unit=known, original_value=original, original_unit=unit
        ),
    )


class _Memory:
    """A set of what came lately; forgets the oldest beyond ``HELD_MAX``."""

    def __init__(self) -> None:
        self._keys: dict[Hashable, None] = {}  # in the order they came

    def add(self, key: Hashable) -> bool:
        """Remember *key*; return whether it is new."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > HELD_MAX:
            del self._keys[next(iter(self._keys))]
        return True


class Session:
    """Turns one session's acts into readings, each once, when the device's clock is known.

    Acts are held until each of ``requests`` is answered or known to be unanswered.

    Args:
        device_id: The device.
        zone: Where it is.
        model: What may be asked of it.
        memory: What is to be kept for the next session.
        live: Its acts are made just now (advertisements); there is nothing to ask.
    """

    def __init__(
        self,
        device_id: str,
        zone: ZoneInfo,
        model: Model,
        memory: Mapping[str, str],
        *,
        live: bool = False,
    ) -> None:
        self._device_id = device_id
        self._zone = zone
        self._reads = () if live else (*model.clocks, uuids.BATTERY_LEVEL)
        self._memory = memory
        self._live = live
        self._waiting = set(self._reads)
        self._clock = DeviceClock(zone, sets=model.sets_clock)
        self._battery_percent: int | None = None
        self._texts: dict[str, str] = {}  # of Device Information, by characteristic
        self._has_asked = live
        self._held: list[Act] = []
        self._heard = _Memory()
        self._told = _Memory()

    @property
    def requests(self) -> tuple[Read, ...]:
        """What to read, in order: the clock first, since records wait for it."""
        return tuple(Read(characteristic) for characteristic in self._reads)

    @property
    def notes(self) -> Notes:
        """What it learnt of the device itself."""
        return Notes(
            battery_percent=self._battery_percent,
            firmware=self._texts.get(uuids.FIRMWARE_REVISION),
            model_number=self._texts.get(uuids.MODEL_NUMBER),
            clock_offset_s=self._clock.offset_s,
            clock_set=self._clock.held,
            memory=dict(self._memory),
        )

    def asks(self) -> tuple[Request, ...]:
        """Return what no reading waits for, once: the clock set and read again, and who it is."""
        if self._waiting or self._has_asked:
            return ()
        self._has_asked = True
        texts = (uuids.FIRMWARE_REVISION, uuids.MODEL_NUMBER)
        return (*self._clock.asks(), *(Read(text) for text in texts))

    def is_new(self, raw: RawValue) -> bool:
        """Return whether these bytes are heard for the first time in this session."""
        return self._heard.add((raw.source, raw.payload))

    def answered(self, raw: RawValue) -> None:
        """Take the answer to a read; what nobody asks for is ignored.

        An answer that cannot be read is no answer: a device without a usable clock is one
        without a clock.
        """
        if self._clock.is_clock(raw):
            self._clock.answered(raw)
            self._waiting.discard(raw.source)
            if self._clock.offset_s is not None:  # one clock is enough
                self._waiting -= {uuids.CURRENT_TIME, uuids.DATE_TIME}
        elif raw.source == uuids.BATTERY_LEVEL and raw.source in self._waiting:
            self._waiting.discard(raw.source)
            with contextlib.suppress(MalformedPayload):
                self._battery_percent = BatteryLevel.decode(raw.payload).percent
        elif raw.source in {uuids.FIRMWARE_REVISION, uuids.MODEL_NUMBER}:
            with contextlib.suppress(MalformedPayload):
                text = " ".join(DeviceInformation.decode(raw.payload).text.split())
                self._texts[raw.source] = _printable(text)

    def unanswered(self, request: Request) -> None:
        """Take note that *request* will not be answered."""
        if isinstance(request, Read):
            self._waiting.discard(request.characteristic)

    def hold(self, act: Act) -> None:
        """Keep an act until ``ready`` or ``finish``."""
        self._held.append(act)

    def ready(self) -> list[Reading]:
        """Return the readings that wait for nothing any more."""
        return [] if self._waiting and len(self._held) < HELD_MAX else self.finish()

    def finish(self) -> list[Reading]:
        """Return all readings that are held, whatever they waited for, each once a session."""
        held, self._held = self._held, []
        readings = [self._reading(act) for act in held]
        return [reading for reading in readings if self._told.add(reading.reading_id)]

    def _reading(self, act: Act) -> Reading:
        placement = place(
            act.device_time, self._zone, self._clock.offset_s, act.received_at, live=self._live
        )
        outcome = Outcome.MEASURED if act.values else Outcome.FAILED
        return Reading(
            reading_id=identify(
                device_id=self._device_id,
                device_time=act.device_time,
                received_at=act.received_at,
                slot=act.slot,
                payload=act.payload if act.known_by is None else act.known_by,
            ),
            device_id=self._device_id,
            source=act.source,
            payload=act.payload.hex(),
            outcome=outcome if act.problem is None else Outcome.UNREADABLE,
            measured_at=placement.measured_at,
            received_at=act.received_at,
            clock=placement.verdict,
            slot=act.slot,
            device_time=act.device_time,
            clock_offset_s=placement.offset_s,
            values=act.values,
            status=act.status,
            problem=None if act.values else act.problem or _failure(act.status),
            battery_percent=self._battery_percent,
        )


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[:_TEXT_MAX]


def _failure(status: Status) -> str:
    noticed = ", ".join(str(bit.name).lower().replace("_", " ") for bit in status)
    return FAILED + (f" ({noticed})" if noticed else "")
