"""Xiaomi Mi Scale, v1 and v2: never connected to, its advertisements say it all.

While somebody stands on it the scale advertises ten frames a second; only a stabilised one with
the weight still on is a reading. It goes on repeating that frame, and a v2 sends it once more
when it has measured the impedance: all of them are one act, known by what they share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from devices.drivers.driver import Notes, RawValue, Request
from devices.drivers.session import Act, Session, unreadable, value
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.mi_scale import MiScaleV1, MiScaleV2
from devices.models import Model
from devices.quantity import Quantity
from devices.reading import Reading

# A v2 measures impedance in up to 10 s after the weight has settled; nobody gets off, on again
# and settles at the same weight to 50 g within this.
ACT_MAX_S: Final = 30

MiScale = MiScaleV1 | MiScaleV2


class MiScaleDriver:
    """What one scale advertises, from its first frame until it falls silent."""

    def __init__(self, session: Session, source: str, scale: type[MiScale]) -> None:
        self._session = session
        self._source = source
        self._scale = scale
        self._counted: tuple[MiScale, RawValue] | None = None  # the last that became a reading

    def connected(self) -> Sequence[Request]:
        return ()

    def received(self, raw: RawValue) -> Sequence[Reading]:
        if raw.source == self._source and self._session.is_new(raw):
            self._take(raw)
        return self._session.ready()

    def unanswered(self, request: Request) -> Sequence[Reading]:
        self._session.unanswered(request)
        return self._session.ready()

    def asks(self) -> Sequence[Request]:
        return self._session.asks()

    @property
    def notes(self) -> Notes:
        return self._session.notes

    def finished(self) -> Sequence[Reading]:
        return self._session.finish()

    def _take(self, raw: RawValue) -> None:
        try:
            frame = self._scale.decode(raw.payload)
        except MalformedPayload as error:
            self._session.hold(unreadable(raw, error))
            return
        if frame.counts and not self._is_counted(frame, raw):
            self._counted = frame, raw
            self._session.hold(_act(frame, raw))

    def _is_counted(self, frame: MiScale, raw: RawValue) -> bool:
        if self._counted is None:
            return False
        counted, counted_raw = self._counted
        near = raw.received_at - counted_raw.received_at <= timedelta(seconds=ACT_MAX_S)
        return near and (frame.weight, frame.unit) == (counted.weight, counted.unit)


def mi_scale_v1(
    device_id: str, zone: ZoneInfo, model: Model, memory: Mapping[str, str]
) -> MiScaleDriver:
    """Return a driver for a v1."""
    session = Session(device_id, zone, model, memory, live=True)
    return MiScaleDriver(session, uuids.WEIGHT_SCALE_SERVICE, MiScaleV1)


def mi_scale_v2(
    device_id: str, zone: ZoneInfo, model: Model, memory: Mapping[str, str]
) -> MiScaleDriver:
    """Return a driver for a v2."""
    session = Session(device_id, zone, model, memory, live=True)
    return MiScaleDriver(session, uuids.BODY_COMPOSITION_SERVICE, MiScaleV2)


def tells_v1(payload: bytes) -> bool:
    """Return whether a v1's frame may become a reading."""
    return _tells(payload, MiScaleV1)


def tells_v2(payload: bytes) -> bool:
    """Return whether a v2's frame may become a reading."""
    return _tells(payload, MiScaleV2)


def _tells(payload: bytes, scale: type[MiScale]) -> bool:
    try:
        return scale.decode(payload).counts
    except MalformedPayload:
        return True  # it becomes one that says so


def _act(frame: MiScale, raw: RawValue) -> Act:
    unit = frame.unit
    kg = unit.to_kg(frame.weight)
    return Act(
        source=uuids.short(raw.source),
        payload=raw.payload,
        received_at=raw.received_at,
        values=value(Quantity.BODY_WEIGHT, kg, frame.weight, unit.value),
        device_time=frame.time_stamp,
        known_by=_shared(frame).encode(),
    )


def _shared(frame: MiScale) -> MiScale:
    return replace(frame, impedance_ohm=None) if isinstance(frame, MiScaleV2) else frame
