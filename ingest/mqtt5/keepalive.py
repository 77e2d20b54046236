"""KeepAlive: when a PINGREQ is due, and when silence means that the server is gone.

The clock is the caller's: every method takes the present second of a monotonic one.
"""

from enum import Enum, auto
from typing import Final

# A ping goes out this early in the interval, so that a busy moment does not make it late.
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
        self._interval_s = interval_s
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

    def is_silent(self, now: float) -> bool:
        """Say whether nothing has come for the whole interval."""
        return now - self._heard >= self._interval_s

    def due(self, now: float, *, is_listening: bool = True) -> Due:
        """Say what is due; after ``PING`` the caller sends one.

        Args:
            now: The present second.
            is_listening: Whether we read at all. While we do not, silence is our own, but the
                server must hear of us all the same [MQTT-3.1.2-20].
        """
        if not self._interval_s:
            return Due.NOTHING
        if not is_listening:
            self.heard(now)
        if self._pinged is not None:
            is_gone = now - self._pinged >= self._interval_s * _SILENCE
            return Due.GIVE_UP if is_gone else Due.NOTHING
        if now - min(self._sent, self._heard) < self._interval_s * _EARLY:
            return Due.NOTHING
        if is_listening:
            self._pinged = now
        return Due.PING
