"""Patience: how long a session waits for more, when it is alone and when others wait."""

import time
from dataclasses import dataclass, field
from typing import Final

from gateway.connection import Chance

# A cuff's full memory, 200 records, takes 10 to 40 s.
SESSION_S_MAX: Final = 120.0
# A device that always advertises, such as a watch on a walk, never falls silent by itself.
VISIT_S_MAX: Final = 15.0

# While others wait whose windows close, a silence is not waited out for longer than leaves them
# their share of the time; two seconds are enough for any device that has begun to send, and
# records follow each other within half a second, also at slow connection intervals. A device cut
# short here keeps what it has not sent, and is visited again as soon as it is heard.
IDLE_PRESSED_S_MIN: Final = 0.4
IDLE_PRESSED_S_MAX: Final = 2.0
# What a visit takes beside the silence: the link, the services, the requests.
VISIT_S: Final = 0.5
# Before its first record a cuff may think for a while after it was subscribed to.
FIRST_PRESSED_S: Final = 3.0
# A watch has told its total as soon as it was asked; it will be here later too.
WATCH_PRESSED_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Patience:
    """For one session.

    Attributes:
        idle_s: Without a sign of life it is over after this, when nobody else waits.
        always_there: The device always advertises, and can be visited later.
        chance: Knows whether somebody else waits.
        began_s: When it began, monotonic seconds.
    """

    idle_s: float
    always_there: bool
    chance: Chance
    began_s: float = field(default_factory=time.monotonic)

    def ends_s(self, last_s: float, *, has_begun: bool) -> float:
        """Return when the session is over if nothing comes any more, monotonic seconds.

        Args:
            last_s: When the last sign of life came.
            has_begun: Whether the device has sent a record.
        """
        share_s, idle_s = self.chance.share_s(), self.idle_s
        longest_s = VISIT_S_MAX if self.always_there else SESSION_S_MAX
        if share_s is not None:
            pressed_s = min(IDLE_PRESSED_S_MAX, max(IDLE_PRESSED_S_MIN, share_s - VISIT_S))
            idle_s = min(idle_s, pressed_s if has_begun else FIRST_PRESSED_S)
            longest_s = WATCH_PRESSED_S if self.always_there else longest_s
        return min(self.began_s + longest_s, last_s + idle_s)
