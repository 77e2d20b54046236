"""Pulse: whether the parts live. Each beats from its own loop; what is silent hangs."""

import time
from collections.abc import Callable
from typing import Final

# A part that has failed for so long without a good while between is not cured by starting it
# again: something else in the process is wrong (no descriptors, a library's thread that died).
# Then systemd is no longer told that all is well, and starts the process anew. Longer than
# the supervisor's good while plus its longest wait, so that one failure alone never gets here.
HOPELESS_S: Final = 1800.0


class Pulse:
    """Whether the parts live: each beats from its own loop, at least once in its bound.

    Args:
        monotonic: Seconds that only go forward.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._due_s: dict[str, float] = {}  # a part that must beat before then
        self._failing_since_s: dict[str, float] = {}

    def beat(self, part: str, within_s: float) -> None:
        """Say that *part* lives, and will say so again within so many seconds."""
        self._due_s[part] = self._monotonic() + within_s

    def rests(self, part: str) -> None:
        """Say that *part* has ended or waits to be started again: no beat is due."""
        self._due_s.pop(part, None)

    def failed(self, part: str) -> None:
        """Say that *part* failed, and is started again."""
        self.rests(part)
        self._failing_since_s.setdefault(part, self._monotonic())

    def well(self, part: str) -> None:
        """Say that *part* has run well for a good while."""
        self._failing_since_s.pop(part, None)

    def dead(self) -> tuple[str, ...]:
        """Return the parts that do not beat, or that starting again does not cure."""
        now_s = self._monotonic()
        silent = [part for part, due_s in self._due_s.items() if due_s < now_s]
        failing = self._failing_since_s.items()
        hopeless = [part for part, since_s in failing if now_s - since_s >= HOPELESS_S]
        return tuple(dict.fromkeys([*silent, *hopeless]))
