"""Health: what the heartbeat tells of this gateway besides its depths."""

import enum
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

_log = structlog.get_logger()

# A heartbeat is read by a person: so many problems, so many characters each.
PROBLEMS_MAX: Final = 20
PROBLEM_CHARACTERS_MAX: Final = 300


class RadioState(enum.StrEnum):
    """What the radio is doing."""

    STARTING = "starting"  # not yet opened
    SCANNING = "scanning"  # advertisements can be heard
    CONNECTED = "connected"  # one device is being served; scanning goes on
    LOST = "lost"  # it went away or cannot be opened; tried again with back-off
    STOPPED = "stopped"  # told to stop


class Health:
    """The gateway's condition. Parts report here; the heartbeat reads.

    Args:
        on_change: Called when a person would see a difference.
    """

    def __init__(self, on_change: Callable[[], None] = lambda: None) -> None:
        self._on_change = on_change
        self._radio = RadioState.STARTING
        self._problems: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
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
        """What a person should see to, in words."""
        return tuple(self._problems.values())[:PROBLEMS_MAX]

    def problem(self, part: str, words: str) -> None:
        """Say that *part* has a problem; replaces what was said of it before."""
        words = words[:PROBLEM_CHARACTERS_MAX]
        if self._problems.get(part) != words:
            self._problems[part] = words
            _log.warning("health.problem", part=part, problem=words)
            self._changed()

    def solved(self, part: str) -> None:
        """Say that *part* is well."""
        if self._problems.pop(part, None) is not None:
            _log.info("health.solved", part=part)
            self._changed()

    def _changed(self) -> None:
        self.changes += 1
        self._on_change()
