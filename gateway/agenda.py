"""Agenda: what is still to be asked of a connected device; its clock is set last."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from devices.drivers import Read, Request, SetClock

# A device that has sent nothing for so long has nothing left to send: records follow each other
# faster, also at slow connection intervals. Were its clock set before its last record and the
# link broke between them, the next session would find a right clock, and place on wrong days what
# the wrong one had stamped. A device that hangs up before this keeps its clock, and is corrected
# by its offset as before.
CLOCK_QUIET_S: Final = 0.5


class Agenda:
    """Requests in the order they were asked for, but what sets a clock and reads it again last.

    Args:
        requests: What is asked first.
    """

    def __init__(self, requests: Iterable[Request]) -> None:
        self._soon: deque[Request] = deque()
        self._late: deque[Request] = deque()
        self.add(requests)

    @property
    def is_free(self) -> bool:
        """Whether nothing is to be asked at once."""
        return not self._soon

    @property
    def left(self) -> tuple[Request, ...]:
        """What has not been asked."""
        return (*self._soon, *self._late)

    def add(self, requests: Iterable[Request]) -> None:
        """Take what the driver asks."""
        for request in requests:
            is_set_first = (
                isinstance(request, Read) and SetClock(request.characteristic) in self._late
            )
            is_late = isinstance(request, SetClock) or is_set_first
            (self._late if is_late else self._soon).append(request)

    def next(self, *, is_quiet: bool) -> Request | None:
        """Take out what to ask now; none if there is nothing, or a clock that is to wait.

        Args:
            is_quiet: The device has sent all it had.
        """
        if self._soon:
            return self._soon.popleft()
        if self._late and (is_quiet or not isinstance(self._late[0], SetClock)):
            return self._late.popleft()
        return None
