"""Health: what the heartbeat tells of this gateway besides its depths. Parts report here."""

import enum
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from devices.wire import (
    RADIO_STEPS_MAX,
    Condition,
    ConditionCode,
    PairingStatus,
    RadioStep,
)
from gateway.log import get_logger
from gateway.pulse import Pulse

_log = get_logger()

# A heartbeat is read by a person: so many problems, so many characters each.
PROBLEMS_MAX: Final = 20
PROBLEM_CHARACTERS_MAX: Final = 300

# Devices with a problem are remembered so that they can be solved. Beyond this the oldest is let
# go: in a block of flats the neighbours' devices want a bond too, in endless numbers.
DEVICE_PROBLEMS_MAX: Final = 64


class RadioState(enum.StrEnum):
    """What the radio is doing."""

    STARTING = "starting"  # not yet opened
    SCANNING = "scanning"  # advertisements can be heard
    CONNECTED = "connected"  # one device is being served; scanning goes on
    LOST = "lost"  # it went away or cannot be opened; tried again with back-off
    STOPPED = "stopped"  # told to stop


@dataclass(frozen=True, slots=True)
class _Key:
    code: ConditionCode
    device_id: str | None
    part: str


@dataclass(frozen=True, slots=True)
class _Told:
    words: str
    since_s: float  # monotonic: a clock that is set meanwhile moves the time that is told


class Health:
    """The gateway's condition.

    Args:
        on_change: Called when a person would see a difference.
        now: The clock.
        monotonic: Seconds that only go forward.

    Attributes:
        pulse: Whether the parts live.
        changes: Grows with each difference a person would see.
    """

    def __init__(
        self,
        on_change: Callable[[], None] = lambda: None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._now = now
        self._monotonic = monotonic
        self._radio = RadioState.STARTING
        self._told: dict[_Key, _Told] = {}
        self._steps: deque[tuple[str, float]] = deque(maxlen=RADIO_STEPS_MAX)
        self._pairing: PairingStatus | None = None
        self._config: tuple[int | None, str | None] = (None, None)
        self.pulse = Pulse(monotonic)
        self.changes = 0

    @property
    def radio(self) -> RadioState:
        """What the radio is doing."""
        return self._radio

    @radio.setter
    def radio(self, state: RadioState) -> None:
        if state is not self._radio:
            before, self._radio = self._radio, state
            # Serving a device is ordinary life; the next heartbeat tells it soon enough.
            if {before, state} != {RadioState.SCANNING, RadioState.CONNECTED}:
                self._changed()

    @property
    def problems(self) -> tuple[str, ...]:
        """What a person should see to, in words; in the order of ``conditions``."""
        return tuple(told.words for _, told in self._readable())

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The same for programs: first the gateway's own, then its devices', newest first."""
        return tuple(
            Condition(code=key.code, device_id=key.device_id, since=self._at(told.since_s))
            for key, told in self._readable()
        )

    def problem(
        self, code: ConditionCode, words: str, device_id: str | None = None, *, part: str = ""
    ) -> None:
        """Say what is wrong; replaces what was said of the same before.

        Args:
            code: What is wrong.
            words: The same for a person, in English.
            device_id: The device it is about, if it is about one.
            part: Tells two causes of one code apart, which are solved each by itself.
        """
        key, words = _Key(code, device_id, part), words[:PROBLEM_CHARACTERS_MAX]
        before = self._told.get(key)
        if before is not None and before.words == words:
            return
        self._told[key] = _Told(words, before.since_s if before else self._monotonic())
        self._forget_some_devices()
        _log.warning("health.problem", code=code.value, device_id=device_id, problem=words)
        self._changed()

    def solved(self, code: ConditionCode, device_id: str | None = None, *, part: str = "") -> None:
        """Say that it is well again; nothing if it was."""
        if self._told.pop(_Key(code, device_id, part), None) is not None:
            _log.info("health.solved", code=code.value, device_id=device_id, part=part)
            self._changed()

    @property
    def radio_steps(self) -> tuple[RadioStep, ...]:
        """What was done to the radio last, oldest first."""
        return tuple(RadioStep(at=self._at(at_s), step=step) for step, at_s in self._steps)

    def radio_step(self, step: str) -> None:
        """Say what was done to the radio, in one word."""
        self._steps.append((step, self._monotonic()))
        _log.warning("radio.step", step=step)
        self._changed()

    @property
    def pairing(self) -> PairingStatus | None:
        """How a pairing that was asked for stands."""
        return self._pairing

    @pairing.setter
    def pairing(self, status: PairingStatus | None) -> None:
        if status != self._pairing:
            self._pairing = status
            self._changed()  # somebody waits for the next word at a screen

    @property
    def config_version(self) -> int | None:
        """Version of the configuration in force that came down; none if none did."""
        return self._config[0]

    @property
    def config_refused(self) -> str | None:
        """Why a newer configuration is not used."""
        return self._config[1]

    def config(self, version: int | None, refused: str | None = None) -> None:
        """Say which configuration is in force, and why a newer one is not."""
        if (version, refused) != self._config:
            self._config = (version, refused)
            self._changed()

    def _readable(self) -> list[tuple[_Key, _Told]]:
        own = [each for each in self._told.items() if each[0].device_id is None]
        of_devices = [each for each in self._told.items() if each[0].device_id is not None]
        return [*own, *reversed(of_devices)][:PROBLEMS_MAX]

    def _forget_some_devices(self) -> None:
        of_devices = [key for key in self._told if key.device_id is not None]
        for key in of_devices[:-DEVICE_PROBLEMS_MAX]:
            del self._told[key]

    def _at(self, then_s: float) -> datetime:
        """Return the time of a monotonic moment, to the second, by the clock as it is now."""
        elapsed = timedelta(seconds=self._monotonic() - then_s)
        return (self._now() - elapsed).replace(microsecond=0)

    def _changed(self) -> None:
        self.changes += 1
        self._on_change()
