"""What goes wrong in the stream. It is always the peer's doing: ours are assertions."""

from ingest.mqtt5.reasons import ReasonCode


class ProtocolError(Exception):
    """The peer broke the protocol; the connection is of no more use [MQTT-4.13.1-1].

    Attributes:
        reason: What a DISCONNECT says of it.
    """

    def __init__(self, problem: str, reason: ReasonCode = ReasonCode.PROTOCOL_ERROR) -> None:
        self.reason = reason
        super().__init__(problem)


class MalformedPacket(ProtocolError):
    """Bytes that no packet of MQTT 5 holds at this place."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem, ReasonCode.MALFORMED_PACKET)
