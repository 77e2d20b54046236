"""Rival: another client of our name. Each that connects takes the session from the other.

A broker should say so with a reason (0x8E). Mosquitto 2.0.11 just closes, so a rival is also known
by what it does: connections to a session that is kept, each closed without a word soon after.
"""

from typing import Final

from ingest.broker_link import End
from ingest.mqtt5 import ReasonCode

# Neither must be quick to take the session back.
PAUSE_S_MIN: Final = 5.0
PAUSE_S_MAX: Final = 60.0
# A broker that restarts closes without a word too, but hardly so often in so short a time.
_BRIEF_S: Final = 10.0
_BRIEF_TIMES: Final = 3


class Rival:
    """Judges the ends of connections, in order."""

    def __init__(self) -> None:
        self._brief_times = 0
        self._pause_s = PAUSE_S_MIN

    def pause_s(self, end: End | None) -> float | None:
        """Return how long to leave the session to the rival; none if there is none.

        Args:
            end: Of the last connection; none if there was none.
        """
        # Once known it may hold the session as long as both of us pause.
        known = self._brief_times >= _BRIEF_TIMES
        if end is not None and _is_brief(end, 2 * PAUSE_S_MAX if known else _BRIEF_S):
            self._brief_times += 1
        else:
            self._brief_times = 0
        is_said = end is not None and end.reason == ReasonCode.SESSION_TAKEN_OVER
        if not is_said and self._brief_times < _BRIEF_TIMES:
            self._pause_s = PAUSE_S_MIN
            return None
        pause_s, self._pause_s = self._pause_s, min(PAUSE_S_MAX, 2 * self._pause_s)
        return pause_s


def _is_brief(end: End, most_s: float) -> bool:
    is_wordless = end.reason is None and not end.is_ours
    return is_wordless and end.session_kept and end.open_s is not None and end.open_s < most_s
