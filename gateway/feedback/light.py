"""Light: what the room is told, for how long, and with which lamp. Pure; time is an argument.

Never by colour alone: each signal has its own rhythm, and sounds for those who do not look.

| signal | lamp | rhythm | sound | lasts |
|---|---|---|---|---|
| received | yellow | steady | one short | until it is stored, 2 minutes at most |
| stored | green | steady | one long | 10 s; only while "received" is shown |
| failed | red | quick | three short | 20 s, or until the next measurement |
| pair again | red and yellow | in turn | none | 30 s |
| not connected | yellow | one blink in 5 s | none | as long as it is so |
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.event import GatewayEvent


class Signal(enum.StrEnum):
    """What the room is told. The words are those that a command is given."""

    DARK = "dark"  # nothing
    RECEIVED = "received"  # the measurement is here, and on its way to care
    STORED = "stored"  # care has it
    FAILED = "failed"  # measure again
    NOT_CONNECTED = "not_connected"  # measurements are kept here for now
    PAIR_AGAIN = "pair_again"  # the device must be paired again


class Lamp(enum.Enum):
    """What can be switched on."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"
    BUZZER = "buzzer"


# Beyond this a receipt is not awaited in the room: the measurement is kept, and goes later. No
# lamp or sound in the middle of the night for it.
RECEIVED_S: Final = 120.0
# Long enough to be seen by somebody who takes off a cuff first.
STORED_S: Final = 10.0
# A failed measurement is repeated after some rest; the light says so while the cuff comes off.
FAILED_S: Final = 20.0
PAIR_AGAIN_S: Final = 30.0
# A broker that is restarted is nobody's concern in the room.
NOT_CONNECTED_AFTER_S: Final = 60.0

# A device's memory comes in one go: one sound for all of it.
BURST_S: Final = 5.0

# New readings that wait for their receipts: a device's whole memory, some hundred measurements of
# up to five quantities each. Of more it cannot be said when all is stored: no green for them.
WAITING_MAX: Final = 4096


@dataclass(frozen=True, slots=True)
class Shown:
    """A signal, when it began, and when it ends by itself; monotonic seconds."""

    signal: Signal
    since_s: float
    until_s: float


class Light:
    """Remembers what happened, and says what to show."""

    def __init__(self) -> None:
        self._signal = Signal.DARK  # the last one of a moment
        self._since_s = float("-inf")
        self._until_s = float("-inf")
        self._heard_s = float("-inf")  # of the last reading
        self._waiting: dict[UUID, None] = {}  # received in the room, and without a receipt
        self._is_overfull = False  # there are more of them than are waited for
        self._parted_s: float | None = None  # since when there is no connection

    def happened(self, event: GatewayEvent, reading_ids: Collection[UUID], now_s: float) -> None:
        """Take note of *event*."""
        match event:
            case GatewayEvent.RECEIVED:
                self._received(reading_ids, now_s)
            case GatewayEvent.STORED:
                self._stored(reading_ids, now_s)
            case GatewayEvent.FAILED:
                self._say(Signal.FAILED, now_s, FAILED_S)
            case GatewayEvent.PAIR_AGAIN:
                if not self._is_shown(Signal.FAILED, now_s):
                    self._say(Signal.PAIR_AGAIN, now_s, PAIR_AGAIN_S)
            case GatewayEvent.NOT_CONNECTED:
                if self._parted_s is None:
                    self._parted_s = now_s
            case GatewayEvent.CONNECTED:
                self._parted_s = None

    def shown(self, now_s: float) -> Shown:
        """Return what to show, since when, and how long if nothing more happens."""
        if now_s < self._until_s:
            return Shown(self._signal, self._since_s, self._until_s)
        parted_s = float("inf")
        if self._parted_s is not None:
            parted_s = max(self._parted_s + NOT_CONNECTED_AFTER_S, self._until_s)
        if now_s < parted_s:
            return Shown(Signal.DARK, self._until_s, parted_s)
        return Shown(Signal.NOT_CONNECTED, parted_s, float("inf"))

    def _received(self, reading_ids: Collection[UUID], now_s: float) -> None:
        goes_on = self._is_shown(Signal.RECEIVED, now_s)
        if not goes_on:
            self._waiting.clear()  # what was given up or stored is not this measurement's
            self._is_overfull = False
        self._waiting.update(dict.fromkeys(reading_ids))
        while len(self._waiting) > WAITING_MAX:
            self._is_overfull = True
            del self._waiting[next(iter(self._waiting))]
        is_burst = goes_on and now_s < self._heard_s + BURST_S
        since_s = self._since_s if is_burst else now_s
        self._heard_s = now_s
        self._say(Signal.RECEIVED, now_s, RECEIVED_S)
        self._since_s = since_s

    def _stored(self, reading_ids: Collection[UUID], now_s: float) -> None:
        """Green when all that was measured just now is stored."""
        was_waiting = bool(self._waiting)
        for reading_id in reading_ids:
            self._waiting.pop(reading_id, None)
        is_last = was_waiting and not self._waiting and not self._is_overfull
        if is_last and self._is_shown(Signal.RECEIVED, now_s):
            self._say(Signal.STORED, now_s, STORED_S)

    def _say(self, signal: Signal, now_s: float, lasts_s: float) -> None:
        self._signal = signal
        self._since_s, self._until_s = now_s, now_s + lasts_s

    def _is_shown(self, signal: Signal, now_s: float) -> bool:
        return self._signal is signal and now_s < self._until_s


@dataclass(frozen=True, slots=True)
class Phase:
    """So long, these lamps."""

    lasts_s: float
    lamps: frozenset[Lamp]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Phases that are played once, and phases that are then repeated."""

    first: tuple[Phase, ...]
    again: tuple[Phase, ...]


def _phase(lasts_s: float, *lamps: Lamp) -> Phase:
    return Phase(lasts_s, frozenset(lamps))


_BEEP: Final = _phase(0.15, Lamp.RED, Lamp.BUZZER)
_PAUSE: Final = _phase(0.15)
_FOR_EVER: Final = float("inf")

RHYTHMS: Final[dict[Signal, Rhythm]] = {
    Signal.DARK: Rhythm((), (_phase(_FOR_EVER),)),
    Signal.RECEIVED: Rhythm(
        (_phase(0.15, Lamp.YELLOW, Lamp.BUZZER),), (_phase(_FOR_EVER, Lamp.YELLOW),)
    ),
    Signal.STORED: Rhythm(
        (_phase(0.6, Lamp.GREEN, Lamp.BUZZER),), (_phase(_FOR_EVER, Lamp.GREEN),)
    ),
    Signal.FAILED: Rhythm(
        (_BEEP, _PAUSE, _BEEP, _PAUSE, _BEEP, _PAUSE), (_phase(0.25, Lamp.RED), _phase(0.25))
    ),
    Signal.PAIR_AGAIN: Rhythm((), (_phase(0.5, Lamp.RED), _phase(0.5, Lamp.YELLOW))),
    Signal.NOT_CONNECTED: Rhythm((), (_phase(0.1, Lamp.YELLOW), _phase(4.9))),
}


# What is left of a phase when rounding makes it last no time at all; nobody sees a millisecond.
_ROUNDING_S: Final = 0.001


def lamps(signal: Signal, elapsed_s: float) -> tuple[frozenset[Lamp], float]:
    """Return the lamps that are on so long after the signal began, and for how many seconds."""
    rhythm = RHYTHMS[signal]
    left_s = max(0.0, elapsed_s)
    for phase in rhythm.first:
        if left_s < phase.lasts_s - _ROUNDING_S:
            return phase.lamps, phase.lasts_s - left_s
        left_s = max(0.0, left_s - phase.lasts_s)
    if rhythm.again[0].lasts_s < _FOR_EVER:
        left_s %= sum(phase.lasts_s for phase in rhythm.again)
    for phase in rhythm.again:
        if left_s < phase.lasts_s - _ROUNDING_S:
            return phase.lamps, phase.lasts_s - left_s
        left_s = max(0.0, left_s - phase.lasts_s)
    return rhythm.again[0].lamps, rhythm.again[0].lasts_s
