"""KeepAlive: when a PINGREQ is due, and when silence means that the server is gone.

The clock is the caller's: every method takes the present second of a monotonic one.
"""

from enum import Enum, auto
from typing import Final

# A ping goes out this early, so that a busy moment does not make it late.
_EARLY: Final = 0.8
# A server that says nothing at all for so much of the interval after a ping is gone (3.1.2.10
# leaves "a reasonable amount of time" to us).
_SILENCE: Final = 0.5


class Due(Enum):
    """What is to be done."""

    NOTHING = auto()
    PING = auto()
    GIVE_UP = auto()


class KeepAlive:
    """Watches one connection.

    Args:
        interval_s: As agreed: the server's word overrides ours [MQTT-3.2.2-21]. 0 is never.
        now: The moment of the agreement.
    """

    def __init__(self, interval_s: float, now: float) -> None:
        self.interval_s = interval_s
        self._sent = now
        self._heard = now
        self._pinged: float | None = None

    def sent(self, now: float) -> None:
        """Note that a packet was sent."""
        self._sent = now

    def heard(self, now: float) -> None:
        """Note that bytes have come."""
        self._heard = now
        self._pinged = None

    def due(self, now: float, *, is_listening: bool = True) -> Due:
        """Say what is due; after ``PING`` the caller has sent one.

        Args:
            now: The present second.
            is_listening: Whether we read at all. While we do not, silence is our own, but the
                server must hear of us all the same [MQTT-3.1.2-20].
        """
        if not self.interval_s:
            return Due.NOTHING
        if not is_listening:
            self._heard = now
            self._pinged = None
        if self._pinged is not None and now - self._pinged >= self.interval_s * _SILENCE:
            return Due.GIVE_UP
        quiet_since = min(self._sent, self._heard)
        if now - quiet_since < self.interval_s * _EARLY:
            return Due.NOTHING
        if self._pinged is not None and now - self._sent < self.interval_s * _EARLY:
            return Due.NOTHING  # asked already, and no answer is due yet
        self._sent = now
        if is_listening and self._pinged is None:
            self._pinged = now
        return Due.PING
