"""AckOrder: acknowledgements leave in the order of arrival, whatever order work is done in.

iotcore loses a message when acknowledgements go out of order, and [MQTT-4.6.0-2] asks for the
order too.
"""

from collections import deque
from collections.abc import Sequence


class AckOrder:
    """Numbers what arrives, and says which packet ids may be acknowledged.

    Numbers go on over connections; packet ids are those of the present connection.
    """

    def __init__(self) -> None:
        # By arrival, from number _first on; 0 where there is nothing to acknowledge.
        self._packet_ids: deque[int] = deque()
        self._first = 0
        self._done: set[int] = set()

    def __len__(self) -> int:
        """Count what has arrived and was not let out yet."""
        return len(self._packet_ids)

    def arrived(self, packet_ids: Sequence[int]) -> int:
        """Note arrivals, after all earlier ones; return the number of the first of them."""
        number = self._first + len(self._packet_ids)
        self._packet_ids.extend(packet_ids)
        return number

    def done(self, numbers: Sequence[int]) -> list[int]:
        """Note what is done; return the packet ids that may be acknowledged now, in order."""
        first, waiting = self._first, self._packet_ids
        count = len(numbers)
        if self._done or numbers != list(range(first, first + count)):
            self._done.update(numbers)
            count = 0
            while first + count in self._done:
                self._done.discard(first + count)
                count += 1
        self._first = first + count
        ready = [waiting.popleft() for _ in range(count)]
        return [packet_id for packet_id in ready if packet_id]

    def lose(self) -> None:
        """Note that the connection broke: the server sends again what was not acknowledged.

        A packet id may be another message's by then, which nobody has stored.
        """
        self._packet_ids = deque([0] * len(self._packet_ids))
