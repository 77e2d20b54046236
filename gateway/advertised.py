"""Devices that are never connected to: what they advertise says it all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.drivers import Driver, DriverKind, RawValue
from gateway.database import StoreFull
from gateway.inbox import Inbox, InboxSession
from gateway.outbox import Outbox

# Silent for so long, the scale is off. Longer than the 30 s within which a Mi Scale adds the
# impedance to a weight it has told before.
SILENT_S: Final = 40.0

# Frames of one session; a weighing has about fifty different ones. Beyond it, a new session.
FRAMES_MAX: Final = 500


@dataclass(slots=True)
class _Listening:
    place: InboxSession
    driver: Driver
    heard_s: float
    frames: int = 0


class AdvertisedSessions:
    """The sessions of devices that only advertise, from first frame to silence."""

    def __init__(self, inbox: Inbox, outbox: Outbox, now: Callable[[], datetime]) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._now = now
        self._listening: dict[str, _Listening] = {}

    def take(self, device_id: str, kind: DriverKind, payload: bytes, now_s: float) -> None:
        """Take a frame, inside the radio's callback: durable when this returns, if it is new.

        Raises:
            StoreFull: It was not kept, and the device will say it again; or it waits in the
                inbox for a replay.
        """
        listening = self._listening.get(device_id)
        if listening is None:
            place = InboxSession(device_id, kind.name)
            listening = _Listening(place, kind.new(device_id), now_s)
            listening.driver.connected()  # it asks nothing
            self._listening[device_id] = listening
        listening.heard_s = now_s
        assert kind.advertised_source is not None  # by its kind
        raw = RawValue(kind.advertised_source, payload, self._now())
        if not self._inbox.append_advertised(listening.place, raw):
            return
        readings = listening.driver.received(raw)
        try:
            self._outbox.append_from_session(listening.place, readings, finished=False)
        except StoreFull:
            # The driver has let go of them: only a replay of the frames brings them back.
            self._inbox.release(self._listening.pop(device_id).place)
            raise
        listening.frames += 1
        if listening.frames >= FRAMES_MAX:
            self._finish(device_id)

    def finish_silent(self, now_s: float) -> None:
        """Finish the sessions of devices that have fallen silent.

        Raises:
            StoreFull: That session stays in the inbox, and is replayed.
        """
        for device_id, listening in list(self._listening.items()):
            if now_s - listening.heard_s > SILENT_S:
                self._finish(device_id)

    def finish_all(self) -> None:
        """Finish every session; raises as ``finish_silent``."""
        self.finish_silent(float("inf"))

    def _finish(self, device_id: str) -> None:
        listening = self._listening.pop(device_id)
        self._inbox.release(listening.place)
        readings = listening.driver.finished()
        self._outbox.append_from_session(listening.place, readings, finished=True)
