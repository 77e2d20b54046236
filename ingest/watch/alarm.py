"""Alarm: whether this process falls behind, so that a person should see it. Pure."""

from dataclasses import dataclass
from typing import Final

from ingest.consumer import HELD_BYTES_MAX

# A reading that waits a minute here is late for everybody whom it concerns.
LAG_S_MAX: Final = 60.0
# As much in hand as we take, all this time: it holds more, and we do not catch up. What
# gateways send after an outage is through sooner.
FULL_S_MAX: Final = 120.0
_FULL_SHARE: Final = 0.9
# Over when all has been well for so long: it should not come and go.
CALM_S: Final = 60.0


@dataclass(slots=True)
class LagAlarm:
    """Looked at every few seconds.

    Args:
        receive_max: How many messages the broker may give us unacknowledged.
    """

    receive_max: int
    why: str = ""  # why it is raised; empty: it is not
    _full_since_s: float | None = None
    _bad_at_s: float = float("-inf")

    def look(self, now_s: float, *, worst_lag_s: float, held: int, held_bytes: int) -> str:
        """Return why the alarm is raised, or an empty text.

        Args:
            now_s: Monotonic.
            worst_lag_s: From arrival to commit, since the last look.
            held: Deliveries in hand.
            held_bytes: Their size.
        """
        share = max(held / self.receive_max, held_bytes / HELD_BYTES_MAX)
        if share < _FULL_SHARE:
            self._full_since_s = None
        elif self._full_since_s is None:
            self._full_since_s = now_s
        reason = ""
        if worst_lag_s > LAG_S_MAX:
            reason = f"a reading waited {worst_lag_s:.0f} s from its arrival to its commit"
        elif self._full_since_s is not None and now_s - self._full_since_s >= FULL_S_MAX:
            reason = f"the broker has held more than we take for {FULL_S_MAX:.0f} s"
        if reason:
            self._bad_at_s = now_s
            self.why = self.why or reason
        elif now_s - self._bad_at_s >= CALM_S:
            self.why = ""
        return self.why
