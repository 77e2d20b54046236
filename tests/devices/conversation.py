"""A whole session between a driver and a device, without a radio: who asks what, and what comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from devices.drivers import Driver, RawValue, Read, Request, SetClock, Subscribe, Write
from devices.gatt import uuids
from devices.gatt.date_time import CurrentTime, encode_clock
from devices.reading import Reading
from tests.devices.sessions import NOW, STOCKHOLM

# A driver that asks without end would hang a test.
REQUESTS_MAX: Final = 50


@dataclass
class Device:
    """A device that answers what it has; what it has not is unanswered.

    Attributes:
        offers: What is subscribed to gets these payloads, at once, in this order.
        reads: What is read gets this.
        clock_off_s: Its clock minus ours; none for a clock that was never set.
        clocks: Where that clock can be read and written.
        obeys: Whether its clock takes what is written; None refuses the write.
        answers: What it indicates on its User Control Point, by what was written.
    """

    offers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    clock_off_s: float | None = 0
    clocks: tuple[str, ...] = ()
    obeys: bool | None = True
    answers: Mapping[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def answer(self, request: Request, now: datetime) -> list[tuple[str, bytes]] | None:
        """Return what comes of *request*: values by source, or none if it is refused."""
        match request:
            case Subscribe(characteristic):
                if characteristic == uuids.USER_CONTROL_POINT and self.answers:
                    return []
                offered = self.offers.get(characteristic)
                if offered is None:
                    return None
                return [(characteristic, bytes.fromhex(each)) for each in offered]
            case Read(characteristic) if characteristic in self.clocks:
                return [(characteristic, self._tell(characteristic, now))]
            case Read(characteristic):
                found = self.reads.get(characteristic)
                return None if found is None else [(characteristic, bytes.fromhex(found))]
            case SetClock(characteristic):
                return self._set(characteristic)
            case Write(characteristic, payload):
                self.written.append(payload.hex())
                said = self.answers.get(payload.hex(), self.answers.get(payload.hex()[:2]))
                return None if said is None else [(characteristic, bytes.fromhex(said))]

    def _tell(self, characteristic: str, now: datetime) -> bytes:
        if self.clock_off_s is None:
            unset = CurrentTime(None).encode()
            return unset if characteristic == uuids.CURRENT_TIME else unset[:7]
        local = now.astimezone(STOCKHOLM).replace(tzinfo=None)
        return encode_clock(characteristic, local + timedelta(seconds=self.clock_off_s))

    def _set(self, characteristic: str) -> list[tuple[str, bytes]] | None:
        assert characteristic in self.clocks
        if self.obeys is None:
            return None
        if self.obeys:
            self.clock_off_s = 0
        return []


@dataclass
class Session:
    """What became of it."""

    requests: list[Request] = field(default_factory=list)
    came: list[RawValue] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


def converse(driver: Driver, device: Device, *, at: datetime = NOW) -> Session:
    """Return a session carried out as the gateway does; a tenth of a second a request."""
    session = Session()

    def carry_out(request: Request) -> None:
        session.requests.append(request)
        assert len(session.requests) < REQUESTS_MAX
        now = at + timedelta(seconds=0.1 * len(session.requests))
        values = device.answer(request, now)
        if values is None:
            session.readings += driver.unanswered(request)
        for source, payload in values or ():
            raw = RawValue(source, payload, now)
            session.came.append(raw)
            session.readings += driver.received(raw)

    for request in driver.connected():
        carry_out(request)
    while asked := driver.asks():
        for request in asked:
            carry_out(request)
    session.readings += driver.finished()
    return session


def replay(driver: Driver, session: Session) -> list[Reading]:
    """Return what the inbox's replay makes of the same values."""
    driver.connected()
    readings: list[Reading] = []
    for raw in session.came:
        readings += driver.received(raw)
    return [*readings, *driver.finished()]
