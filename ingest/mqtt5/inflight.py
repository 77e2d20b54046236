"""InFlight: our own publishes at QoS 1, until the server has acknowledged them."""

from typing import Final

from ingest.mqtt5.packets import Connack, as_duplicate

PACKET_ID_MAX: Final = 0xFFFE  # the last one is SUBSCRIBE's


class InFlight:
    """Keeps packets for a resumed session [MQTT-4.4.0-1].

    Args:
        most: So many may be unacknowledged; the server's Receive Maximum may lower it
            [MQTT-3.3.4-7], and its Maximum QoS may forbid them all [MQTT-3.2.2-11].
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._room = most
        self._packets: dict[int, bytes] = {}  # in the order of sending
        self._never_sent: set[int] = set()  # there was no connection
        self._sent_twice: set[int] = set()
        self._last_id = 0

    def __len__(self) -> int:
        """Count what is not acknowledged."""
        return len(self._packets)

    @property
    def room(self) -> int:
        """How many more may be sent."""
        return max(0, self._room - len(self._packets))

    def next_id(self) -> int:
        """Return a packet id that is not in use [MQTT-2.2.1-3]."""
        number = self._last_id
        while True:
            number = number % PACKET_ID_MAX + 1
            if number not in self._packets:
                self._last_id = number
                return number

    def keep(self, packet_id: int, packet: bytes, *, is_sent: bool) -> None:
        """Keep a packet until it is acknowledged."""
        self._packets[packet_id] = packet
        if not is_sent:
            self._never_sent.add(packet_id)

    def acknowledged(self, packet_id: int) -> bool:
        """Let go of a packet; false if there was none of this id, which a recovery may bring."""
        self._sent_twice.discard(packet_id)
        return self._packets.pop(packet_id, None) is not None

    def resume(self, limits: Connack) -> bytes:
        """Return what is to be sent on a new connection, in the order of old [MQTT-4.6.0-1].

        Where the server has forgotten the session, so must we [MQTT-3.2.2-5]; the messages are
        then published anew. Let go is what is beyond the server's limits, and what two connections
        have broken on: Mosquitto 2.0.11 with ``max_queued_messages 0`` hangs up on who sends what
        its access list forbids, and would for ever. Gateways ask again.
        """
        self._room = min(self._most, limits.receive_max) if limits.qos_max else 0
        size_max = limits.packet_bytes_max
        kept = {
            number: packet
            for number, packet in self._packets.items()
            if number not in self._sent_twice
            and (size_max is None or len(packet) <= size_max)  # [MQTT-3.2.2-15]
        }
        self._packets = {number: kept[number] for number in list(kept)[: self._room]}
        new, self._never_sent = self._never_sent, set()
        self._sent_twice = set(self._packets) - new
        return b"".join(
            as_duplicate(packet) if limits.session_present and number not in new else packet
            for number, packet in self._packets.items()
        )
