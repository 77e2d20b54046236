"""Any scale that follows the Weight Scale Profile, with body composition where it has it.

Source: Bluetooth SIG, *Weight Scale Profile* 1.0.1: a scale with body composition indicates a
Weight Measurement (0x2A9D) and a Body Composition Measurement (0x2A9C, perhaps in two packets)
for one act of weighing, in either order. They become one reading if they name the same time and
the same user, or, from a scale without a clock, the same user within ``ACT_MAX_S``. Some scales
name time and user with the weight only: there the composition follows its weight directly
(captures of Beurer BF720 and BF788: KristianP26/ble-scale-sync, #168 and #229).

The reading is known by its weight packet alone, whichever came first: a session cut short behind
it, and the same record sent again whole, must not make one weighing two. One cut short before its
weight is known by its composition, and comes again whole as another: a weight is never lost to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from devices.drivers.driver import Notes, RawValue, Request, Subscribe
from devices.drivers.session import HELD_MAX, Act, Session, Values, unreadable, value
from devices.drivers.user_data import UserConsent
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.body_composition import BodyComposition
from devices.gatt.weight import WeightMeasurement
from devices.models import Model
from devices.quantity import Quantity
from devices.reading import Reading

# Stepping on to the last packet takes 5 to 15 s; getting off and weighing again takes longer
# than the rest.
ACT_MAX_S: Final = 30
# A composition of several packets has two (BCS 1.0.1, section 3.2).
_PACKETS: Final = 2


@dataclass(slots=True)
class _Weighing:
    """The packets of one act, as far as they have come."""

    device_time: datetime | None
    slot: int | None
    received_at: datetime
    weight: tuple[WeightMeasurement, bytes] | None = None
    compositions: list[tuple[BodyComposition, bytes]] = field(default_factory=list)

    def is_of(self, packet: WeightMeasurement | BodyComposition, received_at: datetime) -> bool:
        """Return whether *packet* names this act's time and user."""
        return (
            packet.time_stamp == self.device_time
            and packet.user_id == self.slot
            and (self._is_near(received_at) or self.device_time is not None)
        )

    def is_followed_by(self, packet: BodyComposition, received_at: datetime) -> bool:
        """Return whether *packet*, which names neither time nor user, is of this weight."""
        is_unnamed = packet.time_stamp is None and packet.user_id is None
        return is_unnamed and not self.compositions and self._is_near(received_at)

    def _is_near(self, received_at: datetime) -> bool:
        return received_at - self.received_at <= timedelta(seconds=ACT_MAX_S)

    @property
    def awaits_second_packet(self) -> bool:
        """Whether half a composition has come."""
        return 0 < len(self.compositions) < _PACKETS and self.compositions[0][0].multiple_packet

    def act(self) -> Act:
        weights = [self.weight] if self.weight else []
        sources = [uuids.WEIGHT_MEASUREMENT] if self.weight else []
        sources += [uuids.BODY_COMPOSITION_MEASUREMENT] if self.compositions else []
        packets = [payload for _, payload in (*weights, *self.compositions)]
        return Act(
            source="+".join(uuids.short(source) for source in sources),
            payload=b"".join(packets),
            received_at=self.received_at,
            values=self._weight_value() + self._fat_value(),
            device_time=self.device_time,
            slot=self.slot,
            known_by=packets[0],
        )

    def _weight_value(self) -> Values:
        packets = [self.weight[0]] if self.weight else [part for part, _ in self.compositions]
        for packet in packets:
            if packet.weight is not None:
                kg = packet.unit.to_kg(packet.weight)
                return value(Quantity.BODY_WEIGHT, kg, packet.weight, packet.unit.value)
        return ()

    def _fat_value(self) -> Values:
        percent = Quantity.BODY_FAT.facts.unit
        for part, _ in self.compositions:
            # 0 stands for "not measured" on scales that send a composition with every weight.
            if part.fat_percent:
                return value(Quantity.BODY_FAT, part.fat_percent, part.fat_percent, percent)
        return ()


class WeightScaleDriver:
    """One session with a scale."""

    def __init__(
        self, device_id: str, zone: ZoneInfo, model: Model, memory: Mapping[str, str]
    ) -> None:
        self._session = Session(device_id, zone, model, memory)
        self._consent = UserConsent(device_id, memory) if model.consent else None
        self._open: list[_Weighing] = []  # in the order they began
        self._sends_weight = True
        self._sends_composition = True

    def connected(self) -> Sequence[Request]:
        subscriptions = [
            Subscribe(uuids.WEIGHT_MEASUREMENT),
            Subscribe(uuids.BODY_COMPOSITION_MEASUREMENT),
        ]
        if self._consent is not None:
            subscriptions.append(self._consent.subscription)
        return (*subscriptions, *self._session.requests)

    def received(self, raw: RawValue) -> Sequence[Reading]:
        if raw.source in {uuids.WEIGHT_MEASUREMENT, uuids.BODY_COMPOSITION_MEASUREMENT}:
            if self._session.is_new(raw):
                self._take(raw)
        elif self._consent is not None and raw.source == uuids.USER_CONTROL_POINT:
            self._consent.answered(raw)
        else:
            self._session.answered(raw)
        return self._ready()

    def unanswered(self, request: Request) -> Sequence[Reading]:
        if request == Subscribe(uuids.WEIGHT_MEASUREMENT):
            self._sends_weight = False
        elif request == Subscribe(uuids.BODY_COMPOSITION_MEASUREMENT):
            self._sends_composition = False
        if self._consent is not None:
            self._consent.unanswered(request)
        self._session.unanswered(request)
        return self._ready()

    def asks(self) -> Sequence[Request]:
        consent = () if self._consent is None else self._consent.asks()
        return (*consent, *self._session.asks())

    @property
    def notes(self) -> Notes:
        if self._consent is None:
            return self._session.notes
        return replace(self._session.notes, memory=self._consent.memory)

    def finished(self) -> Sequence[Reading]:
        for weighing in self._open:
            self._session.hold(weighing.act())
        self._open = []
        return self._session.finish()

    def _take(self, raw: RawValue) -> None:
        try:
            if raw.source == uuids.WEIGHT_MEASUREMENT:
                self._take_weight(WeightMeasurement.decode(raw.payload), raw)
            else:
                self._take_composition(BodyComposition.decode(raw.payload), raw)
        except MalformedPayload as error:
            self._session.hold(unreadable(raw, error))

    def _take_weight(self, packet: WeightMeasurement, raw: RawValue) -> None:
        for weighing in self._open:
            if weighing.weight is None and weighing.is_of(packet, raw.received_at):
                weighing.weight = packet, raw.payload
                return
        self._begin(packet, raw).weight = packet, raw.payload

    def _take_composition(self, packet: BodyComposition, raw: RawValue) -> None:
        part = packet, raw.payload
        if packet.multiple_packet:
            # The second packet need not repeat time and user: it follows its first.
            for weighing in self._open:
                if weighing.awaits_second_packet:
                    weighing.compositions.append(part)
                    return
        for weighing in self._open:
            if not weighing.compositions and weighing.is_of(packet, raw.received_at):
                weighing.compositions.append(part)
                return
        if self._open and self._open[-1].is_followed_by(packet, raw.received_at):
            self._open[-1].compositions.append(part)
            return
        self._begin(packet, raw).compositions.append(part)

    def _begin(self, packet: WeightMeasurement | BodyComposition, raw: RawValue) -> _Weighing:
        weighing = _Weighing(packet.time_stamp, packet.user_id, raw.received_at)
        self._open.append(weighing)
        return weighing

    def _ready(self) -> list[Reading]:
        for weighing in tuple(self._open):
            if self._is_complete(weighing) or len(self._open) > HELD_MAX:
                self._open.remove(weighing)
                self._session.hold(weighing.act())
        return self._session.ready()

    def _is_complete(self, weighing: _Weighing) -> bool:
        has_weight = weighing.weight is not None or not self._sends_weight
        has_composition = bool(weighing.compositions) or not self._sends_composition
        return has_weight and has_composition and not weighing.awaits_second_packet
