"""InFlight: our own publishes at QoS 1, until the server has acknowledged them."""

from typing import Final

from ingest.mqtt5.packets import as_duplicate

PACKET_ID_MAX: Final = 0xFFFE  # the last one is SUBSCRIBE's


class InFlight:
    """Keeps packets for a resumed session [MQTT-4.4.0-1].

    Args:
        most: So many may be unacknowledged; the server's Receive Maximum may lower it
            [MQTT-3.3.4-7].
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = most
        self._packets: dict[int, bytes] = {}  # in the order of sending
        self._last_id = 0

    def __len__(self) -> int:
        """Count what is not acknowledged."""
        return len(self._packets)

    @property
    def has_room(self) -> bool:
        """Whether one more may be sent."""
        return len(self._packets) < self._room

    def next_id(self) -> int:
        """Return a packet id that is not in use [MQTT-2.2.1-3]."""
        number = self._last_id
        while True:
            number = number % PACKET_ID_MAX + 1
            if number not in self._packets:
                self._last_id = number
                return number

    def sent(self, packet_id: int, packet: bytes) -> None:
        """Keep a packet until it is acknowledged."""
        self._packets[packet_id] = packet

    def acknowledged(self, packet_id: int) -> bool:
        """Let go of a packet; false if there was none of this id, which a recovery may bring."""
        return self._packets.pop(packet_id, None) is not None

    def resume(self, *, session_present: bool, receive_max: int) -> bytes:
        """Return what is to be sent on a new connection, in the order of old [MQTT-4.6.0-1].

        Where the server has forgotten the session, so must we [MQTT-3.2.2-5]; the messages are
        then published anew. What is beyond a server's *receive_max* is let go: gateways ask again.
        """
        self._room = min(self._most, receive_max)
        for packet_id in list(self._packets)[self._room :]:
            del self._packets[packet_id]
        packets = self._packets.values()
        if session_present:
            return b"".join(map(as_duplicate, packets))
        return b"".join(packets)
