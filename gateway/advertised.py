"""Devices that are never connected to: what they advertise says it all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from devices.drivers import Driver, DriverKind, RawValue
from gateway.event import OnEvent, tell, tell_nobody
from gateway.inbox import Inbox, InboxSession
from gateway.log import get_logger
from gateway.outbox import Outbox

_log = get_logger()

# Silent for so long, the scale is off. Longer than the 30 s within which a Mi Scale adds the
# impedance to a weight it has told before.
SILENT_S: Final = 40.0

# Frames of one session; a weighing has about fifty different ones. Beyond it, a new session.
FRAMES_MAX: Final = 500

# Without a lending list everybody is served, in a block of flats the neighbours' scales too, and
# anybody with a transmitter can make up more. In a day: as many scales as a stairwell has, forty
# weighings of each. Whoever was heard before goes on being heard, and who ever gave anything on
# another day is no stranger: made-up addresses shut out nobody's own scale.
STRANGERS_MAX: Final = 16
STRANGER_FRAMES_MAX: Final = 2000
_DAY_S: Final = 86_400.0


@dataclass(slots=True)
class _Listening:
    place: InboxSession
    driver: Driver
    heard_s: float
    frames: int = 0
    is_idle: bool = False  # the last frame looked at could not become a reading


class Strangers:
    """Counts what devices that are on no list have sent in a day, and ends their welcome.

    Args:
        on_many: Called with whether there are more devices than may be new in a day.
    """

    def __init__(self, on_many: Callable[[bool], None]) -> None:
        self._on_many = on_many
        self._since_s = float("-inf")
        self._frames: dict[str, int] = {}
        self._is_told = False

    def look(self, now_s: float) -> None:
        """Begin another day, when one is over."""
        if now_s - self._since_s >= _DAY_S:
            self._since_s, self._frames, self._is_told = now_s, {}, False
            self._on_many(False)

    def met(self, device_id: str) -> bool:
        """Return whether the device was taken for a stranger today: it stays one until tomorrow."""
        return device_id in self._frames

    def may_send(self, device_id: str) -> bool:
        """Return whether a frame of the device is to be looked at; counts nothing."""
        if device_id in self._frames:
            is_welcome = self._frames[device_id] < STRANGER_FRAMES_MAX
        else:
            is_welcome = len(self._frames) < STRANGERS_MAX
            if not is_welcome:
                self._on_many(True)
        if not is_welcome and not self._is_told:
            self._is_told = True
            _log.warning("advertised.strangers_refused", device_id=device_id)
        return is_welcome

    def sent(self, device_id: str) -> None:
        """Count a frame that was kept."""
        self._frames[device_id] = self._frames.get(device_id, 0) + 1


class AdvertisedSessions:
    """The sessions of devices that only advertise, from first frame to silence."""

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        now: Callable[[], datetime],
        *,
        on_event: OnEvent = tell_nobody,
        on_served: Callable[[str], None] = lambda _device_id: None,
        on_many_strangers: Callable[[bool], None] = lambda _is_so: None,
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._now = now
        self._on_event = on_event
        self._on_served = on_served
        self._listening: dict[str, _Listening] = {}
        self._strangers = Strangers(on_many_strangers)

    def take(
        self,
        device_id: str,
        kind: DriverKind,
        payload: bytes,
        now_s: float,
        *,
        is_listed: bool = True,
        is_ours: bool = False,
    ) -> None:
        """Take a frame, inside the radio's callback: durable when this returns, if it is new.

        Args:
            device_id: Who sent it.
            kind: What it is.
            payload: The service data.
            now_s: Monotonic seconds.
            is_listed: It is on the lending list; of others no more is kept than a day's bound.
            is_ours: It gave something before, or is paired.

        Raises:
            StoreFull: It was not kept, and the device will say it again; or it waits in the
                inbox for a replay.
        """
        self._strangers.look(now_s)
        is_stranger = not is_listed and (not is_ours or self._strangers.met(device_id))
        if is_stranger and not self._strangers.may_send(device_id):
            return
        listening = self._listening.get(device_id)
        if listening is None:
            place = InboxSession(device_id, kind.name)
            listening = _Listening(place, kind.new(device_id), now_s)
            listening.driver.connected()  # it asks nothing
            self._listening[device_id] = listening
        listening.heard_s = now_s
        # Of frames that say nothing the first is kept, so that a weight after them is another one.
        was_idle, is_idle = listening.is_idle, not kind.tells(payload)
        if was_idle and is_idle:
            return
        assert kind.advertised_source is not None  # by its kind
        raw = RawValue(kind.advertised_source, payload, self._now())
        is_new = self._inbox.append_advertised(listening.place, raw)
        listening.is_idle = is_idle
        if not is_new:
            return
        if is_stranger:
            self._strangers.sent(device_id)
        try:
            readings = listening.driver.received(raw)
            new = self._outbox.append_from_session(listening.place, readings, finished=False)
        except Exception:
            # No room, or the driver failed: only a replay of the frames brings them back.
            self._inbox.release(self._listening.pop(device_id).place)
            raise
        if new:
            self._on_served(device_id)
            tell(readings, self._on_event)
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
