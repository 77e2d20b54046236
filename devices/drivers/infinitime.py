"""InfiniTime on a PineTime watch: a running total of the day's steps.

The watch tells no time with the count, so a reading is of the moment it was received. Its clock
still matters: the total begins anew at the watch's midnight. Each step is notified; a session
keeps the first total and, if it has changed, the last.
"""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from devices.drivers.driver import Notes, RawValue, Read, Request, Subscribe
from devices.drivers.session import Act, Session, unreadable, value
from devices.errors import MalformedPayload
from devices.gatt import uuids
from devices.gatt.infinitime import StepCount
from devices.models import Model
from devices.quantity import Quantity
from devices.reading import Reading


class InfiniTimeDriver:
    """One session with a watch."""

    def __init__(
        self, device_id: str, zone: ZoneInfo, model: Model, memory: Mapping[str, str]
    ) -> None:
        self._session = Session(device_id, zone, model, memory)
        self._first_steps: int | None = None
        self._last: Act | None = None  # the newest total other than the first

    def connected(self) -> Sequence[Request]:
        step_count = uuids.STEP_COUNT
        return (Subscribe(step_count), Read(step_count), *self._session.requests)

    def received(self, raw: RawValue) -> Sequence[Reading]:
        if raw.source == uuids.STEP_COUNT:
            self._take(raw)
        else:
            self._session.answered(raw)
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
        if self._last is not None:
            self._session.hold(self._last)
            self._last = None
        return self._session.finish()

    def _take(self, raw: RawValue) -> None:
        try:
            steps = StepCount.decode(raw.payload).steps
        except MalformedPayload as error:
            if self._session.is_new(raw):
                self._session.hold(unreadable(raw, error))
            return
        if self._first_steps is None:
            self._first_steps = steps
            self._session.hold(_act(steps, raw))
        else:
            self._last = None if steps == self._first_steps else _act(steps, raw)


def _act(steps: int, raw: RawValue) -> Act:
    per_day = Quantity.STEPS.facts.unit
    return Act(
        source=uuids.short(raw.source),
        payload=raw.payload,
        received_at=raw.received_at,
        values=value(Quantity.STEPS, float(steps), None, per_day),
    )
